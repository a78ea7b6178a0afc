package domain

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// reading is a record with the due clock transitions made in memory, but not yet written.
type reading[R any] struct {
	record *R
	// was is the stored version.
	was int
	// events has the events of the clock transitions.
	events []*LifecycleEvent
}

// unchanged returns a condition of a unit: the row must still have the version that was read.
func (r *reading[R]) unchanged() Change { return Change{Record: r.record, Was: r.was, Unchanged: true} }

// addTo adds the record and its events to a unit.
func (r *reading[R]) addTo(unit *Unit) {
	unit.Changes = append(unit.Changes, Change{Record: r.record, Was: r.was})
	unit.Events = append(unit.Events, r.events...)
}

// find reads a record and makes the due clock transitions in memory, so that callers always see the current state.
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

// settle makes the clock transitions that are due. The times in the result depend only on the record, not on the time of
// the call, so that the sweeper writes the values that readers have already seen.
func settle[R any, S, T ~string](s *Service, l *life[R, S, T], r *R) *reading[R] {
	read := &reading[R]{record: r, was: l.head(r).Version}
	for {
		on, to, at, ok := l.due(r)
		if !ok || s.now().Before(at) {
			return read
		}
		event, err := move(s, l, r, movement[S, T]{on: on, to: to, at: at})
		must(err) // due names a row of the table
		l.head(r).Unsettled = true
		if l.settled != nil {
			l.settled(r, to, at)
		}
		read.events = append(read.events, event)
	}
}

// settleAll is settle for the records of a list.
func settleAll[R any, S, T ~string](s *Service, l *life[R, S, T], records []*R) {
	for i, r := range records {
		records[i] = settle(s, l, r).record
	}
}

// never is the due function of kinds without clock transitions.
func never[R any, S, T ~string](*R) (on T, to S, at time.Time, ok bool) { return }

// sweep writes the clock transitions that are due, and returns the number of records it settled.
func (l *life[R, S, T]) sweep(ctx context.Context, s *Service) (int, error) {
	const batch = 200
	total, now := 0, s.now() // records that become due during the sweep are left to the next one
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
			unit := &Unit{}
			read.addTo(unit)
			err = s.commit(ctx, unit)
			if errors.Is(err, ErrStale) {
				continue // another instance settled it, or the record moved on
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

// show returns a record that the actor may see.
func show[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], id string) (*R, error) {
	read, err := findVisible(ctx, s, l, id)
	if err != nil {
		return nil, err
	}
	return read.record, nil
}

// findVisible is find for a record that the actor must be allowed to see.
func findVisible[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], id string) (*reading[R], error) {
	actor := ActorFrom(ctx)
	read, err := find(ctx, s, l, id)
	if errors.Is(err, ErrMissing) {
		return nil, refuseMissing(ctx, s, l, actor)
	}
	if err != nil {
		return nil, err
	}
	_, visible, err := l.rolesOf(ctx, s, nil, actor, read.record)
	if err != nil {
		return nil, err
	}
	if !visible {
		return nil, problem.Note(ctx, l.notFound())
	}
	return read, nil
}

// refuseMissing refuses a record that does not exist, after the same work as for a record that the caller may not see.
func refuseMissing[R any, S, T ~string](ctx context.Context, s *Service, l *life[R, S, T], actor Actor) error {
	if _, _, err := l.rolesOf(ctx, s, nil, actor, l.dummy()); err != nil {
		return err
	}
	return problem.Note(ctx, l.notFound())
}

// listAll lists all records that match, oldest first.
func listAll[R any](ctx context.Context, shelf Shelf[R], where listing.Predicate) ([]*R, error) {
	const batch = 500
	var out []*R
	for {
		page, err := shelf.List(ctx, listing.Query{Where: where, Start: len(out), Limit: batch})
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if len(page.Items) < batch {
			return out, nil
		}
	}
}

// missingAs turns the store's ErrMissing into a problem and returns other errors unchanged.
func missingAs(err error, missing *problem.Definition) error {
	if errors.Is(err, ErrMissing) {
		return problem.New(missing)
	}
	return err
}
