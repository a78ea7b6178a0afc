package reference_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// standard lists every requirement of the levels 1 and 2 of OWASP ASVS 5.0.0, by section.
const standard = `
V1.1: 1 2; V1.2: 1 2 3 4 5 6 7 8 9; V1.3: 1 2 3 4 5 6 7 8 9 10 11; V1.4: 1 2 3; V1.5: 1 2
V2.1: 1 2 3; V2.2: 1 2 3; V2.3: 1 2 3 4; V2.4: 1
V3.2: 1 2; V3.3: 1 2 3 4; V3.4: 1 2 3 4 5 6; V3.5: 1 2 3 4 5; V3.7: 1 2
V4.1: 1 2 3; V4.2: 1; V4.3: 1 2; V4.4: 1 2 3 4
V5.1: 1; V5.2: 1 2 3; V5.3: 1 2; V5.4: 1 2 3
V6.1: 1 2 3; V6.2: 1 2 3 4 5 6 7 8 9 10 11 12; V6.3: 1 2 3 4; V6.4: 1 2 3 4; V6.5: 1 2 3 4 5; V6.6: 1 2 3; V6.8: 1 2 3 4
V7.1: 1 2 3; V7.2: 1 2 3 4; V7.3: 1 2; V7.4: 1 2 3 4 5; V7.5: 1 2; V7.6: 1 2
V8.1: 1 2; V8.2: 1 2 3; V8.3: 1; V8.4: 1
V9.1: 1 2 3; V9.2: 1 2 3 4
V10.1: 1 2; V10.2: 1 2; V10.3: 1 2 3 4; V10.4: 1 2 3 4 5 6 7 8 9 10 11; V10.5: 1 2 3 4 5; V10.6: 1 2; V10.7: 1 2 3
V11.1: 1 2; V11.2: 1 2 3; V11.3: 1 2 3; V11.4: 1 2 3 4; V11.5: 1; V11.6: 1
V12.1: 1 2 3; V12.2: 1 2; V12.3: 1 2 3 4
V13.1: 1; V13.2: 1 2 3 4 5; V13.3: 1 2; V13.4: 1 2 3 4 5
V14.1: 1 2; V14.2: 1 2 3 4; V14.3: 1 2 3
V15.1: 1 2 3; V15.2: 1 2 3; V15.3: 1 2 3 4 5 6 7
V16.1: 1; V16.2: 1 2 3 4 5; V16.3: 1 2 3 4; V16.4: 1 2 3; V16.5: 1 2 3
V17.1: 1; V17.2: 1 2 3 4; V17.3: 1 2
`

// requirements returns the numbers of the standard: V1.1.1 and so on.
func requirements() []string {
	var out []string
	for _, section := range strings.FieldsFunc(standard, func(r rune) bool { return r == ';' || r == '\n' }) {
		name, numbers, _ := strings.Cut(strings.TrimSpace(section), ":")
		for _, n := range strings.Fields(numbers) {
			out = append(out, name+"."+n)
		}
	}
	return out
}

// promised returns the section of security.md about the standard.
func promised(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(page), "\n## OWASP ASVS")
	if !ok {
		t.Fatal("the page has no part about the standard")
	}
	return part
}

// numbers returns the requirements in a text: V1.2.3, and V1.2.3 to V1.2.5 for those between as well.
func numbers(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`\bV(\d+)\.(\d+)\.(\d+)(?: to V(\d+)\.(\d+)\.(\d+))?`).FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[3])
		last := first
		if m[6] != "" {
			last, _ = strconv.Atoi(m[6])
			if m[1] != m[4] || m[2] != m[5] || last <= first {
				t.Errorf("%s is no row of numbers", m[0])
			}
		}
		for n := first; n <= last; n++ {
			out = append(out, fmt.Sprintf("V%s.%s.%d", m[1], m[2], n))
		}
	}
	return out
}

// TestTheStandardIsAccountedFor: the page lists each requirement of levels 1 and 2 exactly once: as met with evidence,
// as not met, as the operator's, or as not applicable. It lists no other requirements.
func TestTheStandardIsAccountedFor(t *testing.T) {
	t.Parallel()
	known := map[string]int{}
	for _, r := range requirements() {
		known[r] = 0
	}
	if len(known) != 253 {
		t.Fatalf("the standard has %d requirements of the levels 1 and 2, and this list %d", 253, len(known))
	}
	for line := range strings.Lines(promised(t)) {
		line = strings.TrimSpace(line)
		var where string
		switch {
		case strings.HasPrefix(line, "| V"):
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			if len(cells) != 4 {
				t.Errorf("%d cells: %s", len(cells), line)
				continue
			}
			where = cells[0]
			verdict := strings.TrimSpace(cells[1])
			shown := strings.TrimSpace(strings.TrimSuffix(cells[3], "|"))
			switch verdict {
			case "yes":
				if !strings.Contains(shown, "`Test") && !strings.Contains(shown, "`Fuzz") && !strings.Contains(shown, "](") && !strings.Contains(shown, "`go ") && shown != "this page" {
					t.Errorf("a yes without evidence: %s", line)
				}
			case "**no**", "**partly**", "operator":
			default:
				t.Errorf("the verdict is %q: %s", verdict, line)
			}
		case strings.HasPrefix(line, "- V"): // not applicable
			where, _, _ = strings.Cut(line, ":")
			if where == line {
				t.Errorf("no reason why it does not apply: %s", line)
			}
		default:
			continue
		}
		for _, r := range numbers(t, where) {
			if _, ok := known[r]; !ok {
				t.Errorf("%s is no requirement of the levels 1 and 2", r)
			}
			known[r]++
		}
	}
	for r, times := range known {
		if times != 1 {
			t.Errorf("the page lists %s %d times", r, times)
		}
	}
}

// TestTheSecurityPageNamesTestsThatAreThere: every test that the page cites exists.
func TestTheSecurityPageNamesTestsThatAreThere(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	eachGoFile(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(text, -1) {
				there[m[1]] = true
			}
		}
	})
	for _, name := range []string{"security.md", "reliability.md", "graphql.md"} {
		page, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w+)`").FindAllStringSubmatch(string(page), -1)
		if name == "security.md" && len(named) < 100 {
			t.Fatalf("the page names %d tests", len(named))
		}
		for _, m := range named {
			if !there[m[1]] {
				t.Errorf("%s: %s does not exist", name, m[1])
			}
		}
	}
}

// eachGoFile calls f with every Go file of the repository, with its text.
func eachGoFile(t *testing.T, f func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Clean(path))
		if err == nil {
			f(filepath.ToSlash(strings.TrimPrefix(path, "../")), string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
