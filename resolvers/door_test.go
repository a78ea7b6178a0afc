package resolvers_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

// door is the handler with a real database.
type door struct {
	*testkit.Kit
	t       testing.TB
	handler http.Handler
	log     *journal
}

// journal contains the logged lines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func open(t testing.TB, change ...func(*resolvers.Options)) *door {
	t.Helper()
	kit := testkit.New(t, testkit.SQLite(t))
	d := &door{Kit: kit, t: t, log: &journal{}}
	o := resolvers.Options{
		Service: kit.Service, Log: slog.New(slog.NewTextHandler(d.log, nil)), Now: kit.Clock.Now,
		Version: "1.2.3", Commit: "abc", Go: "go1.26",
	}
	for _, c := range change {
		c(&o)
	}
	d.handler = resolvers.New(o)
	return d
}

func development(o *resolvers.Options) { o.Development = true }

// as returns a user with a valid token; without scopes banking/full.
func as(user string, scopes ...string) domain.Actor {
	return domain.ActorFrom(testkit.As(user, scopes...))
}

func administrator() domain.Actor { return domain.ActorFrom(testkit.Admin()) }

var nobody = domain.Actor{Address: "192.0.2.9"}

// reply is a response.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	text   string
	body   struct {
		Data   map[string]any
		Errors []struct {
			Message    string
			Path       []any
			Extensions map[string]any
		}
	}
}

func (d *door) send(actor domain.Actor, r *http.Request) *reply {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r.WithContext(domain.WithActor(r.Context(), actor)))
	out := &reply{t: d.t, status: w.Code, header: w.Header(), text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
		d.t.Fatalf("the answer is not JSON: %v: %s", err, out.text)
	}
	return out
}

func post(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// ask posts a document with variables and optional headers.
func (d *door) ask(actor domain.Actor, document string, variables map[string]any, headers ...string) *reply {
	d.t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.send(actor, post(testkit.Moved(string(body)), headers...))
}

// at returns the value at a path of names and indexes.
func (r *reply) at(path ...any) any {
	r.t.Helper()
	var v any = r.body.Data
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				r.t.Fatalf("there is no %v of %v in %s", p, path, r.text)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				r.t.Fatalf("there is no %v of %v in %s", p, path, r.text)
			}
			v = l[p]
		}
	}
	return v
}

// says fails unless the data has the value.
func (r *reply) says(want any, path ...any) *reply {
	r.t.Helper()
	if got := r.at(path...); !equal(got, want) {
		r.t.Errorf("%v is %v, want %v\n%s", path, got, want, r.text)
	}
	return r
}

func equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return testkit.Unmoved(string(x)) == testkit.Unmoved(string(y))
}

// done fails unless there is no top-level error.
func (r *reply) done() *reply {
	r.t.Helper()
	if len(r.body.Errors) > 0 || r.status != http.StatusOK {
		r.t.Fatalf("status %d: %s", r.status, r.text)
	}
	return r
}

// refused fails unless the first top-level error has the code.
func (r *reply) refused(code string) *reply {
	r.t.Helper()
	if len(r.body.Errors) == 0 || r.body.Errors[0].Extensions["code"] != code {
		r.t.Errorf("want the error %s: status %d: %s", code, r.status, r.text)
	}
	return r
}

// problem fails unless the payload has exactly one problem, of the type and code.
func (r *reply) problem(mutation, typename, code string) *reply {
	r.t.Helper()
	r.done()
	list, _ := r.at(mutation, "problems").([]any)
	if len(list) != 1 {
		r.t.Fatalf("want one problem: %s", r.text)
	}
	return r.says(typename, mutation, "problems", 0, "__typename").says(code, mutation, "problems", 0, "code")
}
