package domain

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// TestRefusalsAreWhatTheMethodsSay compares the table with the comments "Refuses with …" of the methods, and their names
// with the catalogue.
func TestRefusalsAreWhatTheMethodsSay(t *testing.T) {
	t.Parallel()
	defined := definitions(t)
	said := map[string][]string{}
	for _, file := range parsed(t, ".") {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !f.Name.IsExported() {
				continue
			}
			if _, told, ok := strings.Cut(f.Doc.Text(), "Refuses with "); ok {
				told = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(told, "")
				said[strings.ToLower(f.Name.Name[:1])+f.Name.Name[1:]] = regexp.MustCompile(`\b[A-Z]\w+`).FindAllString(told, -1)
			}
		}
	}
	for operation := range operations {
		var listed []string
		for _, d := range Refusals(operation) {
			listed = append(listed, defined[d.Code])
		}
		if !slices.Equal(listed, said[operation]) {
			t.Errorf("%s: the method says %v, the table %v", operation, said[operation], listed)
		}
	}
}

func parsed(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.File{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = file
	}
	return out
}

// definitions returns the Go names of the problems by code.
func definitions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, file := range parsed(t, "problem") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			ast.Inspect(spec.Values[0], func(n ast.Node) bool {
				if kv, ok := n.(*ast.KeyValueExpr); ok {
					key, _ := kv.Key.(*ast.Ident)
					value, _ := kv.Value.(*ast.BasicLit)
					if key != nil && value != nil && key.Name == "Code" {
						out[strings.Trim(value.Value, `"`)] = spec.Names[0].Name
					}
				}
				return true
			})
			return true
		})
	}
	for _, d := range problem.All() {
		if out[d.Code] == "" {
			t.Fatalf("the test does not find %s in the catalogue", d.Code)
		}
	}
	return out
}

func TestEveryKindSaysWhomItsEventsConcern(t *testing.T) {
	t.Parallel()
	for _, m := range Lifecycles() {
		if Concerned(Kind(m.Name)) == "" {
			t.Errorf("%s does not", m.Name)
		}
	}
}
