// Package identity is the documented REST dialect "Identity 0.3.2" under /identity: its operations, its
// representations and the words of its errors. docs/dialects/identity.md says where its document leaves room and
// what was chosen.
//
// It knows HTTP, HAL and the names of the document, and turns a request into one call of the rules and the answer
// back. It must not know who may do what, what is possible in which state, or where anything is kept: that is asked
// of package domain.
package identity

import (
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/hal"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is where the document has the API.
const Prefix = "/identity"

// What is registered under the prefix.
const (
	rootPath         = Prefix + "/"
	reportsPath      = Prefix + "/fraudRiskReports"
	quizzesPath      = Prefix + "/quizzes"
	verificationPath = Prefix + "/contactVerification"
	approvalsPath    = Prefix + "/approvals"
)

// Options are what the dialect works with.
type Options struct {
	// Service is the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets what a caller must not see of an internal error, with the id that the caller does see; nil means
	// slog.Default().
	Log *slog.Logger
	// ErrorPages is the address of the pages about error types, with a slash at its end; empty means
	// hal.DefaultErrorPages.
	ErrorPages string
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
	}
	return a
}

type api struct {
	Options
	router *wire.Router
}

// operation is a row of the document's table of operations.
type operation struct {
	id            string
	method, below string
	// asks is the operation of the rules; empty where the API key is enough.
	asks string
	// produces are the media types that a request may accept.
	produces []string
	// handle reads the request, calls the rules, and gives the answer or the refusal. It writes nothing.
	handle func(r *http.Request) (reply, error)
}

func (a *api) operations() []operation {
	return []operation{
		{"getApi", http.MethodGet, "/", "", hal.MediaTypes, a.root},
		{"getApiDoc", http.MethodGet, "/apiDoc", "", []string{"application/json"}, a.apiDoc},
		{"getFraudRiskReports", http.MethodGet, "/fraudRiskReports", "fraudRiskReports", hal.MediaTypes, a.reports},
		{"createFraudRiskReport", http.MethodPost, "/fraudRiskReports", "createFraudRiskReport", hal.MediaTypes, a.createReport},
		{"getFraudRiskReport", http.MethodGet, "/fraudRiskReports/{fraudRiskReportId}", "fraudRiskReport", hal.MediaTypes, a.report},
		{"getQuizzes", http.MethodGet, "/quizzes", "quizzes", hal.MediaTypes, a.quizzes},
		{"createQuiz", http.MethodPost, "/quizzes", "createQuiz", hal.MediaTypes, a.createQuiz},
		{"getQuiz", http.MethodGet, "/quizzes/{quizId}", "quiz", hal.MediaTypes, a.quiz},
		{"createQuizQuestions", http.MethodPost, "/quizzes/{quizId}/questions", "createQuizQuestions", hal.MediaTypes, a.questions},
		{"scoreQuiz", http.MethodPost, "/quizzes/{quizId}/answers", "scoreQuiz", hal.MediaTypes, a.answers},
		{"getContactVerification", http.MethodGet, "/contactVerification", "contactVerification", hal.MediaTypes, a.verification},
		{"createApproval", http.MethodPost, "/approvals", "createApproval", hal.MediaTypes, a.approve},
		{"getApproval", http.MethodGet, "/approvals/{approvalId}", "approval", hal.MediaTypes, a.approval},
	}
}

// ServeHTTP asks for the API key before anything else, as every operation of the document does.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := withoutKey(domain.ActorFrom(r.Context())); p != nil {
		a.refuse(w, r, p)
		return
	}
	a.router.ServeHTTP(w, r)
}

// withoutKey is what a request hears that came without a known API key; nil where it came with one.
func withoutKey(actor domain.Actor) *problem.Problem {
	switch {
	case actor.APIKey != "":
		return nil
	case actor.Refused != nil && actor.Refused.Definition == problem.ServiceUnavailable:
		return actor.Refused // nobody could look the key up
	}
	return problem.New(problem.InvalidAPIKey)
}

// reply is an answer before it is written.
type reply struct {
	status int
	// resource is the body; nil for none.
	resource any
	// document is a body that is no resource, as JSON.
	document []byte
	// etag and location are headers; empty for none.
	etag, location string
	// cached is set where the client that asked may keep the answer, and has to ask again with its ETag.
	cached bool
	// replayed is set where an earlier call with the same Idempotency-Key had this outcome. It counts beside a
	// refusal too.
	replayed bool
}

// serve is the only writer of answers: token and scope, media type, then what the operation itself checks.
func (a *api) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := a.answer(op, r)
		if out.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		if err == nil {
			err = write(w, out)
		}
		if err != nil {
			a.refuse(w, r, problem.Of(err))
		}
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

// Personal data is not to be stored. One resource may be, by the client that may see it, so that the ETag has a use.
const (
	notStored = "no-store"
	asked     = "private, no-cache"
)

func write(w http.ResponseWriter, out reply) error {
	header := w.Header()
	header.Set("Cache-Control", notStored)
	if out.cached {
		header.Set("Cache-Control", asked)
		header.Set("Vary", "Authorization")
	}
	if out.etag != "" {
		header.Set("ETag", out.etag)
	}
	if out.location != "" {
		header.Set("Location", out.location)
	}
	switch {
	case out.resource != nil:
		return hal.Write(w, out.status, out.resource)
	case out.document != nil:
		header.Set("Content-Type", "application/json")
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(out.document) // nobody is left to be told that the caller has gone
	return nil
}

//go:embed openapi.json
var openAPI []byte

func (a *api) apiDoc(*http.Request) (reply, error) {
	return reply{status: http.StatusOK, document: openAPI}, nil
}

func (a *api) root(*http.Request) (reply, error) {
	var links hal.Links
	links.Add("self", rootPath)
	links.Add("apiture:fraudRiskReports", reportsPath)
	links.Add("apiture:quizzes", quizzesPath)
	links.AddLink("apiture:contactVerification", hal.Link{Href: verificationPath + "{?contactUri,type}", Templated: true})
	links.Add("apiture:approvals", approvalsPath)
	return reply{status: http.StatusOK, resource: hal.NewRoot(rootProfile, "identity", "Identity", apiVersion, links)}, nil
}
