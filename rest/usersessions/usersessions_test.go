package usersessions_test

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// told collects which answers the stories have seen, by operation, status and code.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *told) note(e exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[e.operation+" "+strconv.Itoa(e.status)+" "+e.code] = true
}

// TestDocument tells the stories of testdata/<operation>/<case>.txtar, and then holds what was seen against the OpenAPI
// document: nothing is documented that nobody ever gets, our own faults aside.
//
// A case begins with what it claims, and then has in any order: "settings", lines of world.do; "clock", how much time
// passes; "request", and "wrong request" for one that the document does not allow, each followed by the "reply" that
// -update writes.
func TestDocument(t *testing.T) {
	t.Parallel()
	all := &told{seen: map[string]bool{}}
	t.Run("stories", func(t *testing.T) { stories(t, all) })
	t.Run("apiDoc", func(t *testing.T) {
		e := newWorld(t, testkit.SQLite(t)).send("GET /sessions/apiDoc HTTP/1.1", false)
		all.note(e)
		if file, err := os.ReadFile("openapi.json"); err != nil || e.body != string(file) {
			t.Errorf("the document is not served as it is: %v", err)
		}
	})
	if *update || flag.Lookup("test.run").Value.String() != "" {
		return // not all of it was told
	}
	doc, _ := document()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for _, code := range codes(*response.Value.Description) {
					if code != "INTERNAL_ERROR" && !all.seen[op.OperationID+" "+status+" "+code] {
						t.Errorf("%s %s: nobody ever gets %s %s", method, path, status, code)
					}
				}
			}
		}
	}
}

var codeLine = regexp.MustCompile("(?m)^- `([A-Z_]+)`:")

// codes are those that a documented answer lists; one empty for an answer that is no error.
func codes(description string) []string {
	var out []string
	for _, found := range codeLine.FindAllStringSubmatch(description, -1) {
		out = append(out, found[1])
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// TestEveryProblem renders the whole catalogue in this dialect.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	var out bytes.Buffer
	for _, d := range problem.All() {
		p := problem.New(d).Until(testkit.Epoch.Add(90 * time.Second))
		// A token that was refused for this reason is the shortest way to have a problem written.
		r := httptest.NewRequest(http.MethodPost, "/sessions/auth/phone/verify", http.NoBody)
		recorder := httptest.NewRecorder()
		w.handler().ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), domain.Actor{Refused: p})))
		out.WriteString("-- " + d.Code + " --\n" + exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}.String())
	}
	const file = "testdata/problems.golden"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, err := os.ReadFile(file); err != nil || !bytes.Equal(want, out.Bytes()) {
		t.Errorf("the problems differ (-update rewrites them): %v\n%s", err, out.String())
	}
}

func stories(t *testing.T, all *told) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			was := txtar.Parse(text)
			now := &txtar.Archive{Comment: was.Comment}
			w := newWorld(t, testkit.SQLite(t))
			for _, section := range was.Files {
				if section.Name == "reply" {
					continue
				}
				now.Files = append(now.Files, section)
				content := strings.TrimSpace(string(section.Data))
				switch section.Name {
				case "settings":
					for line := range strings.Lines(content) {
						w.do(strings.TrimSpace(line))
					}
				case "clock":
					d, err := time.ParseDuration(content)
					if err != nil {
						t.Fatal(err)
					}
					w.kit.Clock.Pass(d)
				case "request", "wrong request":
					e := w.send(content, section.Name == "wrong request")
					if section.Name == "wrong request" && e.status < 400 {
						t.Errorf("a wrong request got %d", e.status)
					}
					all.note(e)
					now.Files = append(now.Files, txtar.File{Name: "reply", Data: []byte(e.text)})
				default:
					t.Fatalf("no such section: %q", section.Name)
				}
			}
			got := txtar.Format(now)
			switch {
			case *update:
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			case !bytes.Equal(got, text):
				t.Errorf("the answers differ (-update rewrites them):\nwant:\n%s\ngot:\n%s", text, got)
			}
		})
	}
}
