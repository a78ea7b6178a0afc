package domain

import (
	"context"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// permission says which token an operation asks for. Scopes authorise the kind of action; how the actor stands to
// the record authorises the instance (conventions §2).
type permission struct {
	// scopes: any one of them.
	scopes []string
	// sees: a token that sees what an administrator sees will do as well.
	sees bool
	// open: no token at all.
	open bool
	// client: a client token will do as well.
	client bool
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

// permissions has a line for every operation, whichever door it comes through.
var permissions = map[string]permission{
	"version":           {open: true},
	"lifecycle":         {open: true},
	"invitationPreview": {open: true},
	"viewer":            {},
	"node":              {}, // and what the record's own query asks for
	"nodes":             {},
	"lifecycleEvents":   {}, // what the caller may see is decided for each event

	"sessionEvents":          {},
	"invitationEvents":       bankingRead,
	"quizEvents":             profilesRead,
	"twoFactorRequestEvents": {},

	"session":             own,
	"sessions":            own,
	"client":              own,
	"touchSession":        own,
	"endSession":          own,
	"endOtherSessions":    own,
	"removeSession":       own,
	"createSessionToken":  own,
	"createSession":       trusted,
	"resumeSession":       trusted,
	"terminateSession":    trusted,
	"completeSessionTask": trusted,
	"createClientToken":   trusted,
	"saveJwtTemplate":     trusted,
	"deleteJwtTemplate":   trusted,
	"previewJwtTemplate":  trusted,
	"jwtTemplates":        {scopes: list(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull)},

	"emailVerification":        {},
	"phoneVerification":        {},
	"requestEmailVerification": {}, // for another customer an administrator: the rule says so
	"requestPhoneVerification": {},
	"verifyEmail":              {open: true},
	"verifyPhone":              {},
	"device":                   {},
	"devices":                  {},
	"registerDevice":           {},
	"revokeDevice":             {},
	"createDeviceChallenge":    {},
	"twoFactorRequest":         {},
	"twoFactorRequests":        {},
	"openTwoFactorRequest":     trusted,
	"approveTwoFactorRequest":  signup,
	"rejectTwoFactorRequest":   signup,

	"invitation":             bankingRead,
	"invitations":            bankingRead,
	"createInvitation":       bankingWrite,
	"resendInvitation":       bankingWrite,
	"revokeInvitation":       bankingWrite,
	"updateInvitationSecret": bankingWrite,
	"verifyInvitation":       bankingWrite,
	"completeInvitation":     bankingWrite, // and an administrator: the table of the machine says so, so that the refusal is that of the record
	"deleteInvitation":       bankingDelete,

	"contact":               profilesRead,
	"contacts":              profilesRead,
	"createContact":         profilesWrite,
	"updateContact":         profilesWrite,
	"fraudRiskReport":       profilesRead,
	"fraudRiskReports":      profilesRead,
	"createFraudRiskReport": profilesWrite,
	"quiz":                  profilesRead,
	"quizzes":               profilesRead,
	"createQuiz":            profilesWrite,
	"createQuizQuestions":   profilesWrite,
	"scoreQuiz":             profilesWrite,
	"contactVerification":   profilesRead,
	"approval":              profilesRead,
	"approvals":             {scopes: list(ScopeAdminRead, ScopeAdminWrite, ScopeAdminFull)},
	"createApproval":        profilesWrite, // and an administrator
}

// Need is what an operation asks of a token, for the documentation.
type Need struct {
	// Scopes: any one of them; empty: a token of any scope will do.
	Scopes []string
	// Sees is set where a scope that sees what an administrator sees will do as well.
	Sees bool
	// Open is set where no token is asked for.
	Open bool
}

// Needs says what an operation asks of a token; ok is false where there is no such operation.
func Needs(operation string) (need Need, ok bool) {
	p, ok := permissions[operation]
	return Need{Scopes: p.scopes, Sees: p.sees, Open: p.open}, ok
}

// Permit says whether the caller's token is good for the operation, before anything else is looked at.
// Refuses with Unauthorized, SessionExpired, ServiceUnavailable (the issuer's keys could not be read) and
// AccessDenied.
func (s *Service) Permit(ctx context.Context, operation string) error {
	p, ok := permissions[operation]
	if !ok {
		return problem.New(problem.InternalError).Because("There is no such operation.")
	}
	if p.open {
		return nil
	}
	if p.client && ActorFrom(ctx).ClientKey != "" {
		return nil
	}
	a, err := s.known(ctx)
	if err != nil {
		return err
	}
	if len(p.scopes) == 0 || a.Has(p.scopes...) || p.sees && a.SeesAll() {
		return nil
	}
	return problem.New(problem.AccessDenied)
}

// known gives the actor of a believed token.
func (s *Service) known(ctx context.Context) (Actor, error) {
	a := ActorFrom(ctx)
	switch {
	case a.Refused != nil:
		return a, a.Refused
	case a.ID == "":
		return a, problem.New(problem.Unauthorized)
	}
	return a, nil
}

// Viewer is the caller, as the server knows it.
// Refuses with Unauthorized and SessionExpired.
func (s *Service) Viewer(ctx context.Context) (*Actor, error) {
	a, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	return &a, nil
}
