package domain

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The numbers of the contract (User Sessions, state machines), held against OWASP ASVS 5.0, 6.5 and 6.6: a code for
// another channel has at least 20 bits or is limited in its tries, lives ten minutes at most, and works once.
const (
	// phoneCodeDigits is the length of a phone code.
	phoneCodeDigits = 6
	// phoneCodeTries is the number of wrong codes that locks a verification.
	phoneCodeTries = 5
)

// EmailVerification is one token that was mailed to a customer to prove an address.
type EmailVerification struct {
	Meta
	State EmailVerificationState
	// CustomerID is whose address it is.
	CustomerID string
	// Address is what is proved; personal data.
	Address string
	// TokenHash recognises the token, which has 128 random bits, by a keyed hash.
	TokenHash string
	ExpiresAt time.Time
	// VerifiedAt is nil while the address is not proved.
	VerifiedAt *time.Time
}

// Head gives the part that all records share.
func (r *EmailVerification) Head() *Meta { return &r.Meta }

// Kind names the machine.
func (*EmailVerification) Kind() Kind { return KindEmailVerification }

// EmailVerificationState is where a verification of an address stands.
type EmailVerificationState string

// The states; emailMachine says how each is reached.
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
	Create: "requestEmailVerification", CreateBy: of(RoleOwner, RoleAdmin),
	States: []lifecycle.State[EmailVerificationState]{
		{Name: EmailPending, Help: "The mail with the token is on its way. Whoever has the token may prove the address."},
		{Name: EmailVerified, Help: "The token came back: the address is the customer's. Nothing follows."},
		{Name: EmailExpired, Help: "Nobody used the token in time. The customer may ask for a new mail."},
		{Name: EmailReplaced, Help: "A newer mail took its place; the token means nothing any more."},
	},
	Transitions: []emailRow{
		{On: EmailVerify, From: of(EmailPending), To: of(EmailVerified), By: of(RoleAnyone), Else: emailUnlessPending, Operation: "verifyEmail"},
		{On: EmailReplace, From: of(EmailPending), To: of(EmailReplaced), By: of(RoleOwner, RoleAdmin), Else: emailUnlessPending, Within: "requestEmailVerification"},
		{On: EmailExpire, From: of(EmailPending), To: of(EmailExpired), By: of(RoleClock), Else: emailUnlessPending},
	},
}

// emailUnlessPending: a token that was replaced is as unknown as any other text.
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

// PhoneVerification is one code that was texted to a customer to prove a number.
type PhoneVerification struct {
	Meta
	State PhoneVerificationState
	// CustomerID is whose number it is.
	CustomerID string
	// Number is what is proved; personal data.
	Number string
	// CodeHash is a slow hash over a keyed hash of the code (docs/decisions/0005-codes.md).
	CodeHash string
	// Attempts counts wrong codes.
	Attempts  int
	ExpiresAt time.Time
	// VerifiedAt is nil while the number is not proved.
	VerifiedAt *time.Time
}

// Head gives the part that all records share.
func (r *PhoneVerification) Head() *Meta { return &r.Meta }

// Kind names the machine.
func (*PhoneVerification) Kind() Kind { return KindPhoneVerification }

// PhoneVerificationState is where a verification of a number stands.
type PhoneVerificationState string

