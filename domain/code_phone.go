package domain

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The numbers of the contract (User Sessions, state machines), checked against OWASP ASVS 5.0, 6.5 and 6.6: an
// out-of-band code has at least 20 bits or limited attempts, is valid for at most ten minutes, and works once.
const (
	// phoneCodeDigits is the length of a phone code.
	phoneCodeDigits = 6
	// phoneCodeTries is the number of wrong codes that locks a verification.
	phoneCodeTries = 5
)

// PhoneVerification is one code that was texted to a customer to verify a number.
type PhoneVerification struct {
	Meta
	State PhoneVerificationState
	// CustomerID is the owner of the number.
	CustomerID string
	// Number is the number to verify; personal data.
	Number string
	// CodeHash is a slow hash over a keyed hash of the code (docs/decisions/0005-codes.md).
	CodeHash string
	// Attempts counts wrong codes.
	Attempts  int
	ExpiresAt time.Time
	// VerifiedAt is nil until the number is verified.
	VerifiedAt *time.Time
}

// Head returns the part that all records share.
func (r *PhoneVerification) Head() *Meta { return &r.Meta }

// KindPhoneVerification is the kind.
const KindPhoneVerification Kind = "phoneVerification"

// Kind names the machine.
func (*PhoneVerification) Kind() Kind { return KindPhoneVerification }

// PhoneVerificationState is the state of a phone verification.
type PhoneVerificationState string

// The states; phoneMachine describes how each is reached.
const (
	PhonePending  PhoneVerificationState = "pending"
	PhoneVerified PhoneVerificationState = "verified"
	PhoneExpired  PhoneVerificationState = "expired"
	PhoneLocked   PhoneVerificationState = "locked"
	PhoneReplaced PhoneVerificationState = "replaced"
)

// PhoneVerificationTransition is a verb of the machine.
type PhoneVerificationTransition string

// The transitions.
const (
	PhoneVerify  PhoneVerificationTransition = "verify"
	PhoneReplace PhoneVerificationTransition = "replace"
	PhoneExpire  PhoneVerificationTransition = "expire"
)

type phoneRow = lifecycle.Row[PhoneVerificationState, PhoneVerificationTransition, Role]

var phoneMachine = &lifecycle.Machine[PhoneVerificationState, PhoneVerificationTransition, Role]{
	Name: string(KindPhoneVerification), Start: PhonePending, Clock: RoleClock,
	Create: "requestPhoneVerification", CreateBy: list(RoleOwner, RoleAdmin),
	States: []lifecycle.State[PhoneVerificationState]{
		{Name: PhonePending, Help: "The text message with the code was sent. The customer may enter the code; wrong codes are counted."},
		{Name: PhoneVerified, Help: "The customer entered the code: the number is verified. This state is final."},
		{Name: PhoneExpired, Help: "The code was not entered in time. The customer may request a new one."},
		{Name: PhoneLocked, Help: "Too many wrong codes were entered. The customer may request a new one."},
		{Name: PhoneReplaced, Help: "A newer code replaced it; this one is no longer valid."},
	},
	Transitions: []phoneRow{
		{On: PhoneVerify, From: list(PhonePending), To: list(PhoneVerified, PhonePending, PhoneLocked), By: list(RoleOwner), Else: phoneUnlessPending, Operation: "verifyPhone"},
		{On: PhoneReplace, From: list(PhonePending), To: list(PhoneReplaced), By: list(RoleOwner, RoleAdmin), Else: phoneUnlessPending, Within: "requestPhoneVerification"},
		{On: PhoneExpire, From: list(PhonePending), To: list(PhoneExpired), By: list(RoleClock), Else: phoneUnlessPending},
	},
}

func phoneUnlessPending(state PhoneVerificationState) *problem.Definition {
	switch state {
	case PhoneVerified:
		return problem.AlreadyVerified
	case PhoneExpired:
		return problem.CodeExpired
	case PhoneLocked:
		return problem.TooManyAttempts
	case PhonePending, PhoneReplaced:
	}
	return problem.InvalidCode
}

