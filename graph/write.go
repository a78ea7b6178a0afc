package graph

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// sheet is what is written so far, and for whom.
type sheet struct {
	ctx  context.Context
	text []byte
}

// write puts a value on the sheet as JSON, byte for byte as the generated code does. It reports false where that code
// would do more than write, such as tell that a value must not be null: then that code does all of it.
type write[V any] func(s *sheet, p *plan, v V) bool

const null = "null"

func (s *sheet) null() bool {
	s.text = append(s.text, null...)
	return true
}

func text[V ~string](s *sheet, _ *plan, v V) bool {
	s.text = quoted(s.text, string(v))
	return true
}

func number(s *sheet, _ *plan, v int) bool {
	s.text = strconv.AppendInt(s.text, int64(v), 10)
	return true
}

func truth(s *sheet, _ *plan, v bool) bool {
	s.text = strconv.AppendBool(s.text, v)
	return true
}

func moment(s *sheet, _ *plan, v time.Time) bool {
	if v.IsZero() {
		return false
	}
	s.text = append(s.text, '"')
	s.text = v.AppendFormat(s.text, time.RFC3339Nano)
	s.text = append(s.text, '"')
	return true
}

func momentOrNull(s *sheet, p *plan, v time.Time) bool {
	if v.IsZero() {
		return s.null()
	}
	return moment(s, p, v)
}

// freely is JSON of any form.
func freely(s *sheet, _ *plan, v map[string]any) bool {
	if v == nil {
		return false
	}
	out := bytes.NewBuffer(s.text)
	graphql.MarshalMap(v).MarshalGQL(out)
	s.text = out.Bytes()
	return true
}

func freelyOrNull(s *sheet, p *plan, v map[string]any) bool {
	if v == nil {
		return s.null()
	}
	return freely(s, p, v)
}

// word is an enumeration, with the words that the generated code has for it.
func word[V comparable](words map[V]string) write[V] {
	return func(s *sheet, _ *plan, v V) bool {
		w, ok := words[v]
		s.text = quoted(s.text, w)
		return ok
	}
}

func pointerOrNull[V any](w write[V]) write[*V] {
	return func(s *sheet, p *plan, v *V) bool {
		if v == nil {
			return s.null()
		}
		return w(s, p, *v)
	}
}

func list[V any](w write[V]) write[[]V] {
	return func(s *sheet, p *plan, v []V) bool {
		s.text = append(s.text, '[')
		for i, one := range v {
			if i > 0 {
				s.text = append(s.text, ',')
			}
			if !w(s, p, one) {
				return false
			}
		}
		s.text = append(s.text, ']')
		return true
	}
}

func listOrNull[V any](w write[V]) write[[]V] {
	each := list(w)
	return func(s *sheet, p *plan, v []V) bool {
		if v == nil {
			return s.null()
		}
		return each(s, p, v)
	}
}

func record[O any](s *sheet, p *plan, v *O) bool { return v != nil && p.types[0].write(s, v) }

func recordOrNull[O any](s *sheet, p *plan, v *O) bool {
	if v == nil {
		return s.null()
	}
	return p.types[0].write(s, v)
}

func inline[O any](s *sheet, p *plan, v O) bool { return p.types[0].write(s, &v) }

// either is an interface: what is written of a value depends on its type.
func either[I any](s *sheet, p *plan, v I) bool {
	for i := range p.types {
		if o := p.types[i].as(v); o != nil {
			return p.types[i].write(s, o)
		}
	}
	return false
}

func eitherOrNull[I any](s *sheet, p *plan, v I) bool {
	if any(v) == nil {
		return s.null()
	}
	return either(s, p, v)
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
