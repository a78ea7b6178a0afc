// Package listing represents a list query as data: which records are requested, in which order, and which page of them.
// `where`, `filter`, `sortBy`, `q`, named parameters and paging are all converted to values of this package.
//
// It knows fields by name and type, the documented grammars of filter, q and sortBy, and how to evaluate them for
// records in memory. It does not know any subject, SQL, HTTP or GraphQL: a database compiles a Predicate to its own
// language, and calls Split for the part that it can evaluate.
package listing

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the type of a field.
type Type string

// The types. Enumerations and ids are compared by code point; texts are sorted case-insensitively.
const (
	Text   Type = "text"   // free text; the value is a string
	Enum   Type = "enum"   // one of Field.Values; the value is a string
	ID     Type = "id"     // an id or a URI; the value is a string
	Time   Type = "time"   // an instant; the value is a time.Time
	Number Type = "number" // a number; the value is a float64
	Bool   Type = "bool"   // the value is a bool
)

// IDField is the last key of every order. Every schema has it, so every order is total.
const IDField = "_id"

// Field is a property that a list can be filtered or sorted by.
type Field struct {
	// Name is the REST name, with dots for members of nested objects: "emailAddress", "outputs.state".
	Name string
	Type Type
	// Values lists the values of an Enum.
	Values []string
	// Many is true if a record has several values: the value is a []string, only eq, in and q apply, and one matching
	// element is sufficient.
	Many bool
	// Sealed is true if the stored form is ciphertext, which a database cannot evaluate.
	Sealed bool
	// Indexed is true if a blind index of the folded value is stored as well.
	Indexed bool
	// Fold is true if comparisons are case-insensitive.
	Fold bool
	// Searched is true if q searches the field.
	Searched bool
	// Hidden is true if only rules and named parameters may use the field; filter and sortBy cannot name it.
	Hidden bool
}

// Schema lists the fields of a list.
type Schema struct {
	Fields []Field
}

// Field returns the field with the given name.
func (s Schema) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Value is the value of a record's field or of a literal: nil (missing), string, time.Time, float64 or bool; []string
// for a field with Many.
type Value any

// Reader returns the value of a record's field; nil if it is missing or the field is unknown.
type Reader[R any] func(r *R, field string) Value

// Word returns the value of a text, an enumeration or an id; an empty string is a missing value.
func Word[S ~string](s S) Value {
	if s == "" {
		return nil
	}
	return string(s)
}

// Amount returns the value of a number.
func Amount[N ~int | ~int32 | ~int64 | ~float64](n N) Value { return float64(n) }

// Order is one sort key.
type Order struct {
	Field string
	Desc  bool
}

// DefaultOrder returns the order of a list whose query does not specify one.
func DefaultOrder() []Order { return []Order{{Field: "createdAt"}, {Field: IDField}} }

// Total completes an order so that no two records are equal: the default order if it is empty, each field once, and the
// id at the end.
func Total(orders []Order) []Order {
	if len(orders) == 0 {
		return DefaultOrder()
	}
	out := make([]Order, 0, len(orders)+1)
	for _, o := range orders {
		if slices.ContainsFunc(out, func(x Order) bool { return x.Field == o.Field }) {
			continue
		}
		out = append(out, o)
		if o.Field == IDField {
			return out
		}
	}
	return append(out, Order{Field: IDField})
}

// Query requests one page of a list. A nil Where matches every record; an empty Order is the default order.
type Query struct {
	Where Predicate
	Order []Order

	// Start and Limit request a page by position, from 0. They are ignored if a keyset member is set; Limit 0 returns
	// no items.
	Start, Limit int

	// First, Last, After and Before request a page by key: the first or the last n records between the cursors. The
	// records of the cursors are excluded.
	First, Last   *int
	After, Before string

	// WithCount requests the number of all matching records.
	WithCount bool
	// NoEnds is true if the caller does not need HasNext and HasPrevious beyond a cursor, which saves their lookup.
	NoEnds bool
}

// Keyset reports whether the page is requested by key and not by position.
func (q Query) Keyset() bool {
	return q.First != nil || q.Last != nil || q.After != "" || q.Before != ""
}

// Page is the result of a Query.
type Page[R any] struct {
	Items []*R
	// Count is the number of matching records on all pages, if the query requested it.
	Count int
	// Cursors holds the cursors of Items, for a keyset query.
	Cursors []string
	// HasNext and HasPrevious report whether there are matching records after and before the page.
	HasNext, HasPrevious bool
}

// storable reports whether every database can store the text and query for it: PostgreSQL does not support NUL.
func storable(text string) (badByte int, ok bool) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return i, false
		}
		i += size
	}
	return 0, true
}

// ParseTime parses an RFC 3339 date-time strictly, with a year that every database supports, and returns it in UTC.
func ParseTime(text string) (time.Time, bool) {
	// time.Parse also accepts an hour of one digit and a comma before the fraction.
	if len(text) < len("2006-01-02T15:04:05Z") || text[13] != ':' || strings.Contains(text, ",") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false
	}
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}
