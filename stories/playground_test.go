package stories

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/pages"

	"github.com/gatehouse/gatehouse/testkit"
)

// player does what the playground's script does with placeholders (pages/playground/client.js): it knows what earlier
// answers have shown, and signs with the demonstration key.
type player struct {
	*server
	people map[string]string
	known  map[string]any
}

func (s *server) play() *player {
	s.t.Helper()
	r := s.send("POST", "/playground/tokens", "", "X-Gatehouse-Playground: 1")
	if r.status != http.StatusOK {
		s.t.Fatalf("%d %s", r.status, r.body)
	}
	p := &player{server: s, people: map[string]string{}, known: map[string]any{}}
	for name, token := range r.at(s.t, "people").(map[string]any) {
		p.people[name] = token.(string)
	}
	return p
}

var (
	placeholder = regexp.MustCompile(`^\{\{(\w+)(?:\|([\w-]+))?\}\}$`)
	knownID     = regexp.MustCompile(`^([a-z]+)_[0-9a-z]{10,}$`)
)

func (p *player) fill(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, member := range v {
			out[k] = p.fill(member)
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, p.fill(item))
		}
		return out
	case string:
		m := placeholder.FindStringSubmatch(v)
		switch {
		case m == nil:
			return v
		case m[1] == "signature":
			key := ed25519.NewKeyFromSeed([]byte("gatehouse demonstration device 1"))
			return base64.StdEncoding.EncodeToString(ed25519.Sign(key, fmt.Appendf(nil, "%s:alice", p.known["lastChallengeId"])))
		case p.known[m[1]] != nil:
			return p.known[m[1]]
		case m[2] != "":
			return m[2]
		}
		p.t.Errorf("%s is not known", v)
	}
	return v
}

func (p *player) remember(name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		last := map[string]string{"twoFactorRequest": "lastTwoFactorRequestId", "deviceChallenge": "lastChallengeId"}[name]
		if last != "" && v["id"] != nil {
			p.known[last] = v["id"]
		}
		if questions, ok := v["questions"].([]any); ok {
			var answers []any
			for _, q := range questions {
				q := q.(map[string]any)
				answers = append(answers, map[string]any{"questionId": q["questionId"], "answer": q["choices"].([]any)[0]})
			}
			p.known["firstChoices"] = answers
		}
		for k, member := range v {
			p.remember(k, member)
		}
	case []any:
		for i := range v {
			p.remember(name, v[len(v)-1-i])
		}
	case string:
		if m := knownID.FindStringSubmatch(v); m != nil {
			last := map[string]string{
				"inv": "lastInvitationId", "sess": "lastSessionId", "quiz": "lastQuizId", "contact": "lastContactId", "frr": "lastReportId",
				"appr": "lastApprovalId", "dev": "lastDeviceId",
			}[m[1]]
			if last != "" {
				p.known[last] = v
			}
		}
	}
}

// run sends an operation and returns the codes of the problems in its payloads.
func (p *player) run(as, document, operation string, variables map[string]any) (problems []string) {
	p.t.Helper()
	body, _ := json.Marshal(map[string]any{"query": document, "variables": p.fill(variables), "operationName": operation})
	r := p.send("POST", "/graphql", string(body), "Authorization: Bearer "+p.people[as])
	if r.status != http.StatusOK || r.at(p.t, "errors") != nil {
		p.t.Errorf("%s: %d %s", operation, r.status, r.body)
		return nil
	}
	data, _ := r.at(p.t, "data").(map[string]any)
	for _, payload := range data {
		if payload, ok := payload.(map[string]any); ok {
			list, _ := payload["problems"].([]any)
			for _, problem := range list {
				problems = append(problems, problem.(map[string]any)["code"].(string))
			}
		}
	}
	p.remember("", data)
	return problems
}

