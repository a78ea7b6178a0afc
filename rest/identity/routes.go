// Package identity is the documented REST dialect "Identity 0.3.2" under /identity: its operations, its
// representations and its error profiles. docs/dialects/identity.md lists the decisions where its document is silent.
//
// It knows HTTP, HAL and the names of the document, and translates a request into one call of the rules and the result
// into a response. It must not know permissions, states or storage: package domain decides.
package identity

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/hal"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is the path prefix of the API in the document.
const Prefix = "/identity"

// The paths under the prefix.
const (
	rootPath         = Prefix + "/"
	reportsPath      = Prefix + "/fraudRiskReports"
	quizzesPath      = Prefix + "/quizzes"
	verificationPath = Prefix + "/contactVerification"
	approvalsPath    = Prefix + "/approvals"
)

// Options configure the dialect.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets the details of internal errors, which callers must not see, with the id in the response; nil means
	// slog.Default().
	Log *slog.Logger
	// ErrorPages is the address of the pages about error types, with a trailing slash; empty means
	// hal.DefaultErrorPages.
	ErrorPages string
}

// New returns the handler of everything under Prefix.
func New(o Options) http.Handler {
	a := &api{o}
	return hal.Server{
		API: "identity", Prefix: Prefix, Root: root(), Document: openAPI, Operations: a.operations(),
		Caller: caller, Permit: o.Service.Permit, Log: o.Log,
		Errors: hal.ErrorOptions{
			Profile: errorResponseProfile, ErrorProfile: errorProfile, Embedded: true, Pages: o.ErrorPages, Now: o.Now,
		},
	}.Handler()
}

type api struct{ Options }

func caller(ctx context.Context) (apiKey string, refused *problem.Problem) {
	actor := domain.ActorFrom(ctx)
	return actor.APIKey, actor.Refused
}

func (a *api) operations() []wire.Operation {
	return []wire.Operation{
		{ID: "getFraudRiskReports", Method: http.MethodGet, Path: "/fraudRiskReports", Requires: "fraudRiskReports", Handle: a.reports},
		{
			ID:       "createFraudRiskReport",
			Method:   http.MethodPost,
			Path:     "/fraudRiskReports",
			Requires: "createFraudRiskReport",
			Handle:   a.createReport,
		},
		{
			ID:       "getFraudRiskReport",
			Method:   http.MethodGet,
			Path:     "/fraudRiskReports/{fraudRiskReportId}",
			Requires: "fraudRiskReport",
			Handle:   a.report,
		},
		{ID: "getQuizzes", Method: http.MethodGet, Path: "/quizzes", Requires: "quizzes", Handle: a.quizzes},
		{ID: "createQuiz", Method: http.MethodPost, Path: "/quizzes", Requires: "createQuiz", Handle: a.createQuiz},
		{ID: "getQuiz", Method: http.MethodGet, Path: "/quizzes/{quizId}", Requires: "quiz", Handle: a.quiz},
		{
			ID:       "createQuizQuestions",
			Method:   http.MethodPost,
			Path:     "/quizzes/{quizId}/questions",
			Requires: "createQuizQuestions",
			Handle:   a.questions,
		},
		{ID: "scoreQuiz", Method: http.MethodPost, Path: "/quizzes/{quizId}/answers", Requires: "scoreQuiz", Handle: a.answers},
		{
			ID:       "getContactVerification",
			Method:   http.MethodGet,
			Path:     "/contactVerification",
			Requires: "contactVerification",
			Handle:   a.verification,
		},
		{ID: "createApproval", Method: http.MethodPost, Path: "/approvals", Requires: "createApproval", Handle: a.approve},
		{ID: "getApproval", Method: http.MethodGet, Path: "/approvals/{approvalId}", Requires: "approval", Handle: a.approval},
	}
}

//go:embed openapi.json
var openAPI []byte

func root() hal.Root {
	var links hal.Links
	links.Add("self", rootPath)
	links.Add("apiture:fraudRiskReports", reportsPath)
	links.Add("apiture:quizzes", quizzesPath)
	links.AddLink("apiture:contactVerification", hal.Link{Href: verificationPath + "{?contactUri,type}", Templated: true})
	links.Add("apiture:approvals", approvalsPath)
	return hal.NewRoot(rootProfile, "identity", "Identity", apiVersion, links)
}
