package reference_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/reference"
)

var (
	fences  = regexp.MustCompile("(?s)```.*?```")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	anchors = regexp.MustCompile(`<a id="([^"]+)"`)
	heads   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	slugged = regexp.MustCompile(`[^\w\- ]`)
)

// TestPagesLeadSomewhere follows every link of the pages to its page and anchor.
func TestPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := reference.Pages()
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, p := range pages {
		text[p.Name] = p.Text
	}
	read := func(name string) (string, bool) {
		if _, ok := text[name]; !ok {
			raw, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(name)))
			if err != nil {
				return "", false
			}
			text[name] = string(raw)
		}
		return text[name], true
	}
	places := func(page string) map[string]bool {
		out := map[string]bool{}
		for _, m := range anchors.FindAllStringSubmatch(page, -1) {
			out[m[1]] = true
		}
		for _, m := range heads.FindAllStringSubmatch(page, -1) {
			out[strings.ReplaceAll(slugged.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
		}
		return out
	}
	for _, p := range pages {
		for _, m := range links.FindAllStringSubmatch(fences.ReplaceAllString(p.Text, ""), -1) {
			if strings.HasPrefix(m[1], "http") {
				continue
			}
			file, place, _ := strings.Cut(m[1], "#")
			name := p.Name
			if file != "" {
				name = path.Join(path.Dir(p.Name), file)
			}
			target, ok := read(name)
			if !ok || place != "" && !places(target)[place] {
				t.Errorf("%s links to %s, which does not exist", p.Name, m[1])
			}
		}
	}
}

// TestCurl parses commands like a shell.
func TestCurl(t *testing.T) {
	t.Parallel()
	values := map[string]string{"TOKEN": "t.o.k", "ID": "inv_1", "LIST": `[{"a": "b c"}]`}
	r, err := reference.Curl("curl -s -i -X PATCH \"http://host/a?b=$ID\" \\\n  -H \"If-Match: \\\"$ID:1\\\"\" -H 'X: $ID' \\\n  -d '{\"id\":\"'$ID'\",\"list\":'\"$LIST\"'}'\n", values)
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "PATCH" || r.URL != "http://host/a?b=inv_1" || r.Body != `{"id":"inv_1","list":[{"a": "b c"}]}` {
		t.Errorf("%+v", r)
	}
	if want := []string{`If-Match: "inv_1:1"`, "X: $ID"}; len(r.Header) != 2 || r.Header[0] != want[0] || r.Header[1] != want[1] {
		t.Errorf("%q", r.Header)
	}
	for claim, command := range map[string]string{
		"an unknown name":      "curl http://host/$OTHER",
		"a value with blanks":  "curl http://host -d $LIST",
		"an unquoted &":        "curl http://host/?a=1&b=2",
		"an open quote":        "curl 'http://host",
		"an unknown option":    "curl --insecure http://host",
		"another program":      "wget http://host",
		"an option's argument": "curl http://host -H",
	} {
		if r, err := reference.Curl(command, values); err == nil {
			t.Errorf("%s: %+v", claim, r)
		}
	}
	if r, err := reference.Curl("curl http://host -d x", nil); err != nil || r.Method != "POST" {
		t.Errorf("a body makes it a POST: %+v %v", r, err)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	got, err := reference.Fill(`{"a": "$NAME", "b": $LIST, "c": "{{user.x}} $"}`, map[string]string{"NAME": `a "b"`, "LIST": "[1]"})
	if err != nil || got != `{"a": "a \"b\"", "b": [1], "c": "{{user.x}} $"}` {
		t.Errorf("%s %v", got, err)
	}
	if _, err := reference.Fill(`"$OTHER"`, nil); err == nil {
		t.Error("an unknown name is accepted")
	}
}
