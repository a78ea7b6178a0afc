// Package customersessions is the documented REST dialect "Customer Sessions 0.1.0" under /system: a trusted back-end
// caller ends or resumes the session of a customer. docs/dialects/customer-sessions.md lists the decisions where its
// document is silent.
//
// It knows HTTP, problem+json and the names of the document, and translates a request into one call of the rules and
// the result into a response. It must not know permissions, states or storage: package domain decides. The id of a
// session is a credential of the customer, so it must not appear in a response or in the log.
package customersessions

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is the path prefix of the API in the document.
const Prefix = "/system"

// Options configure the dialect.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets the details of internal errors, which callers must not see, with the id in the response; nil means
	// slog.Default().
	Log *slog.Logger
}

// New returns the handler of everything under Prefix.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &api{Options: o}
	server := wire.Server{Prefix: Prefix, Operations: a.operations(), Admit: a.admit, Permit: o.Service.Permit, Refuse: a.refuse}
	for _, op := range server.Operations {
		a.paths = append(a.paths, Prefix+op.Path)
	}
	return server.Handler()
}

type api struct {
	Options
	// paths are the paths that have an operation.
	paths []string
}

// accepted are the media types that a request may accept, although a success has no body: the samples of the document
// accept problems, and many clients always accept JSON.
var accepted = []string{mediaType, "application/json"}

func (a *api) operations() []wire.Operation {
	return []wire.Operation{
		{
			ID: "terminateCustomerSession", Method: http.MethodPost, Path: "/terminatedCustomerSessions",
			Requires: "terminateSession", Produces: accepted, Handle: a.act(a.Service.TerminateSession),
		},
		{
			ID: "resumeCustomerSession", Method: http.MethodPost, Path: "/resumedCustomerSessions",
			Requires: "resumeSession", Produces: accepted, Handle: a.act(a.Service.ResumeSession),
		},
		{ID: "getApiDoc", Method: http.MethodGet, Path: "/apiDoc", Produces: []string{"application/json"}, Handle: a.apiDoc},
	}
}

// admit refuses anonymous callers: the whole API is internal.
func (a *api) admit(ctx context.Context) error {
	_, err := a.Service.Viewer(ctx)
	return err
}

// customerSession is the schema of that name, the body of both operations.
type customerSession struct {
	SessionID string `json:"sessionId"`
}

// act returns the handler of an operation on the session that the body names.
func (a *api) act(
	do func(context.Context, domain.SessionInput) (domain.Outcome[domain.Session], error),
) func(*http.Request) (wire.Reply, error) {
	return func(r *http.Request) (wire.Reply, error) {
		var body customerSession
		if err := wire.Decode(r, wire.Reading{MediaTypes: []string{"application/json"}}, &body); err != nil {
			return wire.Reply{}, err
		}
		in := domain.SessionInput{SessionID: body.SessionID}
		var err error
		if in.IdempotencyKey, err = wire.IdempotencyKey(r); err != nil {
			return wire.Reply{}, err
		}
		out, err := do(r.Context(), in)
		return wire.Reply{Status: http.StatusNoContent, Replayed: out.Replayed}, err
	}
}

//go:embed openapi.json
var openAPI []byte

func (a *api) apiDoc(*http.Request) (wire.Reply, error) {
	return wire.Reply{Status: http.StatusOK, Document: openAPI}, nil
}
