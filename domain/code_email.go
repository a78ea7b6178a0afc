package domain

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// EmailVerification is one token that was mailed to a customer to verify an address.
type EmailVerification struct {
	Meta
	State EmailVerificationState
	// CustomerID is the owner of the address.
	CustomerID string
	// Address is the address to verify; personal data.
	Address string
	// TokenHash is a keyed hash of the token, which has 128 random bits.
	TokenHash string
	ExpiresAt time.Time
	// VerifiedAt is nil until the address is verified.
	VerifiedAt *time.Time
}

// Head returns the part that all records share.
func (r *EmailVerification) Head() *Meta { return &r.Meta }

// KindEmailVerification is the kind.
const KindEmailVerification Kind = "emailVerification"

// Kind names the machine.
func (*EmailVerification) Kind() Kind { return KindEmailVerification }

// EmailVerificationState is the state of an e-mail verification.
type EmailVerificationState string

// The states; emailMachine describes how each is reached.
const (
	EmailPending  EmailVerificationState = "pending"
	EmailVerified EmailVerificationState = "verified"
	EmailExpired  EmailVerificationState = "expired"
	EmailReplaced EmailVerificationState = "replaced"
)

// EmailVerificationTransition is a verb of the machine.
type EmailVerificationTransition string

// The transitions.
const (
	EmailVerify  EmailVerificationTransition = "verify"
	EmailReplace EmailVerificationTransition = "replace"
	EmailExpire  EmailVerificationTransition = "expire"
)

type emailRow = lifecycle.Row[EmailVerificationState, EmailVerificationTransition, Role]

var emailMachine = &lifecycle.Machine[EmailVerificationState, EmailVerificationTransition, Role]{
	Name: string(KindEmailVerification), Start: EmailPending, Clock: RoleClock,
	Create: "requestEmailVerification", CreateBy: list(RoleOwner, RoleAdmin),
	States: []lifecycle.State[EmailVerificationState]{
		{Name: EmailPending, Help: "The e-mail with the token was sent. The token verifies the address."},
		{Name: EmailVerified, Help: "The token was used: the address is verified. This state is final."},
		{Name: EmailExpired, Help: "The token was not used in time. The customer may request a new e-mail."},
		{Name: EmailReplaced, Help: "A newer e-mail replaced it; the token is no longer valid."},
	},
	Transitions: []emailRow{
		{On: EmailVerify, From: list(EmailPending), To: list(EmailVerified), By: list(RoleAnyone), Else: emailUnlessPending, Operation: "verifyEmail"},
		{On: EmailReplace, From: list(EmailPending), To: list(EmailReplaced), By: list(RoleOwner, RoleAdmin), Else: emailUnlessPending, Within: "requestEmailVerification"},
		{On: EmailExpire, From: list(EmailPending), To: list(EmailExpired), By: list(RoleClock), Else: emailUnlessPending},
	},
}

// emailUnlessPending returns the refusal for a state. A replaced token is refused like an unknown one.
func emailUnlessPending(state EmailVerificationState) *problem.Definition {
	switch state {
	case EmailVerified:
		return problem.AlreadyVerified
	case EmailExpired:
		return problem.TokenExpired
	case EmailPending, EmailReplaced:
	}
	return problem.InvalidToken
}

var emailVerifications = &life[EmailVerification, EmailVerificationState, EmailVerificationTransition]{
	kind: KindEmailVerification, machine: emailMachine,
	shelf: func(s Store) Shelf[EmailVerification] { return s.EmailVerifications() },
	head:  func(r *EmailVerification) *Meta { return &r.Meta },
	state: func(r *EmailVerification) *EmailVerificationState { return &r.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *EmailVerification) ([]Role, bool, error) {
		roles, visible, err := customerRoles(a, r.CustomerID)
		return append(roles, RoleAnyone), visible, err
	},
	dummy: func() *EmailVerification { return &EmailVerification{} },
	due: func(r *EmailVerification) (EmailVerificationTransition, EmailVerificationState, time.Time, bool) {
		return EmailExpire, EmailExpired, r.ExpiresAt, r.State == EmailPending
	},
	concerns: func(r *EmailVerification) []string { return list(r.CustomerID) },
	missing:  problem.NotFound, denied: problem.AccessDenied,
}

// EmailVerificationSchema has the fields by which e-mail verifications can be selected and ordered.
var EmailVerificationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: emailMachine.StateNames()},
	{Name: "customerId", Type: listing.ID},
	{Name: "tokenHash", Type: listing.ID, Hidden: true},
	{Name: "createdAt", Type: listing.Time},
}}

// EmailVerificationValue reads a field of an e-mail verification.
func EmailVerificationValue(r *EmailVerification, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "customerId":
		return r.CustomerID
	case "tokenHash":
		return r.TokenHash
	case "createdAt":
		return r.CreatedAt
	}
	return nil
}

