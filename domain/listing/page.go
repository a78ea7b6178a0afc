package listing

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Position is a place in a list: the values of a record in the fields of Total(orders), texts folded. The last
// one is the id.
type Position struct {
	Values []Value
}

// sortKey is one key of a total order with its field.
type sortKey struct {
	Order
	field Field
}

func (s Schema) keys(orders []Order) []sortKey {
	var keys []sortKey
	for _, o := range Total(orders) {
		f, _ := s.Field(o.Field)
		keys = append(keys, sortKey{Order: o, field: f})
	}
	return keys
}

func position[R any](keys []sortKey, read Reader[R], r *R) Position {
	values := make([]Value, len(keys))
	for i, k := range keys {
		values[i] = read(r, k.Field)
		if k.field.Type == Text {
			values[i] = folded(values[i])
		}
	}
	return Position{Values: values}
}

func rank(keys []sortKey, a, b Position) int {
	for i, k := range keys {
		c := compareValues(a.Values[i], b.Values[i])
		if k.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// Rank compares two records in the order, completed by Total: negative where a comes first.
func Rank[R any](s Schema, orders []Order, read Reader[R], a, b *R) int {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, a), position(keys, read, b))
}

// Less reports whether a comes before b.
func Less[R any](s Schema, orders []Order, read Reader[R], a, b *R) bool {
	return Rank(s, orders, read, a, b) < 0
}

// After reports whether the record stands after the position.
func After[R any](s Schema, orders []Order, read Reader[R], r *R, at Position) bool {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, r), at) > 0
}

// Before reports whether the record stands before the position.
func Before[R any](s Schema, orders []Order, read Reader[R], r *R, at Position) bool {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, r), at) < 0
}

// Paginate sorts the matching records and cuts out the page, all in memory. Where and the records of other pages
// are the caller's: matched is every record of which Where is true. It refuses a cursor as DecodeCursor does.
func Paginate[R any](s Schema, read Reader[R], matched []*R, q Query) (Page[R], error) {
	type row struct {
		record *R
		at     Position
	}
	keys := s.keys(q.Order)
	rows := make([]row, 0, len(matched))
	for _, r := range matched {
		rows = append(rows, row{record: r, at: position(keys, read, r)})
	}
	slices.SortFunc(rows, func(a, b row) int { return rank(keys, a.at, b.at) })

	lo, hi := 0, len(rows)
	if q.Keyset() {
		if q.After != "" {
			at, err := DecodeCursor(s, q.Order, "after", q.After)
			if err != nil {
				return Page[R]{}, err
			}
			lo = sort.Search(len(rows), func(i int) bool { return rank(keys, rows[i].at, at) > 0 })
		}
		if q.Before != "" {
			at, err := DecodeCursor(s, q.Order, "before", q.Before)
			if err != nil {
				return Page[R]{}, err
			}
			hi = max(lo, sort.Search(len(rows), func(i int) bool { return rank(keys, rows[i].at, at) >= 0 }))
		}
		if q.First != nil {
			hi = lo + min(hi-lo, max(0, *q.First))
		}
		if q.Last != nil {
			lo = hi - min(hi-lo, max(0, *q.Last))
		}
	} else {
		lo = min(max(0, q.Start), len(rows))
		hi = lo + min(max(0, q.Limit), len(rows)-lo)
	}

	page := Page[R]{Items: make([]*R, 0, hi-lo), HasPrevious: lo > 0, HasNext: hi < len(rows)}
	for _, row := range rows[lo:hi] {
		page.Items = append(page.Items, row.record)
		if q.Keyset() {
			page.Cursors = append(page.Cursors, encode(keys, row.at))
		}
	}
	if q.WithCount {
		page.Count = len(rows)
	}
	return page, nil
}

// cursorVersion changes with the form of cursors, so that an old one is refused and not misread.
const cursorVersion = "1"

// header is the version and a fingerprint of the order: a cursor is a place in one order only.
func header(keys []sortKey) string {
	h := fnv.New32a()
	for _, k := range keys {
		_, _ = fmt.Fprintf(h, "%s %s %t;", k.Field, k.field.Type, k.Desc) // a hash never fails
	}
	return fmt.Sprintf("%s.%08x.", cursorVersion, h.Sum32())
}

// EncodeCursor gives the position of a record as an opaque text. It holds the values of the order fields, and so
// must not reach a log where one of them is personal.
func EncodeCursor[R any](s Schema, orders []Order, read Reader[R], r *R) string {
	keys := s.keys(orders)
	return encode(keys, position(keys, read, r))
}

func encode(keys []sortKey, at Position) string {
	text := []byte(header(keys))
	for _, v := range at.Values {
		switch v := v.(type) {
		case string:
			text = strconv.AppendQuote(append(text, 's'), v)
		case time.Time:
			text = strconv.AppendQuote(append(text, 't'), v.UTC().Format(time.RFC3339Nano))
		case float64:
			text = strconv.AppendQuote(append(text, 'n'), strconv.FormatFloat(v, 'g', -1, 64))
		case bool:
			text = strconv.AppendQuote(append(text, 'b'), strconv.FormatBool(v))
		default:
			text = append(text, '-')
		}
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// DecodeCursor gives the position that a cursor stands for. One that is malformed, or of another order, is
// refused with InvalidParameter and the attribute name, which is the parameter: after or before.
func DecodeCursor(s Schema, orders []Order, parameter, text string) (Position, error) {
	keys := s.keys(orders)
	at, ok := decode(keys, text)
	if !ok {
		return Position{}, problem.New(problem.InvalidParameter).
			Because("The cursor %s does not belong to this list and order.", parameter).
			At(parameter).With("name", parameter)
	}
	return at, nil
}

func decode(keys []sortKey, cursor string) (Position, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return Position{}, false
	}
	text, ok := strings.CutPrefix(string(raw), header(keys))
	if !ok {
		return Position{}, false
	}
	values := make([]Value, 0, len(keys))
	for _, k := range keys {
		v, rest, ok := decodeValue(k.field.Type, text)
		if !ok {
			return Position{}, false
		}
		values, text = append(values, v), rest
	}
	// Without an id the position would be none.
	return Position{Values: values}, text == "" && values[len(values)-1] != nil
}

func decodeValue(t Type, text string) (v Value, rest string, ok bool) {
	if text == "" {
		return nil, "", false
	}
	letter, text := text[0], text[1:]
	if letter == '-' {
		return nil, text, true
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return nil, "", false
	}
	word, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, "", false
	}
	rest = text[len(quoted):]
	switch letter {
	case 's':
		_, ok := storable(word)
		return word, rest, ok && (t == Text || t == Enum || t == ID)
	case 't':
		at, ok := ParseTime(word)
		return at, rest, ok && t == Time
	case 'n':
		n, err := strconv.ParseFloat(word, 64)
		return n, rest, err == nil && t == Number
	case 'b':
		b, err := strconv.ParseBool(word)
		return b, rest, err == nil && t == Bool
	}
	return nil, "", false
}
