package customersessions_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/customersessions"
	"github.com/gatehouse/gatehouse/testkit"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// told collects which answers the tests of one run have seen, by operation, status and type.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *told) note(e exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[e.operation+" "+strconv.Itoa(e.status)+" "+e.errorType] = true
}

// TestDocument tells the stories of testdata, then what is refused alike everywhere, and then holds what was seen
// against the OpenAPI document: no status and no type is documented that nobody ever gets.
func TestDocument(t *testing.T) {
	t.Parallel()
	all := &told{}
	t.Run("stories", func(t *testing.T) { stories(t, all) })
	t.Run("refusals", func(t *testing.T) { refusals(t, all) })
	t.Run("apiDoc", func(t *testing.T) {
		e := newWorld(t, testkit.SQLite(t)).send(samples["getApiDoc"], false)
		all.note(e)
		file, err := os.ReadFile("openapi.json")
		if err != nil || e.body != string(file) || e.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: %v", err, e.header)
		}
	})
	if *update || flag.Lookup("test.run").Value.String() != "" {
		return // not all of it was told
	}
	doc, _ := document()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for code, response := range op.Responses.Map() {
				for _, kind := range problemTypes(response.Value) {
					if !all.seen[op.OperationID+" "+code+" "+kind] {
						t.Errorf("%s %s: nobody ever gets %s %s", method, path, code, kind)
					}
				}
			}
		}
	}
}

var typeLine = regexp.MustCompile("(?m)^- `([A-Za-z]+)`:")

// problemTypes are those that a documented answer lists; one empty for an answer that is no problem.
func problemTypes(r *openapi3.Response) []string {
	var out []string
	for _, found := range typeLine.FindAllStringSubmatch(*r.Description, -1) {
		out = append(out, found[1])
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// stories runs testdata/<operation>/<case>.txtar. A case begins with what it claims, and then has in any order:
// "settings", lines of world.set; "clock", how much time passes; "request", and "wrong request" for one that the
// document does not allow, each followed by the "reply" that -update writes; and "session <name>", how that session
// stands, which -update writes as well.
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
				content := strings.TrimSpace(string(section.Data))
				name, session := strings.CutPrefix(section.Name, "session ")
				if session {
					section.Data = []byte(w.shown("{" + name + "}"))
				}
				now.Files = append(now.Files, section)
				switch {
				case session:
				case section.Name == "settings":
					for line := range strings.Lines(content) {
						w.set(strings.TrimSpace(line))
					}
				case section.Name == "clock":
					d, err := time.ParseDuration(content)
					if err != nil {
						t.Fatal(err)
					}
					w.clock.Pass(d)
				case section.Name == "request", section.Name == "wrong request":
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
				t.Errorf("the answers differ (-update rewrites them):\n%s", difference(string(text), string(got)))
			}
		})
	}
}

// difference shows the lines from the first one that differs.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	part := func(lines []string) string { return strings.Join(lines[n:min(n+12, len(lines))], "\n") }
	return "want:\n" + part(a) + "\n\ngot:\n" + part(b)
}

// samples is a request for each operation that succeeds.
var samples = map[string]string{
	"terminateCustomerSession": "POST /system/terminatedCustomerSessions HTTP/1.1\nAuthorization: Bearer service\nContent-Type: application/json\n\n" + `{"sessionId":"{handle1}"}`,
	"resumeCustomerSession":    "POST /system/resumedCustomerSessions HTTP/1.1\nAuthorization: Bearer service\nContent-Type: application/json\n\n" + `{"sessionId":"{handle1}"}`,
	"getApiDoc":                "GET /system/apiDoc HTTP/1.1\nAuthorization: Bearer customer",
}

// with adds a header to a request.
func with(request, header string) string {
	line, rest, _ := strings.Cut(request, "\n")
	return line + "\n" + header + "\n" + rest
}

// without takes away a header.
func without(request, name string) string {
	return regexp.MustCompile(`(?m)^`+name+`: .*\n?`).ReplaceAllString(request, "")
}

