package domain

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// idempotencyKeyLife is the time for which an idempotency key is kept (GraphQL contract, rules).
const idempotencyKeyLife = 24 * time.Hour

// key returns the stored form of the caller's idempotency key, or nil if the call has no key. The keys of different
// callers are distinct, even if their texts are equal.
func (s *Service) key(a Actor, c call) []byte {
	if c.guard.IdempotencyKey == nil {
		return nil
	}
	if a.ClientKey != "" { // the id of a client may equal that of a user
		return s.KeyedHash("idempotency key of a client", a.ClientKey, *c.guard.IdempotencyKey)
	}
	return s.KeyedHash("idempotency key", a.ID, *c.guard.IdempotencyKey)
}

func (s *Service) fingerprint(c call) []byte {
	version := ""
	if c.guard.ExpectedVersion != nil {
		version = strconv.Itoa(*c.guard.ExpectedVersion)
	}
	id := c.id
	if c.idFromLookup {
		id = ""
	}
	return s.KeyedHash("idempotency input", append([]string{c.operation, id, version}, c.parts...)...)
}

// idempotencyRecord returns the record that a call stores under its key, or nil if the call has no key.
func (s *Service) idempotencyRecord(a Actor, c call, subject string, refusal *problem.Problem, now time.Time) *IdempotencyRecord {
	key := s.key(a, c)
	if key == nil {
		return nil
	}
	m := &IdempotencyRecord{
		Key: key, Fingerprint: s.fingerprint(c), Operation: c.operation, SubjectID: subject,
		CreatedAt: now, ExpiresAt: now.Add(idempotencyKeyLife),
	}
	if refusal != nil {
		m.Code, m.Detail, m.Path = refusal.Code, refusal.Detail, refusal.Path
		m.Attributes, m.AvailableAt = refusal.Attributes, refusal.AvailableAt
	}
	return m
}

// repeatable reports whether repeats get the same refusal: refusals by the rules, but not those for malformed input,
// missing permission, limits and outages.
func repeatable(p *problem.Problem) bool {
	switch p.Kind {
	case problem.Conflict, problem.Gone, problem.Stale:
		return true
	default:
		return false
	}
}

// remember stores a refusal under the call's key. It fails with ErrRemembered if another call with the key was first; the
// call is then answered as a replay of that one. on has the records that the refusal is based on: remember fails with
// ErrStale if one of them has changed, and the call must be decided again. Otherwise a refusal could be stored after
// calls that have already seen a later state.
func (s *Service) remember(ctx context.Context, a Actor, c call, subject string, p *problem.Problem, on ...Change) error {
	m := s.idempotencyRecord(a, c, subject, p, s.now())
	if m == nil {
		return nil
	}
	return s.commit(ctx, &Unit{Changes: on, IdempotencyRecord: m})
}

// lookUpKey returns the idempotency record of a call, or nil if its key is unused or it has no key.
// Refuses with IdempotencyKeyReused.
func (s *Service) lookUpKey(ctx context.Context, a Actor, c call) (*IdempotencyRecord, error) {
	key := s.key(a, c)
	if key == nil {
		return nil, nil
	}
	m, err := s.Store.Recall(ctx, key, s.now())
	switch {
	case errors.Is(err, ErrMissing):
		return nil, nil
	case err != nil:
		return nil, err
	case string(m.Fingerprint) != string(s.fingerprint(c)):
		return nil, problem.New(problem.IdempotencyKeyReused).At("idempotencyKey")
	}
	return m, nil
}

// recall answers a call from its idempotency record. done is false if the key is unused or the call has no key.
func recall[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], a Actor, c call,
) (out Outcome[R], done bool, err error) {
	m, err := s.lookUpKey(ctx, a, c)
	if m == nil {
		return out, err != nil, err
	}
	out.Replayed = true
	out.ID = m.SubjectID
	if m.SubjectID != "" {
		read, err := find(ctx, s, l, m.SubjectID)
		switch {
		case err == nil:
			_, visible, err := l.rolesOf(ctx, s, nil, a, read.record)
			if err != nil {
				return out, true, err
			}
			if visible || a.ClientKey != "" { // a user may have lost access since; a client uses only its own sessions
				out.Record = read.record
			}
		case !errors.Is(err, ErrMissing):
			return out, true, err
		}
	}
	if m.Code == "" {
		return out, true, nil
	}
	d := problem.Lookup(m.Code)
	if d == nil {
		d = problem.InternalError
	}
	p := problem.New(d)
	p.Detail, p.Path, p.Attributes, p.AvailableAt = m.Detail, m.Path, m.Attributes, m.AvailableAt
	return out, true, p
}

// optional encodes an optional member for a fingerprint: an absent value differs from an empty one.
func optional(v *string) string {
	if v == nil {
		return "-"
	}
	return "+" + strings.ToValidUTF8(*v, "\uFFFD")
}
