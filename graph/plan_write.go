package graph

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// jsonWriter holds the text written so far, and the context for methods of records.
type jsonWriter struct {
	ctx  context.Context
	text []byte
}

// write appends a value as JSON, byte for byte as the generated code does. It returns false if the generated code would
// do more than write, such as report that a value must not be null; the generated code must then write the whole value.
type write[V any] func(s *jsonWriter, p *plan, v V) bool

const null = "null"

func (s *jsonWriter) null() bool {
	s.text = append(s.text, null...)
	return true
}

func text[V ~string](s *jsonWriter, _ *plan, v V) bool {
	s.text = appendQuoted(s.text, string(v))
	return true
}

func number(s *jsonWriter, _ *plan, v int) bool {
	s.text = strconv.AppendInt(s.text, int64(v), 10)
	return true
}

// decimal writes a finite number; JSON has no other.
func decimal(s *jsonWriter, _ *plan, v float64) bool {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return false
	}
	s.text = strconv.AppendFloat(s.text, v, 'g', -1, 64)
	return true
}

func truth(s *jsonWriter, _ *plan, v bool) bool {
	s.text = strconv.AppendBool(s.text, v)
	return true
}

func moment(s *jsonWriter, _ *plan, v time.Time) bool {
	if v.IsZero() {
		return false
	}
	s.text = append(s.text, '"')
	s.text = v.AppendFormat(s.text, time.RFC3339Nano)
	s.text = append(s.text, '"')
	return true
}

func momentOrNull(s *jsonWriter, p *plan, v time.Time) bool {
	if v.IsZero() {
		return s.null()
	}
	return moment(s, p, v)
}

// anyJSON writes arbitrary JSON.
func anyJSON(s *jsonWriter, _ *plan, v map[string]any) bool {
	if v == nil {
		return false
	}
	out := bytes.NewBuffer(s.text)
	graphql.MarshalMap(v).MarshalGQL(out)
	s.text = out.Bytes()
	return true
}

func anyJSONOrNull(s *jsonWriter, p *plan, v map[string]any) bool {
	if v == nil {
		return s.null()
	}
	return anyJSON(s, p, v)
}

// enum writes an enumeration value under its name in the generated code.
func enum[V comparable](names map[V]string) write[V] {
	return func(s *jsonWriter, _ *plan, v V) bool {
		w, ok := names[v]
		s.text = appendQuoted(s.text, w)
		return ok
	}
}

func pointerOrNull[V any](w write[V]) write[*V] {
	return func(s *jsonWriter, p *plan, v *V) bool {
		if v == nil {
			return s.null()
		}
		return w(s, p, *v)
	}
}

func list[V any](w write[V]) write[[]V] {
	return func(s *jsonWriter, p *plan, v []V) bool {
		s.text = append(s.text, '[')
		for i, item := range v {
			if i > 0 {
				s.text = append(s.text, ',')
			}
			if !w(s, p, item) {
				return false
			}
		}
		s.text = append(s.text, ']')
		return true
	}
}

func listOrNull[V any](w write[V]) write[[]V] {
	each := list(w)
	return func(s *jsonWriter, p *plan, v []V) bool {
		if v == nil {
			return s.null()
		}
		return each(s, p, v)
	}
}

func record[O any](s *jsonWriter, p *plan, v *O) bool { return v != nil && p.types[0].write(s, v) }

func recordOrNull[O any](s *jsonWriter, p *plan, v *O) bool {
	if v == nil {
		return s.null()
	}
	return p.types[0].write(s, v)
}

func inline[O any](s *jsonWriter, p *plan, v O) bool { return p.types[0].write(s, &v) }

// abstract writes an interface value according to its object type.
func abstract[I any](s *jsonWriter, p *plan, v I) bool {
	for i := range p.types {
		if o := p.types[i].as(v); o != nil {
			return p.types[i].write(s, o)
		}
	}
	return false
}

func abstractOrNull[I any](s *jsonWriter, p *plan, v I) bool {
	if any(v) == nil {
		return s.null()
	}
	return abstract(s, p, v)
}

// typedPointer returns the object in an interface value as a pointer, or nil if it has another type.
func typedPointer[O any](v any) any {
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

// appendQuoted is equivalent to gqlgen's writeQuotedString. Unlike encoding/json, it leaves < and invalid UTF-8
// unchanged.
func appendQuoted(text []byte, s string) []byte {
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
