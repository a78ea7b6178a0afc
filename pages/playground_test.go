package pages

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	gqlrules "github.com/vektah/gqlparser/v2/validator/rules"
)

func get(t *testing.T, h http.Handler, method, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result(), w.Body.String()
}

func TestPlayground(t *testing.T) {
	t.Parallel()

	t.Run("everything the page names is served here, and nothing else is named", func(t *testing.T) {
		t.Parallel()
		_, h := built(PlaygroundOptions{})
		answer, page := get(t, h, http.MethodGet, "/")
		if answer.StatusCode != 200 || !strings.Contains(page, `data-endpoint="/graphql"`) {
			t.Fatalf("%d\n%s", answer.StatusCode, page)
		}
		_, script := get(t, h, http.MethodGet, "/playground/console.js")
		_, client := get(t, h, http.MethodGet, "/playground/client.js")
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if answer, _ := get(t, h, http.MethodGet, link[1]); answer.StatusCode != 200 {
				t.Errorf("%s: %d", link[1], answer.StatusCode)
			}
		}
		if strings.Contains(page, "://") || strings.Contains(script, "://") || strings.Contains(script+client, "innerHTML") {
			t.Error("a foreign address, or text treated as HTML")
		}
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
	})

	t.Run("media types, methods and unknown paths", func(t *testing.T) {
		t.Parallel()
		h := Playground(PlaygroundOptions{})
		for path, kind := range map[string]string{
			"/playground/console.js": "text/javascript; charset=utf-8", "/playground/console.css": "text/css; charset=utf-8",
			"/playground/icon.svg": "image/svg+xml", "/playground/examples.json": "application/json", "/playground/tabs.json": "application/json",
			"/playground/console": "text/html; charset=utf-8",
		} {
			if answer, _ := get(t, h, http.MethodGet, path); answer.StatusCode != 200 || answer.Header.Get("Content-Type") != kind {
				t.Errorf("%s is %d %q", path, answer.StatusCode, answer.Header.Get("Content-Type"))
			}
		}
		if answer, _ := get(t, h, http.MethodPost, "/"); answer.StatusCode != 405 || answer.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d", answer.StatusCode)
		}
		for _, path := range []string{
			"/other", "/playground/", "/playground/index.html", "/playground/graphiql.html", "/playground/examples/02-create-joint.graphql", "/playground/reference/",
		} {
			if answer, _ := get(t, h, http.MethodGet, path); answer.StatusCode != 404 {
				t.Errorf("%s: %d", path, answer.StatusCode)
			}
		}
		if answer, _ := get(t, h, http.MethodPost, "/playground/tokens"); answer.StatusCode != 405 {
			t.Errorf("tokens without an issuer: %d", answer.StatusCode)
		}
	})
}

// built is the playground with GraphiQL, and plain the one without, regardless of the generated files on this machine.
func built(o PlaygroundOptions) (with, plain http.Handler) {
	without := fstest.MapFS{}
	_ = fs.WalkDir(playgroundFiles, "playground", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(name, "playground/graphiql/") {
			content, _ := fs.ReadFile(playgroundFiles, name)
			without[name] = &fstest.MapFile{Data: content}
		}
		return err
	})
	whole := fstest.MapFS{}
	for name, file := range without {
		whole[name] = file
	}
	for _, name := range []string{"LICENSES.txt", "explorer.css", "explorer.js", "graphiql.css", "graphiql.js", "react-dom.js", "react.js"} {
		whole["playground/graphiql/"+name] = &fstest.MapFile{Data: []byte("// " + name)}
	}
	return playgroundOf(o, whole), playgroundOf(o, without)
}

