package domain

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The road is the sequence of every call that writes: begin, then create for a new record or apply for a transition. Both
// answer a repeated call from its idempotency record (recall), make the clock transitions that are due (settle), and
// change a state only through move. The files road_*.go depend on lives, not on any kind of record.

// life binds a machine to its records: their storage, the member with the state, the roles of an actor, and the clock
// transitions.
type life[R any, S, T ~string] struct {
	kind    Kind
	machine *lifecycle.Machine[S, T, Role]
	shelf   func(Store) Shelf[R]
	head    func(*R) *Meta
	state   func(*R) *S
	// rolesOf returns the actor's roles for the record, and whether the actor may see it. A record that the actor may not
	// see is refused as missing, not as denied.
	rolesOf func(ctx context.Context, s *Service, pre *Prefetched, a Actor, r *R) (roles []Role, visible bool, err error)
	// dummy returns a record for which no actor has a role. rolesOf runs on it if the requested record does not exist.
	dummy func() *R
	// due returns the next clock transition of the record, its target state and its time; ok is false if there is none.
	due func(r *R) (on T, to S, at time.Time, ok bool)
	// settled sets the other members that a clock transition changes; nil: there are none.
	settled func(r *R, to S, at time.Time)
	// update sets the members whose stored values may differ from the written ones; nil: there are none.
	update func(r *R, w Written)
	// allow is the condition of a transition in addition to role and state, for the actions; nil: there is none.
	allow func(ctx context.Context, s *Service, pre *Prefetched, on T, r *R) *problem.Problem
	// prefetch adds the data that rolesOf and allow read for the record; nil: none.
	prefetch func(need *needs, r *R)
	// concerns lists the users who may see the events of the record.
	concerns func(*R) []string
	missing  *problem.Definition
	denied   *problem.Definition
	// member is the member of the input that names the record.
	member string
}

// notFound returns the refusal for a record that does not exist or that the caller may not see.
func (l *life[R, S, T]) notFound() *problem.Problem { return problem.New(l.missing).At(l.member) }

// refusal returns the problem of a verdict; nil if the transition is open.
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
	// parts has the members of the input in a fixed order. Repeats with the same idempotency key must have equal parts.
	parts []string
	// checkVersionInEffect leaves the check of the version to the effect while the transition is open: a refusal for a
	// stale version would disclose the record to a caller without the secret.
	checkVersionInEffect bool
	// idFromLookup is set if the id was looked up: it is then not a part of the input.
	idFromLookup bool
}

// tries is the maximum number of races that one call may lose. Another call wins each lost race, so the record would have
// to change that often during one call.
const tries = 1000

// retry calls try until it returns neither ErrStale nor ErrRemembered. It is the only such loop. Each try must read again
// the data on which it decides.
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

// begin starts every operation that writes: it checks the permission, then the input. It notes refusals and returns the
// caller. more has the problems of the input that tags cannot express.
func (s *Service) begin(ctx context.Context, operation string, input any, more ...*problem.Problem) (Actor, error) {
	if err := s.Permit(ctx, operation); err != nil {
		return Actor{}, problem.Note(ctx, err)
	}
	if err := validated(input, more...); err != nil {
		return Actor{}, problem.Note(ctx, err)
	}
	return ActorFrom(ctx), nil
}

// list returns its arguments as a slice.
func list[X any](xs ...X) []X { return xs }
