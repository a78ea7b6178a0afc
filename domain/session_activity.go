package domain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// idleUntil returns the time at which a session active now is abandoned, at most the end of its maximum lifetime.
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
	// OrganizationID is the organization that the session acts for from now on; empty: none; nil: unchanged.
	OrganizationID *string `json:"-"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// TouchSession records activity: it restarts the idle timer, within the maximum lifetime, and makes the session its
// client's active one. It is not a transition: version and journal do not change.
// Refuses with NoSuchSession, AccessDenied, SessionNotLive, UnknownOrganization and IdempotencyKeyReused.
func (s *Service) TouchSession(ctx context.Context, in TouchSessionInput) (Outcome[Session], error) {
	return s.active(ctx, activity{
		operation: "touchSession", input: in, reference: in.SessionID, key: in.IdempotencyKey, parts: list(optional(in.OrganizationID)),
		foremost: true, organization: in.OrganizationID, over: problem.SessionNotLive,
	})
}

// activity is a request to record that a session is in use.
type activity struct {
	operation string
	input     any
	reference string
	// key is the idempotency key; parts are the members of the input other than the reference.
	key   *string
	parts []string
	// foremost makes the session its client's active one.
	foremost     bool
	organization *string
	// over is the refusal if the session is not live.
	over *problem.Definition
}

// active records activity of a live session with one guarded statement and returns the session as updated. It reads the
// session before only if the organization changes, and afterwards only if the statement updated no row, for the refusal.
func (s *Service) active(ctx context.Context, of activity) (Outcome[Session], error) {
	a := ActorFrom(ctx)
	if _, err := s.begin(ctx, of.operation, of.input); err != nil {
		return Outcome[Session]{}, err
	}
	id, err := s.sessionID(ctx, of.reference)
	if err != nil {
		return Outcome[Session]{}, err
	}
	c := call{operation: of.operation, id: id, guard: Guard{IdempotencyKey: of.key}, parts: of.parts}
	return retry(func() (Outcome[Session], error) {
		if out, done, err := recall(ctx, s, sessions, a, c); done {
			return out, err
		}
		r, ended, err := s.touch(ctx, of, c)
		if err == nil {
			return Outcome[Session]{Record: r, ID: r.ID}, nil
		}
		out := Outcome[Session]{}
		var on []Change
		if ended != nil {
			out.Record, out.ID, on = ended.record, ended.record.ID, []Change{ended.unchanged()}
		}
		if refusal := problem.Of(err); repeatable(refusal) {
			if err := s.remember(ctx, a, c, id, refusal, on...); err != nil {
				return Outcome[Session]{}, err
			}
			return out, refusal
		}
		// An earlier call with this key may have caused this refusal: answer as its replay.
		if out, done, err := recall(ctx, s, sessions, a, c); done {
			return out, err
		}
		return out, err
	})
}

// touch is one try of an activity. ended is the session if it is refused because it is not live. touch fails with
// ErrStale if the session has changed between two statements.
func (s *Service) touch(ctx context.Context, of activity, c call) (r *Session, ended *reading[Session], err error) {
	a := ActorFrom(ctx)
	if of.organization != nil && *of.organization != "" {
		if err := s.mayActFor(ctx, c.id, *of.organization); err != nil {
			return nil, nil, err
		}
	}
	if plausibleID(c.id) {
		now := s.now()
		t := Touch{
			SessionID: c.id, Guard: touchGuard(a), At: now, Idle: s.Settings.SessionIdleTimeout, Foremost: of.foremost,
			IdempotencyRecord: s.idempotencyRecord(a, c, c.id, nil, now),
		}
		if of.foremost { // a token for another organization does not change the session's organization
			t.Organization = of.organization
		}
		r, err := s.Store.TouchSession(ctx, t)
		if !errors.Is(err, ErrStale) {
			return r, nil, err
		}
	}
	read, err := findVisible(ctx, s, sessions, c.id)
	if err != nil {
		return nil, nil, err
	}
	if err := s.mayUse(ctx, a, read.record); err != nil {
		return nil, nil, err
	}
	if read.record.State.Live() {
		return nil, nil, ErrStale
	}
	return nil, read, notLive(of.over, read.record)
}

// touchGuard returns mayUse as a condition of the statement.
func touchGuard(a Actor) TouchGuard {
	guard := TouchGuard{Any: a.Admin(), ClientID: a.ClientKey}
	if a.Known() {
		guard.UserID = a.ID
	}
	return guard
}

// mayUse refuses activity by callers other than the owner and administrators. If the caller may not see the session, it
// refuses with NoSuchSession.
func (s *Service) mayUse(ctx context.Context, a Actor, r *Session) error {
	roles, visible, err := sessionRoles(ctx, s, nil, a, r)
	switch {
	case err != nil:
		return err
	case !visible:
		return problem.Note(ctx, sessions.notFound())
	case !slices.Contains(roles, RoleOwner) && !slices.Contains(roles, RoleAdmin):
		return problem.New(problem.AccessDenied)
	}
	return nil
}

// mayActFor refuses an organization in which the user of a live session has no part.
func (s *Service) mayActFor(ctx context.Context, id, organization string) error {
	r, err := show(ctx, s, sessions, id)
	if err != nil {
		return err
	}
	if err := s.mayUse(ctx, ActorFrom(ctx), r); err != nil || !r.State.Live() {
		return err
	}
	role, err := s.organizationRole(ctx, r.UserID, organization)
	if err == nil && role == "" {
		return problem.New(problem.UnknownOrganization)
	}
	return err
}

// notLive returns the refusal for a session that is not live, with its state.
func notLive(d *problem.Definition, r *Session) *problem.Problem {
	return problem.New(d).With("currentState", string(r.State)).
		With("allowedStates", liveStates())
}

// liveStates returns the states of a live session.
func liveStates() []string {
	return slices.DeleteFunc(sessionMachine.StateNames(), func(state string) bool { return !SessionState(state).Live() })
}
