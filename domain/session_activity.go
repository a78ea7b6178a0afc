package domain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// idleUntil is when a session is abandoned that was active now: never after its maximum lifetime.
func (s *Service) idleUntil(now, expireAt time.Time) time.Time {
	if at := now.Add(s.Settings.SessionIdleTimeout); at.Before(expireAt) {
		return at
	}
	return expireAt
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TouchSessionInput names a session.
type TouchSessionInput struct {
	SessionID string `json:"sessionId" validate:"required,max=128"`
	// OrganizationID is the organization the session acts for from now on; empty: none; nil: as before.
	OrganizationID *string `json:"-"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// TouchSession notes activity: the idle timer starts again, never past the maximum lifetime, and the session becomes
// its client's active one. It is no transition: version and journal stay.
// Refuses with NoSuchSession, AccessDenied, SessionNotLive, UnknownOrganization and IdempotencyKeyReused.
func (s *Service) TouchSession(ctx context.Context, in TouchSessionInput) (Outcome[Session], error) {
	return s.active(ctx, activity{
		operation: "touchSession", input: in, reference: in.SessionID, key: in.IdempotencyKey, parts: of(optional(in.OrganizationID)),
		foremost: true, organization: in.OrganizationID, over: problem.SessionNotLive,
	})
}

// activity is a request to note that a session is in use.
type activity struct {
	operation string
	input     any
	reference string
	// key is the idempotency key, and parts are the members of the input beside the reference.
	key   *string
	parts []string
	// foremost makes the session its client's active one.
	foremost     bool
	organization *string
	// over is what the caller hears where the session is not live.
	over *problem.Definition
}

// active notes activity of a live session by one guarded statement, and gives the session as that statement left it.
func (s *Service) active(ctx context.Context, of activity) (Outcome[Session], error) {
	a := ActorFrom(ctx)
	if err := s.Permit(ctx, of.operation); err != nil {
		return Outcome[Session]{}, err
	}
	if err := problem.Note(ctx, validated(of.input)); err != nil {
		return Outcome[Session]{}, err
	}
	id, err := s.sessionID(ctx, of.reference)
	if err != nil {
		return Outcome[Session]{}, err
	}
	c := call{operation: of.operation, id: id, guard: Guard{IdempotencyKey: of.key}, parts: of.parts}
	if out, done, err := recall(ctx, s, sessions, a, c); done {
		return out, err
	}
	r, err := s.note(ctx, of, c)
	if err == nil {
		return Outcome[Session]{Record: r}, nil
	}
	if refusal := problem.Of(err); remembered(refusal) {
		taken, failed := s.remember(ctx, a, c, id, refusal)
		if failed != nil {
			return Outcome[Session]{}, failed
		}
		if !taken {
			return Outcome[Session]{Record: r}, refusal
		}
	}
	// Another call with this key may have been first, and be why this one is refused: answer as its replay.
	if out, done, err := recall(ctx, s, sessions, a, c); done {
		return out, err
	}
	return Outcome[Session]{Record: r}, err
}

// note is the activity itself. Beside the refusal that the session is not live it gives the session.
func (s *Service) note(ctx context.Context, of activity, c call) (*Session, error) {
	id := c.id
	read, err := show(ctx, s, sessions, id)
	if err != nil {
		return nil, err
	}
	if roles, _, _ := standToSession(ctx, s, ActorFrom(ctx), read); !slices.Contains(roles, RoleOwner) && !slices.Contains(roles, RoleAdmin) {
		return nil, problem.New(problem.AccessDenied)
	}
	if read.State.Live() {
		if of.organization != nil && *of.organization != "" {
			role, err := s.organizationRole(ctx, read.UserID, *of.organization)
			if err != nil {
				return nil, err
			}
			if role == "" {
				return nil, problem.New(problem.UnknownOrganization)
			}
		}
		client, kept := read.ClientID, of.organization
		if !of.foremost {
			client, kept = nil, nil // a token for another organization leaves the session's own
		}
		now := s.now()
		r, err := s.Store.TouchSession(ctx, Touch{
			SessionID: id, At: now, Idle: s.Settings.SessionIdleTimeout, Client: client, Organization: kept,
			Memory: s.memory(ActorFrom(ctx), c, id, nil, now),
		})
		if !errors.Is(err, ErrStale) {
			return r, err
		}
		if read, err = show(ctx, s, sessions, id); err != nil { // it ended meanwhile
			return nil, err
		}
	}
	return read, notLive(of.over, read)
}

// notLive says that a session takes no activity, and how it stands.
func notLive(d *problem.Definition, r *Session) *problem.Problem {
	return problem.New(d).With("currentState", string(r.State)).
		With("allowedStates", []string{string(SessionActive), string(SessionPending)})
}