var phoneVerifications = &life[PhoneVerification, PhoneVerificationState, PhoneVerificationTransition]{
	kind: KindPhoneVerification, machine: phoneMachine,
	shelf: func(s Store) Shelf[PhoneVerification] { return s.PhoneVerifications() },
	head:  func(r *PhoneVerification) *Meta { return &r.Meta },
	state: func(r *PhoneVerification) *PhoneVerificationState { return &r.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *PhoneVerification) ([]Role, bool, error) {
		return customerRoles(a, r.CustomerID)
	},
	dummy: func() *PhoneVerification { return &PhoneVerification{} },
	due: func(r *PhoneVerification) (PhoneVerificationTransition, PhoneVerificationState, time.Time, bool) {
		return PhoneExpire, PhoneExpired, r.ExpiresAt, r.State == PhonePending
	},
	concerns: func(r *PhoneVerification) []string { return list(r.CustomerID) },
	missing:  problem.NotFound, denied: problem.AccessDenied,
}

// PhoneVerificationSchema has the fields by which phone verifications can be selected and ordered.
var PhoneVerificationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: phoneMachine.StateNames()},
	{Name: "customerId", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
}}

// PhoneVerificationValue reads a field of a phone verification.
func PhoneVerificationValue(r *PhoneVerification, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "customerId":
		return r.CustomerID
	case "createdAt":
		return r.CreatedAt
	}
	return nil
}

var phoneProof = &proof[PhoneVerification, PhoneVerificationState, PhoneVerificationTransition]{
	life: phoneVerifications, operation: "requestPhoneVerification", purpose: "text",
	contact: func(c *Customer) (string, bool) { return c.Phone, c.PhoneVerified },
	owner:   func(r *PhoneVerification) string { return r.CustomerID },
	text:    func(r *PhoneVerification) string { return r.Number },
	pending: PhonePending, verified: PhoneVerified, replace: PhoneReplace, replaced: PhoneReplaced,
	make: func(ctx context.Context, s *Service, customerID, number string, now time.Time) (*PhoneVerification, *Message, error) {
		code := newPhoneCode()
		r := &PhoneVerification{
			Meta:  newMeta("phv", now),
			State: PhonePending, CustomerID: customerID, Number: number, ExpiresAt: now.Add(s.Settings.PhoneCodeTTL),
		}
		var err error
		if r.CodeHash, err = s.Hasher.Hash(ctx, s.pepperedCode(r, code)); err != nil {
			return nil, nil, err
		}
		institution := s.Settings.InstitutionName
		if strings.ContainsAny(institution, "0123456789") {
			institution = "" // the code must be the only digits in the text
		}
		return r, s.codeMessage(ChannelSMS, "code", number, r.ID, r.ExpiresAt, now, map[string]string{
			"code": code, "institution": institution,
		}), nil
	},
}

// pepperedCode returns the input of the slow hash: a keyed hash of record, number and code, with a key that is not in the
// database.
func (s *Service) pepperedCode(r *PhoneVerification, code string) string {
	return hex.EncodeToString(s.KeyedHash("phone code", r.ID, r.Number, code))
}

// newPhoneCode returns a uniformly distributed random code.
func newPhoneCode() string {
	ten := big.NewInt(10)
	out := make([]byte, phoneCodeDigits)
	for i := range out {
		d, err := rand.Int(rand.Reader, ten)
		must(err)                      // crypto/rand never fails since Go 1.24
		out[i] = '0' + byte(d.Int64()) //nolint:gosec // 0 to 9
	}
	return string(out)
}

