package listing

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// ParseSort parses the text of sortBy. It refuses a syntax error with InvalidSort and the attribute position, and a
// field that the list cannot be sorted by with MeaninglessSort and the attribute property. If a field occurs twice, the
// first key counts.
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
				Because("The list cannot be sorted by %s.", truncateName(o.Field)).With("property", truncateName(o.Field))
		}
	}
	return orders, nil
}

// truncateName limits how much of a caller's input appears in a response.
func truncateName(name string) string {
	const maxLength = 64 // property names are shorter
	if len(name) <= maxLength {
		return name
	}
	return name[:maxLength] + "…" // a name has ASCII letters and digits only
}

func invalidSort(text string, at int) error {
	return problem.New(problem.InvalidSort).With("position", utf8.RuneCountInString(text[:at]))
}

// Alternatives parses a named parameter such as state=sent|accepted: the field must have one of the values. It refuses
// an empty alternative with InvalidParameter, and an invalid enumeration value, time or number with
// InvalidParameterValue; both have the attribute name. Hidden fields are permitted.
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
	var seconds []Predicate
	for _, word := range words {
		if word == "" {
			return invalid("The parameter %s has an empty alternative.", field)
		}
		v, ok := f.parameter(word)
		if !ok && f.Type == Bool {
			return invalid("The parameter %s must be true or false.", field)
		}
		if !ok {
			return nil, problem.New(problem.InvalidParameterValue).
				Because("The parameter %s has a value that is not allowed.", field).With("name", field)
		}
		if at, second := f.second(word, v); second {
			seconds = append(seconds, Within(EQ, f.Name, at))
			continue
		}
		values = append(values, v)
	}
	return f.among(values, seconds), nil
}

// parameter converts an unquoted value to the type of the field.
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
