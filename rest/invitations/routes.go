// Package invitations is the documented REST dialect "Invitations 0.3.3" under /invitations: its operations, its
// representations and its error profiles. docs/dialects/invitations.md lists the decisions where its document is
// silent.
//
// It knows HTTP, HAL and the names of the document, and translates a request into one call of the rules and the result
// into a response. It must not know permissions, states or storage: package domain decides.
package invitations

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
const Prefix = "/invitations"

// The paths under the prefix.
const (
	rootPath          = Prefix + "/"
	collectionPath    = Prefix + "/invitations"
	verificationsPath = Prefix + "/verifications"
	revokedPath       = Prefix + "/revoked"
	sentPath          = Prefix + "/sent"
	completedPath     = Prefix + "/completed"
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
	// RequireIfMatch refuses updates and actions without If-Match with 428.
	RequireIfMatch bool
	// ErrorPages is the address of the pages about error types, with a trailing slash; empty means
	// hal.DefaultErrorPages.
	ErrorPages string
}

// New returns the handler of everything under Prefix.
func New(o Options) http.Handler {
	a := &api{o}
	return hal.Server{
		API: "invitations", Prefix: Prefix, Root: root(), Document: openAPI, Operations: a.operations(),
		Caller: caller, Permit: o.Service.Permit, Log: o.Log,
		Errors: hal.ErrorOptions{Profile: errorProfile, Pages: o.ErrorPages, Now: o.Now},
	}.Handler()
}

type api struct{ Options }

func caller(ctx context.Context) (apiKey string, refused *problem.Problem) {
	actor := domain.ActorFrom(ctx)
	return actor.APIKey, actor.Refused
}

func (a *api) operations() []wire.Operation {
	one := "/invitations/{invitationId}"
	return []wire.Operation{
		{ID: "getInvitations", Method: http.MethodGet, Path: "/invitations", Requires: "invitations", Handle: a.list},
		{ID: "createInvitation", Method: http.MethodPost, Path: "/invitations", Requires: "createInvitation", Handle: a.create},
		{ID: "getInvitation", Method: http.MethodGet, Path: one, Requires: "invitation", Handle: a.get},
		{ID: "patchInvitation", Method: http.MethodPatch, Path: one, Requires: "updateInvitationSecret", Handle: a.patch},
		{ID: "deleteInvitation", Method: http.MethodDelete, Path: one, Requires: "deleteInvitation", Handle: a.delete},
		{ID: "revokeInvitation", Method: http.MethodPost, Path: "/revoked", Requires: "revokeInvitation", Handle: a.revoke},
		{ID: "sendInvitation", Method: http.MethodPost, Path: "/sent", Requires: "resendInvitation", Handle: a.send},
		{ID: "completeInvitation", Method: http.MethodPost, Path: "/completed", Requires: "completeInvitation", Handle: a.complete},
		{ID: "verifyInvitation", Method: http.MethodPost, Path: "/verifications", Requires: "verifyInvitation", Handle: a.verify},
	}
}

//go:embed openapi.json
var openAPI []byte

func root() hal.Root {
	var links hal.Links
	links.Add("self", rootPath)
	links.Add("apiture:invitations", collectionPath)
	links.Add("apiture:verifications", verificationsPath)
	return hal.NewRoot(rootProfile, "invitations", "Invitations", apiVersion, links)
}