// TestExamplesOfThePlayground runs every example against the demonstration directory, in the order of the list: each
// does what it says, but for those that want what only a mail or a text tells.
func TestExamplesOfThePlayground(t *testing.T) {
	t.Parallel()
	p := newWorld(t).serve().play()
	wants := map[string]string{"VerifyPhone": "INVALID_CODE", "VerifyEmail": "INVALID_TOKEN"}
	for _, e := range pages.Examples() {
		var variables map[string]any
		if e.Variables != "" {
			if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil {
				t.Fatal(e.Name, err)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^(query|mutation|subscription) (\w+)`).FindAllStringSubmatch(e.Document, -1) {
			if m[1] == "subscription" {
				continue // TestPlaygroundInABrowser
			}
			if m[2] == "RejectTwoFactorRequest" || m[2] == "RevokeDevice" && e.As == "alice" {
				p.again(t, e.As, m[2])
			}
			problems := p.run(e.As, e.Document, m[2], variables)
			if strings.Join(problems, " ") != wants[m[2]] {
				t.Errorf("%s: %v", e.Name, problems)
			}
		}
	}
}

// again opens a request and makes a challenge, as the example says.
func (p *player) again(t *testing.T, as, operation string) {
	t.Helper()
	if operation != "RejectTwoFactorRequest" {
		return
	}
	for _, e := range pages.Examples() {
		if strings.Contains(e.Document, "mutation OpenTwoFactorRequest(") || strings.Contains(e.Document, "mutation CreateDeviceChallenge(") {
			var variables map[string]any
			if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil {
				t.Fatal(err)
			}
			if problems := p.run(as, e.Document, "", variables); problems != nil {
				t.Error(e.Name, problems)
			}
		}
	}
}

// TestTabsOfThePlayground runs every operation of every tab, one life cycle after the other. An order that the life
// does not allow is told as a problem; nothing fails.
func TestTabsOfThePlayground(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	p := s.play()
	// A life of each comes first, so that every id is known.
	for _, operation := range []string{"CreateInvitation", "CreateSession", "CreateFraudRiskReport", "CreateQuiz", "CreateQuizQuestions", "RegisterDevice", "OpenTwoFactorRequest", "CreateDeviceChallenge"} {
		p.one(t, operation)
	}
	var tabs []pages.Tab
	if err := json.Unmarshal([]byte(s.send("GET", "/playground/tabs.json", "").body), &tabs); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, tab := range tabs {
		var variables map[string]any
		if tab.Variables != "" {
			if err := json.Unmarshal([]byte(tab.Variables), &variables); err != nil {
				t.Fatal(tab.Group, err)
			}
		}
		for _, operation := range tab.Operations {
			if strings.Contains(tab.Document, "subscription "+operation) {
				continue
			}
			own := map[string]any{}
			declared := regexp.MustCompile(`(?m)^\w+ ` + operation + `\b([^{]*)`).FindStringSubmatch(tab.Document)[1]
			for name, value := range variables {
				if strings.Contains(declared, "$"+name+":") {
					own[name] = value
				}
			}
			p.run(tab.As, tab.Document, operation, own)
			ran++
		}
	}
	if len(tabs) < 9 || ran < 50 {
		t.Errorf("%d tabs, %d operations", len(tabs), ran)
	}
}

func (p *player) one(t *testing.T, operation string) {
	t.Helper()
	for _, e := range pages.Examples() {
		if strings.Contains(e.Document, "mutation "+operation+"(") {
			var variables map[string]any
			if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil {
				t.Fatal(err)
			}
			if problems := p.run(e.As, e.Document, operation, variables); problems != nil {
				t.Error(e.Name, problems)
			}
			return
		}
	}
	t.Errorf("no example %s", operation)
}

// TestTokensOfThePlayground: the tokens of the demonstration people are for the playground of this machine.
func TestTokensOfThePlayground(t *testing.T) {
	t.Parallel()
	const ours = "X-Gatehouse-Playground: 1"
	s := newWorld(t, "GATEHOUSE_ALLOWED_ORIGINS=http://localhost:3000").serve()
	for claim, c := range map[string]struct {
		header []string
		status int
	}{
		"the playground":                       {[]string{ours, "Sec-Fetch-Site: same-origin", "Origin: " + s.url}, 200},
		"a plain form of another page":         {nil, 403},
		"another page":                         {[]string{ours, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		"another page of an old browser":       {[]string{ours, "Origin: https://evil.example"}, 403},
		"an allowed origin":                    {[]string{ours, "Sec-Fetch-Site: same-site", "Origin: http://localhost:3000"}, 403},
		"another port of this machine":         {[]string{ours, "Origin: http://127.0.0.1:1"}, 403},
		"a page without an origin":             {[]string{ours, "Origin: null"}, 403},
		"a request that was passed on":         {[]string{ours, "X-Forwarded-For: 203.0.113.7"}, 403},
		"a name that somebody lets point here": {[]string{ours, "Host: evil.example"}, 421},
	} {
		if r := s.send("POST", "/playground/tokens", "", c.header...); r.status != c.status || strings.Contains(r.body, "eyJ") != (c.status == 200) {
			t.Errorf("%s: %d", claim, r.status)
		}
	}
	if r := s.send("OPTIONS", "/playground/tokens", "", "Origin: http://localhost:3000", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-gatehouse-playground"); strings.Contains(strings.ToLower(r.header.Get("Access-Control-Allow-Headers")), "x-gatehouse-playground") {
		t.Error("an allowed origin may send the header")
	}
	if r := s.send("GET", "/playground/tokens", "", ours); r.status != 405 {
		t.Errorf("GET: %d", r.status)
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		if r := s.gql(s.play().people[name], `{ viewer { id } }`, nil); r.at(t, "data", "viewer", "id") != name {
			t.Errorf("%s is %s", name, r.body)
		}
	}
	if strings.Contains(s.Log.String(), "eyJ") {
		t.Error("a token in the log")
	}
	for _, env := range []string{"GATEHOUSE_DEMO=false", "GATEHOUSE_TRUSTED_PROXIES=127.0.0.0/8", "GATEHOUSE_PUBLIC_URL=https://bank.example"} {
		s := newWorld(t, env).serve()
		if r := s.send("POST", "/playground/tokens", "", ours); r.status != 404 && r.status != 405 {
			t.Errorf("%s: %d %s", env, r.status, r.body)
		}
		if r := s.send("GET", "/", ""); strings.Contains(r.body, "data-tokens") {
			t.Errorf("%s: the page expects tokens", env)
		}
	}
}

// TestReferenceInThePlayground: every page of docs/ is shown, and every link in it that leads to another leads there.
func TestReferenceInThePlayground(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	pagesShown := 0
	link := regexp.MustCompile(`href="([^"#:]+)(?:#[^"]*)?"`)
	if err := filepath.WalkDir(filepath.Join("..", "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		pagesShown++
		name := strings.TrimPrefix(filepath.ToSlash(path), "../docs/")
		r := s.send("GET", "/playground/reference/"+name, "")
		if r.status != 200 || r.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(r.body, "<h1") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		for _, m := range link.FindAllStringSubmatch(r.body, -1) {
			to := m[1]
			if !strings.HasPrefix(to, "/") {
				to = filepath.ToSlash(filepath.Join("/playground/reference", filepath.Dir(name), to))
			}
			if r := s.send("GET", to, ""); r.status != 200 {
				t.Errorf("%s leads to %s: %d", name, to, r.status)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	index := s.send("GET", "/playground/reference/", "")
	if n := strings.Count(index.body, "<li>"); n != pagesShown {
		t.Errorf("the index lists %d of %d pages", n, pagesShown)
	}
	if r := s.send("GET", "/playground/reference/docs.go", ""); r.status != 404 {
		t.Errorf("docs.go: %d", r.status)
	}
}

// withoutGraphiQL skips a test that needs the files that go generate takes from npm; where GATEHOUSE_TEST_REQUIRE names
// vendor, it fails.
func withoutGraphiQL(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", "pages", "playground", "graphiql", "LICENSES.txt")); err != nil {
		testkit.Without(t, "vendor", fmt.Errorf("GraphiQL is not built in; `go generate ./pages` takes it from npm: %w", err))
	}
}
