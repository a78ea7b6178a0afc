package domain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// life binds a machine to its records: where they are kept, which member is the state, how an actor stands to
// one, and what time does to one.
type life[R any, S, T ~string] struct {
	kind    Kind
	machine *lifecycle.Machine[S, T, Role]
	shelf   func(Store) Shelf[R]
	head    func(*R) *Meta
	state   func(*R) *S
	// rolesOf says how the actor stands to the record, and whether it may be seen at all. A record that may not be
	// seen is missing, not denied.
	rolesOf func(ctx context.Context, s *Service, a Actor, r *R) (roles []Role, visible bool, err error)
	// dummy is a record nobody stands to, for doing the work of stand where there is no record.
	dummy func() *R
	// due is the clock transition that the record is to make next, where it ends and when; ok is false for none.
	due func(r *R) (on T, to S, at time.Time, ok bool)
	// settled notes what a clock transition means for the record beside its state; nil: nothing.
	settled func(r *R, to S, at time.Time)
	// update sets what the store has for the record where that differs from what was written; nil: nothing differs.
	update func(r *R, w Written)
	// concerns lists the users who may see the events of the record.
	concerns func(*R) []string
	missing  *problem.Definition
	denied   *problem.Definition
	// member is the input's member that names the record.
	member string
}

// notFound is the refusal for a record that is not there, or that the caller may not know of.
func (l *life[R, S, T]) notFound() *problem.Problem { return problem.New(l.missing).At(l.member) }

// call is one request for a transition.
type call struct {
	operation string
	id        string
	guard     Guard
	// parts are the members of the input, in a fixed order: what a repeat with the same idempotency key must repeat.
	parts []string
	// checkVersionInEffect leaves the version to the effect while the transition is open: a stale version would tell a stranger that
	// the record is there.
	checkVersionInEffect bool
	// idFromLookup is set where the input does not name the record by id: which one was idFromLookup up is no part of the input.
	idFromLookup bool
}

// reading is a record as it is now: the clock transitions that were due have been made, but not yet written.
type reading[R any] struct {
	record *R
	// was is the version in the store.
	was int
	// events are those of the clock transitions.
	events []*LifecycleEvent
}

// unchanged asks that the row still is as it was read.
func (r *reading[R]) unchanged() Change { return Change{Record: r.record, Was: r.was, Unchanged: true} }

// change is what the effect of a transition works on.
type change[R any] struct {
	*Unit
	// Record is a copy that the effect changes.
	Record *R
	Actor  Actor
	Now    time.Time
	// Reason goes into the event.
	Reason string
	// refusal is what the caller hears after the unit is written: a wrong secret is counted first, then refusal.
	refusal *problem.Problem
}

// tell makes the call end in a problem although it is written.
func (c *change[R]) tell(p *problem.Problem) { c.refusal = p }

// tries bounds the races one call may lose before it gives up. Each loss means that another call won, so a record
// would have to change that often during one call.
const tries = 1000

// apply is the only road from one state to the next: find, make the clock transitions that are due, role,
// version, state, effect, is the ending in the row, write the unit if the version is unchanged. A call that lost
// a race and named no version looks again, so that its caller hears about the state and not about the race.
func apply[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], c call, on T, effect func(context.Context, *change[R]) (S, error),
) (_ Outcome[R], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	actor := ActorFrom(ctx)
	for range tries {
		if out, done, err := recall(ctx, s, l, actor, c); done {
			return out, err
		}
		read, err := find(ctx, s, l, c.id)
		if errors.Is(err, ErrMissing) {
			err := absent(ctx, s, l, actor)
			if out, done, again := recall(ctx, s, l, actor, c); done { // another call with this key was first, and erased it
				return out, again
			}
			return Outcome[R]{}, err
		}
		if err != nil {
			return Outcome[R]{}, err
		}
		unit, told, err := decide(ctx, s, l, actor, c, on, read, effect)
		if err != nil {
			refusal := problem.Of(err)
			if remembered(refusal) {
				taken, err := s.remember(ctx, actor, c, l.head(read.record).ID, refusal, read.unchanged())
				if errors.Is(err, ErrStale) {
					continue
				}
				if err != nil {
					return Outcome[R]{}, err
				}
				if taken {
					continue // another call with this key was first: answer as its replay
				}
			} else if out, done, again := recall(ctx, s, l, actor, c); done { // as here, where it may be why this one is refused
				return out, again
			}
			if refusal.Definition == l.missing || refusal.Kind == problem.Denied {
				return Outcome[R]{}, err // the record is not the caller's to see, or not his to act on
			}
			return Outcome[R]{Record: read.record, ID: c.id}, err
		}
		written, err := s.Store.Commit(ctx, unit)
		switch {
		case errors.Is(err, ErrStale), errors.Is(err, ErrRemembered):
			continue
		case err != nil:
			return Outcome[R]{}, err
		}
		record := unit.Changes[0].Record.(*R)
		if l.update != nil {
			l.update(record, written)
		}
		out := Outcome[R]{Record: record, ID: l.head(record).ID}
		if told != nil {
			return out, told
		}
		return out, nil
	}
	return Outcome[R]{}, problem.New(problem.ServiceUnavailable).Because("The record is changing too often.")
}

