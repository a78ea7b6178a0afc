package resttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// Suite has the tests that every dialect runs.
type Suite struct {
	Document *Document
	// New starts a server.
	New func(testing.TB) *World
	// Samples are requests for each operation, by operationId. They succeed after Prepare.
	Samples map[string]string
	// Prepare creates the records that the samples refer to; nil if there are none.
	Prepare func(*World)
	// APIDoc is the operation that serves the OpenAPI document.
	APIDoc string
	// Refusals are requests that several operations refuse in the same way, without any effect.
	Refusals map[string]Refusal
	// Before runs before a refused request, which it may change; nil does nothing.
	Before func(w *World, operation, request string) string
	// Strict is set if all responses must be documented too, and not only the documented responses seen.
	Strict bool
	// Unprovoked are the documented error types that no case has to show.
	Unprovoked []string
}

// Refusal is a request that is refused.
type Refusal struct {
	// Operations are the operations whose samples are sent.
	Operations []string
	// Setting is a line for World.Setup; empty for none.
	Setting string
	// Change makes the request wrong.
	Change func(request string) string
	// Want is the status and the error type.
	Want string
}

// Refused returns a refusal.
func Refused(operations []string, setting string, change func(request string) string, want string) Refusal {
	return Refusal{Operations: operations, Setting: setting, Change: change, Want: want}
}

// coverage records the responses that were seen, by operation, status and error type.
type coverage struct {
	mu   sync.Mutex
	seen map[string]bool
	// run counts the cases and refusals that have run.
	run atomic.Int64
}

func (c *coverage) add(e Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[e.Operation+" "+strconv.Itoa(e.Status)+" "+e.Type] = true
}

// TestDocument runs the cases of testdata and the refusals, and then compares the responses with the OpenAPI document:
// each documented status and error type must have been seen. The comparison needs all cases; it is skipped if -run or
// -skip selects some of them.
func (s Suite) TestDocument(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	all := &coverage{seen: map[string]bool{}}
	t.Run("cases", func(t *testing.T) {
		for _, file := range files {
			name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txtar")
			t.Run(name, func(t *testing.T) { s.testCase(t, file, all) })
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for name, c := range s.Refusals {
			t.Run(name, func(t *testing.T) { s.testRefusal(t, c, all) })
		}
	})
	t.Run("apiDoc", func(t *testing.T) {
		e := s.New(t).Send(s.Samples[s.APIDoc], false)
		all.add(e)
		all.run.Add(1)
		file, err := os.ReadFile("openapi.json")
		if err != nil || e.Body != string(file) || e.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: %v", err, e.Header)
		}
	})
	if run, total := int(all.run.Load()), len(files)+len(s.Refusals)+1; run < total {
		testkit.Without(t, "cases", fmt.Sprintf("%d of %d cases ran, so the document is not compared with the responses", run, total))
	}
	documented := map[string]bool{}
	for _, item := range s.Document.Spec(t).Paths.Map() {
		for _, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for _, kind := range errorTypes(*response.Value.Description) {
					key := op.OperationID + " " + status + " " + kind
					documented[key] = true
					if !all.seen[key] && !slices.Contains(s.Unprovoked, kind) {
						t.Errorf("no case has the documented response %s", key)
					}
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all.seen)) {
		if s.Strict && !documented[key] && !strings.HasPrefix(key, " ") {
			t.Errorf("the response %s is not documented", key)
		}
	}
}

var typeLine = regexp.MustCompile("(?m)^- `([A-Za-z_]+)`:")

