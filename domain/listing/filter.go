package listing

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// The limits of a filter expression, from conventions §6.
const (
	MaxText     = 4096 // characters
	MaxNesting  = 32   // calls inside calls
	MaxLiterals = 100  // literals of one in(), and alternatives of one named parameter
)

// ParseFilter parses a filter expression. It refuses a syntax error with InvalidFilter and the attribute position, in
// characters from 0, and an expression that is invalid for the schema with MeaninglessFilter and the attribute
// property. The whole text is checked for syntax errors first.
func ParseFilter(s Schema, text string) (Predicate, error) {
	p := parser{text: text}
	raw, err := p.filter()
	if err != nil {
		return nil, err
	}
	return s.resolve(raw)
}

// parser parses the grammar into predicates whose literals are not typed yet.
type parser struct {
	text string
	at   int // byte offset
}

func (p *parser) fail(at int, format string, args ...any) error {
	return problem.New(problem.InvalidFilter).Because(format, args...).With("position", utf8.RuneCountInString(p.text[:at]))
}

func (p *parser) filter() (Predicate, error) {
	if at, ok := storable(p.text); !ok {
		return nil, p.fail(at, "The filter has a character that is not allowed.")
	}
	if utf8.RuneCountInString(p.text) > MaxText {
		return nil, problem.New(problem.InvalidFilter).
			Because("The filter is longer than %d characters.", MaxText).With("position", MaxText)
	}
	p.space()
	out, err := p.expr(1)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.fail(p.at, "The filter has text after its end.")
	}
	return out, nil
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0 // a filter never contains NUL, so this is the end only
}

// comma consumes a comma and the space around it.
func (p *parser) comma() error {
	p.space()
	if p.peek() != ',' {
		return p.fail(p.at, "Expected %q.", ",")
	}
	p.at++
	p.space()
	return nil
}

func isLetter(b byte) bool { return b == '_' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }
func digit(b byte) bool    { return '0' <= b && b <= '9' }

func (p *parser) name() string {
	from := p.at
	if isLetter(p.peek()) {
		for isLetter(p.peek()) || digit(p.peek()) {
			p.at++
		}
	}
	return p.text[from:p.at]
}

func (p *parser) property() (string, error) {
	from := p.at
	for {
		if p.name() == "" {
			return "", p.fail(p.at, "Expected the name of a property.")
		}
		if p.peek() != '.' {
			return p.text[from:p.at], nil
		}
		p.at++
	}
}

func (p *parser) expr(depth int) (Predicate, error) {
	from := p.at
	if depth > MaxNesting {
		return nil, p.fail(from, "The filter is nested deeper than %d levels.", MaxNesting)
	}
	name := p.name()
	var parse func(name string, depth int) (Predicate, error)
	switch name {
	case "and", "or":
		parse = p.junction
	case "not":
		parse = p.negation
	case "eq", "ne", "lt", "le", "gt", "ge":
		parse = p.relation
	case "in":
		parse = p.member
	case "startsWith", "endsWith", "contains":
		parse = p.like
	case "isNull":
		parse = p.nullTest
	case "search":
		parse = p.search
	}
	if parse == nil {
		return nil, p.fail(from, "Expected a function of filters.")
	}
	if p.peek() != '(' {
		return nil, p.fail(p.at, "Expected %q.", "(")
	}
	p.at++
	p.space()
	out, err := parse(name, depth)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.peek() != ')' {
		return nil, p.fail(p.at, "Expected %q.", ")")
	}
	p.at++
	return out, nil
}

func (p *parser) junction(name string, depth int) (Predicate, error) {
	var of []Predicate
	for {
		operand, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		of = append(of, operand)
		p.space()
		if len(of) >= 2 && p.peek() != ',' {
			break
		}
		if err := p.comma(); err != nil {
			return nil, err
		}
	}
	if name == "and" {
		return And{Of: of}, nil
	}
	return Or{Of: of}, nil
}

