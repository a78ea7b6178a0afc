package stories

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/testkit"
)

// The public audit suite of GraphQL over HTTP. None of its code is in the repository: it is installed when the test
// runs, and is the one that these values were made of, or the test fails.
var (
	auditPackages  = []string{"graphql-http@1.23.1", "graphql@16.15.0"}
	auditIntegrity = map[string]string{
		"graphql-http": "sha512-h6AcykL7+xp22QvOnK0fu1eHk9AZG1ngF71rk0ZGuGupnjm1yqXRFrZ/eMv4Q1FTCWILJ5o6hVAxzt3S8/wPHQ==",
		"graphql":      "sha512-32kz9FecohDiC/tgcViwnRXM7HFBVTPiW7pHO+DikKOI5KjhU/jNULOReXsrFqt2WAYbE9xFXsTffJw6iTO8qw==",
	}
)

// TestGraphQLOverHTTPAudits lets the suite look at a running server. The audits of the levels MUST and SHOULD are what
// is promised (docs/decisions/0012-graphql-over-http.md); those of the level MAY pass too.
func TestGraphQLOverHTTPAudits(t *testing.T) {
	t.Parallel()
	modules, err := npmModules(auditPackages, auditIntegrity)
	if err != nil {
		testkit.Without(t, "vendor", err)
	}
	s := newWorld(t).serve()
	var audits []struct{ ID, Name, Status, Reason, Answer string }
	drivenBeside(t, modules, "audits.mjs", map[string]any{"url": s.url + "/graphql"}, &audits)

	var report strings.Builder
	asked, passed := map[string]int{}, map[string]int{}
	for _, a := range audits {
		level, _, _ := strings.Cut(a.Name, " ")
		asked[level]++
		if a.Status == "ok" {
			passed[level]++
		}
		fmt.Fprintf(&report, "%s %s: %s", a.ID, a.Name, a.Status)
		if a.Status != "ok" {
			fmt.Fprintf(&report, " (%s; the answer was %s)", a.Reason, a.Answer)
		}
		report.WriteByte('\n')
	}
	// The numbers are those of the pinned suite: fewer would mean that part of it was not run.
	for level, want := range map[string]int{"MUST": 13, "SHOULD": 23, "MAY": 25} {
		if asked[level] != want || passed[level] != want {
			t.Errorf("%s: %d of %d audits passed, want %d of %d", level, passed[level], asked[level], want, want)
		}
	}
	if t.Failed() {
		t.Log("every audit:\n" + report.String())
	}
}

// TestTrustedDocumentsFile serves the example file of docs/graphql.md.
func TestTrustedDocumentsFile(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs(filepath.Join("..", "examples", "trusted-documents.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	s := w.serve("--trusted-documents", file)
	alice := "Authorization: Bearer " + s.token("alice", "banking/full")
	for _, step := range []struct {
		what, method, path, body string
		status                   int
		holds                    string
	}{
		{"by id", "POST", "/graphql", `{"documentId":"version"}`, 200, `"version":`},
		{"by id, by GET", "GET", "/graphql?documentId=my-invitations", "", 200, `"nodes":`},
		{"with variables", "POST", "/graphql", `{"documentId":"revoke-invitation","variables":{"id":"inv_0"}}`, 200, "NOT_FOUND"},
		{"a mutation by GET", "GET", "/graphql?documentId=revoke-invitation&variables=%7B%22id%22%3A%22inv_0%22%7D", "", 405, "BAD_DOCUMENT"},
		{"a document as it is", "POST", "/graphql", `{"query":"{ version { version } }"}`, 200, `"version":`},
		{"another document", "POST", "/graphql", `{"query":"{ version { commit } }"}`, 400, "registered documents only"},
		{"another id", "POST", "/graphql", `{"documentId":"other"}`, 400, "registered documents only"},
		{"an unknown hash", "POST", "/graphql", `{"query":"{ version { commit } }","extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`, 400, "registered documents only"},
	} {
		if r := s.send(step.method, step.path, step.body, alice); r.status != step.status || !strings.Contains(r.body, step.holds) {
			t.Errorf("%s: %d %s", step.what, r.status, r.body)
		}
	}
}

// TestTheDoorFromAnotherOrigin: what a browser asks before and reads after, and how large a request may be.
func TestTheDoorFromAnotherOrigin(t *testing.T) {
	t.Parallel()
	const page = "https://bank.example"
	s := newWorld(t, "GATEHOUSE_ALLOWED_ORIGINS="+page+"|https://app.example", "GATEHOUSE_GRAPHQL_MAX_BODY=2048").serve()
	asked := s.send("OPTIONS", "/graphql", "", "Origin: "+page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,idempotency-key")
	allowed := strings.ToLower(asked.header.Get("Access-Control-Allow-Headers"))
	for _, name := range []string{"authorization", "content-type", "accept", "idempotency-key", "last-event-id"} {
		if !strings.Contains(allowed, name) {
			t.Errorf("%s is not allowed: %s", name, allowed)
		}
	}
	if asked.status != 204 || asked.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", asked.status, asked.header)
	}
	body := `{"query":"{ version { version } }"}`
	for origin, named := range map[string]string{page: page, "https://app.example": "https://app.example", "https://evil.example": "", "null": "", "": ""} {
		header := []string{}
		if origin != "" {
			header = append(header, "Origin: "+origin)
		}
		r := s.send("POST", "/graphql", body, header...)
		if got := r.header.Get("Access-Control-Allow-Origin"); r.status != 200 || got != named || !slices.Contains(r.header.Values("Vary"), "Origin") {
			t.Errorf("from %q: %d, allowed %q, varies by %v", origin, r.status, got, r.header.Values("Vary"))
		}
	}
	// A form of another page needs no preflight, and so it is not served.
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		if r := s.send("POST", "/graphql", body, "Content-Type: "+media, "Origin: https://evil.example"); r.status != 415 {
			t.Errorf("%s: %d", media, r.status)
		}
	}
	if r := s.send("POST", "/graphql", `{"query":"{ version { version } }`+strings.Repeat(" ", 2048)+`"}`); r.status != 413 {
		t.Errorf("more than the limit: %d", r.status)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
		if r := s.send(method, "/graphql", ""); r.status != 405 || r.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d, Allow %q", method, r.status, r.header.Get("Allow"))
		}
	}
}
