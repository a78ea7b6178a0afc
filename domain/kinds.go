package domain

import (
	"context"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// kind is what the program must know of a kind of record, whatever its type.
type kind struct {
	life anyLife
	// prefix begins the ids of the records; uuidPrefix: they are UUIDs.
	prefix string
	// query is the operation that finds one, whose permission a look-up by id needs.
	query string
	// concerns says in words which users the `concerns` of the life lists.
	concerns string
}

// kinds is the registry: one value for each kind of record, in the order of the documentation. Everything that must
// know all kinds reads it.
var kinds []kind

func init() { // the rules of a kind read the registry too
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
	}
}

// anyLife is a life without its types.
type anyLife interface {
	name() Kind
	describe() lifecycle.Map
	// sweep writes the clock transitions that are due.
	sweep(ctx context.Context, s *Service) (int, error)
	// nodes finds many records by their ids; those the caller may not see are left out.
	nodes(ctx context.Context, s *Service, query string, ids []string) ([]Node, error)
	actions(ctx context.Context, s *Service, pre *Prefetched, r Record) ([]Action, error)
	// collect adds what the record needs to be prefetched.
	collect(need *needs, r Record)
	// timed reports whether time makes transitions.
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

// kindOf finds a kind; nil where there is none of that name.
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

// Concerned says in words which users the events of a kind concern, besides those who see everything.
func Concerned(name Kind) string {
	if k := kindOf(name); k != nil {
		return k.concerns
	}
	return ""
}

// Sweep settles every record whose time has come, and returns the number of them.
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