// by changes who asks.
func by(request, token string) string {
	return regexp.MustCompile(`Bearer \w+`).ReplaceAllString(request, "Bearer "+token)
}

// saying changes the body.
func saying(request, body string) string {
	head, _, _ := strings.Cut(request, "\n\n")
	return head + "\n\n" + body
}

// refusals are the same for all operations that they apply to. What would have been done is not done.
func refusals(t *testing.T, all *told) {
	every := slices.Sorted(maps.Keys(samples))
	acts := []string{"resumeCustomerSession", "terminateCustomerSession"}
	body := func(text string) func(string) string {
		return func(r string) string { return saying(r, text) }
	}
	header := func(h string) func(string) string { return func(r string) string { return with(r, h) } }
	token := func(name string) func(string) string { return func(r string) string { return by(r, name) } }
	for name, c := range map[string]struct {
		operations []string
		setting    string
		change     func(string) string
		want       string
	}{
		"no token":                {every, "", func(r string) string { return without(r, "Authorization") }, "401 unauthorized"},
		"a forged token":          {every, "", token("forged"), "401 unauthorized"},
		"an expired token":        {every, "", token("expired"), "401 sessionExpired"},
		"a client token":          {every, "", token("browser"), "401 unauthorized"},
		"an issuer out of reach":  {every, "", token("doubtful"), "503 serviceUnavailable"},
		"no scope":                {acts, "", token("customer"), "403 forbidden"},
		"a scope for reading":     {acts, "", token("auditor"), "403 forbidden"},
		"another media type":      {every, "", header("Accept: text/html"), "406 notAcceptable"},
		"no media type":           {every, "", header("Accept: application/*;q=0"), "406 notAcceptable"},
		"the database is down":    {acts, "broken database", func(r string) string { return r }, "503 serviceUnavailable"},
		"a bug":                   {acts, "broken bug", func(r string) string { return r }, "500 internalError"},
		"a body of another type":  {acts, "", func(r string) string { return with(without(r, "Content-Type"), "Content-Type: text/plain") }, "415 unsupportedMediaType"},
		"a body of HAL":           {acts, "", func(r string) string { return with(without(r, "Content-Type"), "Content-Type: application/hal+json") }, "415 unsupportedMediaType"},
		"a body of another set":   {acts, "", func(r string) string { return strings.Replace(r, "/json", "/json;charset=latin1", 1) }, "415 unsupportedMediaType"},
		"a body of no type":       {acts, "", func(r string) string { return without(r, "Content-Type") }, "415 unsupportedMediaType"},
		"no body":                 {acts, "", body(""), "400 badRequest"},
		"no JSON":                 {acts, "", body("sessionId"), "400 badRequest"},
		"a body that is null":     {acts, "", body("null"), "400 badRequest"},
		"a body that is a list":   {acts, "", body(`["{handle1}"]`), "400 badRequest"},
		"a body that is a string": {acts, "", body(`"{handle1}"`), "400 badRequest"},
		"two bodies":              {acts, "", body(`{"sessionId":"{handle1}"}{}`), "400 badRequest"},
		"a member twice":          {acts, "", body(`{"sessionId":"{handle1}","sessionId":"{handle1}"}`), "400 badRequest"},
		"an empty body":           {acts, "", body("{}"), "400 badRequest"},
		"another spelling":        {acts, "", body(`{"sessionid":"{handle1}"}`), "400 badRequest"},
		"null":                    {acts, "", body(`{"sessionId":null}`), "400 badRequest"},
		"a number":                {acts, "", body(`{"sessionId":1}`), "400 badRequest"},
		"an object":               {acts, "", body(`{"sessionId":{"id":"{handle1}"}}`), "400 badRequest"},
		"an empty id":             {acts, "", body(`{"sessionId":""}`), "400 badRequest"},
		"a long id":               {acts, "", body(`{"sessionId":"` + strings.Repeat("ä", 129) + `"}`), "400 badRequest"},
		"an id with a zero":       {acts, "", body(`{"sessionId":"{handle1}\u0000"}`), "400 badRequest"},
		"a body that is large":    {acts, "", body(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`), "413 requestBodyTooLarge"},
		"an unknown id":           {acts, "", body(`{"sessionId":"sess_00000000000000000000000000"}`), "422 invalidSessionId"},
		"an unknown handle":       {acts, "", body(`{"sessionId":"` + strings.Repeat("ä", 128) + `"}`), "422 invalidSessionId"},
		"a handle, nearly":        {acts, "", body(`{"sessionId":"{handle1} "}`), "422 invalidSessionId"},
		"two keys":                {acts, "", header("Idempotency-Key: a\nIdempotency-Key: b"), "400 badRequest"},
		"a long key":              {acts, "", header("Idempotency-Key: " + strings.Repeat("x", 256)), "400 badRequest"},
		"a reused key":            {acts, "", header("Idempotency-Key: taken"), "422 idempotencyKeyReused"},
		"an unknown path":         {every, "", func(r string) string { return strings.Replace(r, " /system/", " /system/{session1}/", 1) }, "404 notFound"},
		"an unknown method":       {every, "", func(r string) string { return "PUT" + r[strings.IndexByte(r, ' '):] }, "405 methodNotAllowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, testkit.SQLite(t))
			if name == "a reused key" {
				w.send(with(saying(samples["terminateCustomerSession"], `{"sessionId":"{handle2}"}`), "Idempotency-Key: taken"), false)
			}
			w.clock.Pass(time.Minute)
			for _, op := range c.operations {
				before := w.shown("{session1}")
				w.set(strings.TrimSpace("broken " + strings.TrimPrefix(c.setting, "broken ")))
				e := w.send(c.change(samples[op]), true)
				w.set("broken")
				all.note(e)
				if got := strconv.Itoa(e.status) + " " + e.errorType; got != c.want {
					t.Errorf("%s: want %s, got %s", op, c.want, e.text)
				}
				if after := w.shown("{session1}"); after != before {
					t.Errorf("%s: something was done: %s", op, after)
				}
			}
		})
	}
}

func TestTheDocumentIsValid(t *testing.T) {
	t.Parallel()
	doc, _ := document()
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			documented = append(documented, op.OperationID)
		}
	}
	slices.Sort(documented)
	if samples := slices.Sorted(maps.Keys(samples)); !slices.Equal(documented, samples) {
		t.Errorf("documented %v\ntested %v", documented, samples)
	}
}

// TestWhatASuccessMayBeAskedFor: a success has no body, so what a request accepts counts only where it accepts
// nothing that a problem could be told in.
func TestWhatASuccessMayBeAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	for accept, want := range map[string]int{
		"application/problem+json": 204, "application/json": 204, "*/*": 204, "application/*": 204, "": 204,
		"text/html, application/problem+json;q=0.1": 204, "text/html": 406, "application/hal+json": 406,
		"application/xml": 406, "application/problem+json;q=0, application/json;q=0": 406,
	} {
		for _, op := range []string{"resumeCustomerSession", "terminateCustomerSession"} {
			request := strings.Replace(samples[op], "{handle1}", "{session2}", 1)
			if op == "terminateCustomerSession" {
				request = samples[op]
			}
			if e := w.send(with(request, "Accept: "+accept), true); e.status != want {
				t.Errorf("%s, %q: want %d, got %s", op, accept, want, e.text)
			}
		}
	}
}

// TestThePageNamesStoriesThatAreThere reads the table of decisions: each names the story that pins it.
func TestThePageNamesStoriesThatAreThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/dialects/customer-sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, found := range regexp.MustCompile("`([A-Za-z]+)/([a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
		if _, operation := samples[found[1]]; !operation {
			continue
		}
		named[found[1]+"/"+found[2]] = true
		if _, err := os.Stat("testdata/" + found[1] + "/" + found[2] + ".txtar"); err != nil {
			t.Error(err)
		}
	}
	if len(named) == 0 {
		t.Error("the page names no story")
	}
	source, err := os.ReadFile("customersessions_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(source), "func "+found[1]+"(") {
			t.Errorf("there is no %s", found[1])
		}
	}
}

// TestEveryProblem renders the whole catalogue in this dialect.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	w.options.Service = &domain.Service{Now: w.clock.Now}
	var out bytes.Buffer
	for _, d := range problem.All() {
		p := problem.New(d)
		p.AvailableAt = begin.Add(90 * time.Second)
		// A token that was refused for this reason is the shortest way to have a problem written.
		r := httptest.NewRequest(http.MethodPost, "/system/terminatedCustomerSessions", http.NoBody)
		r = r.WithContext(domain.WithActor(r.Context(), domain.Actor{Refused: p}))
		recorder := httptest.NewRecorder()
		customersessions.New(w.options).ServeHTTP(recorder, r)
		e := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
		e.problem(t)
		out.WriteString("-- " + d.Code + " --\n" + normal(e.String()))
	}
	const file = "testdata/problems.golden"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("the problems differ (-update rewrites them):\n%s", difference(string(want), out.String()))
	}
}

// TestAttributesThatCannotBeWritten: a problem is told all the same.
func TestAttributesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	p := problem.New(problem.SessionTerminated).With("currentState", "revoked").With("at", begin).With("odd", func() {}).Join(problem.New(problem.InvalidInput))
	r := httptest.NewRequest(http.MethodPost, "/system/resumedCustomerSessions", http.NoBody)
	recorder := httptest.NewRecorder()
	customersessions.New(w.options).ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), domain.Actor{Refused: p})))
	e := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	e.problem(t)
	if e.errorType != "sessionTerminated" || e.status != http.StatusUnprocessableEntity || strings.Contains(e.body, "attributes") {
		t.Error(e)
	}
}

func TestInternalErrorsAreForTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	w.set("broken bug")
	e := w.send(samples["terminateCustomerSession"], false)
	var body struct{ ID string }
	if err := json.Unmarshal([]byte(e.body), &body); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(e.body, "relation") {
		t.Errorf("the caller sees internals: %s", e.body)
	}
	for _, part := range []string{"error_id=" + body.ID, "relation", "level=ERROR", "resource=/system/terminatedCustomerSessions"} {
		if !strings.Contains(w.log.String(), part) {
			t.Errorf("the log lacks %s: %s", part, w.log.String())
		}
	}
}

// TestTerminateWins lets calls for the same session meet, on both databases. After a terminate was acknowledged, no
// resume is, and the session stays terminated since the one moment in which it was.
func TestTerminateWins(t *testing.T) {
	t.Parallel()
	for _, kind := range testkit.Databases {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind.URL(t))
			handler := customersessions.New(w.options)
			post := func(path, id string) int {
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"sessionId":"`+id+`"}`))
				r.Header.Set("Content-Type", "application/json")
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), callers["service"])))
				return recorder.Code
			}
			for round := range 12 {
				out, err := w.service.CreateSession(as("service"), domain.CreateSessionInput{UserID: "u-john", Handle: new(handle(100 + round))})
				if err != nil {
					t.Fatal(err)
				}
				var over, group sync.WaitGroup
				over.Add(1)
				for n := range 8 {
					group.Go(func() {
						if n < 3 {
							if status := post("/system/terminatedCustomerSessions", handle(100+round)); status != http.StatusNoContent {
								t.Errorf("terminate: %d", status)
							}
							if n == 0 {
								over.Done()
							}
							return
						}
						if n == 7 {
							over.Wait()
							if status := post("/system/resumedCustomerSessions", out.Record.ID); status != http.StatusUnprocessableEntity {
								t.Errorf("a resume after the acknowledged terminate: %d", status)
							}
							return
						}
						if status := post("/system/resumedCustomerSessions", out.Record.ID); status != http.StatusNoContent && status != http.StatusUnprocessableEntity {
							t.Errorf("resume: %d", status)
						}
					})
				}
				group.Wait()
				r, err := w.service.Session(as("service"), out.Record.ID)
				if err != nil {
					t.Fatal(err)
				}
				if r.State != domain.SessionRevoked || r.EndedAt == nil {
					t.Errorf("it is %s", r.State)
				}
			}
		})
	}
}
