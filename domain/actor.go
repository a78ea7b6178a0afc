package domain

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Role is how an actor stands to a record. The tables of the machines are written in roles.
type Role string

// The roles.
const (
	RoleAnyone  Role = "anyone"  // every caller whom the operation's scopes let in
	RoleInviter Role = "inviter" // created the invitation
	RoleInvitee Role = "invitee" // presents the invitation's secret, and is not the inviter
	RoleOwner   Role = "owner"   // the user it belongs to, or the client (browser, device) it is on
	RoleTarget  Role = "target"  // already owns or signs for what the invitation leads to
	RoleAdmin   Role = "admin"   // holds admin/write or admin/full
	RoleAuditor Role = "auditor" // holds admin/read: sees what an admin sees and does nothing
	RoleClock   Role = "clock"   // time itself; no caller ever has it

	RoleProvider Role = "provider" // the provider of quizzes, when it has scored; no caller ever has it
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

// Actor is who asks: the claims of an access token that was believed, and where the request came from.
type Actor struct {
	// ID is the token's sub; empty for a nobody.
	ID string
	// Username is the claim username, else preferred_username.
	Username string
	// Email is the claim email.
	Email string
	// CustomerID and CustomerGroup are the claims of the core banking system.
	CustomerID, CustomerGroup string
	// ClientID is the claim client_id, else azp: the application.
	ClientID string
	// SessionID is the claim sid.
	SessionID string
	// Scopes are the token's scopes.
	Scopes []string
	// ExpiresAt is when the token's time is over; zero where nobody said.
	ExpiresAt time.Time
	// Address is the client's IP address, behind trusted proxies the one they name.
	Address string
	// APIKey is the name of the client key that came with the request; empty where none that is known came.
	APIKey string
	// ClientKey is the client (a browser or a device) whose client token came with the request; empty where none
	// did. Such an actor is no user, and reaches that client's sessions only.
	ClientKey string
	// Refused is why a credential that did come was not believed; nil for a believed one and for none.
	Refused *problem.Problem
}

// Known reports whether a token was believed.
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

// SeesAll reports whether the actor sees what an administrator sees.
func (a Actor) SeesAll() bool { return a.Has(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull) }

// staffRoles are the roles of the bank's own people towards every record.
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

// WithWitness gives a context in which hear is told of every actor that is found out: from headers, from the first
// message of a WebSocket, from a client token. The log wants to know.
func WithWitness(ctx context.Context, hear func(Actor)) context.Context {
	return context.WithValue(ctx, witnessKey{}, hear)
}

// WithActor puts the actor into the context.
func WithActor(ctx context.Context, a Actor) context.Context {
	if hear, ok := ctx.Value(witnessKey{}).(func(Actor)); ok {
		hear(a)
	}
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom gives the actor of the context; a nobody where there is none.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