// RequestPhoneVerificationInput names the customer; by default the caller.
type RequestPhoneVerificationInput struct {
	CustomerID     *string `json:"customerId" validate:"omitempty,min=1,max=255,printable"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// RequestPhoneVerification texts a code to the customer's number and invalidates earlier codes.
// Refuses with AccessDenied (another customer, by a caller who is not an administrator), InvalidInput,
// NoSuchCustomer, NothingToVerify, AlreadyVerified, TooManyRequests (per customer and per number) and
// IdempotencyKeyReused.
func (s *Service) RequestPhoneVerification(ctx context.Context, in RequestPhoneVerificationInput) (Outcome[PhoneVerification], error) {
	return request(ctx, s, phoneProof, in, in.CustomerID, in.IdempotencyKey)
}

// VerifyPhoneInput has the code from a text message.
type VerifyPhoneInput struct {
	Code string `json:"code" validate:"required,min=4,max=8,digits"`
	Guard
}

// VerifyPhone verifies the caller's number with the code that was texted to it. Five wrong codes lock the verification.
// Refuses with InvalidInput, TooManyAttempts (locked; wrong codes per customer and per client address), InvalidCode,
// AlreadyVerified, CodeExpired, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyPhone(ctx context.Context, in VerifyPhoneInput) (_ Outcome[PhoneVerification], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	const operation = "verifyPhone"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[PhoneVerification]{}, err
	}
	c := call{operation: operation, guard: in.Guard, parts: list(in.Code), idFromLookup: true}
	if out, done, err := recall(ctx, s, phoneVerifications, a, c); done {
		return hideWrong(out, err, problem.InvalidCode)
	}
	counters := list(failures{s.KeyedHash("wrong codes of customer", a.ID), s.Settings.CodeTryLimit}, s.wrongFrom(a))
	if err := s.unlessFailed(ctx, counters...); err != nil {
		return Outcome[PhoneVerification]{}, err
	}
	r, err := s.pendingPhone(ctx, a)
	switch {
	case problem.Has(err, problem.AlreadyVerified):
		return refused(ctx, s, phoneVerifications, a, c, problem.Of(err))
	case err != nil:
		return Outcome[PhoneVerification]{}, err
	case r == nil:
		if err := s.Hasher.Burn(ctx, in.Code); err != nil {
			return Outcome[PhoneVerification]{}, err
		}
		return refused(ctx, s, phoneVerifications, a, c, problem.New(problem.InvalidCode).At("code"), counters...)
	}
	c.id = r.ID
	right, compared := false, false
	out, err := apply(
		ctx,
		s,
		phoneVerifications,
		c,
		PhoneVerify,
		func(ctx context.Context, ch *change[PhoneVerification]) (PhoneVerificationState, error) {
			if !ch.Now.Before(ch.Record.ExpiresAt) {
				return "", problem.New(problem.CodeExpired)
			}
			if !compared { // once, however many races are lost: the hash of a record never changes
				var err error
				if right, err = s.Hasher.Verify(ctx, s.pepperedCode(ch.Record, in.Code), ch.Record.CodeHash); err != nil {
					return "", err
				}
				compared = true
			}
			if right {
				ch.Record.VerifiedAt = &ch.Now
				return PhoneVerified, nil
			}
			ch.Record.Attempts++
			ch.refuseAfterCommit(problem.New(problem.InvalidCode).At("code"))
			if ch.Record.Attempts >= phoneCodeTries {
				return PhoneLocked, nil
			}
			return PhonePending, nil
		},
	)
	switch {
	case problem.Has(err, problem.InvalidCode) && !out.Replayed:
		if err := s.failed(ctx, counters...); err != nil {
			return Outcome[PhoneVerification]{}, err
		}
	case problem.Has(err, problem.TooManyAttempts) && out.Record != nil && s.now().Before(out.Record.ExpiresAt):
		err = problem.Of(err).Until(out.Record.ExpiresAt)
	}
	return hideWrong(out, err, problem.InvalidCode)
}

// pendingPhone returns the newest verification of the caller's current number, or nil.
// Refuses with AlreadyVerified.
func (s *Service) pendingPhone(ctx context.Context, a Actor) (*PhoneVerification, error) {
	customer, err := s.Directory.Customer(ctx, a.ID)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	proved, err := phoneProof.proved(ctx, s, customer)
	if err != nil {
		return nil, err
	}
	if proved {
		return nil, problem.New(problem.AlreadyVerified)
	}
	page, err := s.Store.PhoneVerifications().List(ctx, listing.Query{
		Limit: 20, Where: listing.All(listing.Eq("customerId", a.ID), listing.Ne("state", string(PhoneReplaced))),
		Order: []listing.Order{{Field: "createdAt", Desc: true}, {Field: "_id", Desc: true}},
	})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	r := page.Items[0]
	for _, other := range page.Items { // at most one is pending, and none is newer
		if other.State == PhonePending {
			r = other
		}
	}
	if r.Number != customer.Phone {
		return nil, nil
	}
	return r, nil
}
