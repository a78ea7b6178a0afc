package domain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// change is what the effect of a transition works on.
type change[R any] struct {
	*Unit
	// Record is a copy that the effect changes.
	Record *R
	Actor  Actor
	Now    time.Time
	// Reason goes into the event.
	Reason string
	// refusal is returned after the unit is written: a wrong secret is counted first, then refused.
	refusal *problem.Problem
}

// refuseAfterCommit makes the call end in a problem although it is written.
func (c *change[R]) refuseAfterCommit(p *problem.Problem) { c.refusal = p }

// endsIn is the effect of a transition that changes nothing but the state.
func endsIn[R any, S ~string](to S) func(context.Context, *change[R]) (S, error) {
	return func(context.Context, *change[R]) (S, error) { return to, nil }
}

// apply makes a transition of one record, after begin: find, make the clock transitions that are due, role,
// version, state, effect, move, write the unit if the version is unchanged. A call that lost
// a race and named no version looks again, so that its caller is refused for the state and not for the race.
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
			if out, done, again := recall(ctx, s, l, actor, c); done { // another call with this key was first, and erased it
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
			} else if out, done, again := recall(ctx, s, l, actor, c); done { // as here, where it may be why this one is refused
				return out, again
			}
			if refusal.Definition == l.missing || refusal.Kind == problem.Denied {
				return Outcome[R]{}, err // the caller may not see the record, or not act on it
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

// decide goes from a reading to the change that is to be written, or to the refusal.
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
		Version: l.head(
			read.record,
		).Version,
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

// commit writes a unit whose records the caller does not return.
func (s *Service) commit(ctx context.Context, u *Unit) error {
	_, err := s.Store.Commit(ctx, u)
	return err
}

// Action is whether the caller may make a transition of a record now, and otherwise why not and from when.
type Action struct {
	// Name is the operation's.
	Name    string
	Allowed bool
	// Problem is what the operation would answer now; nil where it is allowed.
	Problem *problem.Problem
	// AvailableAt is when it may be allowed; nil where that is not known, and where it is allowed.
	AvailableAt *time.Time
}

// actions walks the table for one caller and one record.
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
