package customersessions_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/customersessions"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

// begin is the moment of the document's example of a problem.
var begin = time.Date(2018, time.January, 25, 5, 50, 52, 375_000_000, time.UTC)

// callers are who a bearer token stands for.
var callers = map[string]domain.Actor{
	"service":  {ID: "svc-login", Scopes: []string{"admin/write"}},
	"full":     {ID: "svc-full", Scopes: []string{"admin/full"}},
	"auditor":  {ID: "u-auditor", Scopes: []string{"admin/read"}},
	"customer": {ID: "u-john", Scopes: []string{"banking/full", "profiles/full"}},
	"forged":   {Refused: problem.New(problem.Unauthorized)},
	"expired":  {Refused: problem.New(problem.SessionExpired)},
	"doubtful": {Refused: problem.New(problem.ServiceUnavailable)},
	"browser":  {ClientKey: "client_john"},
}

// handle is the id of a session as the login service gives it: four parts, 114 characters.
func handle(n int) string {
	return fmt.Sprintf("login#1#%016x#%s", n, strings.Repeat("5f", 44)+"a")
}

// world is one server with its own database and clock. There are three sessions: {session1} and {session2} are known
// by handles of the login service too, {handle1} and {handle2}; {session3} has a task to be done.
type world struct {
	t       testing.TB
	service *domain.Service
	store   *breakable
	options customersessions.Options
	log     bytes.Buffer
	clock   *testkit.Clock
	// names are what stands for the ids of sessions in stories.
	names map[string]string
}

// newWorld opens the database and signs the customers in.
func newWorld(t testing.TB, url string) *world {
	t.Helper()
	w := &world{t: t, clock: testkit.NewClock(), names: map[string]string{}}
	w.clock.Pass(begin.Sub(testkit.Epoch))
	kept, err := db.Open(t.Context(), db.Options{URL: url, Key: seal.NewKey(), Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	if err := kept.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.store = &breakable{Store: kept}
	w.service = &domain.Service{
		Store: w.store, Directory: kept, Limiter: kept, Hasher: seal.NewHasher(seal.CostLow), KeyedHash: kept.KeyedHash, Now: w.clock.Now,
		Settings: domain.Settings{SessionIdleTimeout: 15 * time.Minute, SessionMaxLifetime: 12 * time.Hour},
	}
	w.options = customersessions.Options{Service: w.service, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	client := "client_john"
	for n := 1; n <= 3; n++ {
		in := domain.CreateSessionInput{UserID: "u-john", ClientID: &client}
		if n == 3 {
			in.Tasks = []string{"setup-mfa"}
		} else {
			in.Handle = new(handle(n))
			w.names[fmt.Sprintf("{handle%d}", n)] = handle(n)
		}
		out, err := w.service.CreateSession(as("service"), in)
		if err != nil {
			t.Fatal(err)
		}
		w.names[fmt.Sprintf("{session%d}", n)] = out.Record.ID
	}
	return w
}

// as is the context of a caller.
func as(name string) context.Context { return domain.WithActor(context.Background(), callers[name]) }

// set changes a setting: a name and a value.
func (w *world) set(line string) {
	name, value, _ := strings.Cut(line, " ")
	switch name {
	case "broken":
		w.store.broken(map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug, "": nil}[value])
	case "remove", "end", "complete": // what a customer, or another door, did to a session
		var err error
		id := w.names[value]
		switch name {
		case "remove":
			_, err = w.service.RemoveSession(as("service"), domain.SessionInput{SessionID: id})
		case "end":
			_, err = w.service.EndSession(as("customer"), domain.SessionInput{SessionID: id})
		case "complete":
			_, err = w.service.CompleteSessionTask(as("service"), domain.CompleteSessionTaskInput{SessionID: id, Task: "setup-mfa"})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	default:
		w.t.Fatalf("no such setting: %q", line)
	}
}

// session reads a session as an administrator does.
func (w *world) session(name string) *domain.Session {
	w.t.Helper()
	r, err := w.service.Session(as("service"), w.names[name])
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// shown is what a story tells of a session.
func (w *world) shown(name string) string {
	r := w.session(name)
	out := fmt.Sprintf("%s version %d, lies idle from %s, is too old from %s", r.State, r.Version, r.AbandonAt.Format(time.RFC3339Nano), r.ExpireAt.Format(time.RFC3339Nano))
	if r.EndedAt != nil {
		out += ", ended " + r.EndedAt.Format(time.RFC3339Nano)
	}
	return out + "\n"
}

// send sends a request as it travels, without Host and Content-Length, and gives the answer in the same form. An
// answer that the OpenAPI document does not describe is a failure, and so is a request that it does not, unless that
// is wrong on purpose. No answer and no line of the log may hold the id of a session.
func (w *world) send(text string, wrong bool) exchange {
	w.t.Helper()
	for name, id := range w.names {
		text = strings.ReplaceAll(text, name, id)
	}
	request := func() *http.Request {
		head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
		raw := head + "\nHost: api.devbank.example.com\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n") + body)))
		if err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	r := request()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	recorder := httptest.NewRecorder()
	customersessions.New(w.options).ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), callers[token])))

	out := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	out.problem(w.t)
	out.operation = w.validate(request(), out, wrong)
	out.text = normal(out.String())
	for name, id := range w.names {
		if strings.Contains(out.text, id) || strings.Contains(w.log.String(), id) {
			w.t.Errorf("%s is in the answer or in the log:\n%s\n%s", name, out.text, w.log.String())
		}
	}
	return out
}