// The states; phoneMachine says how each is reached.
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
	Create: "requestPhoneVerification", CreateBy: of(RoleOwner, RoleAdmin),
	States: []lifecycle.State[PhoneVerificationState]{
		{Name: PhonePending, Help: "The text with the code is on its way. The customer may enter the code; wrong ones are counted."},
		{Name: PhoneVerified, Help: "The customer entered the code: the number is the customer's. Nothing follows."},
		{Name: PhoneExpired, Help: "The code was not entered in time. The customer may ask for a new one."},
		{Name: PhoneLocked, Help: "Too many wrong codes were entered. The customer may ask for a new one."},
		{Name: PhoneReplaced, Help: "A newer code took its place; this one means nothing any more."},
	},
	Transitions: []phoneRow{
		{On: PhoneVerify, From: of(PhonePending), To: of(PhoneVerified, PhonePending, PhoneLocked), By: of(RoleOwner), Else: phoneUnlessPending, Operation: "verifyPhone"},
		{On: PhoneReplace, From: of(PhonePending), To: of(PhoneReplaced), By: of(RoleOwner, RoleAdmin), Else: phoneUnlessPending, Within: "requestPhoneVerification"},
		{On: PhoneExpire, From: of(PhonePending), To: of(PhoneExpired), By: of(RoleClock), Else: phoneUnlessPending},
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

// standToCustomer is how an actor stands to a record of one customer.
func standToCustomer(a Actor, customerID string) ([]Role, bool, error) {
	var roles []Role
	switch {
	case a.Admin():
		roles = append(roles, RoleAdmin)
	case a.SeesAll():
		roles = append(roles, RoleAuditor)
	}
	if a.Known() && a.ID == customerID {
		roles = append(roles, RoleOwner)
	}
	return roles, len(roles) > 0, nil
}

var emailVerifications = &life[EmailVerification, EmailVerificationState, EmailVerificationTransition]{
	kind: KindEmailVerification, machine: emailMachine,
	shelf: func(s Store) Shelf[EmailVerification] { return s.EmailVerifications() },
	head:  func(r *EmailVerification) *Meta { return &r.Meta },
	state: func(r *EmailVerification) *EmailVerificationState { return &r.State },
	stand: func(_ context.Context, _ *Service, a Actor, r *EmailVerification) ([]Role, bool, error) {
		roles, visible, err := standToCustomer(a, r.CustomerID)
		return append(roles, RoleAnyone), visible, err
	},
	stranger: func() *EmailVerification { return &EmailVerification{} },
	due: func(r *EmailVerification) (EmailVerificationTransition, EmailVerificationState, time.Time, bool) {
		return EmailExpire, EmailExpired, r.ExpiresAt, r.State == EmailPending
	},
	concerns: func(r *EmailVerification) []string { return of(r.CustomerID) },
	missing:  problem.NotFound, denied: problem.AccessDenied,
}

var phoneVerifications = &life[PhoneVerification, PhoneVerificationState, PhoneVerificationTransition]{
	kind: KindPhoneVerification, machine: phoneMachine,
	shelf: func(s Store) Shelf[PhoneVerification] { return s.PhoneVerifications() },
	head:  func(r *PhoneVerification) *Meta { return &r.Meta },
	state: func(r *PhoneVerification) *PhoneVerificationState { return &r.State },
	stand: func(_ context.Context, _ *Service, a Actor, r *PhoneVerification) ([]Role, bool, error) {
		return standToCustomer(a, r.CustomerID)
	},
	stranger: func() *PhoneVerification { return &PhoneVerification{} },
	due: func(r *PhoneVerification) (PhoneVerificationTransition, PhoneVerificationState, time.Time, bool) {
		return PhoneExpire, PhoneExpired, r.ExpiresAt, r.State == PhonePending
	},
	concerns: func(r *PhoneVerification) []string { return of(r.CustomerID) },
	missing:  problem.NotFound, denied: problem.AccessDenied,
}

// EmailVerificationSchema is what verifications of addresses can be selected and ordered by.
var EmailVerificationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: []string{"pending", "verified", "expired", "replaced"}},
	{Name: "customerId", Type: listing.ID},
	{Name: "tokenHash", Type: listing.ID, Hidden: true},
	{Name: "createdAt", Type: listing.Time},
}}

// EmailVerificationValue reads a field of a verification of an address.
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

// PhoneVerificationSchema is what verifications of numbers can be selected and ordered by.
var PhoneVerificationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: []string{"pending", "verified", "expired", "locked", "replaced"}},
	{Name: "customerId", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
}}

// PhoneVerificationValue reads a field of a verification of a number.
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

// CodeStore keeps what proves addresses, numbers and devices; it is a part of Store.
type CodeStore interface {
	// EmailVerifications and PhoneVerifications hold at most one pending record of a customer: a second one is stale.
	EmailVerifications() Shelf[EmailVerification]
	PhoneVerifications() Shelf[PhoneVerification]
	// Devices holds at most one registered device of a customer with one key: a second one is stale.
	Devices() Shelf[Device]
	TwoFactorRequests() Shelf[TwoFactorRequest]
	// Challenge finds a challenge; ErrMissing where there is none.
	Challenge(ctx context.Context, id string) (*DeviceChallenge, error)
	// UseChallenge marks a challenge as used, by one guarded statement that nothing undoes; ErrMissing where there is
	// none that the use is good for.
	UseChallenge(ctx context.Context, use ChallengeUse) (*DeviceChallenge, error)
	// Delivery finds how the newest message about each of the records goes; records without one are left out.
	Delivery(ctx context.Context, subjectIDs []string) (map[string]MessageState, error)
}

