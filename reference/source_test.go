package reference_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// tool reports whether a file is in no release: tests, benchmarks, and the program that fetches GraphiQL.
func tool(file string) bool {
	for _, folder := range []string{"testkit/", "races/", "faults/", "bench/", "db/dbtest/", "rest/resttest/", "pages/fetch/"} {
		if strings.HasPrefix(file, folder) {
			return true
		}
	}
	return strings.HasSuffix(file, "_test.go")
}

// banned lists packages that the program must not import, with the risk of each. An exception names its file and its
// reason.
var banned = []struct {
	name, why string
	except    map[string]string
}{
	{"os/exec", "execution of commands", nil},
	{"C", "unmanaged memory", nil},
	{"unsafe", "unmanaged memory", nil},
	{"plugin", "code loaded from files", nil},
	{"encoding/xml", "external entities", nil},
	{"encoding/gob", "types chosen by the sender", nil},
	{"crypto/md5", "a broken hash", nil},
	{"crypto/sha1", "a broken hash", nil},
	{"crypto/des", "a weak cipher", nil},
	{"crypto/rc4", "a broken cipher", nil},
	{"crypto/cipher", "a custom mode of encryption; Tink chooses modes", nil},
	{"math/rand", "predictable numbers", nil},
	{"math/rand/v2", "predictable numbers", map[string]string{
		"provider/quiz.go": "draws decoys deterministically for each fact, from a seed that is a keyed hash", "provider/population.go": "likewise", "provider/http.go": "spreads attempts in time",
		"notify/deliver.go": "spreads attempts in time", "db/engine/postgres.go": "spreads attempts in time", "db/decoy.go": "chooses one of the decoys",
	}},
	{"text/template", "unescaped text in markup", map[string]string{"notify/templates.go": "the plain-text part of an e-mail, and text messages"}},
}

// TestTheProgramDoesWithout scans the source: no commands, no parsers that fetch, no broken hashes, and no regular
// expressions or formats built from input.
func TestTheProgramDoesWithout(t *testing.T) {
	t.Parallel()
	files := 0
	eachGoFile(t, func(file, text string) {
		if tool(file) {
			return
		}
		files++
		tree, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]string{} // package names in the file
		for _, i := range tree.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			called := path.Base(imported)
			if i.Name != nil {
				called = i.Name.Name
			}
			named[called] = imported
			for _, b := range banned {
				if b.name == imported && b.except[file] == "" {
					t.Errorf("%s imports %s: %s", file, imported, b.why)
				}
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if made, ok := n.(*ast.CompositeLit); ok && trusting(made, named) {
				t.Errorf("%s does not verify certificates", file)
			}
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := f.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch named[of.Name] {
			case "regexp":
				if strings.Contains(f.Sel.Name, "Compile") && !constant(call.Args[0]) {
					t.Errorf("%s compiles a regular expression at run time", file)
				}
			case "html/template":
				// Text marked as safe: permitted only for embedded files and the own renderer.
				if known := map[string]bool{"pages/invite.go": true, "pages/verify.go": true, "pages/reference.go": true}; strings.HasPrefix(f.Sel.Name, "HTML") && f.Sel.Name != "HTMLEscapeString" || f.Sel.Name == "JS" || f.Sel.Name == "URL" || f.Sel.Name == "CSS" {
					if !known[file] {
						t.Errorf("%s marks a text as safe: template.%s", file, f.Sel.Name)
					}
				}
			}
			return true
		})
		if strings.Contains(text, ".InsecureSkipVerify = ") {
			t.Errorf("%s does not verify certificates", file)
		}
	})
	if files < 150 {
		t.Fatalf("%d files were read", files)
	}
}

// trusting reports whether a value is a tls.Config that accepts any certificate.
func trusting(made *ast.CompositeLit, named map[string]string) bool {
	kind, ok := made.Type.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := kind.X.(*ast.Ident)
	if !ok || named[of.Name] != "crypto/tls" {
		return false
	}
	for _, member := range made.Elts {
		if pair, ok := member.(*ast.KeyValueExpr); ok {
			if name, ok := pair.Key.(*ast.Ident); ok && name.Name == "InsecureSkipVerify" {
				return true
			}
		}
	}
	return false
}

// constant reports whether an expression is a literal, or a concatenation of literals.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return constant(e.X) && constant(e.Y)
	}
	return false
}

// TestEveryLogLineIsInTheInventory: operations.md lists exactly the lines that are logged.
func TestEveryLogLineIsInTheInventory(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, ok := strings.Cut(string(raw), "\n### What is logged\n")
	if !ok {
		t.Fatal("operations.md contains no inventory")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	found := 0
	eachGoFile(t, func(file, text string) {
		if tool(file) || strings.HasPrefix(file, "graph/") {
			return
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at := -1
			switch f.Sel.Name {
			case "Debug", "Info", "Warn", "Error":
				at = 0
			case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
				at = 1
			case "LogAttrs":
				at = 2
			}
			if at < 0 || len(call.Args) <= at {
				return true
			}
			message, ok := call.Args[at].(*ast.BasicLit)
			if !ok || message.Kind != token.STRING {
				return true
			}
			line, _ := strconv.Unquote(message.Value)
			found++
			if !strings.Contains(page, "`"+line+"`") {
				t.Errorf("%s logs %q, which operations.md does not list", file, line)
			}
			return true
		})
	})
	_, page, _ = strings.Cut(page, "| `msg` | level |")
	if listed := strings.Count(page, "\n| `"); found < 40 || listed > found {
		t.Errorf("%d lines are logged, %d rows are listed", found, listed)
	}
}
