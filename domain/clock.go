package domain

import (
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
)

// lapse says how a list sees a state that time ends: a record in state from whose field at has passed is listed as
// being in state to, although the sweeper may not have written that yet.
type lapse struct{ from, to, at string }

// settledStates rewrites what a predicate asks of the field state so that a list agrees with single reads.
func settledStates(p listing.Predicate, now time.Time, l lapse) listing.Predicate {
	each := func(in []listing.Predicate) []listing.Predicate {
		out := make([]listing.Predicate, len(in))
		for i, q := range in {
			out[i] = settledStates(q, now, l)
		}
		return out
	}
	switch p := p.(type) {
	case listing.And:
		return listing.All(each(p.Of)...)
	case listing.Or:
		return listing.Any(each(p.Of)...)
	case listing.Not:
		return listing.Negate(settledStates(p.Of, now, l))
	case listing.In:
		if p.Field != "state" {
			return p
		}
		// States that time does not touch stay in one In, which an index serves.
		var kept []listing.Value
		var rest []listing.Predicate
		for _, v := range p.Values {
			if v == listing.Value(l.from) || v == listing.Value(l.to) {
				rest = append(rest, l.is(v, now))
			} else {
				kept = append(kept, v)
			}
		}
		if len(kept) > 0 {
			rest = append(rest, listing.OneOf("state", kept...))
		}
		return listing.Any(rest...)
	case listing.Compare:
		switch {
		case p.Left.Field != "state" || !p.Right.Literal():
			return p
		case p.Op == listing.EQ:
			return l.is(p.Right.Value, now)
		case p.Op == listing.NE:
			return listing.Negate(l.is(p.Right.Value, now))
		}
	}
	return p
}

// is selects the records that are in the state at the time.
func (l lapse) is(state listing.Value, now time.Time) listing.Predicate {
	stored := listing.Eq("state", state)
	switch state {
	case listing.Value(l.from):
		return listing.All(stored, listing.Is(listing.GT, l.at, now))
	case listing.Value(l.to):
		return listing.Any(stored, listing.All(listing.Eq("state", l.from), listing.Is(listing.LE, l.at, now)))
	}
	return stored
}