// errorTypes returns the types that the description of a response lists; one empty type for a successful response.
func errorTypes(description string) []string {
	var out []string
	for _, match := range typeLine.FindAllStringSubmatch(description, -1) {
		out = append(out, match[1])
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// testCase runs testdata/<operation>/<case>.txtar. A case begins with its claim, followed in any order by: "settings",
// lines for World.Setup; "clock", a duration that passes; "request", and "wrong request" for one that the document does
// not allow, each followed by the "reply" that -update writes; and sections that the dialect defines (World.Section),
// which -update writes too.
func (s Suite) testCase(t *testing.T, file string, all *coverage) {
	t.Parallel()
	all.run.Add(1)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := txtar.Parse(text)
	after := &txtar.Archive{Comment: before.Comment}
	w := s.New(t)
	for _, section := range before.Files {
		content := strings.TrimSpace(string(section.Data))
		switch section.Name {
		case "reply":
			continue
		case "settings":
			after.Files = append(after.Files, section)
			for line := range strings.Lines(content) {
				w.Setup(strings.TrimSpace(line))
			}
		case "clock":
			after.Files = append(after.Files, section)
			d, err := time.ParseDuration(content)
			if err != nil {
				t.Fatal(err)
			}
			w.Clock.Pass(d)
		case "request", "wrong request":
			wrong := section.Name == "wrong request"
			e := w.Send(content, wrong)
			if wrong && e.Status < http.StatusBadRequest {
				t.Errorf("the response to a wrong request is %d", e.Status)
			}
			all.add(e)
			after.Files = append(after.Files, section, txtar.File{Name: "reply", Data: []byte(e.Text)})
		default:
			var ok bool
			if w.Section != nil {
				content, ok = w.Section(section.Name)
			}
			if !ok {
				t.Fatalf("unknown section %q", section.Name)
			}
			after.Files = append(after.Files, txtar.File{Name: section.Name, Data: []byte(content)})
		}
	}
	Golden(t, file, txtar.Format(after))
}

func (s Suite) testRefusal(t *testing.T, c Refusal, all *coverage) {
	t.Parallel()
	all.run.Add(1)
	w := s.New(t)
	s.prepare(w)
	if c.Setting != "" {
		w.Setup(c.Setting)
	}
	for _, op := range c.Operations {
		request := c.Change(s.Samples[op])
		if s.Before != nil {
			request = s.Before(w, op, request)
		}
		before := s.state(w)
		e := w.Send(request, true)
		all.add(e)
		if got := strconv.Itoa(e.Status) + " " + e.Type; got != c.Want {
			t.Errorf("%s: want %s, got %s", op, c.Want, e.Text)
		}
		if e.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the response may be stored: %s", op, e.Text)
		}
		if after := s.state(w); after != before {
			t.Errorf("%s: the refused request changed\n%s\nto\n%s", op, before, after)
		}
	}
}

func (s Suite) prepare(w *World) {
	if s.Prepare != nil {
		s.Prepare(w)
	}
}

// state reads the state while the store does not fail.
func (s Suite) state(w *World) string {
	failure := w.Store.Fail(nil)
	defer w.Store.Fail(failure)
	return w.State()
}

// TestTheDocumentIsValid validates the document with its examples. It must describe exactly the operations that have a
// sample.
func (s Suite) TestTheDocumentIsValid(t *testing.T) {
	t.Parallel()
	spec := s.Document.Spec(t)
	if err := spec.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			documented = append(documented, op.OperationID)
		}
	}
	slices.Sort(documented)
	if samples := slices.Sorted(maps.Keys(s.Samples)); !slices.Equal(documented, samples) {
		t.Errorf("documented %v\ntested %v", documented, samples)
	}
}

// TestEveryProblem writes each problem of the catalogue and compares the responses with testdata/problems.golden.
// Serve sends a request that is refused with the problem.
func (s Suite) TestEveryProblem(t *testing.T, serve func(*World, *problem.Problem) Exchange) {
	t.Parallel()
	w := s.New(t)
	available := w.Clock.Now().Add(90 * time.Second)
	var out bytes.Buffer
	for _, d := range problem.All() {
		e := serve(w, problem.New(d).Until(available))
		if w.Check != nil {
			w.Check(&e)
		}
		out.WriteString("-- " + d.Code + " --\n" + e.Text)
	}
	Golden(t, "testdata/problems.golden", out.Bytes())
}

