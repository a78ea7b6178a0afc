package domain

import (
	"maps"
	"slices"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// operation is what the program must know of an operation, whichever door it comes through.
type operation struct {
	// needs is the token it asks for.
	needs permission
	// refuses lists the problems that it may answer, besides those of a token that is absent, not accepted, or good for
	// something else, in the order in which they are looked for: what the comment of its method says.
	refuses []*problem.Definition
}

// permission is the token that an operation asks for. Scopes authorise the kind of action; the roles of the actor towards
// the record authorise the instance (conventions §2).
type permission struct {
	// scopes: any one of them.
	scopes []string
	// sees: a token that sees what an administrator sees is accepted as well.
	sees bool
	// open: no token at all.
	open bool
	// client: a client token is accepted as well.
	client bool
	// admin: the token must be an administrator's, too.
	admin bool
}

var (
	bankingRead   = permission{scopes: list(ScopeBankingRead, ScopeBankingFull), sees: true}
	bankingWrite  = permission{scopes: list(ScopeBankingWrite, ScopeBankingFull)}
	trusted       = permission{scopes: list(ScopeAdminWrite, ScopeAdminFull)}
	own           = permission{client: true}
	signup        = permission{scopes: list(ScopeSignup)}
	bankingDelete = permission{scopes: list(ScopeBankingDelete, ScopeBankingFull)}
	profilesRead  = permission{scopes: list(ScopeProfilesRead, ScopeProfilesFull), sees: true}
	profilesWrite = permission{scopes: list(ScopeProfilesWrite, ScopeProfilesFull)}
)

// operations is the registry: one value for each operation. Permit, the documentation, the reference and the tests of
// the schema read it.
var operations = map[string]operation{
	"version":           {needs: permission{open: true}},
	"lifecycle":         {needs: permission{open: true}},
	"invitationPreview": {needs: permission{open: true}, refuses: list(problem.NoSuchInvitation)},
	"viewer":            {refuses: list(problem.Unauthorized, problem.SessionExpired)},
	"node": {
		refuses: list(problem.Unauthorized, problem.SessionExpired, problem.AccessDenied, problem.NotFound),
	}, // and what the record's own query asks for
	"nodes": {refuses: list(problem.Unauthorized, problem.SessionExpired, problem.AccessDenied)},
	"lifecycleEvents": {
		refuses: list(problem.Unauthorized, problem.SessionExpired, problem.InvalidInput),
	}, // what the caller may see is decided for each event

	"sessionEvents":          {},
	"invitationEvents":       {needs: bankingRead},
	"quizEvents":             {needs: profilesRead},
	"twoFactorRequestEvents": {},

	"session":  {needs: own, refuses: list(problem.NoSuchSession)},
	"sessions": {needs: own, refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"client":   {needs: own},
	"touchSession": {
		needs: own,
		refuses: list(
			problem.NoSuchSession, problem.AccessDenied, problem.SessionNotLive, problem.UnknownOrganization, problem.IdempotencyKeyReused,
		),
	},
	"endSession": {
		needs:   own,
		refuses: list(problem.NoSuchSession, problem.AccessDenied, problem.StaleVersion, problem.SessionNotLive, problem.IdempotencyKeyReused),
	},
	"endOtherSessions": {needs: own, refuses: list(problem.NoSuchSession, problem.InvalidInput, problem.IdempotencyKeyReused)},
	"removeSession": {
		needs:   own,
		refuses: list(problem.NoSuchSession, problem.AccessDenied, problem.StaleVersion, problem.SessionNotLive, problem.IdempotencyKeyReused),
	},
	"createSessionToken": {
		needs: own,
		refuses: list(
			problem.NoSuchSession, problem.AccessDenied, problem.SignedOut, problem.UnknownOrganization, problem.NoSuchTemplate,
			problem.IdempotencyKeyReused,
		),
	},
	"createSession": {
		needs:   trusted,
		refuses: list(problem.AccessDenied, problem.InvalidInput, problem.SessionHandleTaken, problem.IdempotencyKeyReused),
	},
	"resumeSession": {
		needs: trusted,
		refuses: list(
			problem.NoSuchSession, problem.AccessDenied, problem.StaleVersion, problem.SessionTerminated, problem.SessionLifetimeExceeded,
			problem.IdempotencyKeyReused,
		),
	},
	"terminateSession": {
		needs:   trusted,
		refuses: list(problem.NoSuchSession, problem.AccessDenied, problem.StaleVersion, problem.IdempotencyKeyReused),
	},
	"completeSessionTask": {
		needs: trusted,
		refuses: list(
			problem.NoSuchSession, problem.AccessDenied, problem.StaleVersion, problem.InvalidInput, problem.SessionNotLive,
			problem.IdempotencyKeyReused,
		),
	},
	"createClientToken": {needs: trusted, refuses: list(problem.AccessDenied, problem.InvalidInput, problem.IdempotencyKeyReused)},
	"saveJwtTemplate":   {needs: trusted, refuses: list(problem.AccessDenied, problem.InvalidInput, problem.ReservedClaim)},
	"deleteJwtTemplate": {needs: trusted, refuses: list(problem.AccessDenied, problem.InvalidInput, problem.NoSuchTemplate)},
	"previewJwtTemplate": {
		needs:   trusted,
		refuses: list(problem.AccessDenied, problem.InvalidInput, problem.ReservedClaim, problem.NoSuchSession),
	},
	"jwtTemplates": {
		needs:   permission{scopes: list(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull)},
		refuses: list(problem.AccessDenied),
	},

	"emailVerification": {},
	"phoneVerification": {},
	"requestEmailVerification": {
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.NoSuchCustomer, problem.NothingToVerify, problem.AlreadyVerified,
			problem.TooManyRequests, problem.IdempotencyKeyReused,
		),
	}, // for another customer an administrator: the rule says so
	"requestPhoneVerification": {
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.NoSuchCustomer, problem.NothingToVerify, problem.AlreadyVerified,
			problem.TooManyRequests, problem.IdempotencyKeyReused,
		),
	},
	"verifyEmail": {
		needs: permission{open: true},
		refuses: list(
			problem.InvalidInput, problem.TooManyAttempts, problem.InvalidToken, problem.AlreadyVerified, problem.TokenExpired,
			problem.StaleVersion, problem.IdempotencyKeyReused,
		),
	},
	"verifyPhone": {
		refuses: list(
			problem.InvalidInput, problem.TooManyAttempts, problem.InvalidCode, problem.AlreadyVerified, problem.CodeExpired, problem.StaleVersion,
			problem.IdempotencyKeyReused,
		),
	},
	"device":         {refuses: list(problem.DeviceNotFound)},
	"devices":        {refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"registerDevice": {refuses: list(problem.InvalidInput, problem.DeviceIsRegistered, problem.IdempotencyKeyReused)},
	"revokeDevice": {
		refuses: list(problem.DeviceNotFound, problem.AccessDenied, problem.StaleVersion, problem.DeviceIsRevoked, problem.IdempotencyKeyReused),
	},
	"createDeviceChallenge": {
		refuses: list(
			problem.InvalidInput, problem.TooManyAttempts, problem.UsernameMismatch, problem.DeviceNotFound, problem.IdempotencyKeyReused,
		),
	},
	"twoFactorRequest":     {refuses: list(problem.RequestNotFound)},
	"twoFactorRequests":    {refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"openTwoFactorRequest": {needs: trusted, refuses: list(problem.AccessDenied, problem.InvalidInput, problem.IdempotencyKeyReused)},
	"approveTwoFactorRequest": {
		needs: signup,
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.TooManyAttempts, problem.InvalidChallenge, problem.InvalidSignature,
			problem.MissingPIN, problem.InvalidPIN, problem.MissingPassword, problem.InvalidPassword, problem.RequestNotFound,
			problem.StaleVersion, problem.AlreadyDecided, problem.RequestExpired, problem.IdempotencyKeyReused,
		),
	},
	"rejectTwoFactorRequest": {
		needs: signup,
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.TooManyAttempts, problem.InvalidChallenge, problem.InvalidSignature,
			problem.MissingPIN, problem.InvalidPIN, problem.MissingPassword, problem.InvalidPassword, problem.RequestNotFound,
			problem.StaleVersion, problem.AlreadyDecided, problem.RequestExpired, problem.IdempotencyKeyReused,
		),
	},

	"invitation":  {needs: bankingRead, refuses: list(problem.NoSuchInvitation)},
	"invitations": {needs: bankingRead, refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"createInvitation": {
		needs: bankingWrite,
		refuses: list(
			problem.InvalidInput, problem.InvitationAccessDenied, problem.JointOwnersDisabled, problem.AdditionalOwnersNotAllowed,
			problem.IdempotencyKeyReused,
		),
	},
	"resendInvitation": {
		needs: bankingWrite,
		refuses: list(
			problem.NoSuchInvitation, problem.InvitationAccessDenied, problem.StaleVersion, problem.InvitationWrongState,
			problem.InvitationResendLimit, problem.IdempotencyKeyReused,
		),
	},
	"revokeInvitation": {
		needs: bankingWrite,
		refuses: list(
			problem.NoSuchInvitation, problem.InvitationAccessDenied, problem.StaleVersion, problem.InvitationWrongState,
			problem.IdempotencyKeyReused,
		),
	},
	"updateInvitationSecret": {
		needs: bankingWrite,
		refuses: list(
			problem.InvalidInput, problem.NoSuchInvitation, problem.InvitationAccessDenied, problem.StaleVersion, problem.InvitationWrongState,
			problem.IdempotencyKeyReused,
		),
	},
	"verifyInvitation": {
		needs: bankingWrite,
		refuses: list(
			problem.InvalidInput, problem.TooManyRequests, problem.InvitationVerificationFailed, problem.InvitationAccessDenied,
			problem.InvitationIsExpired, problem.InvitationIsRevoked, problem.InvitationIsFailed, problem.InvitationWrongState,
			problem.StaleVersion, problem.IdempotencyKeyReused,
		),
	},
	"completeInvitation": {
		needs: bankingWrite,
		refuses: list(
			problem.NoSuchInvitation, problem.InvitationAccessDenied, problem.StaleVersion, problem.InvitationWrongState,
			problem.InviteeNotVerified, problem.IdempotencyKeyReused,
		),
	}, // and an administrator: the table of the machine says so, so that the refusal is that of the record
	"deleteInvitation": {
		needs:   bankingDelete,
		refuses: list(problem.NoSuchInvitation, problem.InvitationAccessDenied, problem.StaleVersion, problem.IdempotencyKeyReused),
	},

	"contact":       {needs: profilesRead, refuses: list(problem.NoSuchContact)},
	"contacts":      {needs: profilesRead, refuses: list(problem.InvalidInput, problem.InvalidParameter, problem.AccessDenied)},
	"createContact": {needs: profilesWrite, refuses: list(problem.InvalidInput, problem.AccessDenied, problem.IdempotencyKeyReused)},
	"updateContact": {
		needs:   profilesWrite,
		refuses: list(problem.InvalidInput, problem.NoSuchContact, problem.AccessDenied, problem.StaleVersion, problem.IdempotencyKeyReused),
	},
	"fraudRiskReport":  {needs: profilesRead, refuses: list(problem.NoSuchFraudRiskReport)},
	"fraudRiskReports": {needs: profilesRead, refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"createFraudRiskReport": {
		needs: profilesWrite,
		refuses: list(
			problem.InvalidInput, problem.InvalidContactLink, problem.IncompleteIdentity, problem.ProviderUnavailable,
			problem.IdempotencyKeyReused,
		),
	},
	"quiz":    {needs: profilesRead, refuses: list(problem.NoSuchQuiz)},
	"quizzes": {needs: profilesRead, refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"createQuiz": {
		needs:   profilesWrite,
		refuses: list(problem.InvalidInput, problem.InvalidContactLink, problem.IncompleteIdentity, problem.IdempotencyKeyReused),
	},
	"createQuizQuestions": {
		needs: profilesWrite,
		refuses: list(
			problem.NoSuchQuiz, problem.AccessDenied, problem.StaleVersion, problem.InvalidQuizState, problem.TooManyRequests,
			problem.QuizQuestionsUnavailable, problem.ProviderUnavailable, problem.IdempotencyKeyReused,
		),
	},
	"scoreQuiz": {
		needs: profilesWrite,
		refuses: list(
			problem.InvalidInput, problem.NoSuchQuiz, problem.AccessDenied, problem.StaleVersion, problem.InvalidQuizState,
			problem.InvalidQuizAnswers, problem.IdempotencyKeyReused,
		),
	},
	"contactVerification": {needs: profilesRead, refuses: list(problem.InvalidContactLink)},
	"approval":            {needs: profilesRead, refuses: list(problem.NoSuchApproval)},
	"approvals": {
		needs:   permission{scopes: list(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull)},
		refuses: list(problem.AccessDenied, problem.InvalidInput, problem.InvalidParameter),
	},
	"createApproval": {
		needs:   permission{scopes: list(ScopeProfilesWrite, ScopeProfilesFull), admin: true},
		refuses: list(problem.AccessDenied, problem.InvalidInput, problem.InvalidContactURI, problem.IdempotencyKeyReused),
	},
}

// Operations returns the names of all operations, sorted.
func Operations() []string {
	return slices.Sorted(maps.Keys(operations))
}

// Refusals lists the problems that an operation may answer, in the order in which they are looked for.
func Refusals(name string) []*problem.Definition { return operations[name].refuses }

// Emits lists the events that an operation may write: those of the transitions that it is, or that it contains. Its source
// are the tables of the machines.
func Emits(name string) []string {
	var out []string
	for _, m := range Lifecycles() {
		for _, move := range m.Moves() {
			if move.Operation == name || move.Within == name {
				out = append(out, move.Operation)
			}
		}
	}
	return out
}

// Need is what an operation asks of a token, for the documentation.
type Need struct {
	// Scopes: any one of them; empty: a token of any scope is accepted.
	Scopes []string
	// Sees is set where a scope that sees what an administrator sees is accepted as well.
	Sees bool
	// Open is set where no token is asked for.
	Open bool
}

// Needs returns what an operation asks of a token; ok is false where there is no such operation.
func Needs(name string) (need Need, ok bool) {
	o, ok := operations[name]
	return Need{Scopes: o.needs.scopes, Sees: o.needs.sees, Open: o.needs.open}, ok
}
