package domain

import (
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
)

// lapse returns the predicate for the records that are in a state at the given time, including those whose clock
// transition the sweeper has not written yet. It returns nil for a state that no clock transition enters or leaves.
type lapse func(state listing.Value, now time.Time) listing.Predicate

// settledStates rewrites the conditions on the field state so that a list agrees with single reads.
func settledStates(p listing.Predicate, now time.Time, l lapse) listing.Predicate {
	return settledStatesOf("state", p, now, l)
}

// settledStatesOf is settledStates for a field with another name.
func settledStatesOf(field string, p listing.Predicate, now time.Time, l lapse) listing.Predicate {
	each := func(in []listing.Predicate) []listing.Predicate {
		out := make([]listing.Predicate, len(in))
		for i, q := range in {
			out[i] = settledStatesOf(field, q, now, l)
		}
		return out
	}
	switch p := p.(type) {
	case listing.And:
		return listing.All(each(p.Of)...)
	case listing.Or:
		return listing.Any(each(p.Of)...)
	case listing.Not:
		return listing.Negate(settledStatesOf(field, p.Of, now, l))
	case listing.In:
		if p.Field != field {
			return p
		}
		// States without clock transitions stay in one In, which can use an index.
		var kept []listing.Value
		var rest []listing.Predicate
		for _, v := range p.Values {
			if is := l(v, now); is != nil {
				rest = append(rest, is)
			} else {
				kept = append(kept, v)
			}
		}
		if len(kept) > 0 {
			rest = append(rest, listing.OneOf(field, kept...))
		}
		return listing.Any(rest...)
	case listing.Compare:
		if p.Left.Field != field || !p.Right.Literal() {
			return p
		}
		is := l(p.Right.Value, now)
		switch {
		case is == nil:
			return p
		case p.Op == listing.EQ:
			return is
		case p.Op == listing.NE:
			return listing.Negate(is)
		}
	}
	return p
}