// proof is what the two kinds of verification have in common where a new one is asked for.
type proof[R any, S, T ~string] struct {
	*life[R, S, T]
	operation string
	// purpose names the limits.
	purpose           string
	contact           func(*Customer) (text string, verified bool)
	owner, text       func(*R) string
	pending, verified S
	replace           T
	replaced          S
	make              func(ctx context.Context, s *Service, customerID, contact string, now time.Time) (*R, *Message, error)
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
			Meta:  Meta{ID: NewID("emv", now), Version: 1, CreatedAt: now, UpdatedAt: now},
			State: EmailPending, CustomerID: customerID, Address: address,
			TokenHash: s.emailTokenHash(token), ExpiresAt: now.Add(s.Settings.EmailTokenTTL),
		}
		return r, s.codeMessage(ChannelEmail, "verification", address, r.ID, r.ExpiresAt, now, map[string]string{
			"link": s.Settings.PublicURL + "/verify-email?token=" + url.QueryEscape(token), "institution": s.Settings.InstitutionName,
		}), nil
	},
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
			Meta:  Meta{ID: NewID("phv", now), Version: 1, CreatedAt: now, UpdatedAt: now},
			State: PhonePending, CustomerID: customerID, Number: number, ExpiresAt: now.Add(s.Settings.PhoneCodeTTL),
		}
		var err error
		if r.CodeHash, err = s.Hasher.Hash(ctx, s.pepperedCode(r, code)); err != nil {
			return nil, nil, err
		}
		institution := s.Settings.InstitutionName
		if strings.ContainsAny(institution, "0123456789") {
			institution = "" // the code is the one run of digits in the text
		}
		return r, s.codeMessage(ChannelSMS, "code", number, r.ID, r.ExpiresAt, now, map[string]string{
			"code": code, "institution": institution,
		}), nil
	},
}

func (s *Service) codeMessage(channel Channel, template, to, subject string, expires, now time.Time, values map[string]string) *Message {
	values["expires"] = expires.Format(time.RFC3339)
	return &Message{
		ID: NewID("msg", now), Channel: channel, Template: template, To: to, Values: values,
		SubjectID: subject, CreatedAt: now, State: MessagePending, NextAt: now,
	}
}

func (s *Service) emailTokenHash(token string) string {
	return hex.EncodeToString(s.Keyed("email token", token))
}

// pepperedCode is what is hashed slowly: the code under a key that is not in the database, bound to its record and number.
func (s *Service) pepperedCode(r *PhoneVerification, code string) string {
	return hex.EncodeToString(s.Keyed("phone code", r.ID, r.Number, code))
}

// newPhoneCode gives a random code, each as likely as any other.
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

