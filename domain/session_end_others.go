package domain

import (
	"context"
	"math"
	"slices"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// everySession returns all selected sessions without a limit: an operation that ends them must not omit one.
func (s *Service) everySession(ctx context.Context, where listing.Predicate) ([]*Session, error) {
	page, err := s.Store.Sessions().List(ctx, listing.Query{Limit: math.MaxInt32, Where: where})
	return page.Items, err
}

// EndOtherSessionsInput names the session to keep; the default is the session of the caller's token.
type EndOtherSessionsInput struct {
	SessionID      *string `json:"sessionId" validate:"omitempty,min=1,max=128"`
	Reason         *string `json:"reason" validate:"omitempty,min=1,max=255,printable"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// EndOtherSessions ends the live sessions of a session's user, except that session. The outcome's record is the kept
// session.
// Refuses with NoSuchSession, InvalidInput (no session is named) and IdempotencyKeyReused.
func (s *Service) EndOtherSessions(ctx context.Context, in EndOtherSessionsInput) (Outcome[Session], []*Session, error) {
	const operation = "endOtherSessions"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[Session]{}, nil, err
	}
	reference := a.SessionID
	if in.SessionID != nil {
		reference = *in.SessionID
	}
	if reference == "" {
		return Outcome[Session]{}, nil, problem.New(problem.InvalidInput).
			Because("Name the session to keep: the token does not belong to a session.").
			At("sessionId")
	}
	id, err := s.sessionID(ctx, reference)
	if err != nil {
		return Outcome[Session]{}, nil, err
	}
	c := call{operation: operation, id: id, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: list(optional(in.Reason))}
	var ended []*Session
	out, err := retry(func() (Outcome[Session], error) {
		if out, done, err := recall(ctx, s, sessions, a, c); done {
			if err != nil {
				return out, err
			}
			ended, err = s.endedBefore(ctx, a, c)
			return out, err
		}
		kept, err := show(ctx, s, sessions, id)
		if err != nil {
			return Outcome[Session]{}, err
		}
		if roles, _, _ := sessionRoles(ctx, s, nil, a, kept); !slices.Contains(roles, RoleOwner) && !slices.Contains(roles, RoleAdmin) {
			return Outcome[Session]{}, problem.New(problem.AccessDenied)
		}
		unit := &Unit{IdempotencyRecord: s.idempotencyRecord(a, c, kept.ID, nil, s.now())}
		ended, err = s.endAll(ctx, unit, operation, in.Reason, listing.All(listing.Eq("userId", kept.UserID), listing.Ne("_id", kept.ID)))
		if err != nil {
			return Outcome[Session]{}, err
		}
		if unit.IdempotencyRecord != nil {
			ids := make([]any, 0, len(ended))
			for _, r := range ended {
				ids = append(ids, r.ID)
			}
			unit.IdempotencyRecord.Attributes = map[string]any{endedIDs: ids}
		}
		written, err := s.Store.Commit(ctx, unit)
		if err != nil {
			return Outcome[Session]{}, err
		}
		for _, r := range ended {
			updateSession(r, written)
		}
		return Outcome[Session]{Record: kept, ID: kept.ID}, nil
	})
	if err != nil {
		return out, nil, err
	}
	return out, ended, nil
}

// endedIDs is the attribute of an idempotency record with the ids of the sessions that EndOtherSessions ended.
const endedIDs = "endedSessions"

// endedBefore returns the current records of the sessions that the first call with this key ended.
func (s *Service) endedBefore(ctx context.Context, a Actor, c call) ([]*Session, error) {
	m, err := s.Store.Recall(ctx, s.key(a, c), s.now())
	if err != nil {
		return nil, err
	}
	texts, _ := m.Attributes[endedIDs].([]any)
	ids := make([]string, 0, len(texts))
	for _, text := range texts {
		if id, ok := text.(string); ok {
			ids = append(ids, id)
		}
	}
	ended, err := s.Store.Sessions().GetMany(ctx, ids)
	settleAll(s, sessions, ended)
	slices.SortFunc(ended, func(x, y *Session) int { return slices.Index(ids, x.ID) - slices.Index(ids, y.ID) })
	return ended, err
}

// endAll adds to the unit the end of the selected live sessions, and returns them.
func (s *Service) endAll(ctx context.Context, unit *Unit, operation string, reason *string, where listing.Predicate) ([]*Session, error) {
	a, now := ActorFrom(ctx), s.now()
	live, err := s.everySession(ctx, listing.All(where, listing.OneWord("state", SessionActive, SessionPending)))
	if err != nil {
		return nil, err
	}
	var ended []*Session
	for _, r := range live {
		read := settle(s, sessions, r)
		if !read.record.State.Live() {
			continue
		}
		ch := &change[Session]{Unit: unit, Record: read.record, Actor: a, Now: now, Reason: orEmpty(reason)}
		to, err := finish(SessionEnded)(ctx, ch)
		if err != nil {
			return nil, err
		}
		err = join(s, sessions, unit, read, movement[SessionState, SessionTransition]{
			on: SessionEnd, to: to, at: now, by: ch.Actor.ID, reason: ch.Reason, name: operation,
		})
		if err != nil {
			return nil, err
		}
		ended = append(ended, read.record)
	}
	return ended, nil
}
