package listing

// Predicate selects records. Its only implementations are the types in this file: And, Or, Not, Constant, Compare, In,
// Like, IsNull and Search. A nil Predicate is True.
type Predicate interface{ predicate() }

// And is true if all operands are true.
type And struct{ Of []Predicate }

// Or is true if one operand is true.
type Or struct{ Of []Predicate }

// Not is two-valued Boolean negation.
type Not struct{ Of Predicate }

// Constant is true or false for every record.
type Constant bool

// The constants.
const (
	True  Constant = true
	False Constant = false
)

// Op is a comparison operator.
type Op string

// The comparison operators.
const (
	EQ Op = "eq"
	NE Op = "ne"
	LT Op = "lt"
	LE Op = "le"
	GT Op = "gt"
	GE Op = "ge"
)

// Operand is a field, or a literal if Field is empty.
type Operand struct {
	Field string
	Value Value
}

// Literal reports whether the operand is a literal.
func (o Operand) Literal() bool { return o.Field == "" }

// Compare is a comparison. It is false if a property is missing, except that ne with a literal is true; eq with the
// literal nil is true if the property is missing, and ne with nil if it is present.
type Compare struct {
	Op          Op
	Left, Right Operand
}

// In is true if the field has one of the values; the value nil matches a missing property.
type In struct {
	Field  string
	Values []Value
}

// LikeOp is an operator for matching a part of a text.
type LikeOp string

// The operators for matching a part of a text.
const (
	StartsWith LikeOp = "startsWith"
	EndsWith   LikeOp = "endsWith"
	Contains   LikeOp = "contains"
)

// Like is true if the field matches the text, case-insensitively.
type Like struct {
	Op    LikeOp
	Field string
	Text  string
}

// IsNull is true if the property is missing.
type IsNull struct{ Field string }

// Search is true if one element of Any matches: a conjunction of terms and phrases, each of which occurs in one of the
// searched fields, case-insensitively.
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

// All returns the conjunction, flattened and without operands that are always true. Without operands it is True.
func All(of ...Predicate) Predicate {
	var operands []Predicate
	for _, p := range of {
		switch p := p.(type) {
		case nil:
		case Constant:
			if !p {
				return False
			}
		case And:
			operands = append(operands, p.Of...)
		default:
			operands = append(operands, p)
		}
	}
	switch len(operands) {
	case 0:
		return True
	case 1:
		return operands[0]
	}
	return And{Of: operands}
}

// Any returns the disjunction, flattened and without operands that are always false. Without operands it is False.
func Any(of ...Predicate) Predicate {
	var operands []Predicate
	for _, p := range of {
		switch p := p.(type) {
		case nil:
			return True
		case Constant:
			if p {
				return True
			}
		case Or:
			operands = append(operands, p.Of...)
		default:
			operands = append(operands, p)
		}
	}
	switch len(operands) {
	case 0:
		return False
	case 1:
		return operands[0]
	}
	return Or{Of: operands}
}

// Negate returns the negation.
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

// Is compares a field with a literal. With nil, eq is true if the property is missing, and ne if it is present.
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

// Eq is true if the field has the value.
func Eq(field string, value Value) Predicate { return Is(EQ, field, value) }

// Ne is true if the field has another value or none.
func Ne(field string, value Value) Predicate { return Is(NE, field, value) }

// OneOf is true if the field has one of the values; without values it is False.
func OneOf(field string, values ...Value) Predicate {
	var distinct []Value
	var missing Predicate = False
	for _, v := range values {
		if v == nil {
			missing = IsNull{Field: field}
			continue
		}
		distinct = append(distinct, v)
	}
	switch len(distinct) {
	case 0:
		return missing
	case 1:
		return Any(Eq(field, distinct[0]), missing)
	}
	return Any(In{Field: field, Values: distinct}, missing)
}

// OneWord is like OneOf for enumeration values or ids.
func OneWord[S ~string](field string, words ...S) Predicate {
	values := make([]Value, 0, len(words))
	for _, w := range words {
		values = append(values, string(w))
	}
	return OneOf(field, values...)
}
