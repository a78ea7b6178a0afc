package domain

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// creation is the argument of build: the unit that writes the new record and may also change other records.
type creation struct {
	*Unit
	Actor Actor
	Now   time.Time
	// kept is set if repeats with the same idempotency key get the same refusal.
	kept bool
}

// keep makes repeats with the same idempotency key return the same refusal, whatever its kind.
func (n *creation) keep(p *problem.Problem) error {
	n.kept = true
	return p
}

// newMeta returns the head of a new record.
func newMeta(prefix string, now time.Time) Meta {
	return Meta{ID: NewID(prefix, now), Version: 1, CreatedAt: now, UpdatedAt: now}
}

// create writes a new record with its event, after begin. build returns the record. It is called again after a lost race
// and must hash and count only once.
func create[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], c call, build func(context.Context, *creation) (*R, error),
) (_ Outcome[R], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	actor := ActorFrom(ctx)
	return retry(func() (Outcome[R], error) {
		if out, done, err := recall(ctx, s, l, actor, c); done {
			return out, err
		}
		n := &creation{Unit: &Unit{}, Actor: actor, Now: s.now()}
		r, err := build(ctx, n)
		if err != nil {
			if p := problem.Of(err); n.kept || repeatable(p) {
				if err := s.remember(ctx, actor, c, "", p); err != nil {
					return Outcome[R]{}, err
				}
			}
			return Outcome[R]{}, err
		}
		head, state := l.head(r), *l.state(r)
		if !l.machine.Begins(state) {
			return Outcome[R]{}, problem.New(problem.InternalError).Because("No record begins in this state.")
		}
		event := s.event(l.kind, head, c.operation, "", string(state), head.CreatedAt, l.concerns(r))
		event.ActorID = actor.ID
		n.Changes = append(n.Changes, Change{Record: r}) // last, after the records that it replaces
		n.Events = append(n.Events, event)
		n.IdempotencyRecord = s.idempotencyRecord(actor, c, head.ID, nil, head.CreatedAt)
		if err := s.commit(ctx, n.Unit); err != nil {
			return Outcome[R]{}, err
		}
		return Outcome[R]{Record: r, ID: head.ID}, nil
	})
}
