package listing

// Predicate says which records are wanted. The types of this file are all there are: And, Or, Not, Constant,
// Compare, In, Like, IsNull and Search. A nil Predicate is True.
type Predicate interface{ predicate() }

// And is true where all are.
type And struct{ Of []Predicate }

// Or is true where one is.
type Or struct{ Of []Predicate }

// Not is plain Boolean negation: there is no third value.
type Not struct{ Of Predicate }

// Constant is true or false of every record.
type Constant bool

// The constants.
const (
	True  Constant = true
	False Constant = false
)

// Op is a relation between two operands.
type Op string

// The relations.
const (
	EQ Op = "eq"
	NE Op = "ne"
	LT Op = "lt"
	LE Op = "le"
	GT Op = "gt"
	GE Op = "ge"
)

// Operand is a field, or a literal where Field is empty.
type Operand struct {
	Field string
	Value Value
}

// Literal reports whether the operand is a literal.
func (o Operand) Literal() bool { return o.Field == "" }

// Compare is a relation. It is false where a property is missing, except that ne of a property and a literal is
// true; eq with the literal nil asks whether the property is missing, ne whether it is there.
type Compare struct {
	Op          Op
	Left, Right Operand
}

// In is true where the field has one of the values; the value nil stands for a missing property.
type In struct {
	Field  string
	Values []Value
}

// LikeOp is a relation between a field and a part of its text.
type LikeOp string

// The relations of a text and its parts.
const (
	StartsWith LikeOp = "startsWith"
	EndsWith   LikeOp = "endsWith"
	Contains   LikeOp = "contains"
)

// Like is true where the field has the text in it, without regard to case.
type Like struct {
	Op    LikeOp
	Field string
	Text  string
}

// IsNull is true where the property is missing.
type IsNull struct{ Field string }

// Search is true where one of Any holds: a conjunction of terms and phrases, each of which stands in one of the
// searched fields, without regard to case.
type Search struct{ Any [][]string }

func (And) predicate()      {}
func (Or) predicate()       {}
func (Not) predicate()      {}
func (Constant) predicate() {}
func (Compare) predicate()  {}
func (In) predicate()       {}
func (Like) predicate()     {}
func (IsNull) predicate()   {}
func (Search) predicate()   {}

// All is the conjunction, flattened and without what is true anyway. None given is True.
func All(of ...Predicate) Predicate {
	var kept []Predicate
	for _, p := range of {
		switch p := p.(type) {
		case nil:
		case Constant:
			if !p {
				return False
			}
		case And:
			kept = append(kept, p.Of...)
		default:
			kept = append(kept, p)
		}
	}
	switch len(kept) {
	case 0:
		return True
	case 1:
		return kept[0]
	}
	return And{Of: kept}
}

// Any is the disjunction, flattened and without what is false anyway. None given is False.
func Any(of ...Predicate) Predicate {
	var kept []Predicate
	for _, p := range of {
		switch p := p.(type) {
		case nil:
			return True
		case Constant:
			if p {
				return True
			}
		case Or:
			kept = append(kept, p.Of...)
		default:
			kept = append(kept, p)
		}
	}
	switch len(kept) {
	case 0:
		return False
	case 1:
		return kept[0]
	}
	return Or{Of: kept}
}

// Negate is the opposite.
func Negate(p Predicate) Predicate {
	switch p := p.(type) {
	case nil:
		return False
	case Constant:
		return !p
	case Not:
		return p.Of
	}
	return Not{Of: p}
}

// Is relates a field to a literal. With nil, eq asks whether the property is missing and ne whether it is there.
func Is(op Op, field string, value Value) Predicate {
	switch {
	case value != nil:
		return Compare{Op: op, Left: Operand{Field: field}, Right: Operand{Value: value}}
	case op == EQ:
		return IsNull{Field: field}
	case op == NE:
		return Not{Of: IsNull{Field: field}}
	}
	return False
}

// Eq is true where the field has the value.
func Eq(field string, value Value) Predicate { return Is(EQ, field, value) }

// Ne is true where the field has another value, or none.
func Ne(field string, value Value) Predicate { return Is(NE, field, value) }

// OneOf is true where the field has one of the values; of no values it is False.
func OneOf(field string, values ...Value) Predicate {
	var kept []Value
	var missing Predicate = False
	for _, v := range values {
		if v == nil {
			missing = IsNull{Field: field}
			continue
		}
		kept = append(kept, v)
	}
	switch len(kept) {
	case 0:
		return missing
	case 1:
		return Any(Eq(field, kept[0]), missing)
	}
	return Any(In{Field: field, Values: kept}, missing)
}

// OneWord is OneOf for the words of an enumeration or for ids.
func OneWord[S ~string](field string, words ...S) Predicate {
	values := make([]Value, 0, len(words))
	for _, w := range words {
		values = append(values, string(w))
	}
	return OneOf(field, values...)
}