// exchange is an answer.
type exchange struct {
	operation string
	status    int
	errorType string
	header    http.Header
	body      string
	// text is all of it, with ids named.
	text string
}

// problem reads the type of a problem, and looks at what every problem has.
func (e *exchange) problem(t testing.TB) {
	t.Helper()
	if e.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it may be stored: %s", e)
	}
	if e.status < 400 {
		return
	}
	var p struct {
		Type, Title, Detail, Instance, ID string
		Status                            int
	}
	if err := json.Unmarshal([]byte(e.body), &p); err != nil {
		t.Errorf("%v: %s", err, e)
		return
	}
	rest, ok := strings.CutPrefix(p.Type, "https://production.api.apiture.com/errors/")
	name, version, _ := strings.Cut(rest, "/")
	_, fragment, _ := strings.Cut(p.Instance, "#")
	if !ok || version != "v1.0.0" || p.Status != e.status || fragment != p.ID || p.Title == "" || p.Detail == "" || e.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("no problem of this dialect: %s", e)
	}
	if (e.status == http.StatusUnauthorized) != (e.header.Get("WWW-Authenticate") == `Bearer realm="system"`) {
		t.Errorf("the challenge of %d: %s", e.status, e)
	}
	e.errorType = name
}

// String is the answer as it travels, with the headers sorted and the body indented.
func (e exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", e.status, http.StatusText(e.status))
	names := make([]string, 0, len(e.header))
	for name := range e.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range e.header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	if e.body != "" {
		var body bytes.Buffer
		if err := json.Indent(&body, []byte(e.body), "", "  "); err != nil {
			return b.String() + e.body
		}
		b.WriteString(strings.TrimRight(body.String(), "\n") + "\n")
	}
	return b.String()
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func normal(text string) string { return uuids.ReplaceAllString(text, "{uuid}") }

// document is the OpenAPI document that the dialect serves.
var document = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		panic(err)
	}
	openapi3filter.RegisterBodyDecoder("application/problem+json", openapi3filter.JSONBodyDecoder)
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, router
})

// validate holds request and answer against the document, and gives the operation.
func (w *world) validate(r *http.Request, out exchange, wrong bool) string {
	w.t.Helper()
	ctx := context.Background()
	doc, router := document()
	route, params, err := router.FindRoute(r)
	if err != nil {
		if !wrong {
			w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		var body any
		if err := json.Unmarshal([]byte(out.body), &body); err != nil {
			w.t.Errorf("%s: %v", r.Method, err)
		} else if err := doc.Components.Schemas["problemResponse"].Value.VisitJSON(body); err != nil {
			w.t.Errorf("%s: %v", r.Method, err)
		}
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: carries, SkipSettingDefaults: true, ExcludeReadOnlyValidations: true, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && !wrong {
		w.t.Errorf("%s %s: the request is not as documented: %v", r.Method, r.URL.Path, err)
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: out.status, Header: out.header, Options: in.Options,
		Body: io.NopCloser(strings.NewReader(out.body)),
	}
	if err := openapi3filter.ValidateResponse(ctx, answer); err != nil {
		w.t.Errorf("%s %s: the answer is not as documented: %v", r.Method, r.URL.Path, err)
	}
	return route.Operation.OperationID
}

// carries says whether a request has a token.
func carries(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if in.RequestValidationInput.Request.Header.Get("Authorization") == "" {
		return errors.New("no token")
	}
	return nil
}

// errBug is what a caller must not see.
var errBug = errors.New(`relation "sessions" does not exist`)

// breakable is a store that fails on demand.
type breakable struct {
	domain.Store
	mu  sync.Mutex
	err error
}

func (b *breakable) broken(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *breakable) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *breakable) Sessions() domain.Shelf[domain.Session] {
	return breakableShelf{b.Store.Sessions(), b}
}

func (b *breakable) SessionByHandle(ctx context.Context, hash []byte) (string, error) {
	if err := b.failure(); err != nil {
		return "", err
	}
	return b.Store.SessionByHandle(ctx, hash)
}

type breakableShelf struct {
	domain.Shelf[domain.Session]
	store *breakable
}

func (b breakableShelf) Get(ctx context.Context, id string) (*domain.Session, error) {
	if err := b.store.failure(); err != nil {
		return nil, err
	}
	return b.Shelf.Get(ctx, id)
}
