package domain

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// unlessVerifiable returns the state-specific refusals of the document (Invitations, verifyInvitation in order, step 4).
func unlessVerifiable(state InvitationState) *problem.Definition {
	switch state {
	case InvitationExpired:
		return problem.InvitationIsExpired
	case InvitationRevoked:
		return problem.InvitationIsRevoked
	case InvitationFailed:
		return problem.InvitationIsFailed
	case InvitationSent, InvitationAccepted, InvitationCompleted:
	}
	return problem.InvitationWrongState
}

// inviteeVerified is the condition for completing an invitation if CompleteRequiresVerification is set.
func (s *Service) inviteeVerified(ctx context.Context, pre *Prefetched, i *Invitation) error {
	if !s.Settings.CompleteRequiresVerification {
		return nil
	}
	if i.AcceptedBy == nil || s.Verified == nil {
		return problem.New(problem.InviteeNotVerified)
	}
	passed, known := pre.userVerified(*i.AcceptedBy)
	if !known {
		verified, err := s.Verified(ctx, *i.AcceptedBy)
		if err != nil {
			return err
		}
		passed = verified[*i.AcceptedBy]
	}
	if !passed {
		return problem.New(problem.InviteeNotVerified)
	}
	return nil
}

// mayComplete refuses the completion of an accepted invitation whose invitee is not verified, or whom the account does not
// accept.
func (s *Service) mayComplete(ctx context.Context, pre *Prefetched, i *Invitation) error {
	if err := s.inviteeVerified(ctx, pre, i); err != nil {
		return err
	}
	return s.mayJoin(ctx, pre, i)
}

// VerifyInvitationInput has the secret that an invitee presents.
type VerifyInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	SharedSecret string `json:"sharedSecret" validate:"required,min=8,text"`
	Guard
	// MailKey is the key of the newest e-mail. With it the invitee need not be signed in; only the page sets it.
	MailKey *string `json:"-"`
}

// maxSecretRead limits the hashed text. It exceeds the maximum length of a secret, so a truncated text is always wrong.
const maxSecretRead = 1024

// VerifyInvitation accepts an invitation with the right secret. Wrong secrets are counted, and too many of them fail the
// invitation. A wrong secret and an unknown id get the same answer after the same work.
// Refuses with InvalidInput, TooManyRequests (per client address, before the secret is checked),
// InvitationVerificationFailed, InvitationAccessDenied (the caller's own invitation), InvitationIsExpired,
// InvitationIsRevoked, InvitationIsFailed, InvitationWrongState, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyInvitation(ctx context.Context, in VerifyInvitationInput) (_ Outcome[Invitation], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	const operation = "verifyInvitation"
	a := ActorFrom(ctx)
	if in.MailKey != nil { // the page requires no sign-in, and ignores the signed-in user
		a = Actor{Address: a.Address}
		ctx = WithActor(ctx, a)
		if err := validated(in); err != nil {
			return Outcome[Invitation]{}, err
		}
	} else if _, err := s.begin(ctx, operation, in); err != nil {
		return Outcome[Invitation]{}, err
	}
	secret := in.SharedSecret
	if len(secret) > maxSecretRead {
		secret = secret[:maxSecretRead]
	}
	c := call{operation: operation, id: in.InvitationID, guard: in.Guard, parts: list(in.SharedSecret), checkVersionInEffect: true}
	if out, done, err := recall(ctx, s, invitations, a, c); done {
		return hideRefused(out, err)
	}
	ok, until, err := s.Limiter.Take(ctx, s.KeyedHash("verify rate", a.Address), s.Settings.VerifyRate, s.Settings.VerifyBlock)
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	if !ok {
		return Outcome[Invitation]{}, problem.New(problem.TooManyRequests).With("limit", s.Settings.VerifyRate.Limit).Until(until)
	}
	read, err := s.findOrDecoy(ctx, in.InvitationID)
	if errors.Is(err, ErrMissing) || err == nil && !s.opens(in.MailKey, read.record) {
		return s.refuseUnknown(ctx, a, c, secret)
	}
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	right, compared := false, ""
	out, err := apply(ctx, s, verifying, c, InvitationVerify, func(ctx context.Context, ch *change[Invitation]) (InvitationState, error) {
		i := ch.Record
		if !s.opens(in.MailKey, i) {
			return "", verifying.notFound()
		}
		if compared != i.SecretHash { // again only if the secret changed during a lost race
			ok, err := s.Hasher.Verify(ctx, secret, i.SecretHash)
			if err != nil {
				return "", err
			}
			right, compared = ok, i.SecretHash
		}
		i.VerificationCount++
		if right {
			if want := in.ExpectedVersion; want != nil && *want != i.Version {
				return "", problem.New(problem.StaleVersion).With("currentVersion", i.Version)
			}
			if a.ID != "" {
				i.AcceptedBy = &a.ID
			}
			return InvitationAccepted, nil
		}
		i.FailedCount++
		ch.refuseAfterCommit(verifying.notFound())
		if limit := s.Settings.InvitationMaxFailed; limit > 0 && i.FailedCount >= limit {
			return InvitationFailed, nil
		}
		return InvitationSent, nil
	})
	if out.ID == "" && !out.Replayed && problem.Has(err, problem.InvitationVerificationFailed) { // erased in the meantime
		return s.refuseUnknown(ctx, a, c, secret)
	}
	return hideRefused(out, err)
}

