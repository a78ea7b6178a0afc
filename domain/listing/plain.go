package listing

import (
	"slices"
	"time"
)

// Plain reports whether a database can evaluate the predicate exactly as Match does. It cannot search or order texts,
// because databases differ in case and collation. For a sealed or folded field it has only the blind index of the
// folded value, which supports eq and in. A database never receives an empty in, a nil literal or a literal of another
// type.
func Plain(s Schema, p Predicate) bool {
	switch p := p.(type) {
	case nil, Constant:
		return true
	case And:
		return !slices.ContainsFunc(p.Of, func(x Predicate) bool { return !Plain(s, x) })
	case Or:
		return !slices.ContainsFunc(p.Of, func(x Predicate) bool { return !Plain(s, x) })
	case Not:
		return Plain(s, p.Of)
	case IsNull:
		f, ok := s.Field(p.Field)
		return ok && !f.Sealed && !f.Many
	case In:
		f, ok := s.Field(p.Field)
		return ok && f.plainEquality() && len(p.Values) > 0 &&
			!slices.ContainsFunc(p.Values, func(v Value) bool { return !f.plainLiteral(v) })
	case Compare:
		return s.plainCompare(p)
	case Like, Search:
	}
	return false
}

func (s Schema) plainCompare(p Compare) bool {
	f, ok := s.Field(p.Left.Field)
	if !ok {
		return false
	}
	if p.Right.Literal() {
		return f.plainLiteral(p.Right.Value) && (p.Op == EQ && f.plainEquality() || f.plainRelation(p.Op))
	}
	g, ok := s.Field(p.Right.Field)
	return ok && comparableFields(f, g) && f.plainRelation(p.Op) && g.plainRelation(p.Op)
}

// plainRelation reports whether the column itself can be compared.
func (f Field) plainRelation(op Op) bool {
	if f.Sealed || f.Many || f.Fold {
		return false
	}
	return op == EQ || op == NE || f.Type == ID || f.Type == Time || f.Type == Number
}

// plainEquality reports whether the column or its blind index can be compared with literals.
func (f Field) plainEquality() bool {
	if f.Fold {
		return f.Indexed && !f.Many
	}
	return !f.Sealed && !f.Many
}

func (f Field) plainLiteral(v Value) bool {
	switch v := v.(type) {
	case string:
		return f.Type == Text || f.Type == Enum || f.Type == ID
	case time.Time:
		// Databases store microseconds, and would round a more precise time.
		return f.Type == Time && v.Nanosecond()%int(time.Microsecond) == 0
	case float64:
		return f.Type == Number
	case bool:
		return f.Type == Bool
	}
	return false
}

// PlainOrder reports whether a database can sort exactly as Rank does.
func PlainOrder(s Schema, orders []Order) bool {
	return !slices.ContainsFunc(Total(orders), func(o Order) bool {
		f, ok := s.Field(o.Field)
		return !ok || f.Sealed || f.Many || f.Type == Text
	})
}

// Split divides a predicate into a part that a database can evaluate and the rest. The predicate is the conjunction of
// the two, so the first part alone selects every matching record, and possibly more.
func Split(s Schema, p Predicate) (plain, rest Predicate) {
	and, ok := p.(And)
	switch {
	case Plain(s, p):
		return All(p), True
	case !ok:
		return True, p
	}
	var plains, rests []Predicate
	for _, part := range and.Of {
		a, b := Split(s, part)
		plains, rests = append(plains, a), append(rests, b)
	}
	return All(plains...), All(rests...)
}
