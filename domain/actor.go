package domain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Role is the relation of an actor to a record. The tables of the machines name roles.
type Role string

// The roles.
const (
	RoleAnyone  Role = "anyone"  // every caller whose scopes permit the operation
	RoleInviter Role = "inviter" // created the invitation
	RoleInvitee Role = "invitee" // presents the secret of the invitation, and is not the inviter
	RoleOwner   Role = "owner"   // the user of the record, or the client (browser, device) of a session
	RoleTarget  Role = "target"  // already owns or signs for the target of the invitation
	RoleAdmin   Role = "admin"   // holds admin/write or admin/full
	RoleAuditor Role = "auditor" // holds admin/read: may see what an administrator sees, and change nothing
	RoleClock   Role = "clock"   // the passage of time; no caller has this role

	RoleProvider Role = "provider" // the provider of quizzes, when it reports a score; no caller has this role
)

// RoleHelp explains a role.
type RoleHelp struct {
	Name Role
	Help string
}

// Roles explains every role, for the documentation.
func Roles() []RoleHelp {
	return []RoleHelp{
		{RoleAnyone, "Any caller with a permitted scope. The presented secret, token or answer is the credential."},
		{RoleInviter, "The creator of the invitation."},
		{
			RoleInvitee,
			"A caller, other than the inviter, who presents the secret of the invitation. On the page that the e-mail links to, they need not be signed in.",
		},
		{
			RoleOwner,
			"The user to whom the record belongs, or the client (a browser or a device) of a session. A record about a person belongs to its creator and to the contact's own user.",
		},
		{
			RoleTarget,
			"A user who owns the account, or who owns or signs for the organization, that the invitation is for. They see the invitation while it is open.",
		},
		{RoleAdmin, "A caller with the scope admin/write or admin/full."},
		{RoleAuditor, "A caller with the scope admin/read, who may see what an administrator sees and change nothing."},
		{RoleProvider, "The provider of the quiz, when it reports the score."},
		{RoleClock, "The passage of time. Readers see the transition at once; the sweeper stores it within about a second."},
	}
}

// The scopes of an access token. X/full includes read, write and delete of X; write does not imply read.
const (
	ScopeBankingRead    = "banking/read"
	ScopeBankingWrite   = "banking/write"
	ScopeBankingDelete  = "banking/delete"
	ScopeBankingFull    = "banking/full"
	ScopeProfilesRead   = "profiles/read"
	ScopeProfilesWrite  = "profiles/write"
	ScopeProfilesDelete = "profiles/delete"
	ScopeProfilesFull   = "profiles/full"
	ScopeReadPII        = "profiles/readPii"
	ScopeAdminRead      = "admin/read"
	ScopeAdminWrite     = "admin/write"
	ScopeAdminFull      = "admin/full"
	ScopeSignup         = "signup"
)

// Actor is the caller: the claims of an accepted access token, and the origin of the request.
type Actor struct {
	// ID is the token's sub; empty for an anonymous caller.
	ID string
	// Username is the claim username, otherwise preferred_username.
	Username string
	// Email is the claim email.
	Email string
	// CustomerID and CustomerGroup are the claims of the core banking system.
	CustomerID, CustomerGroup string
	// ClientID is the application: the claim client_id, otherwise azp.
	ClientID string
	// SessionID is the claim sid.
	SessionID string
	// Scopes are the token's scopes.
	Scopes []string
	// ExpiresAt is the expiry of the token; zero if it has none.
	ExpiresAt time.Time
	// Address is the client's IP address; behind trusted proxies, the address that they report.
	Address string
	// APIKey is the name of the client key in the request; empty without a known key.
	APIKey string
	// Verifier is set for an application that orders verifications for the institution (GATEHOUSE_VERIFIERS).
	Verifier bool
	// ClientKey is the client (a browser or a device) of the client token in the request; empty without one. Such an
	// actor is not a user, and has access only to the sessions of that client.
	ClientKey string
	// Refused is the problem of a rejected credential; nil if the credential was accepted or absent.
	Refused *problem.Problem
}

// Known reports whether the actor has an accepted token.
func (a Actor) Known() bool { return a.ID != "" && a.Refused == nil }

// Has reports whether the token holds one of the scopes.
func (a Actor) Has(scopes ...string) bool {
	for _, s := range scopes {
		if slices.Contains(a.Scopes, s) {
			return true
		}
	}
	return false
}

// Admin reports whether the actor may act as an administrator.
func (a Actor) Admin() bool { return a.Has(ScopeAdminWrite, ScopeAdminFull) }

// Institution reports whether the actor acts for the institution: its staff, and verifiers.
func (a Actor) Institution() bool { return a.SeesAll() || a.Verifier }

// Reviewer reports whether the actor may see the evidence of reports.
func (a Actor) Reviewer() bool { return a.SeesAll() && a.SeesPII() }

// SeesAll reports whether the actor may see everything that an administrator sees.
func (a Actor) SeesAll() bool { return a.Has(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull) }

// staffRoles returns the roles of the bank's staff, which apply to every record.
func (a Actor) staffRoles() []Role {
	switch {
	case a.Admin():
		return list(RoleAdmin)
	case a.SeesAll():
		return list(RoleAuditor)
	}
	return nil
}

type actorKey struct{}

type witnessKey struct{}

// WithWitness returns a context in which hear is called with every actor that is determined: from headers, from the
// first message of a WebSocket, or from a client token. The log uses it.
func WithWitness(ctx context.Context, hear func(Actor)) context.Context {
	return context.WithValue(ctx, witnessKey{}, hear)
}

// WithActor returns a context with the actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	if hear, ok := ctx.Value(witnessKey{}).(func(Actor)); ok {
		hear(a)
	}
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of the context; an anonymous one if there is none.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// VerifierClient is an application that orders verifications for the institution: a token of this client and subject.
type VerifierClient struct{ ClientID, Subject string }

// ParseVerifiers reads a list of verifiers, separated by |: each a client id, whose tokens then have it as their subject
// too, or clientId=sub.
func ParseVerifiers(text string) ([]VerifierClient, error) {
	var out []VerifierClient
	for one := range strings.SplitSeq(text, "|") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		client, subject, ok := strings.Cut(one, "=")
		if !ok {
			subject = client
		}
		if client == "" || subject == "" {
			return nil, errors.New("expected clientId or clientId=sub, separated by |")
		}
		out = append(out, VerifierClient{ClientID: client, Subject: subject})
	}
	return out, nil
}
