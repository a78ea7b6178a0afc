// Package resttest is the test harness of the REST dialects: a server under test, requests and responses as sent, the
// OpenAPI document that they are validated against, and the suite of tests that every dialect runs.
//
// A dialect provides its own setup, placeholders for values that differ from run to run, and cases. Only tests import
// it.
package resttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata")

// World is one server under test, with its own database and clock.
type World struct {
	T        testing.TB
	Document *Document
	Clock    *testkit.Clock
	// Store fails on demand.
	Store *Store
	// Handler returns the dialect under test.
	Handler func() http.Handler
	// Actors are the callers, by bearer token; nil for a dialect that authenticates its callers itself.
	Actors map[string]domain.Actor
	// Tick is the time that passes after each request.
	Tick time.Duration
	// Setup executes one line of a section "settings".
	Setup func(line string)
	// State returns all data that a refused request could have changed.
	State func() string
	// Section returns the content of a section that the dialect defines; nil if it defines none.
	Section func(name string) (content string, ok bool)
	// Expand replaces placeholders with their values, and Normalize values with placeholders. Nil changes nothing.
	Expand, Normalize func(text string) string
	// Check verifies each response against rules of the dialect; nil if it has none.
	Check func(*Exchange)

	log bytes.Buffer
}

// Log returns the log of the server.
func (w *World) Log() string { return w.log.String() }

// Logger writes to Log.
func (w *World) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(&w.log, nil)) }

// Open opens and migrates a database for the world.
func (w *World) Open(url string) *db.DB {
	w.T.Helper()
	d, err := db.Open(w.T.Context(), db.Options{URL: url, Key: seal.NewKey(), Now: w.Clock.Now})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { _ = d.Close() })
	if err := d.Migrate(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	return d
}

// ClockAt returns a clock that is stopped at a time.
func ClockAt(at time.Time) *testkit.Clock {
	clock := testkit.NewClock()
	clock.Pass(at.Sub(testkit.Epoch))
	return clock
}

// Exchange is a response with its operation.
type Exchange struct {
	// Operation is the operationId; empty if no operation was found.
	Operation string
	Status    int
	// Type is the type or the code of an error; empty for other responses.
	Type   string
	Header http.Header
	Body   string
	// Text is the whole response with placeholders.
	Text string
}

// Send sends a request, in HTTP syntax without Host and Content-Length, and returns the response. It fails the test if
// the OpenAPI document does not describe the response, or the request, unless the latter is wrong on purpose.
func (w *World) Send(text string, wrong bool) Exchange {
	w.T.Helper()
	if w.Expand != nil {
		text = w.Expand(text)
	}
	r := w.request(text)
	if w.Actors != nil {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		actor := w.Actors[token]
		actor.Address = "192.0.2.7"
		if r.Header.Get("API-Key") == "demo" {
			actor.APIKey = "demo"
		}
		r = r.WithContext(domain.WithActor(r.Context(), actor))
	}
	e := w.Serve(r)
	w.Clock.Pass(w.Tick)
	e.Operation = w.Document.validate(w.T, w.request(text), e, wrong)
	if w.Check != nil {
		w.Check(&e)
	}
	return e
}

// Serve passes a request to the dialect unchanged.
func (w *World) Serve(r *http.Request) Exchange {
	w.T.Helper()
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, r)
	return w.Exchange(recorder)
}

// Exchange reads a recorded response.
func (w *World) Exchange(recorder *httptest.ResponseRecorder) Exchange {
	e := Exchange{Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.String()}
	if e.Status >= http.StatusBadRequest {
		e.Type = w.Document.ErrorType([]byte(e.Body))
	}
	e.Text = e.format()
	if w.Normalize != nil {
		e.Text = w.Normalize(e.Text)
	}
	return e
}

func (w *World) request(text string) *http.Request {
	w.T.Helper()
	head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	raw := head + "\nHost: gatehouse.test\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n") + body)))
	if err != nil {
		w.T.Fatalf("%v: %s", err, text)
	}
	return r
}

// format returns the response in HTTP syntax, with sorted headers and an indented body.
func (e Exchange) format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", e.Status, http.StatusText(e.Status))
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		for _, value := range e.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	if e.Body != "" {
		var body bytes.Buffer
		if err := json.Indent(&body, []byte(e.Body), "", "  "); err != nil {
			return b.String() + e.Body
		}
		b.WriteString(strings.TrimRight(body.String(), "\n") + "\n")
	}
	return b.String()
}

// Golden compares a text with a file, or rewrites the file under -update.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	got = []byte(testkit.Unmoved(string(got)))
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (-update rewrites it):\n%s", file, difference(string(want), string(got)))
	}
}

// difference returns the lines from the first different one on.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	part := func(lines []string) string { return strings.Join(lines[n:min(n+12, len(lines))], "\n") }
	return "want:\n" + part(a) + "\n\ngot:\n" + part(b)
}
