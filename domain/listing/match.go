package listing

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Match reports whether the record matches the predicate.
func Match[R any](s Schema, p Predicate, read Reader[R], r *R) bool {
	switch p := p.(type) {
	case Constant:
		return bool(p)
	case And:
		return !slices.ContainsFunc(p.Of, func(x Predicate) bool { return !Match(s, x, read, r) })
	case Or:
		return slices.ContainsFunc(p.Of, func(x Predicate) bool { return Match(s, x, read, r) })
	case Not:
		return !Match(s, p.Of, read, r)
	case Compare:
		return s.compares(p, func(field string) Value { return read(r, field) })
	case In:
		f, _ := s.Field(p.Field)
		v := read(r, p.Field)
		return slices.ContainsFunc(p.Values, func(x Value) bool { return f.equal(v, x) })
	case Like:
		text, ok := read(r, p.Field).(string)
		return ok && p.Op.holds(Fold(text), Fold(p.Text))
	case IsNull:
		return read(r, p.Field) == nil
	case Search:
		texts := searchTexts(s, read, r)
		return slices.ContainsFunc(p.Any, func(all []string) bool { return containsAll(texts, all) })
	}
	return true // nil
}

func (s Schema) compares(p Compare, read func(string) Value) bool {
	value := func(o Operand) (Field, Value) {
		if o.Literal() {
			return Field{}, o.Value
		}
		f, _ := s.Field(o.Field)
		return f, read(o.Field)
	}
	lf, l := value(p.Left)
	rf, r := value(p.Right)
	nullTest := p.Left.Literal() && l == nil || p.Right.Literal() && r == nil
	switch {
	case nullTest:
		return p.Op == EQ && l == r || p.Op == NE && (l == nil) != (r == nil)
	case l == nil || r == nil:
		return p.Op == NE && (p.Left.Literal() || p.Right.Literal())
	case lf.Many:
		return (p.Op == EQ) == lf.equal(l, r) && (p.Op == EQ || p.Op == NE)
	}
	if lf.Fold || rf.Fold {
		l, r = folded(l), folded(r)
	}
	if kind(l) != kind(r) {
		return p.Op == NE
	}
	return p.Op.holds(compareValues(l, r))
}

// holds reports whether the relation holds for the result of a comparison.
func (op Op) holds(c int) bool {
	switch op {
	case EQ:
		return c == 0
	case NE:
		return c != 0
	case LT:
		return c < 0
	case LE:
		return c <= 0
	case GT:
		return c > 0
	case GE:
		return c >= 0
	}
	return false
}

func (op LikeOp) holds(text, part string) bool {
	switch op {
	case StartsWith:
		return strings.HasPrefix(text, part)
	case EndsWith:
		return strings.HasSuffix(text, part)
	case Contains:
		return strings.Contains(text, part)
	}
	return false
}

// equal reports whether the value of a record's field equals the literal.
func (f Field) equal(v, literal Value) bool {
	if many, ok := v.([]string); ok {
		return slices.ContainsFunc(many, func(element string) bool { return f.equal(element, literal) })
	}
	if f.Fold {
		v, literal = folded(v), folded(literal)
	}
	return compareValues(v, literal) == 0
}

func folded(v Value) Value {
	if text, ok := v.(string); ok {
		return Fold(text)
	}
	return v
}

// kind orders the types of values, so that values of different types have an order too.
func kind(v Value) int {
	switch v.(type) {
	case bool:
		return 1
	case float64:
		return 2
	case time.Time:
		return 3
	case string:
		return 4
	case nil:
		return 9 // missing sorts last
	}
	return 5
}

// compareValues defines the order of values: texts by code point, times as instants, missing values last.
func compareValues(a, b Value) int {
	if c := cmp.Compare(kind(a), kind(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case bool:
		if a == b.(bool) {
			return 0
		}
		if a {
			return 1
		}
		return -1
	case float64:
		return cmp.Compare(a, b.(float64))
	case time.Time:
		return a.Compare(b.(time.Time))
	case string:
		return cmp.Compare(a, b.(string))
	}
	return 0
}

func searchTexts[R any](s Schema, read Reader[R], r *R) []string {
	var texts []string
	for _, f := range s.Fields {
		if !f.Searched {
			continue
		}
		switch v := read(r, f.Name).(type) {
		case string:
			texts = append(texts, Fold(v))
		case []string:
			for _, text := range v {
				texts = append(texts, Fold(text))
			}
		}
	}
	return texts
}

func containsAll(texts, parts []string) bool {
	for _, term := range parts {
		part := Fold(term)
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, part) }) {
			return false
		}
	}
	return true
}