// RequestEmailVerificationInput names the customer; absent, the caller.
type RequestEmailVerificationInput struct {
	CustomerID     *string `json:"customerId" validate:"omitempty,min=1,max=255,printable"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// RequestPhoneVerificationInput names the customer; absent, the caller.
type RequestPhoneVerificationInput struct {
	CustomerID     *string `json:"customerId" validate:"omitempty,min=1,max=255,printable"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// RequestEmailVerification mails a token to the customer's address; tokens mailed before mean nothing any more.
// Refuses with AccessDenied (another customer, and no administrator), InvalidInput, NoSuchCustomer, NothingToVerify,
// AlreadyVerified, TooManyRequests (per customer and per address) and IdempotencyKeyReused.
func (s *Service) RequestEmailVerification(ctx context.Context, in RequestEmailVerificationInput) (Outcome[EmailVerification], error) {
	return request(ctx, s, emailProof, in, in.CustomerID, in.IdempotencyKey)
}

// RequestPhoneVerification texts a code to the customer's number; codes texted before mean nothing any more.
// Refuses with AccessDenied (another customer, and no administrator), InvalidInput, NoSuchCustomer, NothingToVerify,
// AlreadyVerified, TooManyRequests (per customer and per number) and IdempotencyKeyReused.
func (s *Service) RequestPhoneVerification(ctx context.Context, in RequestPhoneVerificationInput) (Outcome[PhoneVerification], error) {
	return request(ctx, s, phoneProof, in, in.CustomerID, in.IdempotencyKey)
}

func request[R any, S, T ~string](ctx context.Context, s *Service, k *proof[R, S, T], input any, customerID, key *string) (Outcome[R], error) {
	a := ActorFrom(ctx)
	if err := s.Permit(ctx, k.operation); err != nil {
		return Outcome[R]{}, err
	}
	if err := validated(input); err != nil {
		return Outcome[R]{}, err
	}
	id := a.ID
	if customerID != nil {
		id = *customerID
	}
	if id != a.ID && !a.Admin() {
		return Outcome[R]{}, problem.New(problem.AccessDenied)
	}
	c := call{operation: k.operation, id: id, guard: Guard{IdempotencyKey: key}}
	if out, done, err := recall(ctx, s, k.life, a, c); done {
		return out, err
	}
	customer, err := s.Directory.Customer(ctx, id)
	if err != nil {
		return Outcome[R]{}, found(err, problem.NoSuchCustomer)
	}
	contact, _ := k.contact(customer)
	if contact == "" {
		return Outcome[R]{}, problem.New(problem.NothingToVerify)
	}
	proved, err := k.proved(ctx, s, customer)
	if err != nil {
		return Outcome[R]{}, err
	}
	if proved {
		return refused(ctx, s, k.life, a, c, problem.New(problem.AlreadyVerified))
	}
	for _, limited := range of(s.Keyed("code sends of customer", k.purpose, id), s.Keyed("code sends to contact", k.purpose, listing.Fold(contact))) {
		if err := s.take(ctx, limited, s.Settings.CodeSendLimit); err != nil {
			return Outcome[R]{}, err
		}
	}
	r, message, err := k.make(ctx, s, id, contact, s.now())
	if err != nil {
		return Outcome[R]{}, err
	}
	for range tries {
		if out, done, err := recall(ctx, s, k.life, a, c); done {
			return out, err
		}
		head := k.head(r)
		unit := &Unit{Messages: of(message), Memory: s.memory(a, c, head.ID, nil, head.CreatedAt)}
		if err := k.outdate(ctx, s, unit, a, id, head.CreatedAt); err != nil {
			return Outcome[R]{}, err
		}
		unit.Changes = append(unit.Changes, Change{Record: r})
		event := s.event(k.kind, head, k.operation, "", string(*k.state(r)), head.CreatedAt, k.concerns(r))
		event.ActorID = a.ID
		unit.Events = append(unit.Events, event)
		switch err := s.Store.Commit(ctx, unit); {
		case errors.Is(err, ErrStale), errors.Is(err, ErrRemembered):
			continue
		case err != nil:
			return Outcome[R]{}, err
		}
		return Outcome[R]{Record: r}, nil
	}
	return Outcome[R]{}, problem.New(problem.ServiceUnavailable).Because("The verifications of this customer are changing too often.")
}

// proved reports whether the customer's address or number is proved: the directory says so, or a record here.
func (k *proof[R, S, T]) proved(ctx context.Context, s *Service, customer *Customer) (bool, error) {
	contact, verified := k.contact(customer)
	if contact == "" || verified {
		return verified, nil
	}
	page, err := k.shelf(s.Store).List(ctx, listing.Query{Limit: 1000, Where: listing.All(
		listing.Eq("customerId", customer.ID), listing.Eq("state", string(k.verified)))})
	for _, r := range page.Items {
		if k.text(r) == contact {
			return true, err
		}
	}
	return false, err
}

// outdate adds to the unit the end of the customer's pending verification.
func (k *proof[R, S, T]) outdate(ctx context.Context, s *Service, unit *Unit, a Actor, customerID string, now time.Time) error {
	page, err := k.shelf(s.Store).List(ctx, listing.Query{Limit: 10, Where: listing.All(
		listing.Eq("customerId", customerID), listing.Eq("state", string(k.pending)))})
	if err != nil {
		return err
	}
	for _, r := range page.Items {
		read := settle(s, k.life, r)
		if head := k.head(read.record); *k.state(read.record) == k.pending {
			*k.state(read.record) = k.replaced
			head.Version++
			head.UpdatedAt = now
			event := s.event(k.kind, head, k.machine.OperationName(k.replace), string(k.pending), string(k.replaced), now, k.concerns(read.record))
			event.ActorID = a.ID
			read.events = append(read.events, event)
		}
		unit.Changes = append(unit.Changes, Change{Record: read.record, Was: read.was})
		unit.Events = append(unit.Events, read.events...)
	}
	return nil
}

// take counts one call of a key and refuses it over the rate.
func (s *Service) take(ctx context.Context, key []byte, rate Rate) error {
	ok, until, err := s.Limiter.Take(ctx, key, rate, 0)
	if err == nil && !ok {
		err = problem.New(problem.TooManyRequests).With("limit", rate.Limit).Until(until)
	}
	return err
}

// failures are counted under a key, up to a rate.
type failures struct {
	key  []byte
	rate Rate
}

// unlessFailed refuses where one of the counters is full. Nothing is counted.
func (s *Service) unlessFailed(ctx context.Context, counters ...failures) error {
	for _, c := range counters {
		ok, until, err := s.Limiter.Peek(ctx, c.key, c.rate)
		if err != nil {
			return err
		}
		if !ok {
			return problem.New(problem.TooManyAttempts).With("limit", c.rate.Limit).Until(until)
		}
	}
	return nil
}

// failed counts a failure in each of the counters. It outlives a caller who has gone: no failure is free.
func (s *Service) failed(ctx context.Context, counters ...failures) error {
	ctx = context.WithoutCancel(ctx)
	for _, c := range counters {
		if _, _, err := s.Limiter.Take(ctx, c.key, c.rate, 0); err != nil {
			return err
		}
	}
	return nil
}

// refused ends a call in a problem that a repeat with the same idempotency key hears again, and counts it as a
// failure if this call was the first.
func refused[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], a Actor, c call, p *problem.Problem, counters ...failures,
) (Outcome[R], error) {
	taken, err := s.remember(ctx, a, c, "", p)
	if err != nil {
		return Outcome[R]{}, err
	}
	if taken {
		if out, done, err := recall(ctx, s, l, a, c); done {
			return out, err
		}
	}
	if err := s.failed(ctx, counters...); err != nil {
		return Outcome[R]{}, err
	}
	return Outcome[R]{}, p
}

