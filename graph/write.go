package graph

import (
	"bytes"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// write appends a value to a text as JSON, byte for byte as the generated code does. It reports false where that code
// would do more than write, such as tell that a value must not be null: then it does all of it.
type write[V any] func(text []byte, p *plan, v V) ([]byte, bool)

const null = "null"

func text[V ~string](text []byte, _ *plan, v V) ([]byte, bool) { return quoted(text, string(v)), true }

func number(text []byte, _ *plan, v int) ([]byte, bool) { return strconv.AppendInt(text, int64(v), 10), true }

func truth(text []byte, _ *plan, v bool) ([]byte, bool) { return strconv.AppendBool(text, v), true }

func moment(text []byte, _ *plan, v time.Time) ([]byte, bool) {
	if v.IsZero() {
		return text, false
	}
	text = append(text, '"')
	text = v.AppendFormat(text, time.RFC3339Nano)
	return append(text, '"'), true
}

func momentOrNull(text []byte, p *plan, v time.Time) ([]byte, bool) {
	if v.IsZero() {
		return append(text, null...), true
	}
	return moment(text, p, v)
}

func freely(text []byte, _ *plan, v map[string]any) ([]byte, bool) {
	if v == nil {
		return text, false
	}
	var out bytes.Buffer
	graphql.MarshalMap(v).MarshalGQL(&out)
	return append(text, out.Bytes()...), true
}

func freelyOrNull(text []byte, p *plan, v map[string]any) ([]byte, bool) {
	if v == nil {
		return append(text, null...), true
	}
	return freely(text, p, v)
}

// word is an enumeration, with the words that the generated code has for it.
func word[V comparable](words map[V]string) write[V] {
	return func(text []byte, _ *plan, v V) ([]byte, bool) {
		w, ok := words[v]
		return quoted(text, w), ok
	}
}

func pointer[V any](w write[V]) write[*V] {
	return func(text []byte, p *plan, v *V) ([]byte, bool) {
		if v == nil {
			return text, false
		}
		return w(text, p, *v)
	}
}

func pointerOrNull[V any](w write[V]) write[*V] {
	return func(text []byte, p *plan, v *V) ([]byte, bool) {
		if v == nil {
			return append(text, null...), true
		}
		return w(text, p, *v)
	}
}

func list[V any](w write[V]) write[[]V] {
	return func(text []byte, p *plan, v []V) ([]byte, bool) {
		text = append(text, '[')
		for i, one := range v {
			if i > 0 {
				text = append(text, ',')
			}
			var ok bool
			if text, ok = w(text, p, one); !ok {
				return text, false
			}
		}
		return append(text, ']'), true
	}
}

func listOrNull[V any](w write[V]) write[[]V] {
	each := list(w)
	return func(text []byte, p *plan, v []V) ([]byte, bool) {
		if v == nil {
			return append(text, null...), true
		}
		return each(text, p, v)
	}
}

func record[O any](text []byte, p *plan, v *O) ([]byte, bool) {
	if v == nil {
		return text, false
	}
	return p.types[0].write(text, v)
}

func recordOrNull[O any](text []byte, p *plan, v *O) ([]byte, bool) {
	if v == nil {
		return append(text, null...), true
	}
	return p.types[0].write(text, v)
}

func inline[O any](text []byte, p *plan, v O) ([]byte, bool) { return p.types[0].write(text, &v) }

// either is an interface: what is written of a value depends on its type.
func either[I any](text []byte, p *plan, v I) ([]byte, bool) {
	for _, t := range p.types {
		if o := t.as(v); o != nil {
			return t.write(text, o)
		}
	}
	return text, false
}

func eitherOrNull[I any](text []byte, p *plan, v I) ([]byte, bool) {
	if any(v) == nil {
		return append(text, null...), true
	}
	return either(text, p, v)
}

// as gives the object behind a value of an interface, as a pointer; nil where it is of another type.
func as[O any](v any) any {
	switch v := v.(type) {
	case *O:
		if v != nil {
			return v
		}
	case O:
		return &v
	}
	return nil
}

const hex = "0123456789ABCDEF"

// quoted is writeQuotedString of gqlgen, which is not encoding/json's way: < and what is not UTF-8 stay as they are.
func quoted(text []byte, s string) []byte {
	text = append(text, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '\\' && c != '"' {
			continue
		}
		text = append(text, s[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			text = append(text, `\t`...)
		case '\r':
			text = append(text, `\r`...)
		case '\n':
			text = append(text, `\n`...)
		case '\\', '"':
			text = append(text, '\\', c)
		default:
			text = append(text, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	text = append(text, s[start:]...)
	return append(text, '"')
}