func (p *parser) negation(_ string, depth int) (Predicate, error) {
	operand, err := p.expr(depth + 1)
	if err != nil {
		return nil, err
	}
	return Not{Of: operand}, nil
}

func (p *parser) relation(name string, _ int) (Predicate, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	if err := p.comma(); err != nil {
		return nil, err
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	return Compare{Op: Op(name), Left: left, Right: right}, nil
}

func (p *parser) member(string, int) (Predicate, error) {
	field, err := p.property()
	if err != nil {
		return nil, err
	}
	var values []Value
	for {
		if len(values) > 0 {
			if p.space(); p.peek() != ',' {
				return In{Field: field, Values: values}, nil
			}
		}
		if err := p.comma(); err != nil {
			return nil, err
		}
		from := p.at
		o, err := p.operand()
		switch {
		case err != nil:
			return nil, err
		case !o.Literal():
			return nil, p.fail(from, "Expected a literal.")
		case len(values) == MaxLiterals:
			return nil, p.fail(from, "The filter has more than %d literals.", MaxLiterals)
		}
		values = append(values, o.Value)
	}
}

func (p *parser) like(name string, _ int) (Predicate, error) {
	field, err := p.property()
	if err != nil {
		return nil, err
	}
	if err := p.comma(); err != nil {
		return nil, err
	}
	text, err := p.str()
	if err != nil {
		return nil, err
	}
	return Like{Op: LikeOp(name), Field: field, Text: text}, nil
}

func (p *parser) nullTest(string, int) (Predicate, error) {
	field, err := p.property()
	if err != nil {
		return nil, err
	}
	return IsNull{Field: field}, nil
}

func (p *parser) search(string, int) (Predicate, error) {
	from := p.at
	text, err := p.str()
	if err != nil {
		return nil, err
	}
	alternatives, wrong := parseTerms(text)
	if wrong != "" {
		return nil, p.fail(from, "%s", wrong)
	}
	if len(alternatives) == 0 {
		return True, nil
	}
	return Search{Any: alternatives}, nil
}

func (p *parser) operand() (Operand, error) {
	switch b := p.peek(); {
	case b == '\'' || b == '"':
		text, err := p.str()
		return Operand{Value: text}, err
	case b == '-' || digit(b):
		n, err := p.number()
		return Operand{Value: n}, err
	}
	name, err := p.property()
	if err != nil {
		return Operand{}, err
	}
	switch name {
	case "true":
		return Operand{Value: true}, nil
	case "false":
		return Operand{Value: false}, nil
	case "null":
		return Operand{}, nil
	}
	return Operand{Field: name}, nil
}

// str parses a string: a doubled quote is a quote, and a backslash escapes every character.
func (p *parser) str() (string, error) {
	from, quote := p.at, p.peek()
	if quote != '\'' && quote != '"' {
		return "", p.fail(p.at, "Expected a string.")
	}
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == '\\':
			if p.at++; p.at == len(p.text) {
				return "", p.fail(from, "The string is not terminated.")
			}
			// The following bytes of a multi-byte character are copied by the next iterations.
			b.WriteByte(p.text[p.at])
		case c != quote:
			b.WriteByte(c)
		case p.at+1 < len(p.text) && p.text[p.at+1] == quote:
			p.at++
			b.WriteByte(quote)
		default:
			p.at++
			return b.String(), nil
		}
	}
	return "", p.fail(from, "The string is not terminated.")
}

func (p *parser) digits() error {
	if !digit(p.peek()) {
		return p.fail(p.at, "Expected a digit.")
	}
	for digit(p.peek()) {
		p.at++
	}
	return nil
}