func (s *Service) wrongFrom(a Actor) failures {
	return failures{s.Keyed("wrong codes from address", a.Address), s.Settings.CodeRate}
}

// VerifyEmailInput is the token of a mail.
type VerifyEmailInput struct {
	Token string `json:"token" validate:"required,min=1,max=512"`
	Guard
	// Page is set by the page that the mail links to, which asks nobody to sign in and believes nobody who did.
	Page bool `json:"-"`
}

// verifyingEmail is the life as the holder of a token sees it: the token is the credential.
var verifyingEmail = func() *life[EmailVerification, EmailVerificationState, EmailVerificationTransition] {
	l := *emailVerifications
	l.missing = problem.InvalidToken
	l.stand = func(context.Context, *Service, Actor, *EmailVerification) ([]Role, bool, error) {
		return of(RoleAnyone), true, nil
	}
	return &l
}()

// VerifyEmail proves an address by the token that was mailed to it. The caller need not be signed in; one who is must
// be the customer.
// Refuses with InvalidInput, TooManyAttempts (wrong tokens per client address), InvalidToken, AlreadyVerified,
// TokenExpired, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyEmail(ctx context.Context, in VerifyEmailInput) (Outcome[EmailVerification], error) {
	const operation = "verifyEmail"
	a := ActorFrom(ctx)
	switch {
	case in.Page:
		a = Actor{Address: a.Address}
		ctx = WithActor(ctx, a)
	case a.Refused != nil:
		return Outcome[EmailVerification]{}, a.Refused
	}
	if err := validated(in); err != nil {
		return Outcome[EmailVerification]{}, err
	}
	c := call{operation: operation, guard: in.Guard, parts: of(in.Token), looked: true}
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
	out, err := apply(ctx, s, verifyingEmail, c, EmailVerify, func(_ context.Context, ch *change[EmailVerification]) (EmailVerificationState, error) {
		if !ch.Now.Before(ch.Record.ExpiresAt) {
			return "", problem.New(problem.TokenExpired)
		}
		ch.Record.VerifiedAt = &ch.Now
		return EmailVerified, nil
	})
	if problem.Has(err, problem.InvalidToken) && !out.Replayed {
		if err := s.failed(ctx, s.wrongFrom(a)); err != nil {
			return Outcome[EmailVerification]{}, err
		}
	}
	return hideWrong(out, err, problem.InvalidToken)
}

