package domain

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The road is how every call that writes goes: begin, and then create for a new record or apply for a transition. Both
// answer a repeated call from its idempotency record (recall), make the transitions of the clock that are due (settle),
// and change a state only through move. The files road_*.go know lives, and no subject.

// life binds a machine to its records: where they are stored, which member is the state, which roles an actor has
// towards one, and what time does to one.
type life[R any, S, T ~string] struct {
	kind    Kind
	machine *lifecycle.Machine[S, T, Role]
	shelf   func(Store) Shelf[R]
	head    func(*R) *Meta
	state   func(*R) *S
	// rolesOf returns the roles of the actor towards the record, and whether the actor may see it at all. A record that
	// may not be seen is missing, not denied.
	rolesOf func(ctx context.Context, s *Service, pre *Prefetched, a Actor, r *R) (roles []Role, visible bool, err error)
	// dummy is a record towards which no one has a role, for doing the work of rolesOf where there is no record.
	dummy func() *R
	// due is the clock transition that the record is to make next, where it ends and when; ok is false for none.
	due func(r *R) (on T, to S, at time.Time, ok bool)
	// settled changes what a clock transition means for the record besides its state; nil: nothing.
	settled func(r *R, to S, at time.Time)
	// update sets what the store has for the record where that differs from what was written; nil: nothing differs.
	update func(r *R, w Written)
	// allow is the condition of a transition besides role and state, for the actions; nil: there is none.
	allow func(ctx context.Context, s *Service, pre *Prefetched, on T, r *R) *problem.Problem
	// prefetch says what rolesOf and allow need for the record; nil: nothing.
	prefetch func(need *needs, r *R)
	// concerns lists the users who may see the events of the record.
	concerns func(*R) []string
	missing  *problem.Definition
	denied   *problem.Definition
	// member is the input's member that names the record.
	member string
}

// notFound is the refusal for a record that does not exist, or that the caller may not see.
func (l *life[R, S, T]) notFound() *problem.Problem { return problem.New(l.missing).At(l.member) }

// refusal is the problem of a verdict; nil where the transition is open.
func (l *life[R, S, T]) refusal(v lifecycle.Verdict, on T, r *R) *problem.Problem {
	switch v {
	case lifecycle.Open:
		return nil
	case lifecycle.Denied:
		return problem.New(l.denied)
	case lifecycle.Stale:
		return problem.New(problem.StaleVersion).With("currentVersion", l.head(r).Version)
	case lifecycle.Unconditional:
		return problem.New(problem.VersionRequired)
	case lifecycle.Closed:
		return l.machine.Refusal(on, *l.state(r))
	case lifecycle.Unknown:
	}
	return problem.New(problem.InternalError).Because("The machine has no such transition.")
}

// call is one request for a transition, or for a new record.
type call struct {
	operation string
	id        string
	guard     Guard
	// parts are the members of the input, in a fixed order: what a repeat with the same idempotency key must repeat.
	parts []string
	// checkVersionInEffect leaves the version to the effect while the transition is open: a stale version would
	// disclose to a caller without the secret that the record exists.
	checkVersionInEffect bool
	// idFromLookup is set where the input does not name the record by id: the id that was looked up is no part of the input.
	idFromLookup bool
}

// tries bounds the races one call may lose before it gives up. Each loss means that another call won, so a record
// would have to change that often during one call.
const tries = 1000

// retry calls try until it loses no race: until it fails with neither ErrStale nor ErrRemembered. It is the only such
// loop. Each try must read again what it decides on.
func retry[X any](try func() (X, error)) (X, error) {
	for range tries {
		x, err := try()
		if !errors.Is(err, ErrStale) && !errors.Is(err, ErrRemembered) {
			return x, err
		}
	}
	var none X
	return none, problem.New(problem.ServiceUnavailable).Because("The record is changing too often.")
}

// begin is the start of every operation that writes: rights first, then the input. It notes what it refuses, and returns
// the caller. more are problems of the input that its tags cannot express.
func (s *Service) begin(ctx context.Context, operation string, input any, more ...*problem.Problem) (Actor, error) {
	if err := s.Permit(ctx, operation); err != nil {
		return Actor{}, problem.Note(ctx, err)
	}
	if err := validated(input, more...); err != nil {
		return Actor{}, problem.Note(ctx, err)
	}
	return ActorFrom(ctx), nil
}

// list is a slice literal without its type.
func list[X any](xs ...X) []X { return xs }
