package customersessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/customersessions"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/seal"
)

// begin is the time in the document's example of a problem.
var begin = time.Date(2018, time.January, 25, 5, 50, 52, 375_000_000, time.UTC)

// actors are the callers, by bearer token.
var actors = map[string]domain.Actor{
	"service":  {ID: "svc-login", Scopes: []string{"admin/write"}},
	"full":     {ID: "svc-full", Scopes: []string{"admin/full"}},
	"auditor":  {ID: "u-auditor", Scopes: []string{"admin/read"}},
	"customer": {ID: "u-john", Scopes: []string{"banking/full", "profiles/full"}},
	"forged":   {Refused: problem.New(problem.Unauthorized)},
	"expired":  {Refused: problem.New(problem.SessionExpired)},
	"doubtful": {Refused: problem.New(problem.ServiceUnavailable)},
	"browser":  {ClientKey: "client_john"},
}

// handle is a session id as assigned by the login service: four parts, 114 characters.
func handle(n int) string {
	return fmt.Sprintf("login#1#%016x#%s", n, strings.Repeat("5f", 44)+"a")
}

// document is the OpenAPI document that the dialect serves.
var document = &resttest.Document{
	ErrorSchema: "problemResponse",
	ErrorType: func(body []byte) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(decode(body).Type, typePage), "/")
		return name
	},
	Carries: func(r *http.Request, _ string) bool { return r.Header.Get("Authorization") != "" },
}

const typePage = "https://production.api.apiture.com/errors/"

type apiProblem struct {
	Type, Title, Detail, Instance, ID string
	Status                            int
}

func decode(body []byte) apiProblem {
	var p apiProblem
	_ = json.Unmarshal(body, &p)
	return p
}

// world is a server with three sessions: {session1} and {session2} have handles of the login service too, {handle1} and
// {handle2}; {session3} has a pending task.
type world struct {
	*resttest.World
	service *domain.Service
	options customersessions.Options
	// names are the ids of sessions by their placeholders.
	names map[string]string
}

// newWorld opens the database and signs the customers in.
func newWorld(t testing.TB, url string) *world {
	t.Helper()
	w := &world{World: &resttest.World{T: t, Document: document, Clock: resttest.ClockAt(begin), Actors: actors}, names: map[string]string{}}
	w.Handler = func() http.Handler { return customersessions.New(w.options) }
	w.Setup, w.Expand, w.Normalize, w.Check = w.set, w.expand, normalize, w.check
	w.State = func() string { return w.describe("{session1}") }
	w.Section = func(name string) (string, bool) {
		session, ok := strings.CutPrefix(name, "session ")
		if !ok {
			return "", false
		}
		return w.describe("{" + session + "}"), true
	}
	d := w.Open(url)
	w.Store = &resttest.Store{Store: d}
	w.service = &domain.Service{
		Store: w.Store, Directory: d, Limiter: d, Hasher: seal.NewHasher(seal.CostLow), KeyedHash: d.KeyedHash, Now: w.Clock.Now,
		Settings: domain.Settings{SessionIdleTimeout: 15 * time.Minute, SessionMaxLifetime: 12 * time.Hour},
	}
	w.options = customersessions.Options{Service: w.service, Now: w.Clock.Now, Log: w.Logger()}
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

// as returns the context of a caller.
func as(name string) context.Context { return domain.WithActor(context.Background(), actors[name]) }

// set changes a setting: a name and a value.
func (w *world) set(line string) {
	name, value, _ := strings.Cut(line, " ")
	switch name {
	case "broken":
		w.Store.Fail(map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug, "": nil}[value])
	case "remove", "end", "complete": // an action of a customer, or through another API
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
			w.T.Fatal(err)
		}
	default:
		w.T.Fatalf("unknown setting %q", line)
	}
}

// session reads a session as an administrator does.
func (w *world) session(name string) *domain.Session {
	w.T.Helper()
	r, err := w.service.Session(as("service"), w.names[name])
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// describe returns the data of a session that a case contains.
func (w *world) describe(name string) string {
	r := w.session(name)
	out := fmt.Sprintf("%s version %d, lies idle from %s, is too old from %s", r.State, r.Version, r.AbandonAt.Format(time.RFC3339Nano), r.ExpireAt.Format(time.RFC3339Nano))
	if r.EndedAt != nil {
		out += ", ended " + r.EndedAt.Format(time.RFC3339Nano)
	}
	return out + "\n"
}

func (w *world) expand(text string) string {
	for name, id := range w.names {
		text = strings.ReplaceAll(text, name, id)
	}
	return text
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func normalize(text string) string { return uuids.ReplaceAllString(text, "{uuid}") }

// check verifies the common properties of all responses. Neither they nor the log may contain the id of a session.
func (w *world) check(e *resttest.Exchange) {
	w.T.Helper()
	for name, id := range w.names {
		if strings.Contains(e.Text, id) || strings.Contains(w.Log(), id) {
			w.T.Errorf("%s is in the response or in the log:\n%s\n%s", name, e.Text, w.Log())
		}
	}
	if e.Header.Get("Cache-Control") != "no-store" {
		w.T.Errorf("the response may be stored: %s", e.Text)
	}
	if e.Status < http.StatusBadRequest {
		return
	}
	p := decode([]byte(e.Body))
	_, version, _ := strings.Cut(strings.TrimPrefix(p.Type, typePage), "/")
	_, fragment, _ := strings.Cut(p.Instance, "#")
	if !strings.HasPrefix(p.Type, typePage) || version != "v1.0.0" || p.Status != e.Status || fragment != p.ID || p.Title == "" || p.Detail == "" ||
		e.Header.Get("Content-Type") != "application/problem+json" {
		w.T.Errorf("this is not a problem of this dialect: %s", e.Text)
	}
	if (e.Status == http.StatusUnauthorized) != (e.Header.Get("WWW-Authenticate") == `Bearer realm="system"`) {
		w.T.Errorf("the challenge of %d: %s", e.Status, e.Text)
	}
}

// errBug has details that a caller must not see.
var errBug = errors.New(`relation "sessions" does not exist`)
