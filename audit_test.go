package main

import (
	"fmt"
	"strings"
	"testing"
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
		withoutVendor(t, err)
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