// decide goes from a reading to the unit that is to be written, or to the refusal.
func decide[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], actor Actor, c call, on T, read *reading[R],
	effect func(context.Context, *change[R]) (S, error),
) (*Unit, *problem.Problem, error) {
	state := *l.state(read.record)
	roles, visible, err := l.rolesOf(ctx, s, actor, read.record)
	if err != nil {
		return nil, nil, err
	}
	if !visible {
		return nil, nil, l.notFound()
	}
	row := l.machine.Row(on)
	if !row.Grants(roles) {
		return nil, nil, problem.New(l.denied)
	}
	head := l.head(read.record)
	if want := c.guard.ExpectedVersion; want != nil && *want != head.Version && (!c.checkVersionInEffect || !row.Has(state)) {
		return nil, nil, problem.New(problem.StaleVersion).With("currentVersion", head.Version)
	}
	if c.guard.VersionRequired && c.guard.ExpectedVersion == nil {
		return nil, nil, problem.New(problem.VersionRequired)
	}
	if !row.Has(state) {
		return nil, nil, l.machine.Refusal(on, state)
	}
	record := *read.record
	ch := &change[R]{Unit: &Unit{}, Record: &record, Actor: actor, Now: s.now()}
	to, err := effect(ctx, ch)
	if err != nil {
		return nil, nil, err
	}
	if !row.Erases && !row.Ends(to) {
		return nil, nil, problem.New(problem.InternalError).Because("The transition cannot end in this state.")
	}
	next := l.head(&record)
	next.Version++
	next.UpdatedAt = ch.Now
	next.Unsettled = false
	*l.state(&record) = to
	event := s.event(l.kind, next, l.machine.OperationName(on), string(state), string(to), ch.Now, l.concerns(&record))
	event.ActorID, event.Reason = ch.Actor.ID, ch.Reason
	if row.Erases {
		event.To = ""
	}
	ch.Changes = append([]Change{{Record: &record, Was: read.was, Erase: row.Erases}}, ch.Changes...)
	ch.Events = append(slices.Clone(read.events), append([]*LifecycleEvent{event}, ch.Events...)...)
	ch.IdempotencyRecord = s.memory(actor, c, next.ID, ch.refusal, ch.Now)
	return ch.Unit, ch.refusal, nil
}

// find reads a record and makes the clock transitions that are due, in memory: nobody ever sees a record as if
// its time had not come.
func find[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], id string) (*reading[R], error) {
	if !plausibleID(id) {
		return nil, ErrMissing
	}
	r, err := l.shelf(s.Store).Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return settle(s, l, r), nil
}

// settle makes the clock transitions that are due. What it makes of a record depends on the record alone, not on
// when it is called, so that the sweeper writes what readers have already seen.
func settle[R any, S, T ~string](s *Service, l *life[R, S, T], r *R) *reading[R] {
	read := &reading[R]{record: r, was: l.head(r).Version}
	for {
		on, to, at, ok := l.due(r)
		if !ok || s.now().Before(at) {
			return read
		}
		head, from := l.head(r), *l.state(r)
		*l.state(r) = to
		head.Version++
		head.UpdatedAt = at
		head.Unsettled = true
		if l.settled != nil {
			l.settled(r, to, at)
		}
		read.events = append(read.events,
			s.event(l.kind, head, l.machine.OperationName(on), string(from), string(to), at, l.concerns(r)))
	}
}

