package domain

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// ImportCustomerInput is the bank's record of a customer. It replaces the imported one.
type ImportCustomerInput struct {
	ID            string  `json:"id" validate:"required,max=255,printable"`
	Username      *string `json:"username" validate:"omitempty,max=255,printable"`
	Email         *string `json:"email" validate:"omitempty,max=254,mailbox"`
	EmailVerified *bool   `json:"emailVerified"`
	Phone         *string `json:"phone" validate:"omitempty,max=32,printable"`
	PhoneVerified *bool   `json:"phoneVerified"`
	PIN           *string `json:"pin" validate:"omitempty,max=64"`
	Password      *string `json:"password" validate:"omitempty,max=1024"`
	Jurisdiction  *string `json:"jurisdiction" validate:"omitempty,max=128,printable"`
}

// Check validates the input without the slow hashing.
// Refuses with InvalidInput.
func (in ImportCustomerInput) Check() error { return validated(in) }

// ImportedCustomer returns the customer to store, for the operator at the command line, who needs no permission. known is
// the stored customer, nil for a new one. If nothing differs, the hashes and the times stay the same, so that an import
// can be repeated.
// Refuses with InvalidInput.
func (s *Service) ImportedCustomer(ctx context.Context, in ImportCustomerInput, known *Customer) (*Customer, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	was := Customer{ID: in.ID, CreatedAt: s.now()}
	if known != nil {
		was = *known
	}
	c := was
	c.Username, c.Email, c.Phone, c.Jurisdiction = orEmpty(in.Username), orEmpty(in.Email), orEmpty(in.Phone), orEmpty(in.Jurisdiction)
	c.EmailVerified, c.PhoneVerified = in.EmailVerified != nil && *in.EmailVerified, in.PhoneVerified != nil && *in.PhoneVerified
	var err error
	if c.PINHash, err = s.rehash(ctx, orEmpty(in.PIN), was.PINHash); err != nil {
		return nil, err
	}
	if c.PasswordHash, err = s.rehash(ctx, orEmpty(in.Password), was.PasswordHash); err != nil {
		return nil, err
	}
	if known == nil || c != was {
		c.UpdatedAt = s.now()
	}
	return &c, nil
}

// rehash hashes a secret, or returns the given hash if it matches the secret.
func (s *Service) rehash(ctx context.Context, secret, hash string) (string, error) {
	if secret == "" {
		return "", nil
	}
	if hash != "" {
		if same, err := s.Hasher.Verify(ctx, secret, hash); err != nil || same {
			return hash, err
		}
	}
	return s.Hasher.Hash(ctx, secret)
}

// ImportSessionInput is the login service's record of a session that began outside of Gatehouse.
type ImportSessionInput struct {
	// ID is an id of Gatehouse or a foreign handle; nil: a new id.
	ID       *string `json:"id" validate:"omitempty,min=1,max=128"`
	UserID   string  `json:"userId" validate:"required,max=255,printable"`
	ClientID *string `json:"clientId" validate:"omitempty,min=1,max=48,clientId"`
	// CreatedAt is the time of the login; nil: now. LastActiveAt defaults to CreatedAt.
	CreatedAt    *time.Time `json:"createdAt"`
	LastActiveAt *time.Time `json:"lastActiveAt"`
	UserAgent    *string    `json:"userAgent" validate:"omitempty,max=1024"`
	IPAddress    *string    `json:"ipAddress" validate:"omitempty,ip"`
}

// ImportedSession is a session that began outside of Gatehouse, with the first event of its journal.
type ImportedSession struct {
	Session *Session
	Event   *LifecycleEvent
}

// clockSkew is the tolerance for other clocks that are ahead; clocks synchronised with a time server differ by less.
const clockSkew = time.Minute

// ImportedSession returns the session to store if it does not exist yet, for the operator at the command line, who needs
// no permission. Its limits count from the given times, so the session may already have expired.
// Refuses with InvalidInput.
func (s *Service) ImportedSession(in ImportSessionInput) (*ImportedSession, error) {
	now := s.now()
	created := now
	if in.CreatedAt != nil {
		created = in.CreatedAt.UTC().Truncate(time.Microsecond)
	}
	active := created
	if in.LastActiveAt != nil {
		active = in.LastActiveAt.UTC().Truncate(time.Microsecond)
	}
	var wrong []*problem.Problem
	if created.After(now.Add(clockSkew)) {
		wrong = append(wrong, problem.New(problem.InvalidInput).Because("createdAt must not be in the future.").At("createdAt"))
	}
	switch {
	case in.LastActiveAt == nil:
	case active.After(now.Add(clockSkew)):
		wrong = append(wrong, problem.New(problem.InvalidInput).Because("lastActiveAt must not be in the future.").At("lastActiveAt"))
	case active.Before(created):
		wrong = append(wrong, problem.New(problem.InvalidInput).Because("lastActiveAt must not be before createdAt.").At("lastActiveAt"))
	}
	if err := validated(in, wrong...); err != nil {
		return nil, err
	}
	r := &Session{
		Meta:  Meta{ID: NewID("sess", created), Version: 1, CreatedAt: created, UpdatedAt: created},
		State: SessionActive, UserID: in.UserID, ClientID: in.ClientID, LastActiveAt: active,
		ExpireAt: created.Add(s.Settings.SessionMaxLifetime), UserAgent: in.UserAgent, IPAddress: in.IPAddress,
	}
	r.AbandonAt = s.idleUntil(active, r.ExpireAt)
	switch {
	case in.ID == nil:
	case isSessionID(*in.ID):
		r.ID = *in.ID
	default:
		r.HandleHash = s.handleHash(*in.ID)
	}
	return &ImportedSession{
		Session: r, Event: s.event(KindSession, &r.Meta, "createSession", "", string(r.State), created, sessions.concerns(r)),
	}, nil
}