func (p *parser) number() (float64, error) {
	from := p.at
	if p.peek() == '-' {
		p.at++
	}
	if err := p.digits(); err != nil {
		return 0, err
	}
	if p.peek() == '.' {
		p.at++
		if err := p.digits(); err != nil {
			return 0, err
		}
	}
	if p.peek() == 'e' || p.peek() == 'E' {
		p.at++
		if p.peek() == '+' || p.peek() == '-' {
			p.at++
		}
		if err := p.digits(); err != nil {
			return 0, err
		}
	}
	// The syntax was checked above; a number out of range becomes an infinity, which no field accepts.
	n, _ := strconv.ParseFloat(p.text[from:p.at], 64)
	return n, nil
}

func meaningless(property, format string, args ...any) error {
	p := problem.New(problem.MeaninglessFilter).Because(format, args...)
	if property != "" {
		p = p.With("property", property)
	}
	return p
}

// resolve returns the predicate with typed literals, or the reason why it is invalid for the schema.
func (s Schema) resolve(p Predicate) (Predicate, error) {
	switch p := p.(type) {
	case And:
		of, err := s.resolveAll(p.Of)
		return All(of...), err
	case Or:
		of, err := s.resolveAll(p.Of)
		return Any(of...), err
	case Not:
		of, err := s.resolve(p.Of)
		if err != nil {
			return nil, err
		}
		return Negate(of), nil
	case Compare:
		return s.resolveCompare(p)
	case In:
		f, err := s.filterable(p.Field)
		if err != nil {
			return nil, err
		}
		values := make([]Value, 0, len(p.Values))
		var seconds []Predicate
		for _, literal := range p.Values {
			v := literal
			if v != nil || f.Many {
				if v, err = f.literal(literal); err != nil {
					return nil, err
				}
			}
			if at, second := f.second(literal, v); second {
				seconds = append(seconds, Within(EQ, f.Name, at))
				continue
			}
			values = append(values, v)
		}
		return f.among(values, seconds), nil
	case Like:
		f, err := s.filterable(p.Field)
		if err != nil {
			return nil, err
		}
		if f.Many || f.Type != Text && f.Type != ID {
			return nil, meaningless(f.Name, "The property %s does not support text search.", f.Name)
		}
		return p, nil
	case IsNull:
		f, err := s.filterable(p.Field)
		if err != nil {
			return nil, err
		}
		if f.Many {
			return nil, meaningless(f.Name, "The property %s supports only eq and in.", f.Name)
		}
		return p, nil
	}
	return p, nil
}

func (s Schema) resolveAll(in []Predicate) ([]Predicate, error) {
	out := make([]Predicate, 0, len(in))
	for _, p := range in {
		typed, err := s.resolve(p)
		if err != nil {
			return nil, err
		}
		out = append(out, typed)
	}
	return out, nil
}

func (s Schema) filterable(name string) (Field, error) {
	f, ok := s.Field(name)
	if !ok || f.Hidden {
		return Field{}, meaningless(truncateName(name), "The list cannot be filtered by %s.", truncateName(name))
	}
	return f, nil
}

func (s Schema) resolveCompare(p Compare) (Predicate, error) {
	if p.Left.Literal() && p.Right.Literal() {
		return constantCompare(p)
	}
	if p.Left.Literal() {
		p = Compare{Op: p.Op.mirrored(), Left: p.Right, Right: p.Left}
	}
	left, err := s.filterable(p.Left.Field)
	if err != nil {
		return nil, err
	}
	if err := left.accepts(p.Op); err != nil {
		return nil, err
	}
	if p.Right.Literal() {
		if p.Right.Value == nil && !left.Many && (p.Op == EQ || p.Op == NE) {
			return Is(p.Op, left.Name, nil), nil
		}
		v, err := left.literal(p.Right.Value)
		if err != nil {
			return nil, err
		}
		if at, second := left.second(p.Right.Value, v); second {
			return Within(p.Op, left.Name, at), nil
		}
		return Is(p.Op, left.Name, v), nil
	}
	right, err := s.filterable(p.Right.Field)
	if err != nil {
		return nil, err
	}
	if err := right.accepts(p.Op); err != nil {
		return nil, err
	}
	if left.Many || right.Many || !comparableFields(left, right) {
		return nil, meaningless(right.Name, "The properties %s and %s cannot be compared.", left.Name, right.Name)
	}
	return p, nil
}