// verifying is invitations for an invitee: every caller except the inviter may verify, because the secret is the
// credential.
var verifying = makeVerifying()

func makeVerifying() *life[Invitation, InvitationState, InvitationTransition] {
	l := *invitations
	l.missing = problem.InvitationVerificationFailed
	l.rolesOf = func(_ context.Context, _ *Service, _ *Prefetched, a Actor, i *Invitation) ([]Role, bool, error) {
		if a.ID == i.CreatedBy {
			return list(RoleInviter), true, nil
		}
		return list(RoleInvitee), true, nil
	}
	return &l
}

// opens reports whether the key is that of the newest e-mail. Calls without a key pass.
func (s *Service) opens(key *string, i *Invitation) bool {
	return key == nil || subtle.ConstantTimeCompare(s.KeyedHash("invitation mail key", i.ID, *key), i.MailKeyHash) == 1
}

// findOrDecoy is find with the same duration for an unknown id.
func (s *Service) findOrDecoy(ctx context.Context, id string) (*reading[Invitation], error) {
	if !plausibleID(id) {
		return nil, ErrMissing
	}
	i, err := s.Store.InvitationOrDecoy(ctx, id)
	if err != nil {
		return nil, err
	}
	return settle(s, invitations, i), nil
}

// refuseUnknown does the work of a wrong secret for an invitation that does not exist, and returns the same refusal.
func (s *Service) refuseUnknown(ctx context.Context, a Actor, c call, secret string) (Outcome[Invitation], error) {
	// For an existing invitation, apply reads the record a second time.
	if _, err := s.findOrDecoy(ctx, c.id); err != nil && !errors.Is(err, ErrMissing) {
		return Outcome[Invitation]{}, err
	}
	if err := s.Hasher.Burn(ctx, secret); err != nil {
		return Outcome[Invitation]{}, err
	}
	p := verifying.notFound()
	err := s.commit(ctx, &Unit{Decoy: true, IdempotencyRecord: s.idempotencyRecord(a, c, "", p, s.now())})
	if errors.Is(err, ErrRemembered) {
		if out, done, err := recall(ctx, s, invitations, a, c); done {
			return out, err
		}
		return Outcome[Invitation]{}, problem.New(problem.ServiceUnavailable).Because("The idempotency key expired during the call.")
	}
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	return Outcome[Invitation]{}, p
}

// hideRefused removes the record from the outcome of a refused verification.
func hideRefused(out Outcome[Invitation], err error) (Outcome[Invitation], error) {
	if err != nil {
		out.Record = nil
	}
	return out, err
}