// Logged is a request whose error must be in the log.
type Logged struct {
	// Setting is a line for World.Setup; empty for none.
	Setting string
	Request string
	// Level is the level of the log line.
	Level string
	// Attributes are further attributes of the line.
	Attributes []string
}

// TestTheErrorIDIsInTheLog checks that the log has the id of an error, whether the caller or the server is at fault,
// and that only the log has the details of an internal one. ID returns the id of a response.
func (s Suite) TestTheErrorIDIsInTheLog(t *testing.T, id func(body []byte) string, attribute string, cases ...Logged) {
	t.Parallel()
	for _, c := range cases {
		w := s.New(t)
		if c.Setting != "" {
			w.Setup(c.Setting)
		}
		e := w.Send(c.Request, true)
		name := id([]byte(e.Body))
		if name == "" || strings.Contains(e.Body, "relation") {
			t.Errorf("no id, or internals: %s", e.Body)
		}
		parts := append([]string{attribute + "=" + name + " ", "level=" + c.Level}, c.Attributes...)
		if c.Level == "ERROR" {
			parts = append(parts, "relation")
		}
		for _, part := range parts {
			if !strings.Contains(w.Log(), part) {
				t.Errorf("%d: the log lacks %s: %s", e.Status, part, w.Log())
			}
		}
	}
}

// TestThePageNamesCasesThatExist checks that the cases in the tables of decisions of a page in docs/dialects exist.
func (s Suite) TestThePageNamesCasesThatExist(t *testing.T, pages ...string) {
	t.Parallel()
	for _, page := range pages {
		text, err := os.ReadFile("../../docs/dialects/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, match := range regexp.MustCompile("`([A-Za-z]+)/([a-z0-9-]+)`").FindAllStringSubmatch(string(text), -1) {
			if _, operation := s.Samples[match[1]]; !operation {
				continue
			}
			named++
			if _, err := os.Stat("testdata/" + match[1] + "/" + match[2] + ".txtar"); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		if named == 0 {
			t.Errorf("%s names no case", page)
		}
	}
}

// Absent is a value of a member that is not sent.
var Absent = struct{}{}

// Values are the allowed (true) and the forbidden (false) values of a member.
type Values map[bool][]any

// TestDocumentAndRulesAgree sends bodies at the edges of the constraints: a value that the schema allows is accepted,
// and one that it forbids is refused. The error does not repeat the value, except for the listed parts of messages.
func (s Suite) TestDocumentAndRulesAgree(t *testing.T, schemaName, request string, members map[string]Values, parts ...string) {
	t.Parallel()
	schema := s.Document.Spec(t).Components.Schemas[schemaName].Value
	w := s.New(t)
	_, sample, _ := strings.Cut(request, "\n\n")
	for member, values := range members {
		for allowed, list := range values {
			for _, value := range list {
				body := map[string]any{}
				if err := json.Unmarshal([]byte(sample), &body); err != nil {
					t.Fatal(err)
				}
				body[member] = value
				if value == Absent {
					delete(body, member)
				}
				sent, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				var decoded any
				if err := json.Unmarshal(sent, &decoded); err != nil {
					t.Fatal(err)
				}
				if err := schema.VisitJSON(decoded, openapi3.EnableFormatValidation()); (err == nil) != allowed {
					t.Errorf("%s %v: the schema returns %v", member, value, err)
				}
				e := w.Send(Body(request, string(sent)), true)
				if want := map[bool]int{true: http.StatusCreated, false: http.StatusBadRequest}[allowed]; e.Status != want {
					t.Errorf("%s %v: want %d, got %s", member, value, want, e.Text)
				}
				if text, ok := value.(string); ok && !allowed && len(text) > 4 && !slices.Contains(parts, text) && strings.Contains(e.Body, text) {
					t.Errorf("%s: the error repeats the value: %s", member, e.Text)
				}
			}
		}
	}
}
