package listing

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// ParseSort reads the text of sortBy. What breaks the grammar is refused with InvalidSort and the attribute
// position, a field that the list cannot be sorted by with MeaninglessSort and the attribute property. Of a field
// named twice the first key counts.
func ParseSort(s Schema, text string) ([]Order, error) {
	if at, ok := storable(text); !ok {
		return nil, invalidSort(text, at)
	}
	if utf8.RuneCountInString(text) > MaxText {
		return nil, problem.New(problem.InvalidSort).With("position", MaxText)
	}
	var orders []Order
	p := parser{text: text}
	for {
		desc := p.peek() == '-'
		if desc {
			p.at++
		}
		field, err := p.property()
		if err != nil {
			return nil, invalidSort(text, p.at)
		}
		if !slices.ContainsFunc(orders, func(o Order) bool { return o.Field == field }) {
			orders = append(orders, Order{Field: field, Desc: desc})
		}
		if p.at == len(text) {
			break
		}
		if p.peek() != ',' {
			return nil, invalidSort(text, p.at)
		}
		p.at++
	}
	for _, o := range orders {
		if f, ok := s.Field(o.Field); !ok || f.Hidden || f.Many {
			return nil, problem.New(problem.MeaninglessSort).
				Because("The list cannot be sorted by %s.", short(o.Field)).With("property", short(o.Field))
		}
	}
	return orders, nil
}

// short keeps what a caller made up from filling an answer.
func short(name string) string {
	const most = 64 // names of properties are shorter
	if len(name) <= most {
		return name
	}
	return name[:most] + "…" // a name has ASCII letters and digits
}

func invalidSort(text string, at int) error {
	return problem.New(problem.InvalidSort).With("position", utf8.RuneCountInString(text[:at]))
}

// Alternatives reads a named parameter such as state=sent|accepted: the field has one of the values. An empty
// alternative is refused with InvalidParameter, a word, time or number that is none with InvalidParameterValue;
// both have the attribute name. Hidden fields are welcome.
func Alternatives(s Schema, field, text string) (Predicate, error) {
	f, ok := s.Field(field)
	if !ok {
		return nil, problem.New(problem.InternalError)
	}
	invalid := func(format string, args ...any) (Predicate, error) {
		return nil, problem.New(problem.InvalidParameter).Because(format, args...).With("name", field)
	}
	if _, ok := storable(text); !ok {
		return invalid("The parameter %s has a character that is not allowed.", field)
	}
	words := strings.Split(text, "|")
	if len(words) > MaxLiterals {
		return invalid("The parameter %s has more than %d alternatives.", field, MaxLiterals)
	}
	values := make([]Value, 0, len(words))
	for _, word := range words {
		if word == "" {
			return invalid("The parameter %s has an empty alternative.", field)
		}
		v, ok := f.parameter(word)
		if !ok && f.Type == Bool {
			return invalid("The parameter %s is true or false.", field)
		}
		if !ok {
			return nil, problem.New(problem.InvalidParameterValue).
				Because("The parameter %s has a value that is not allowed.", field).With("name", field)
		}
		values = append(values, v)
	}
	return OneOf(field, values...), nil
}

// parameter reads a bare word as a value of the field.
func (f Field) parameter(word string) (Value, bool) {
	var raw Value = word
	switch f.Type {
	case Number:
		p := parser{text: word}
		n, err := p.number()
		if err != nil || p.at != len(word) {
			return nil, false
		}
		raw = n
	case Bool:
		if word != "true" && word != "false" {
			return nil, false
		}
		raw = word == "true"
	case Text, Enum, ID, Time:
	}
	v, err := f.literal(raw)
	return v, err == nil
}
