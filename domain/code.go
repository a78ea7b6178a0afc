package domain

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

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

func (s *Service) codeMessage(channel Channel, template, to, subject string, expires, now time.Time, values map[string]string) *Message {
	values["expires"] = expires.Format(time.RFC3339)
	return &Message{
		ID: NewID("msg", now), Channel: channel, Template: template, To: to, Values: values,
		SubjectID: subject, CreatedAt: now, State: MessagePending, NextAt: now,
	}
}

func request[R any, S, T ~string](ctx context.Context, s *Service, k *proof[R, S, T], input any, customerID, key *string) (Outcome[R], error) {
	a := ActorFrom(ctx)
	if err := s.Permit(ctx, k.operation); err != nil {
		return Outcome[R]{}, err
	}
	if err := problem.Note(ctx, validated(input)); err != nil {
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
	for _, limited := range list(s.KeyedHash("code sends of customer", k.purpose, id), s.KeyedHash("code sends to contact", k.purpose, listing.Fold(contact))) {
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
		unit := &Unit{Messages: list(message), IdempotencyRecord: s.memory(a, c, head.ID, nil, head.CreatedAt)}
		if err := k.outdate(ctx, s, unit, a, id, head.CreatedAt); err != nil {
			return Outcome[R]{}, err
		}
		unit.Changes = append(unit.Changes, Change{Record: r})
		event := s.event(k.kind, head, k.operation, "", string(*k.state(r)), head.CreatedAt, k.concerns(r))
		event.ActorID = a.ID
		unit.Events = append(unit.Events, event)
		switch err := s.commit(ctx, unit); {
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
		err = problem.Note(ctx, problem.New(problem.TooManyRequests).With("limit", rate.Limit).Until(until))
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
			return problem.Note(ctx, problem.New(problem.TooManyAttempts).With("limit", c.rate.Limit).Until(until))
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
	return failures{s.KeyedHash("wrong codes from address", a.Address), s.Settings.CodeRate}
}

// hideWrong keeps the record from a caller who knew no token or code.
func hideWrong[R any](out Outcome[R], err error, wrong *problem.Definition) (Outcome[R], error) {
	if problem.Has(err, wrong) {
		out.Record = nil
	}
	return out, err
}

// Deliveries says how the newest message about each of the verifications goes; those of which it is no longer known are
// left out.
func (s *Service) Deliveries(ctx context.Context, ids []string) (map[string]MessageState, error) {
	return s.Store.Delivery(ctx, ids)
}
