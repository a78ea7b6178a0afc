package domain

import (
	"maps"
	"slices"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// operation describes an operation, independently of the API through which it is called.
type operation struct {
	// needs describes the required token.
	needs permission
	// refuses lists the problems that it may return, in the order of the checks, except those for a missing, rejected
	// or insufficient token. The comment of the method has the same list.
	refuses []*problem.Definition
}

// permission describes the token that an operation requires. Scopes authorise the kind of action; the actor's roles for
// the record authorise the instance (conventions §2).
type permission struct {
	// scopes has the scopes of which the token must have one.
	scopes []string
	// sees: any admin scope is also sufficient.
	sees bool
	// open: no token is required.
	open bool
	// client: a client token is also sufficient.
	client bool
	// admin: the caller must also be an administrator.
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
	reviewing     = permission{scopes: list(ScopeReadPII, ScopeProfilesFull), admin: true}
)

// operations is the registry: one value for each operation. Permit, the documentation, the reference and the tests of
// the schema read it.
var operations = map[string]operation{
	"version":            {needs: permission{open: true}},
	"lifecycle":          {needs: permission{open: true}},
	"invitationPreview":  {needs: permission{open: true}, refuses: list(problem.NoSuchInvitation)},
	"verificationPolicy": {needs: profilesRead},
	"viewer":             {refuses: list(problem.Unauthorized, problem.SessionExpired)},
	"node": {
		refuses: list(problem.Unauthorized, problem.SessionExpired, problem.AccessDenied, problem.NotFound),
	}, // and the permission for the query of the record's kind
	"nodes": {refuses: list(problem.Unauthorized, problem.SessionExpired, problem.AccessDenied)},
	"lifecycleEvents": {
		refuses: list(problem.Unauthorized, problem.SessionExpired, problem.InvalidInput),
	}, // the visibility is decided for each event

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
	}, // for another customer, the method requires an administrator
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
			problem.InviteeNotVerified, problem.JointOwnersDisabled, problem.AdditionalOwnersNotAllowed, problem.IdempotencyKeyReused,
		),
	}, // the table of the machine requires an administrator, so that the refusal is that of the record
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
			problem.InvalidInput, problem.AccessDenied, problem.TooManyRequests, problem.InvalidContactLink, problem.IncompleteIdentity,
			problem.ProviderUnavailable, problem.IdempotencyKeyReused,
		),
	},
	"quiz":    {needs: profilesRead, refuses: list(problem.NoSuchQuiz)},
	"quizzes": {needs: profilesRead, refuses: list(problem.InvalidInput, problem.InvalidParameter)},
	"createQuiz": {
		needs: profilesWrite,
		refuses: list(
			problem.InvalidInput, problem.AccessDenied, problem.TooManyRequests, problem.InvalidContactLink, problem.IncompleteIdentity,
			problem.IdempotencyKeyReused,
		),
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
	"review":  {needs: profilesRead, refuses: list(problem.NoSuchReview)},
	"reviews": {needs: profilesRead, refuses: list(problem.AccessDenied, problem.InvalidInput, problem.InvalidParameter)},
	"takeReview": {
		needs: reviewing,
		refuses: list(
			problem.AccessDenied, problem.NoSuchReview, problem.StaleVersion, problem.ReviewTaken, problem.ReviewAlreadyDecided,
			problem.IdempotencyKeyReused,
		),
	},
	"releaseReview": {
		needs: reviewing,
		refuses: list(
			problem.AccessDenied, problem.NoSuchReview, problem.StaleVersion, problem.ReviewNotTaken, problem.ReviewAlreadyDecided,
			problem.IdempotencyKeyReused,
		),
	},
	"dismissMatch": {
		needs: reviewing,
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.NoSuchFraudRiskReport, problem.NoSuchMatch, problem.StaleVersion,
			problem.ReviewTaken, problem.ReviewAlreadyDecided, problem.IdempotencyKeyReused,
		),
	},
	"decideReview": {
		needs: reviewing,
		refuses: list(
			problem.AccessDenied, problem.InvalidInput, problem.NoSuchReview, problem.StaleVersion, problem.ReviewTaken,
			problem.ReviewAlreadyDecided, problem.IdempotencyKeyReused,
		),
	},
	"confirmReview": {
		needs: reviewing,
		refuses: list(
			problem.AccessDenied, problem.NoSuchReview, problem.StaleVersion, problem.ReviewNotDecided, problem.ReviewAlreadyDecided,
			problem.SecondPersonRequired, problem.IdempotencyKeyReused,
		),
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

// Refusals returns the problems that an operation may return, in the order of the checks.
func Refusals(name string) []*problem.Definition { return operations[name].refuses }

// Emits returns the events that an operation may write, from the tables of the machines: the events of its own
// transition and of the transitions within it.
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

// Need describes the token that an operation requires, for the documentation.
type Need struct {
	// Scopes has the scopes of which the token must have one; empty: any token is accepted.
	Scopes []string
	// Sees is set if any admin scope is also sufficient.
	Sees bool
	// Open is set if no token is required.
	Open bool
}

// Needs returns the token that an operation requires; ok is false if the operation does not exist.
func Needs(name string) (need Need, ok bool) {
	o, ok := operations[name]
	return Need{Scopes: o.needs.scopes, Sees: o.needs.sees, Open: o.needs.open}, ok
}