// constantCompare evaluates a comparison of two literals, which the grammar permits.
func constantCompare(p Compare) (Predicate, error) {
	l, r := p.Left.Value, p.Right.Value
	sameKind := kind(l) == kind(r)
	possible := sameKind && (kind(l) == kind("") || kind(l) == kind(0.0))
	if p.Op == EQ || p.Op == NE {
		possible = sameKind || l == nil || r == nil
	}
	if !possible {
		return nil, meaningless("", "These two literals cannot be compared.")
	}
	return Constant(p.Op.holds(compareValues(l, r))), nil
}

// mirrored returns the operator for swapped operands.
func (op Op) mirrored() Op {
	switch op {
	case LT:
		return GT
	case LE:
		return GE
	case GT:
		return LT
	case GE:
		return LE
	case EQ, NE:
	}
	return op
}

// accepts returns an error if the field does not support the operator.
func (f Field) accepts(op Op) error {
	switch {
	case f.Many && op != EQ:
		return meaningless(f.Name, "The property %s supports only eq and in.", f.Name)
	case (f.Type == Enum || f.Type == Bool) && op != EQ && op != NE:
		return meaningless(f.Name, "The property %s supports only eq, ne, in and isNull.", f.Name)
	}
	return nil
}

// comparableFields reports whether two properties can be compared: they have the same type, or both are texts or ids.
func comparableFields(a, b Field) bool {
	stringy := func(f Field) bool { return f.Type == Text || f.Type == ID }
	return a.Type == b.Type || stringy(a) && stringy(b)
}

// second reports whether a literal is a time without a fraction. The documented APIs show whole seconds, so that such a
// time means its whole second.
func (f Field) second(literal, v Value) (at time.Time, ok bool) {
	text, isText := literal.(string)
	at, isTime := v.(time.Time)
	return at, isText && isTime && f.Type == Time && !strings.Contains(text, ".")
}

// among selects one of several values or of several seconds.
func (f Field) among(values []Value, seconds []Predicate) Predicate {
	if len(seconds) == 0 {
		return OneOf(f.Name, values...)
	}
	if len(values) > 0 {
		seconds = append(seconds, OneOf(f.Name, values...))
	}
	return Any(seconds...)
}

// Within compares a field with a whole second: eq is true for every instant of the second, gt from its end, ge from its
// start.
func Within(op Op, field string, at time.Time) Predicate {
	end := at.Add(time.Second)
	within := All(Is(GE, field, at), Is(LT, field, end))
	switch op {
	case EQ:
		return within
	case NE:
		return Negate(within)
	case LE:
		return Is(LT, field, end)
	case GT:
		return Is(GE, field, end)
	case LT, GE:
	}
	return Is(op, field, at)
}

// literal converts the literal to the type of the field.
func (f Field) literal(v Value) (Value, error) {
	wrong := func(what string) (Value, error) {
		return nil, meaningless(f.Name, "The property %s can be compared only with %s.", f.Name, what)
	}
	text, isText := v.(string)
	switch f.Type {
	case Text, ID:
		if !isText {
			return wrong("strings")
		}
	case Enum:
		if !isText || !slices.Contains(f.Values, text) {
			return wrong("the words " + strings.Join(f.Values, ", "))
		}
	case Time:
		t, ok := ParseTime(text)
		if !ok {
			return wrong("RFC 3339 date-times in quotes")
		}
		return t, nil
	case Number:
		if n, ok := v.(float64); !ok || math.IsInf(n, 0) {
			return wrong("numbers")
		}
	case Bool:
		if _, ok := v.(bool); !ok {
			return wrong("true and false")
		}
	}
	return v, nil
}
