package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gatehouse/gatehouse"

// layer says what the packages of a folder may import.
type layer struct {
	// ours are the folders of this module; "x/..." is x and everything below.
	ours []string
	// others are the other modules; "*" is any. Only pure computation is allowed to the rules, each with its reason.
	others []string
	// never are packages that must not be imported, whoever owns them.
	never []string
	// why is the reason, shown when the test fails.
	why string
}

// outside is what the rules must not know: doors, wires and tables are somebody else's business, so that a rule can
// be read, and tested, without any of them.
var outside = []string{"net/http", "database/sql", "encoding/json"}

// layers is the table of who may import whom (docs/architecture.md). Test files and testkit may import what they
// exercise.
var layers = map[string]layer{
	".":                     {ours: []string{"cli"}, why: "main hands its arguments on and does nothing else"},
	"domain/problem":        {never: outside, why: "the catalogue of refusals knows no door"},
	"domain/lifecycle":      {ours: []string{"domain/problem"}, never: outside, why: "a life is data"},
	"domain/listing":        {ours: []string{"domain/problem"}, never: outside, why: "a list is data"},
	"domain/risk":           {ours: []string{"domain/problem"}, others: []string{"golang.org/x/text/unicode/norm", "github.com/gaissmai/bart"}, never: outside, why: "rules are pure functions of a person; folding of accents and the lookup of networks are pure computation"},
	"domain/live":           {ours: []string{"domain/problem"}, never: outside, why: "it distributes events, and has no rule about them"},
	"domain/recent":         {never: outside, why: "a memory does not know what it remembers"},
	"domain":                {ours: []string{"domain/..."}, others: []string{"github.com/go-playground/validator/v10"}, never: outside, why: "the rules know no GraphQL, no HTTP and no SQL; validator is pure computation over struct tags"},
	"seal":                  {others: []string{"*"}, never: []string{"net/http", "database/sql"}, why: "cryptography knows no records"},
	"db":                    {ours: []string{"domain/...", "seal", "db/..."}, others: []string{"*"}, never: []string{"net/http"}, why: "the store keeps what the rules decided"},
	"db/engine":             {ours: []string{"domain/problem"}, others: []string{"*"}, never: []string{"net/http"}, why: "it executes statements, and knows no table, no record and no row struct"},
	"db/migrations":         {why: "SQL files and their embedding"},
	"auth":                  {ours: []string{"domain/...", "seal"}, others: []string{"*"}, why: "it says who is asking; the rules refuse"},
	"provider":              {ours: []string{"domain/...", "seal"}, others: []string{"github.com/AfterShip/email-verifier"}, why: "it answers what the rules ask of others, and knows nobody who asks"},
	"notify":                {ours: []string{"domain/...", "seal"}, others: []string{"*"}, why: "it delivers what the rules ask to be told"},
	"graph":                 {ours: []string{"domain/..."}, others: []string{"*"}, why: "generated from the schema and bound to the rules"},
	"graph/gen":             {others: []string{"github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2"}, why: "it makes the GraphQL code from the schema, and knows nothing of the program"},
	"resolvers":             {ours: []string{"domain/...", "graph"}, others: []string{"*"}, never: []string{"database/sql", "github.com/uptrace/bun"}, why: "a resolver is one call of a rule"},
	"rest/wire":             {ours: []string{"domain/problem", "domain/listing"}, others: []string{"*"}, why: "reading requests needs no rules"},
	"rest/hal":              {ours: []string{"domain/problem", "domain/listing", "rest/wire"}, others: []string{"*"}, why: "writing HAL needs no rules"},
	"rest/clientsessions":   {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect knows its document and the rules, no other dialect"},
	"rest/customersessions": {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect knows its document and the rules, no other dialect"},
	"rest/invitations":      {ours: []string{"domain/...", "rest/wire", "rest/hal"}, others: []string{"*"}, why: "a dialect knows its document and the rules, no other dialect"},
	"rest/resttest":         {ours: []string{"domain/...", "seal", "db/...", "testkit"}, others: []string{"*"}, why: "tests only"},
	"rest/usersessions":     {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect knows its document and the rules, no other dialect"},
	"rest/identity":         {ours: []string{"domain/...", "rest/wire", "rest/hal"}, others: []string{"*"}, why: "a dialect knows its document and the rules, no other dialect"},
	"rest":                  {ours: []string{"domain", "rest/..."}, others: []string{"*"}, why: "it mounts the dialects"},
	"pages":                 {ours: []string{"domain/..."}, others: []string{"*"}, why: "each form is one call of a rule"},
	"reference":             {ours: []string{"domain/...", "graph", "examples"}, others: []string{"github.com/vektah/gqlparser/v2", "golang.org/x/tools/txtar"}, never: []string{"net/http", "database/sql"}, why: "pages are made from the tables, the schema and the examples; it asks nobody"},
	"examples":              {why: "sample files and their embedding"},
	"app":                   {ours: []string{"domain/...", "seal", "db/...", "auth", "notify", "provider", "resolvers", "rest", "rest/...", "pages", "examples", "reference", "docs"}, others: []string{"*"}, why: "it builds everything, and the commands stand above it"},
	"pages/fetch":           {why: "it takes files from packages when code is generated, and knows nothing of the program"},
	"docs":                  {why: "pages and their embedding"},
	"cli":                   {ours: []string{"app", "domain/...", "db"}, others: []string{"*"}, why: "a command calls app"},
	"bench":                 {ours: []string{"domain", "seal", "db"}, others: []string{"github.com/jackc/pgx/v5", "modernc.org/sqlite"}, why: "it drives the built program; only invitations, which no command loads, are stored through the store"},
	"testkit":               {ours: []string{"domain/...", "seal", "db/...", "app", "auth", "provider"}, others: []string{"*"}, why: "tests only"},
	"races":                 {why: "tests only"},
	"stories":               {why: "tests only"},
	"db/dbtest":             {ours: []string{"domain/...", "seal", "db/...", "testkit"}, others: []string{"*"}, why: "tests only"},
}

// TestLayers parses the import lines itself: a test that asks `go list` is answered from Go's test cache after a
// change in another package, and stays green.
func TestLayers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "gatehouse-data" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		l, ok := layers[folder]
		if !ok {
			if !seen[folder] {
				t.Errorf("folder %s has no line in the table of layers_test.go: say what it may import, and why", folder)
			}
			seen[folder] = true
			return nil
		}
		seen[folder] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			if reason := l.refuses(strings.Trim(spec.Path.Value, `"`)); reason != "" {
				t.Errorf("%s imports %s: %s (%s)", path, spec.Path.Value, reason, l.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range layers {
		if !seen[folder] {
			t.Errorf("the table names %s, and there is no such folder", folder)
		}
	}
}

// refuses says why a package must not be imported; empty where it may.
func (l layer) refuses(imported string) string {
	if slices.ContainsFunc(l.never, func(n string) bool { return imported == n || strings.HasPrefix(imported, n+"/") }) {
		return "never allowed here"
	}
	own, ours := strings.CutPrefix(imported, module+"/")
	switch {
	case ours:
		if !slices.ContainsFunc(l.ours, func(m string) bool {
			base, below := strings.CutSuffix(m, "/...")
			return own == base || below && strings.HasPrefix(own, base+"/")
		}) {
			return "not one of the folders allowed here"
		}
	case strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
		if !slices.ContainsFunc(l.others, func(m string) bool {
			return m == "*" || imported == m || strings.HasPrefix(imported, m+"/")
		}) {
			return "no other module is allowed here"
		}
	}
	return ""
}

func TestLayersRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ folder, imported string }{
		{"domain", "net/http"},
		{"domain", module + "/db"},
		{"domain", "github.com/uptrace/bun"},
		{"domain/problem", "encoding/json"},
		{"resolvers", "database/sql"},
		{"rest/invitations", module + "/db"},
		{"cli", module + "/rest"},
		{".", module + "/app"},
	} {
		if layers[c.folder].refuses(c.imported) == "" {
			t.Errorf("%s may import %s", c.folder, c.imported)
		}
	}
}
