package domain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// change is the argument of the effect of a transition.
type change[R any] struct {
	*Unit
	// Record is a copy that the effect may change.
	Record *R
	Actor  Actor
	Now    time.Time
	// Reason is written to the event.
	Reason string
	// refusal is returned after the unit is committed: a wrong secret is first counted, then refused.
	refusal *problem.Problem
}

// refuseAfterCommit makes the call commit its unit and then return the problem.
func (c *change[R]) refuseAfterCommit(p *problem.Problem) { c.refusal = p }

// endsIn returns the effect of a transition that changes only the state.
func endsIn[R any, S ~string](to S) func(context.Context, *change[R]) (S, error) {
	return func(context.Context, *change[R]) (S, error) { return to, nil }
}

// apply makes a transition of one record, after begin. It reads the record, makes the clock transitions that are due,
// checks role, version and state, runs the effect, moves the record, and writes the unit if the version is unchanged. A
// call that lost a race starts again, so that it is decided on the current state.
func apply[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], c call, on T, effect func(context.Context, *change[R]) (S, error),
) (_ Outcome[R], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	actor := ActorFrom(ctx)
	return retry(func() (Outcome[R], error) {
		if out, done, err := recall(ctx, s, l, actor, c); done {
			return out, err
		}
		read, err := find(ctx, s, l, c.id)
		if errors.Is(err, ErrMissing) {
			err := refuseMissing(ctx, s, l, actor)
			if out, done, again := recall(ctx, s, l, actor, c); done { // an earlier call with this key erased it
				return out, again
			}
			return Outcome[R]{}, err
		}
		if err != nil {
			return Outcome[R]{}, err
		}
		ch, err := decide(ctx, s, l, actor, c, on, read, effect)
		if err != nil {
			refusal := problem.Of(err)
			if repeatable(refusal) {
				if err := s.remember(ctx, actor, c, l.head(read.record).ID, refusal, read.unchanged()); err != nil {
					return Outcome[R]{}, err
				}
			} else if out, done, again := recall(ctx, s, l, actor, c); done { // likewise: an earlier call with this key may have caused this refusal
				return out, again
			}
			if refusal.Definition == l.missing || refusal.Kind == problem.Denied {
				return Outcome[R]{}, err // the caller may not see the record, or not change it
			}
			return Outcome[R]{Record: read.record, ID: c.id}, err
		}
		written, err := s.Store.Commit(ctx, ch.Unit)
		if err != nil {
			return Outcome[R]{}, err
		}
		if l.update != nil {
			l.update(ch.Record, written)
		}
		out := Outcome[R]{Record: ch.Record, ID: l.head(ch.Record).ID}
		if ch.refusal != nil {
			return out, ch.refusal
		}
		return out, nil
	})
}

// decide returns the change to write for a reading, or the refusal.
func decide[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], actor Actor, c call, on T, read *reading[R],
	effect func(context.Context, *change[R]) (S, error),
) (*change[R], error) {
	roles, visible, err := l.rolesOf(ctx, s, nil, actor, read.record)
	if err != nil {
		return nil, err
	}
	if !visible {
		return nil, l.notFound()
	}
	condition := lifecycle.Condition{
		Version:  l.head(read.record).Version,
		Expected: c.guard.ExpectedVersion,
		Required: c.guard.VersionRequired,
		InEffect: c.checkVersionInEffect,
	}
	if p := l.refusal(l.machine.Check(on, *l.state(read.record), roles, condition), on, read.record); p != nil {
		return nil, p
	}
	record := *read.record
	ch := &change[R]{Unit: &Unit{}, Record: &record, Actor: actor, Now: s.now()}
	to, err := effect(ctx, ch)
	if err != nil {
		return nil, err
	}
	event, err := move(s, l, &record, movement[S, T]{on: on, to: to, at: ch.Now, by: ch.Actor.ID, reason: ch.Reason})
	if err != nil {
		return nil, err
	}
	ch.Changes = append([]Change{{Record: &record, Was: read.was, Erase: l.machine.Row(on).Erases}}, ch.Changes...)
	ch.Events = append(slices.Clone(read.events), append([]*LifecycleEvent{event}, ch.Events...)...)
	ch.IdempotencyRecord = s.idempotencyRecord(actor, c, l.head(&record).ID, ch.refusal, ch.Now)
	return ch, nil
}

// commit writes a unit for a caller that does not need the Written result.
func (s *Service) commit(ctx context.Context, u *Unit) error {
	_, err := s.Store.Commit(ctx, u)
	return err
}

// Action describes whether the caller may make a transition of a record now; if not, the refusal and a possible time.
type Action struct {
	// Name is the name of the operation.
	Name    string
	Allowed bool
	// Problem is the refusal that the operation would return now; nil if it is allowed.
	Problem *problem.Problem
	// AvailableAt is the time from which it may be allowed; nil if that is unknown or the action is allowed.
	AvailableAt *time.Time
}

// actions evaluates every row of the table for one caller and one record.
func (l *life[R, S, T]) actions(ctx context.Context, s *Service, pre *Prefetched, record Record) ([]Action, error) {
	r, ok := any(record).(*R)
	if !ok {
		return nil, problem.New(problem.InternalError).Because("The record is of another kind.")
	}
	roles, _, err := l.rolesOf(ctx, s, pre, ActorFrom(ctx), r)
	if err != nil {
		return nil, err
	}
	var out []Action
	for _, row := range l.machine.Transitions {
		if !l.machine.Asked(row.On) {
			continue
		}
		a := Action{Name: l.machine.OperationName(row.On)}
		if err := s.Permit(ctx, a.Name); err != nil {
			a.Problem = problem.Of(err)
		} else {
			a.Problem = l.refusal(l.machine.Check(row.On, *l.state(r), roles, lifecycle.Condition{}), row.On, r)
		}
		if a.Problem == nil && l.allow != nil {
			a.Problem = l.allow(ctx, s, pre, row.On, r)
		}
		a.Allowed = a.Problem == nil
		if !a.Allowed && !a.Problem.AvailableAt.IsZero() {
			a.AvailableAt = &a.Problem.AvailableAt
		}
		out = append(out, a)
	}
	return out, nil
}
