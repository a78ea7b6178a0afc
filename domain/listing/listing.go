// Package listing holds a list as data: which records are wanted, in what order, and which page of them. What
// `where`, `filter`, `sortBy`, `q`, named parameters and paging become is a value of this package.
//
// It knows fields by name and type, the documented grammars of filter, q and sortBy, and what they mean for
// records in memory. It knows no subject, no SQL, no HTTP and no GraphQL: a database compiles a Predicate to its
// own language, and asks Split for the part that it can.
package listing

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the type of a field.
type Type string

// The types. Enumerations and ids compare by code point, texts in sorting without regard to case.
const (
	Text   Type = "text"   // free text; the value is a string
	Enum   Type = "enum"   // one of Field.Values; the value is a string
	ID     Type = "id"     // an id or a URI; the value is a string
	Time   Type = "time"   // an instant; the value is a time.Time
	Number Type = "number" // a number; the value is a float64
	Bool   Type = "bool"   // the value is a bool
)

// IDField is the field that breaks every tie, so every schema has it and every order is total.
const IDField = "_id"

// Field is one property that a list can be asked about.
type Field struct {
	// Name is the REST name, dotted for a member of a nested object: "emailAddress", "outputs.state".
	Name string
	Type Type
	// Values are the words of an Enum.
	Values []string
	// Many is set where a record has several values: the value is a []string, only eq, in and q apply, and one
	// element that matches is enough.
	Many bool
	// Sealed is set where the stored form is ciphertext, which a database cannot evaluate.
	Sealed bool
	// Indexed is set where a blind index of the folded value is stored beside.
	Indexed bool
	// Fold is set where relations compare without regard to case.
	Fold bool
	// Searched is set where q looks into it.
	Searched bool
	// Hidden is set where only rules and named parameters may use it: filter and sortBy cannot name it.
	Hidden bool
}

// Schema is what a list can be asked about.
type Schema struct {
	Fields []Field
}

// Field finds a field by its name.
func (s Schema) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Value is what a record has in a field, or what a literal means: nil (missing), string, time.Time, float64 or
// bool; for a field of Many a []string.
type Value any

// Reader gives the value of a record in a field; nil for a missing one and for a field it does not know.
type Reader[R any] func(r *R, field string) Value

// Word is the value of a text, an enumeration or an id; the empty one is missing.
func Word[S ~string](s S) Value {
	if s == "" {
		return nil
	}
	return string(s)
}

// Words is the value of a field of Many.
func Words[S ~string](words []S) Value {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

// Instant is the value of a time; the zero time is missing.
func Instant(t time.Time) Value {
	if t.IsZero() {
		return nil
	}
	return t
}

// Amount is the value of a number.
func Amount[N ~int | ~int32 | ~int64 | ~float64](n N) Value { return float64(n) }

// Order is one key of a sort.
type Order struct {
	Field string
	Desc  bool
}

// DefaultOrder is the order of a list that asks for none.
func DefaultOrder() []Order { return []Order{{Field: "createdAt"}, {Field: IDField}} }

// Total completes an order to one in which no two records are equal: the default order where there is none, no
// field twice, and the id at the end.
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

// Query asks for one page of a list. A nil Where is every record, an empty Order the default one.
type Query struct {
	Where Predicate
	Order []Order

	// Start and Limit ask for a page by position. They count where no keyset member is set; Limit 0 gives no
	// items.
	Start, Limit int

	// First, Last, After and Before ask for a page by key: the first or the last so many of what stands between
	// the cursors. Both cursors leave their own record out.
	First, Last   *int
	After, Before string

	// WithCount asks for the number of all matching records.
	WithCount bool
	// NoEnds says that nobody asks whether there is more on the other side of the cursor; then it need not be looked up.
	NoEnds bool
}

// Keyset reports whether the page is asked for by key and not by position.
func (q Query) Keyset() bool {
	return q.First != nil || q.Last != nil || q.After != "" || q.Before != ""
}

// Page is the answer to a Query.
type Page[R any] struct {
	Items []*R
	// Count is the number of matching records on all pages, where the query asked for it.
	Count int
	// Cursors are the positions of Items, for a keyset query.
	Cursors []string
	// HasNext and HasPrevious say whether matching records stand after and before the page.
	HasNext, HasPrevious bool
}

// storable reports whether a database can hold, and so be asked about, the text: PostgreSQL knows no NUL.
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

// ParseTime reads an RFC 3339 date-time, strictly, of a year that every database knows; the answer is in UTC.
func ParseTime(text string) (time.Time, bool) {
	// time.Parse also takes an hour of one digit and a comma before the fraction.
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
