// Package customersessions is the documented REST dialect "Customer Sessions 0.1.0" under /system: a trusted back-end
// caller ends or revives the session of a customer. docs/dialects/customer-sessions.md says where its document leaves
// room and what was chosen.
//
// It knows HTTP, problem+json and the names of the document, and turns a request into one call of the rules and the
// answer back. It must not know who may do what, what is possible in which state, or where anything is kept: that is
// asked of package domain. The id of a session is a credential of the customer, so it appears in no answer and in no
// line of the log.
package customersessions

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is where the document has the API.
const Prefix = "/system"

// Options are what the dialect works with.
type Options struct {
	// Service is the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets what a caller must not see of an internal error, with the id that the caller does see; nil means
	// slog.Default().
	Log *slog.Logger
}

// New gives the handler of everything under Prefix.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &api{Options: o}
	a.router = wire.NewRouter(Prefix, a.refuse)
	for _, op := range a.operations() {
		a.router.Handle(op.method, op.below, a.serve(op))
		a.paths = append(a.paths, Prefix+op.below)
	}
	return a
}

type api struct {
	Options
	router *wire.Router
	// paths are those that have an operation.
	paths []string
}

// operation is a row of the document's table of operations.
type operation struct {
	id            string
	method, below string
	// asks is the operation of the rules; empty where any believed token is enough.
	asks string
	// produces are the media types that a request may accept.
	produces []string
	// handle reads the request, calls the rules, and gives the answer or the refusal. It writes nothing.
	handle func(r *http.Request) (reply, error)
}

// accepted are the media types that a request may accept although a success has no body: the samples of the document
// ask for problems, and many clients always ask for JSON.
var accepted = []string{mediaType, "application/json"}

func (a *api) operations() []operation {
	return []operation{
		{"terminateCustomerSession", http.MethodPost, "/terminatedCustomerSessions", "terminateSession", accepted, a.act(a.Service.TerminateSession)},
		{"resumeCustomerSession", http.MethodPost, "/resumedCustomerSessions", "resumeSession", accepted, a.act(a.Service.ResumeSession)},
		{"getApiDoc", http.MethodGet, "/apiDoc", "", []string{"application/json"}, a.apiDoc},
	}
}

// ServeHTTP asks who is calling before anything else: everything here is internal.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := a.Service.Viewer(r.Context()); err != nil {
		a.refuse(w, r, problem.Of(err))
		return
	}
	a.router.ServeHTTP(w, r)
}

// reply is an answer before it is written.
type reply struct {
	// document is a body, as JSON; nil for none.
	document []byte
	// replayed is set where an earlier call with the same Idempotency-Key had this outcome. It counts beside a
	// refusal too.
	replayed bool
}

// serve is the only writer of answers: scope, media type, then what the operation itself checks.
func (a *api) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := a.answer(op, r)
		if out.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		if err != nil {
			a.refuse(w, r, problem.Of(err))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if out.document == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out.document) // nobody is left to be told that the caller has gone
	})
}

func (a *api) answer(op operation, r *http.Request) (reply, error) {
	if op.asks != "" {
		if err := a.Service.Permit(r.Context(), op.asks); err != nil {
			return reply{}, err
		}
	}
	if err := wire.Accept(r, op.produces...); err != nil {
		return reply{}, err
	}
	return op.handle(r)
}

// customerSession is the schema of that name: the body of both operations.
type customerSession struct {
	SessionID string `json:"sessionId"`
}

// act is an operation that does one thing to the session that the body names.
func (a *api) act(do func(context.Context, domain.SessionInput) (domain.Outcome[domain.Session], error)) func(*http.Request) (reply, error) {
	return func(r *http.Request) (reply, error) {
		var body customerSession
		if err := wire.Decode(r, wire.Reading{MediaTypes: []string{"application/json"}}, &body); err != nil {
			return reply{}, err
		}
		in := domain.SessionInput{SessionID: body.SessionID}
		var err error
		if in.IdempotencyKey, err = wire.IdempotencyKey(r); err != nil {
			return reply{}, err
		}
		out, err := do(r.Context(), in)
		return reply{replayed: out.Replayed}, err
	}
}

//go:embed openapi.json
var openAPI []byte

func (a *api) apiDoc(*http.Request) (reply, error) { return reply{document: openAPI}, nil }
