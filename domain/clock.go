package domain

import (
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
)

// lapse says how a list sees a state that time ends or begins: which records are in it at the time, although the
// sweeper may not have written that yet. Nil for a state that time does not touch.
type lapse func(state listing.Value, now time.Time) listing.Predicate

// settledStates rewrites what a predicate asks of the field state so that a list agrees with single reads.
func settledStates(p listing.Predicate, now time.Time, l lapse) listing.Predicate {
	return settledStatesOf("state", p, now, l)
}

// settledStatesOf is settledStates for a field of another name.
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
		// States that time does not touch stay in one In, which an index serves.
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
