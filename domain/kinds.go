package domain

import (
	"context"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// kind describes a kind of record independently of its Go type.
type kind struct {
	life anyLife
	// prefix is the prefix of the ids; uuidPrefix if the ids are UUIDs.
	prefix string
	// query is the operation whose permission a look-up by id requires.
	query string
	// concerns describes the users in the `concerns` of the life.
	concerns string
}

// kinds is the registry: one value for each kind of record, in the order of the documentation. All code that handles
// every kind reads it.
var kinds []kind

func init() { // not an initializer: the rules of a kind refer to the registry
	kinds = []kind{
		{invitations, "inv", "invitation", "the inviter, and the user who accepted it while signed in"},
		{sessions, "sess", "session", "the signed-in user"},
		{emailVerifications, "emv", "emailVerification", "the customer"},
		{phoneVerifications, "phv", "phoneVerification", "the customer"},
		{devices, "dev", "device", "the customer who owns the device"},
		{twoFactorRequests, uuidPrefix, "twoFactorRequest", "the customer who must decide"},
		{contacts, "contact", "contact", "the user that the contact represents, if there is one"},
		{reports, "frr", "fraudRiskReport", "its creator, and the contact's own user"},
		{quizzes, "quiz", "quiz", "its creator, and the contact's own user"},
		{approvals, "appr", "approval", "the administrator, and the contact's own user"},
		{reviews, "rev", "review", "nobody but the institution"},
	}
}

// anyLife is a life without its types.
type anyLife interface {
	name() Kind
	describe() lifecycle.Map
	// sweep writes the clock transitions that are due.
	sweep(ctx context.Context, s *Service) (int, error)
	// nodes returns records by their ids and omits those that the caller may not see.
	nodes(ctx context.Context, s *Service, query string, ids []string) ([]Node, error)
	actions(ctx context.Context, s *Service, pre *Prefetched, r Record) ([]Action, error)
	// collect adds the data to prefetch for the record.
	collect(need *needs, r Record)
	// timed reports whether the machine has clock transitions.
	timed() bool
}

func (l *life[R, S, T]) name() Kind { return l.kind }

func (l *life[R, S, T]) describe() lifecycle.Map { return l.machine.Map() }

func (l *life[R, S, T]) collect(need *needs, r Record) {
	if one, ok := any(r).(*R); ok && l.prefetch != nil {
		l.prefetch(need, one)
	}
}

func (l *life[R, S, T]) timed() bool {
	for _, row := range l.machine.Transitions {
		if l.machine.OfClock(row.On) {
			return true
		}
	}
	return false
}

// kindOf returns a kind by its name, or nil.
func kindOf(name Kind) *kind {
	for i := range kinds {
		if kinds[i].life.name() == name {
			return &kinds[i]
		}
	}
	return nil
}

func mustKind(name Kind) (*kind, error) {
	if k := kindOf(name); k != nil {
		return k, nil
	}
	return nil, problem.New(problem.InternalError).Because("There is no such kind of record.")
}

// Lifecycles returns every machine as plain text, in the order of the documentation.
func Lifecycles() []lifecycle.Map {
	out := make([]lifecycle.Map, 0, len(kinds))
	for _, k := range kinds {
		out = append(out, k.life.describe())
	}
	return out
}

// Lifecycle returns the machine of a kind as plain text.
func Lifecycle(name Kind) (lifecycle.Map, bool) {
	k := kindOf(name)
	if k == nil {
		return lifecycle.Map{}, false
	}
	return k.life.describe(), true
}

// Concerned describes the users whom the events of a kind concern, in addition to those who may see all events.
func Concerned(name Kind) string {
	if k := kindOf(name); k != nil {
		return k.concerns
	}
	return ""
}

// Sweep writes the clock transitions that are due, and returns the number of settled records.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, k := range kinds {
		if !k.life.timed() {
			continue
		}
		n, err := k.life.sweep(ctx, s)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