var emailProof = &proof[EmailVerification, EmailVerificationState, EmailVerificationTransition]{
	life: emailVerifications, operation: "requestEmailVerification", purpose: "mail",
	contact: func(c *Customer) (string, bool) { return c.Email, c.EmailVerified },
	owner:   func(r *EmailVerification) string { return r.CustomerID },
	text:    func(r *EmailVerification) string { return r.Address },
	pending: EmailPending, verified: EmailVerified, replace: EmailReplace, replaced: EmailReplaced,
	make: func(_ context.Context, s *Service, customerID, address string, now time.Time) (*EmailVerification, *Message, error) {
		token := NewSecretKey()
		r := &EmailVerification{
			Meta:  newMeta("emv", now),
			State: EmailPending, CustomerID: customerID, Address: address,
			TokenHash: s.emailTokenHash(token), ExpiresAt: now.Add(s.Settings.EmailTokenTTL),
		}
		return r, s.codeMessage(ChannelEmail, "verification", address, r.ID, r.ExpiresAt, now, map[string]string{
			"link": s.Settings.PublicURL + "/verify-email?token=" + url.QueryEscape(token), "institution": s.Settings.InstitutionName,
		}), nil
	},
}

func (s *Service) emailTokenHash(token string) string {
	return hex.EncodeToString(s.KeyedHash("email token", token))
}

// RequestEmailVerificationInput names the customer; by default the caller.
type RequestEmailVerificationInput struct {
	CustomerID     *string `json:"customerId" validate:"omitempty,min=1,max=255,printable"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// RequestEmailVerification mails a token to the customer's address and invalidates earlier tokens.
// Refuses with AccessDenied (another customer, by a caller who is not an administrator), InvalidInput,
// NoSuchCustomer, NothingToVerify, AlreadyVerified, TooManyRequests (per customer and per address) and
// IdempotencyKeyReused.
func (s *Service) RequestEmailVerification(ctx context.Context, in RequestEmailVerificationInput) (Outcome[EmailVerification], error) {
	return request(ctx, s, emailProof, in, in.CustomerID, in.IdempotencyKey)
}

// VerifyEmailInput has the token from an e-mail.
type VerifyEmailInput struct {
	Token string `json:"token" validate:"required,min=1,max=512"`
	Guard
	// Page is set by the page that the mail links to; it requires no sign-in and ignores the credentials of the request.
	Page bool `json:"-"`
}

// verifyingEmail is emailVerifications for the holder of a token: the token is the credential.
var verifyingEmail = func() *life[EmailVerification, EmailVerificationState, EmailVerificationTransition] {
	l := *emailVerifications
	l.missing = problem.InvalidToken
	l.rolesOf = func(context.Context, *Service, *Prefetched, Actor, *EmailVerification) ([]Role, bool, error) {
		return list(RoleAnyone), true, nil
	}
	return &l
}()

// VerifyEmail verifies an address with the token that was mailed to it. The caller need not be signed in; a signed-in
// caller must be the customer.
// Refuses with InvalidInput, TooManyAttempts (wrong tokens per client address), InvalidToken, AlreadyVerified,
// TokenExpired, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyEmail(ctx context.Context, in VerifyEmailInput) (_ Outcome[EmailVerification], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	const operation = "verifyEmail"
	a := ActorFrom(ctx)
	switch {
	case in.Page:
		a = Actor{Address: a.Address}
		ctx = WithActor(ctx, a)
	case a.Refused != nil:
		return Outcome[EmailVerification]{}, a.Refused
	}
	if _, err := s.begin(ctx, operation, in); err != nil {
		return Outcome[EmailVerification]{}, err
	}
	c := call{operation: operation, guard: in.Guard, parts: list(in.Token), idFromLookup: true}
	if out, done, err := recall(ctx, s, verifyingEmail, a, c); done {
		return hideWrong(out, err, problem.InvalidToken)
	}
	if err := s.unlessFailed(ctx, s.wrongFrom(a)); err != nil {
		return Outcome[EmailVerification]{}, err
	}
	page, err := s.Store.EmailVerifications().List(ctx, listing.Query{Limit: 1, Where: listing.Eq("tokenHash", s.emailTokenHash(in.Token))})
	if err != nil {
		return Outcome[EmailVerification]{}, err
	}
	known := len(page.Items) == 1
	if known {
		if known, err = s.stillAt(ctx, a, page.Items[0]); err != nil {
			return Outcome[EmailVerification]{}, err
		}
	}
	if !known {
		return refused(ctx, s, verifyingEmail, a, c, problem.New(problem.InvalidToken).At("token"), s.wrongFrom(a))
	}
	c.id = page.Items[0].ID
	out, err := apply(
		ctx,
		s,
		verifyingEmail,
		c,
		EmailVerify,
		func(_ context.Context, ch *change[EmailVerification]) (EmailVerificationState, error) {
			if !ch.Now.Before(ch.Record.ExpiresAt) {
				return "", problem.New(problem.TokenExpired)
			}
			ch.Record.VerifiedAt = &ch.Now
			return EmailVerified, nil
		},
	)
	if problem.Has(err, problem.InvalidToken) && !out.Replayed {
		if err := s.failed(ctx, s.wrongFrom(a)); err != nil {
			return Outcome[EmailVerification]{}, err
		}
	}
	return hideWrong(out, err, problem.InvalidToken)
}

// stillAt reports whether the verification is for the customer's current address and, if the caller is signed in,
// belongs to the caller.
func (s *Service) stillAt(ctx context.Context, a Actor, r *EmailVerification) (bool, error) {
	if a.ID != "" && a.ID != r.CustomerID {
		return false, nil
	}
	customer, err := s.Directory.Customer(ctx, r.CustomerID)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && customer.Email == r.Address, err
}