func TestGraphiQLBuiltIn(t *testing.T) {
	t.Parallel()
	foreign := PlaygroundOptions{ForeignOrigin: "https://cdn.example", ForeignGraphiQL: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "foreign")
	})}

	t.Run("built in, it is the page, and nothing comes from elsewhere", func(t *testing.T) {
		t.Parallel()
		h, _ := built(foreign)
		answer, page := get(t, h, http.MethodGet, "/")
		nonce := regexp.MustCompile(`nonce="(\w+)"`).FindStringSubmatch(page)
		if nonce == nil || strings.Contains(page, "://") {
			t.Fatal(page)
		}
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if answer, _ := get(t, h, http.MethodGet, link[1]); answer.StatusCode != 200 {
				t.Errorf("%s: %d", link[1], answer.StatusCode)
			}
		}
		want := "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + nonce[1] + "'; font-src 'self' data:; connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
		if policy := answer.Header.Get("Content-Security-Policy"); policy != want {
			t.Errorf("policy %q", policy)
		}
		if _, again := get(t, h, http.MethodGet, "/"); again == page {
			t.Error("a nonce is used once")
		}
		if _, page := get(t, h, http.MethodGet, "/playground/graphiql"); page == "foreign" {
			t.Error("the CDN's page is served though there is one of our own")
		}
		if _, page := get(t, h, http.MethodGet, "/playground/console"); !strings.Contains(page, `href="/"`) || strings.Contains(page, "CDN") {
			t.Error(page)
		}
	})

	t.Run("not built in, the page is the console, which links to the CDN's with a warning", func(t *testing.T) {
		t.Parallel()
		_, h := built(foreign)
		_, page := get(t, h, http.MethodGet, "/")
		answer, there := get(t, h, http.MethodGet, "/playground/graphiql")
		if !strings.Contains(page, "loads from a CDN: cdn.example") || there != "foreign" {
			t.Errorf("%q %s", there, page)
		}
		if policy := answer.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "connect-src 'self';") {
			t.Errorf("policy %q", policy)
		}
		_, h = built(PlaygroundOptions{})
		if _, page := get(t, h, http.MethodGet, "/"); strings.Contains(page, "CDN") || strings.Contains(page, "data-tokens") || strings.Contains(page, "Reference") {
			t.Error("a link without a page")
		}
		if answer, _ := get(t, h, http.MethodGet, "/playground/graphiql"); answer.StatusCode != 404 {
			t.Errorf("%d", answer.StatusCode)
		}
	})
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for have, want := range map[string]string{
		"# A `b` c\n":                             `<h1 id="a-b-c">A <code>b</code> c</h1>`,
		"one\ntwo <script> **three**":             "<p>one two &lt;script&gt; <strong>three</strong></p>",
		"- a\n  b\n  - c\n- d":                    "<ul>\n<li>a b</li>\n<ul>\n<li>c</li>\n</ul>\n<li>d</li>\n</ul>",
		"1. a\n2. b":                              "<ol>\n<li>a</li>\n<li>b</li>\n</ol>",
		"| a | b |\n|---|---|\n| `x` | y \\| z |": `<div class="wide"><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td><code>x</code></td><td>y | z</td></tr></tbody></table></div>`,
		"```sh\n# <a>\n```\nb":                    "<pre tabindex=\"0\"><code># &lt;a&gt;\n</code></pre>\n<p>b</p>",
		"[`x`](a.md#b) [y](javascript:alert(1))":  `<p><a href="a.md#b"><code>x</code></a> y)</p>`,
		"[a](\" onclick=x) `[b](c.md)`":           "",
	} {
		got := strings.TrimSpace(markdown(have))
		if want != "" && got != want || strings.Contains(got, `" onclick`) {
			t.Errorf("%q is\n%s\nwant\n%s", have, got, want)
		}
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Examples() {
		if e.Group == "" || e.Title == "" || e.About == "" || e.As == "" || e.Document == "" || seen[e.Name] {
			t.Errorf("%s is incomplete: %+v", e.Name, e)
		}
		seen[e.Name] = true
		var variables map[string]any
		if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil && e.Variables != "" {
			t.Errorf("%s: variables: %v", e.Name, err)
		}
		for name := range variables {
			if !strings.Contains(e.Document, "$"+name+":") {
				t.Errorf("%s: variable %s is not declared", e.Name, name)
			}
		}
	}
}

func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../graph/schema/*.graphqls")
	if err != nil || len(files) == 0 {
		t.Fatal("no schema", err)
	}
	var sources []*ast.Source
	for _, name := range append([]string{"../schema.graphqls"}, files...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: name, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	list := Examples()
	for _, tab := range Tabs() {
		if len(slices.Compact(slices.Sorted(slices.Values(tab.Operations)))) != len(tab.Operations) {
			t.Errorf("the tab %s has two operations of one name: %v", tab.Group, tab.Operations)
		}
		list = append(list, Example{Name: "tab " + tab.Group, Document: tab.Document, Variables: tab.Variables})
	}
	for _, e := range list {
		document, err := gqlparser.LoadQueryWithRules(schema, e.Document, gqlrules.NewDefaultRules())
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		var variables map[string]any
		if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil && e.Variables != "" {
			t.Errorf("%s: %v", e.Name, err)
		}
		variables = withAnswers(variables).(map[string]any)
		for _, o := range document.Operations {
			if _, err := validator.VariableValues(schema, o, variables); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
	}
}

// withAnswers replaces the playground's placeholder for quiz answers with a list.
func withAnswers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = withAnswers(v[name])
		}
	case string:
		if v == "{{firstChoices}}" {
			return []any{map[string]any{"questionId": "1", "answer": "2"}}
		}
	}
	return v
}