// stillAt reports whether the verification is that of the caller, where there is one, and of the address that the
// customer still has.
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

// hideWrong keeps the record from a caller who knew no token or code.
func hideWrong[R any](out Outcome[R], err error, wrong *problem.Definition) (Outcome[R], error) {
	if problem.Has(err, wrong) {
		out.Record = nil
	}
	return out, err
}

// VerifyPhoneInput is the code of a text.
type VerifyPhoneInput struct {
	Code string `json:"code" validate:"required,min=4,max=8,digits"`
	Guard
}

// VerifyPhone proves the caller's number by the code that was texted to it. A wrong code is counted; five lock it.
// Refuses with InvalidInput, TooManyAttempts (locked; wrong codes per customer and per client address), InvalidCode,
// AlreadyVerified, CodeExpired, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyPhone(ctx context.Context, in VerifyPhoneInput) (Outcome[PhoneVerification], error) {
	const operation = "verifyPhone"
	a := ActorFrom(ctx)
	if err := s.Permit(ctx, operation); err != nil {
		return Outcome[PhoneVerification]{}, err
	}
	if err := validated(in); err != nil {
		return Outcome[PhoneVerification]{}, err
	}
	c := call{operation: operation, guard: in.Guard, parts: of(in.Code), looked: true}
	if out, done, err := recall(ctx, s, phoneVerifications, a, c); done {
		return hideWrong(out, err, problem.InvalidCode)
	}
	counters := of(failures{s.Keyed("wrong codes of customer", a.ID), s.Settings.CodeTryLimit}, s.wrongFrom(a))
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
	out, err := apply(ctx, s, phoneVerifications, c, PhoneVerify, func(ctx context.Context, ch *change[PhoneVerification]) (PhoneVerificationState, error) {
		if !ch.Now.Before(ch.Record.ExpiresAt) {
			return "", problem.New(problem.CodeExpired)
		}
		if !compared { // once, however often the race is lost: the hash of a record never changes
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
		ch.tell(problem.New(problem.InvalidCode).At("code"))
		if ch.Record.Attempts >= phoneCodeTries {
			return PhoneLocked, nil
		}
		return PhonePending, nil
	})
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

// pendingPhone finds the newest verification of the number that the caller has now; nil where there is none.
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
	for _, other := range page.Items { // there is at most one, and no newer one
		if other.State == PhonePending {
			r = other
		}
	}
	if r.Number != customer.Phone {
		return nil, nil
	}
	return r, nil
}

// EmailVerificationActions says what the caller may do with the verification now, and why not else.
func (s *Service) EmailVerificationActions(ctx context.Context, r *EmailVerification) ([]Action, error) {
	return actions(ctx, s, emailVerifications, r, func(EmailVerificationTransition, *EmailVerification) *problem.Problem { return nil })
}

// PhoneVerificationActions says what the caller may do with the verification now, and why not else.
func (s *Service) PhoneVerificationActions(ctx context.Context, r *PhoneVerification) ([]Action, error) {
	return actions(ctx, s, phoneVerifications, r, func(PhoneVerificationTransition, *PhoneVerification) *problem.Problem { return nil })
}

// Deliveries says how the newest message about each of the verifications goes; those of which it is no longer known are
// left out.
func (s *Service) Deliveries(ctx context.Context, ids []string) (map[string]MessageState, error) {
	return s.Store.Delivery(ctx, ids)
}
