package db_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	statementText = regexp.MustCompile(`(?s)\bSELECT\b.*\bFROM\b|\bINSERT INTO\b|\bUPDATE\b.*\bSET\b|\bDELETE FROM\b|\bON CONFLICT\b`)
	exceptionRow  = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

// literals calls a function for each string literal of the Go files below a folder.
func literals(t *testing.T, root string, use func(path, at, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Error(err)
				}
				rel, _ := filepath.Rel("..", path)
				use(filepath.ToSlash(rel), files.Position(lit.Pos()).String(), text)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStatementsAreBuilt: bun builds all statements, except those in the files that docs/decisions/0024-bun.md names,
// in tests, and in db/dbtest, which corrupts rows on purpose.
func TestStatementsAreBuilt(t *testing.T) {
	t.Parallel()
	decision := read(t, "../docs/decisions/0024-bun.md")
	excepted := map[string]bool{}
	for _, row := range exceptionRow.FindAllStringSubmatch(decision, -1) {
		excepted[row[1]] = false
	}
	if len(excepted) > 10 {
		t.Errorf("%d exceptions are more than ten", len(excepted))
	}
	literals(t, "..", func(path, at, text string) {
		if strings.HasPrefix(path, "db/dbtest/") || !statementText.MatchString(text) {
			return
		}
		if _, ok := excepted[path]; ok {
			excepted[path] = true
			return
		}
		t.Errorf("%s: a statement that bun did not build: %s", at, text)
	})
	for path, used := range excepted {
		if !used {
			t.Errorf("the decision names %s, which contains no statement", path)
		}
	}
}

// TestTheEngineNamesNoTable: no string of package engine is the name of a table or a column, or contains the name of a
// table.
func TestTheEngineNamesNoTable(t *testing.T) {
	t.Parallel()
	tables, columns := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	table := regexp.MustCompile(`CREATE TABLE (\w+)`)
	column := regexp.MustCompile(`(?m)^  (\w+) \{\{`)
	for _, file := range files {
		text := read(t, file)
		for _, m := range table.FindAllStringSubmatch(text, -1) {
			tables[m[1]] = true
		}
		for _, m := range column.FindAllStringSubmatch(text, -1) {
			columns[m[1]] = true
		}
	}
	if len(tables) < 20 || len(columns) < 60 {
		t.Fatalf("only %d tables and %d columns were found", len(tables), len(columns))
	}
	word := regexp.MustCompile(`\w+`)
	literals(t, "engine", func(_, at, text string) {
		if columns[text] {
			t.Errorf("%s: %q is the name of a column", at, text)
		}
		for _, w := range word.FindAllString(text, -1) {
			if tables[w] {
				t.Errorf("%s: %q contains the name of the table %s", at, text, w)
			}
		}
		if statementText.MatchString(text) {
			t.Errorf("%s: a statement: %s", at, text)
		}
	})
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
