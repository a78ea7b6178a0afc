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

// Position is a position in a list: the values of a record in the fields of Total(orders), with texts folded. The last
// value is the id.
type Position struct {
	Values []Value
}

// sortKey is a key of a total order together with its field.
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

// Paginate sorts the matching records and returns the page, all in memory. It does not evaluate Where: matched must
// hold every matching record. It refuses a cursor like DecodeCursor.
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

// cursorVersion must change with the cursor format, so that an old cursor is refused and not misinterpreted.
const cursorVersion = "1"

// header returns the version and a fingerprint of the order, because a cursor is valid for one order only.
func header(keys []sortKey) string {
	h := fnv.New32a()
	for _, k := range keys {
		_, _ = fmt.Fprintf(h, "%s %s %t;", k.Field, k.field.Type, k.Desc) // a hash never fails
	}
	return fmt.Sprintf("%s.%08x.", cursorVersion, h.Sum32())
}

// EncodeCursor returns the position of a record as an opaque text. It contains the values of the order fields, so it
// must not be logged if one of them is personal data.
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

// DecodeCursor returns the position of a cursor. It refuses a cursor that is malformed or belongs to another order with
// InvalidParameter and the attribute name, which is the parameter: after or before.
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
	// A position without an id is not total.
	return Position{Values: values}, text == "" && values[len(values)-1] != nil
}

func decodeValue(t Type, text string) (v Value, rest string, ok bool) {
	if text == "" {
		return nil, "", false
	}
	tag, text := text[0], text[1:]
	if tag == '-' {
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
	switch tag {
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
