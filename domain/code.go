package domain

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// customerRoles returns the actor's roles for a record of one customer, and whether the actor may see it.
func customerRoles(a Actor, customerID string) ([]Role, bool, error) {
	roles := a.staffRoles()
	if a.Known() && a.ID == customerID {
		roles = append(roles, RoleOwner)
	}
	return roles, len(roles) > 0, nil
}

// CodeStore stores verifications of addresses and numbers, devices and their challenges; it is a part of Store.
type CodeStore interface {
	// EmailVerifications and PhoneVerifications hold at most one pending record per customer; a second one fails with
	// ErrStale.
	EmailVerifications() Shelf[EmailVerification]
	PhoneVerifications() Shelf[PhoneVerification]
	// Devices holds at most one registered device per customer and key; a second one fails with ErrStale.
	Devices() Shelf[Device]
	TwoFactorRequests() Shelf[TwoFactorRequest]
	// Challenge returns a challenge, or ErrMissing.
	Challenge(ctx context.Context, id string) (*DeviceChallenge, error)
	// UseChallenge marks a challenge as used with one guarded statement that is never rolled back. It returns ErrMissing
	// if no open challenge matches the use.
	UseChallenge(ctx context.Context, use ChallengeUse) (*DeviceChallenge, error)
	// Delivery returns the delivery state of the newest message about each record, and omits records without one.
	Delivery(ctx context.Context, subjectIDs []string) (map[string]MessageState, error)
}

// proof has the parts of a request for a verification that differ between e-mail and phone.
type proof[R any, S, T ~string] struct {
	*life[R, S, T]
	operation string
	// purpose distinguishes the rate limits.
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

func request[R any, S, T ~string](
	ctx context.Context, s *Service, k *proof[R, S, T], input any, customerID, key *string,
) (Outcome[R], error) {
	a, err := s.begin(ctx, k.operation, input)
	if err != nil {
		return Outcome[R]{}, err
	}
	id := a.ID
	if customerID != nil {
		id = *customerID
	}
	if id != a.ID && !a.Admin() {
		return Outcome[R]{}, problem.New(problem.AccessDenied)
	}
	var r *R
	var message *Message
	c := call{operation: k.operation, id: id, guard: Guard{IdempotencyKey: key}}
	return create(ctx, s, k.life, c, func(ctx context.Context, n *creation) (*R, error) {
		if r == nil { // count towards the limits once, however many races are lost
			var err error
			if r, message, err = k.prepare(ctx, s, id); err != nil {
				return nil, err
			}
		}
		n.Messages = list(message)
		return r, k.outdate(ctx, s, n.Unit, a, id, k.head(r).CreatedAt)
	})
}

// prepare creates the record and its message for a customer with an unverified address or number.
func (k *proof[R, S, T]) prepare(ctx context.Context, s *Service, customerID string) (*R, *Message, error) {
	customer, err := s.Directory.Customer(ctx, customerID)
	if err != nil {
		return nil, nil, missingAs(err, problem.NoSuchCustomer)
	}
	contact, _ := k.contact(customer)
	if contact == "" {
		return nil, nil, problem.New(problem.NothingToVerify)
	}
	proved, err := k.proved(ctx, s, customer)
	if err != nil {
		return nil, nil, err
	}
	if proved {
		return nil, nil, problem.New(problem.AlreadyVerified)
	}
	limits := list(
		s.KeyedHash("code sends of customer", k.purpose, customerID),
		s.KeyedHash("code sends to contact", k.purpose, listing.Fold(contact)),
	)
	for _, limited := range limits {
		if err := s.take(ctx, limited, s.Settings.CodeSendLimit); err != nil {
			return nil, nil, err
		}
	}
	return k.make(ctx, s, customerID, contact, s.now())
}

// proved reports whether the customer's address or number is verified, by the directory or by a stored record.
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

// outdate adds to the unit the replacement of the customer's pending verification.
func (k *proof[R, S, T]) outdate(ctx context.Context, s *Service, unit *Unit, a Actor, customerID string, now time.Time) error {
	page, err := k.shelf(s.Store).List(ctx, listing.Query{Limit: 10, Where: listing.All(
		listing.Eq("customerId", customerID), listing.Eq("state", string(k.pending)))})
	if err != nil {
		return err
	}
	for _, r := range page.Items {
		read := settle(s, k.life, r)
		if *k.state(read.record) != k.pending {
			read.addTo(unit)
			continue
		}
		if err := join(s, k.life, unit, read, movement[S, T]{on: k.replace, to: k.replaced, at: now, by: a.ID}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) wrongFrom(a Actor) failures {
	return failures{s.KeyedHash("wrong codes from address", a.Address), s.Settings.CodeRate}
}

// hideWrong removes the record from the outcome if the token or code was wrong.
func hideWrong[R any](out Outcome[R], err error, wrong *problem.Definition) (Outcome[R], error) {
	if problem.Has(err, wrong) {
		out.Record = nil
	}
	return out, err
}

// Deliveries returns the delivery state of the newest message about each verification, and omits those without a stored
// message.
func (s *Service) Deliveries(ctx context.Context, ids []string) (map[string]MessageState, error) {
	return s.Store.Delivery(ctx, ids)
}
