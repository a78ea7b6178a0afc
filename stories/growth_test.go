package stories

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// A tree is a copy of the sources under version control.
type tree struct {
	t   *testing.T
	dir string
}

// copyOfTheTree copies the sources of this module.
func copyOfTheTree(t *testing.T) *tree {
	t.Helper()
	c := &tree{t: t, dir: t.TempDir()}
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) { // deleted, and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c.write(name, content)
	}
	c.run("git", "init", "--quiet")
	c.commit()
	return c
}

func (c *tree) write(name string, content []byte) {
	c.t.Helper()
	at := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(at, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// try runs a command in the copy and returns its output.
func (c *tree) try(name string, args ...string) (string, error) {
	command := exec.CommandContext(c.t.Context(), name, args...)
	command.Dir = c.dir
	out, err := command.CombinedOutput()
	return string(out), err
}

func (c *tree) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.try(name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%.8000s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (c *tree) commit() {
	c.t.Helper()
	c.run("git", "add", "--all")
	c.run("git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "tree")
}

// grow applies the sections of a file of testdata/growth whose path is wanted.
func (c *tree) grow(name string, wanted func(path string) bool) {
	c.t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "growth", name+".txtar"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, section := range archive.Files {
		how, path, _ := strings.Cut(section.Name, " ")
		if !wanted(path) {
			continue
		}
		text := bytes.ReplaceAll(section.Data, []byte("\n\\"), []byte("\n"))
		if how == "new" {
			c.write(path, text)
			continue
		}
		anchor, text, _ := bytes.Cut(text, []byte("\n"))
		anchor = append(bytes.TrimPrefix(anchor, []byte(`\`)), '\n')
		content, err := os.ReadFile(filepath.Join(c.dir, path))
		if err != nil {
			c.t.Fatal(err)
		}
		if n := bytes.Count(content, anchor); n != 1 {
			c.t.Fatalf("%s: %s has the line %q %d times", name, path, anchor, n)
		}
		with := append(append([]byte{}, anchor...), text...)
		if how == "before" {
			with = append(append([]byte{}, text...), anchor...)
		}
		c.write(path, bytes.Replace(content, anchor, with, 1))
	}
}

// places counts the changed places since the last commit, by file: the hunks without context in files that are neither
// generated nor tests.
func (c *tree) places() (files map[string]int, total int) {
	c.t.Helper()
	c.run("git", "add", "--all", "--intent-to-add")
	files = map[string]int{}
	var file string
	for line := range strings.Lines(c.run("git", "diff", "--unified=0", "--no-color")) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file = strings.TrimSpace(name)
		}
		if strings.HasPrefix(line, "@@ ") && !isTest(file) && !c.generated(file) {
			files[file]++
			total++
		}
	}
	return files, total
}

func isTest(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.Contains(file, "testdata/") || strings.HasPrefix(file, "db/dbtest/")
}

var generatedHeader = regexp.MustCompile(`(?m)^(// |<!-- )(Code g|G)enerated`)

func (c *tree) generated(file string) bool {
	content, err := os.ReadFile(filepath.Join(c.dir, file))
	return err == nil && generatedHeader.Match(content)
}

func (c *tree) report(what string, files map[string]int, total int) {
	var out strings.Builder
	for file, n := range files {
		fmt.Fprintf(&out, "\n  %d %s", n, file)
	}
	c.t.Logf("%s: %d places in %d files%s", what, total, len(files), out.String())
}

// TestATransitionAndAKindAreSmallChanges adds the transition suspendSession and the kind Memorandum to a copy of the
// tree. A transition must touch at most 8 files, a kind at most 10 places. The generator must accept what was written by
// hand, the tests must notice what is missing, and pass in the end.
func TestATransitionAndAKindAreSmallChanges(t *testing.T) {
	if os.Getenv("GATEHOUSE_TEST_GROWTH") == "" {
		t.Skip("it generates, builds and tests a copy of the tree, which takes minutes: set GATEHOUSE_TEST_GROWTH=1")
	}
	all := func(string) bool { return true }
	c := copyOfTheTree(t)

	// What is incomplete is noticed.
	c.grow("suspendSession", func(path string) bool { return path == "domain/session.go" })
	out, err := c.try("go", "test", "./resolvers", "-run", "^TestMutationsAreTheOperationsOfTheMachines$")
	if err == nil || !strings.Contains(out, "the schema lacks the mutation suspendSession") {
		t.Errorf("nothing says that the schema lacks the mutation: %v\n%.2000s", err, out)
	}
	c.run("git", "reset", "--quiet", "--hard")

	c.grow("suspendSession", all)
	files, total := c.places()
	c.report("suspendSession", files, total)
	if len(files) > 8 {
		t.Errorf("a transition takes %d files, and at most 8 are allowed", len(files))
	}
	c.commit()
	c.grow("memorandum", all)
	files, total = c.places()
	c.report("Memorandum", files, total)
	if total > 10 {
		t.Errorf("a kind takes %d places, and at most 10 are allowed", total)
	}
	c.commit()

	c.run("go", "generate", "./resolvers")
	c.run("go", "build", "./...")
	c.run("go", "run", ".", "docs")
	if files, total := c.places(); total != 0 {
		c.report("generation", files, total)
		t.Error("the generator changed a file that is written by hand")
	}
	c.run("go", "test", "./stories", "-run", "^TestExamples$/^memorandum$/^sqlite$", "-update")
	c.run("go", "run", ".", "docs")
	c.commit()
	for _, arguments := range [][]string{
		{"./domain", "-run", "Refusals|EveryKind|EveryTransitionOfSessions|Road"},
		{"./db", "-run", "^TestTheTablesFollowTheMachines$|^TestBothDatabasesHaveOneSchema$"},
		{"./resolvers", "./reference", "./graph", "."},
		{"./stories", "-run", "^TestEveryOperationHasItsExamples$"},
	} {
		c.run("go", append([]string{"test"}, arguments...)...)
	}
	if err := os.Remove(filepath.Join(c.dir, "db", "migrations", "20261201000000_memoranda.tx.up.sql")); err != nil {
		t.Fatal(err)
	}
	out, err = c.try("go", "test", "./db", "-run", "^TestTheTablesFollowTheMachines$/^sqlite$")
	if err == nil || !strings.Contains(out, "memoranda") {
		t.Errorf("nothing says that the table is missing: %v\n%.2000s", err, out)
	}
}
