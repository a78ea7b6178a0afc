package domain

import (
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// movement is one transition of one record.
type movement[S, T ~string] struct {
	on T
	to S
	at time.Time
	// by is the user who requested it; empty for the clock and for a caller who is not signed in.
	by, reason string
	// name is the operation in the journal; empty: the operation in the table.
	name string
}

// move changes the state of a record in memory and returns the event. It is the only place that increments a version or
// assigns a state. It fails if the table has no such transition between the two states.
func move[R any, S, T ~string](s *Service, l *life[R, S, T], r *R, m movement[S, T]) (*LifecycleEvent, error) {
	row, from := l.machine.Row(m.on), *l.state(r)
	if row == nil || !row.Has(from) || !row.Erases && !row.Ends(m.to) {
		return nil, problem.New(problem.InternalError).Because("The transition cannot end in this state.")
	}
	head := l.head(r)
	head.Version++
	head.UpdatedAt = m.at
	head.Unsettled = false
	*l.state(r) = m.to
	name, to := m.name, string(m.to)
	if name == "" {
		name = l.machine.OperationName(m.on)
	}
	if row.Erases {
		to = ""
	}
	event := s.event(l.kind, head, name, string(from), to, m.at, l.concerns(r))
	event.ActorID, event.Reason = m.by, m.reason
	return event, nil
}

// join adds a transition of another record to a unit.
func join[R any, S, T ~string](s *Service, l *life[R, S, T], unit *Unit, read *reading[R], m movement[S, T]) error {
	event, err := move(s, l, read.record, m)
	if err != nil {
		return err
	}
	read.events = append(read.events, event)
	read.addTo(unit)
	return nil
}

// event returns a new event for the journal.
func (s *Service) event(kind Kind, head *Meta, name, from, to string, at time.Time, concerns []string) *LifecycleEvent {
	return &LifecycleEvent{
		ID: NewID("evt", s.now()), Name: name, From: from, To: to, OccurredAt: at,
		SubjectKind: kind, SubjectID: head.ID, Version: head.Version, Concerns: concerns,
	}
}
