package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gatehouse/gatehouse"

// layer lists the permitted imports of the packages of a folder.
type layer struct {
	// ours are the folders of this module; "x/..." is x and its subfolders.
	ours []string
	// others are the other modules; "*" is any. The domain packages may import only modules of pure computation, each
	// with its reason.
	others []string
	// never lists the packages that must not be imported, including those of the standard library.
	never []string
	// why is the reason, shown when the test fails.
	why string
}

// outside lists the packages that the rules must not import: APIs, protocols and tables, so that each rule can be read
// and tested without them.
var outside = []string{"net/http", "database/sql", "encoding/json"}

// layers is the table of permitted imports (docs/architecture.md). Test files and testkit may import the packages that
// they test.
var layers = map[string]layer{
	".":                     {ours: []string{"cli"}, why: "main only passes its arguments to cli"},
	"domain/problem":        {never: outside, why: "the catalogue of problems is independent of APIs"},
	"domain/lifecycle":      {ours: []string{"domain/problem"}, never: outside, why: "state machines are data"},
	"domain/listing":        {ours: []string{"domain/problem"}, never: outside, why: "lists are data"},
	"domain/risk":           {ours: []string{"domain/problem"}, others: []string{"golang.org/x/text/unicode/norm", "golang.org/x/net/idna", "github.com/gaissmai/bart"}, never: outside, why: "rules are pure functions of a person; folding of accents, domains as A-labels and the lookup of networks are pure computation"},
	"domain/live":           {ours: []string{"domain/problem"}, never: outside, why: "it distributes events without rules of its own"},
	"domain/recent":         {never: outside, why: "a cache is independent of its contents"},
	"domain":                {ours: []string{"domain/..."}, others: []string{"github.com/go-playground/validator/v10"}, never: outside, why: "the rules are independent of GraphQL, HTTP and SQL; validator is pure computation over struct tags"},
	"seal":                  {others: []string{"*"}, never: []string{"net/http", "database/sql"}, why: "cryptography is independent of records"},
	"db":                    {ours: []string{"domain/...", "seal", "db/..."}, others: []string{"*"}, never: []string{"net/http"}, why: "the store writes the decisions of the rules"},
	"db/engine":             {ours: []string{"domain/problem"}, others: []string{"*"}, never: []string{"net/http"}, why: "it executes statements, and is independent of tables, records and row structs"},
	"db/migrations":         {why: "SQL files and their embedding"},
	"auth":                  {ours: []string{"domain/...", "seal"}, others: []string{"*"}, why: "it identifies the caller; the rules decide"},
	"provider":              {ours: []string{"domain/...", "seal"}, others: []string{"github.com/AfterShip/email-verifier"}, why: "it calls external services for the rules, and is independent of its callers"},
	"notify":                {ours: []string{"domain/...", "seal"}, others: []string{"*"}, why: "it delivers the messages of the rules"},
	"graph":                 {ours: []string{"domain/..."}, others: []string{"*"}, why: "generated from the schema and bound to the rules"},
	"graph/gen":             {others: []string{"github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2"}, why: "it generates the GraphQL code from the schema, and is independent of the program"},
	"resolvers":             {ours: []string{"domain/...", "graph"}, others: []string{"*"}, never: []string{"database/sql", "github.com/uptrace/bun"}, why: "a resolver calls one rule"},
	"rest/wire":             {ours: []string{"domain/problem", "domain/listing"}, others: []string{"*"}, why: "reading requests needs no rules"},
	"rest/hal":              {ours: []string{"domain/problem", "domain/listing", "rest/wire"}, others: []string{"*"}, why: "writing HAL needs no rules"},
	"rest/clientsessions":   {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect depends on its document and the rules, and on no other dialect"},
	"rest/customersessions": {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect depends on its document and the rules, and on no other dialect"},
	"rest/invitations":      {ours: []string{"domain/...", "rest/wire", "rest/hal"}, others: []string{"*"}, why: "a dialect depends on its document and the rules, and on no other dialect"},
	"rest/resttest":         {ours: []string{"domain/...", "seal", "db/...", "testkit"}, others: []string{"*"}, why: "tests only"},
	"rest/usersessions":     {ours: []string{"domain/...", "rest/wire"}, others: []string{"*"}, why: "a dialect depends on its document and the rules, and on no other dialect"},
	"rest/identity":         {ours: []string{"domain/...", "rest/wire", "rest/hal"}, others: []string{"*"}, why: "a dialect depends on its document and the rules, and on no other dialect"},
	"rest":                  {ours: []string{"domain", "rest/..."}, others: []string{"*"}, why: "it mounts the dialects"},
	"pages":                 {ours: []string{"domain/..."}, others: []string{"*"}, why: "each form calls one rule"},
	"reference":             {ours: []string{"domain/...", "graph", "examples"}, others: []string{"github.com/vektah/gqlparser/v2", "golang.org/x/tools/txtar"}, never: []string{"net/http", "database/sql"}, why: "pages are generated from the tables, the schema and the examples, without network or database"},
	"examples":              {why: "sample files and their embedding"},
	"app":                   {ours: []string{"domain/...", "seal", "db/...", "auth", "notify", "provider", "resolvers", "rest", "rest/...", "pages", "examples", "reference", "docs"}, others: []string{"*"}, why: "it assembles all packages; only the commands import it"},
	"pages/fetch":           {why: "it extracts files from npm packages during code generation, and is independent of the program"},
	"docs":                  {why: "pages and their embedding"},
	"cli":                   {ours: []string{"app", "domain/...", "db"}, others: []string{"*"}, why: "commands call app"},
	"bench/people":          {why: "it makes up people for measurements, and is independent of the program"},
	"bench":                 {ours: []string{"domain", "domain/risk", "seal", "db", "bench/people"}, others: []string{"github.com/jackc/pgx/v5", "modernc.org/sqlite"}, why: "it drives the built program; only invitations, which no command loads, are stored through the store"},
	"testkit":               {ours: []string{"domain/...", "seal", "db/...", "app", "auth", "provider"}, others: []string{"*"}, why: "tests only"},
	"races":                 {why: "tests only"},
	"stories":               {why: "tests only"},
	"db/dbtest":             {ours: []string{"domain/...", "seal", "db/...", "testkit"}, others: []string{"*"}, why: "tests only"},
}

// TestLayers parses the import lines itself: Go would cache the result of a test that runs `go list`, and reuse it
// after a change in another package.
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
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil { // another module
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		l, ok := layers[folder]
		if !ok {
			if !seen[folder] {
				t.Errorf("folder %s has no line in the table of layers_test.go: add its permitted imports and the reason", folder)
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
			t.Errorf("the table names %s, but the folder does not exist", folder)
		}
	}
}

// refuses returns the reason why a package must not be imported; empty if it may be.
func (l layer) refuses(imported string) string {
	if slices.ContainsFunc(l.never, func(n string) bool { return imported == n || strings.HasPrefix(imported, n+"/") }) {
		return "must not be imported here"
	}
	own, ours := strings.CutPrefix(imported, module+"/")
	switch {
	case ours:
		if !slices.ContainsFunc(l.ours, func(m string) bool {
			base, below := strings.CutSuffix(m, "/...")
			return own == base || below && strings.HasPrefix(own, base+"/")
		}) {
			return "not one of the permitted folders"
		}
	case strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
		if !slices.ContainsFunc(l.others, func(m string) bool {
			return m == "*" || imported == m || strings.HasPrefix(imported, m+"/")
		}) {
			return "other modules are not permitted here"
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