// sweep writes the clock transitions that are due, and says how many records it settled.
func sweep[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T]) (int, error) {
	const batch = 200
	total, now := 0, s.now() // what comes due meanwhile is for the next time
	for {
		ids, err := l.shelf(s.Store).Due(ctx, now, batch)
		if err != nil {
			return total, err
		}
		settled := 0
		for _, id := range ids {
			read, err := find(ctx, s, l, id)
			if errors.Is(err, ErrMissing) {
				continue
			}
			if err != nil {
				return total, err
			}
			if len(read.events) == 0 {
				continue
			}
			err = s.commit(ctx, &Unit{Changes: []Change{{Record: read.record, Was: read.was}}, Events: read.events})
			if errors.Is(err, ErrStale) {
				continue // somebody else settled it, or the record moved on
			}
			if err != nil {
				return total, err
			}
			settled++
		}
		total += settled
		if settled == 0 {
			return total, nil
		}
	}
}

// Sweep settles every record whose time has come, and says how many there were.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, one := range list(
		func() (int, error) { return sweep(ctx, s, invitations) },
		func() (int, error) { return sweep(ctx, s, sessions) },
		func() (int, error) { return sweep(ctx, s, emailVerifications) },
		func() (int, error) { return sweep(ctx, s, phoneVerifications) },
		func() (int, error) { return sweep(ctx, s, twoFactorRequests) },
		func() (int, error) { return sweep(ctx, s, quizzes) },
	) {
		n, err := one()
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// show reads one record for an actor who may see it.
func show[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], id string) (*R, error) {
	read, err := shown(ctx, s, l, id)
	if err != nil {
		return nil, err
	}
	return read.record, nil
}

// shown is show with what else the reading says.
func shown[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], id string) (*reading[R], error) {
	actor := ActorFrom(ctx)
	read, err := find(ctx, s, l, id)
	if errors.Is(err, ErrMissing) {
		return nil, absent(ctx, s, l, actor)
	}
	if err != nil {
		return nil, err
	}
	_, visible, err := l.rolesOf(ctx, s, actor, read.record)
	if err != nil {
		return nil, err
	}
	if !visible {
		return nil, problem.Note(ctx, l.notFound())
	}
	return read, nil
}

// absent answers for a record that is not there, after the work that one the caller may not see would cost.
func absent[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], actor Actor) error {
	if _, _, err := l.rolesOf(ctx, s, actor, l.dummy()); err != nil {
		return err
	}
	return problem.Note(ctx, l.notFound())
}

// Action says whether the caller may do something with a record now, and else why not and from when.
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
func actions[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], r *R, allow func(T, *R) *problem.Problem,
) ([]Action, error) {
	actor := ActorFrom(ctx)
	roles, _, err := l.rolesOf(ctx, s, actor, r)
	if err != nil {
		return nil, err
	}
	var out []Action
	for _, row := range l.machine.Transitions {
		if !l.machine.Asked(row.On) {
			continue
		}
		a := Action{Name: l.machine.OperationName(row.On)}
		refused := s.Permit(ctx, a.Name)
		switch state := *l.state(r); {
		case refused != nil:
			a.Problem = problem.Of(refused)
		case !row.Grants(roles):
			a.Problem = problem.New(l.denied)
		case !row.Has(state):
			a.Problem = l.machine.Refusal(row.On, state)
		default:
			a.Problem = allow(row.On, r)
		}
		a.Allowed = a.Problem == nil
		if !a.Allowed && !a.Problem.AvailableAt.IsZero() {
			a.AvailableAt = &a.Problem.AvailableAt
		}
		out = append(out, a)
	}
	return out, nil
}

// commit writes a unit whose records the caller does not return.
func (s *Service) commit(ctx context.Context, u *Unit) error {
	_, err := s.Store.Commit(ctx, u)
	return err
}

func (s *Service) event(kind Kind, head *Meta, name, from, to string, at time.Time, concerns []string) *LifecycleEvent {
	return &LifecycleEvent{
		ID: NewID("evt", s.now()), Name: name, From: from, To: to, OccurredAt: at,
		SubjectKind: kind, SubjectID: head.ID, Version: head.Version, Concerns: concerns,
	}
}

// found turns the store's "missing" into the problem of the subject and lets other errors be.
func found(err error, missing *problem.Definition) error {
	if errors.Is(err, ErrMissing) {
		return problem.New(missing)
	}
	return err
}
