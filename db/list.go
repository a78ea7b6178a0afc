package db

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// clause is a condition with its arguments.
type clause struct {
	text string
	args []any
}

func (c clause) and(o clause) clause {
	return clause{text: "(" + c.text + ") AND (" + o.text + ")", args: slices.Concat(c.args, o.args)}
}

// join returns the conjunction or disjunction of conditions.
func join(word string, of []clause) clause {
	texts := make([]string, 0, len(of))
	var args []any
	for _, c := range of {
		texts = append(texts, c.text)
		args = append(args, c.args...)
	}
	return clause{text: "(" + strings.Join(texts, " "+word+" ") + ")", args: args}
}

// compiler turns plain predicates and plain orders of a schema into SQL.
type compiler struct {
	schema  listing.Schema
	columns map[string]column
	keys    *seal.Keyring
}

// textList is an argument that is a list of texts, as JSON.
type textList string

// split returns the part of the predicate for the database. Texts that no database can hold are evaluated in memory.
func (c *compiler) split(p listing.Predicate) (plain, rest listing.Predicate) {
	if !c.askable(p) {
		return listing.True, listing.All(p)
	}
	return listing.Split(c.schema, p)
}

func (c *compiler) askable(p listing.Predicate) bool {
	ok := func(v listing.Value) bool {
		text, isText := v.(string)
		return !isText || storable(text)
	}
	switch p := p.(type) {
	case listing.And:
		return !slices.ContainsFunc(p.Of, func(x listing.Predicate) bool { return !c.askable(x) })
	case listing.Or:
		return !slices.ContainsFunc(p.Of, func(x listing.Predicate) bool { return !c.askable(x) })
	case listing.Not:
		return c.askable(p.Of)
	case listing.Compare:
		return ok(p.Left.Value) && ok(p.Right.Value)
	case listing.In:
		return !slices.ContainsFunc(p.Values, func(v listing.Value) bool { return !ok(v) })
	}
	return true
}

// condition holds for the rows whose records match the plain predicate.
func (c *compiler) condition(p listing.Predicate) clause { return c.compile(p, true) }

// compile returns the condition that the predicate has the value want. A condition may be unknown instead of false,
// because AND and OR treat both alike; NOT is never written, but applied to the relations.
func (c *compiler) compile(p listing.Predicate, want bool) clause {
	switch p := p.(type) {
	case listing.Constant:
		return constant(bool(p) == want)
	case listing.And:
		return c.junction(p.Of, want, want)
	case listing.Or:
		return c.junction(p.Of, want, !want)
	case listing.Not:
		return c.compile(p.Of, !want)
	case listing.IsNull:
		if want {
			return clause{text: c.columns[p.Field].name + " IS NULL"}
		}
		return clause{text: c.columns[p.Field].name + " IS NOT NULL"}
	case listing.In:
		return c.in(p, want)
	case listing.Compare:
		return c.compare(p, want)
	}
	return constant(want) // nil is true
}

func constant(b bool) clause {
	if b {
		return clause{text: "TRUE"}
	}
	return clause{text: "FALSE"}
}

func (c *compiler) junction(of []listing.Predicate, want, all bool) clause {
	if len(of) == 0 {
		return constant(all)
	}
	parts := make([]clause, 0, len(of))
	for _, p := range of {
		parts = append(parts, c.compile(p, want))
	}
	if all {
		return join("AND", parts)
	}
	return join("OR", parts)
}

// manyValues is the maximum number of values of an In with a parameter each, because both databases limit parameters.
// More values are one parameter.
const manyValues = 200

func (c *compiler) in(p listing.In, want bool) clause {
	col := c.columns[p.Field]
	if len(p.Values) > manyValues && col.index == nil {
		if texts, err := json.Marshal(p.Values); err == nil && onlyTexts(p.Values) {
			list := clause{text: col.name + " IN (?)", args: []any{textList(texts)}}
			if want {
				return list
			}
			list.text = col.name + " NOT IN (?)"
			return col.orMissing(list)
		}
	}
	values := make([]clause, 0, len(p.Values))
	for _, v := range p.Values {
		values = append(values, c.literal(col, v))
	}
	list := join(",", values)
	if want {
		return clause{text: col.name + " IN " + list.text, args: list.args}
	}
	return col.orMissing(clause{text: col.name + " NOT IN " + list.text, args: list.args})
}

func onlyTexts(values []listing.Value) bool {
	return !slices.ContainsFunc(values, func(v listing.Value) bool {
		_, text := v.(string)
		return !text
	})
}

// orMissing adds the rows where the column is missing.
func (col column) orMissing(cl clause) clause {
	if !col.null {
		return cl
	}
	return clause{text: "(" + col.name + " IS NULL OR " + cl.text + ")", args: cl.args}
}

var (
	signs     = map[listing.Op]string{listing.EQ: "=", listing.NE: "<>", listing.LT: "<", listing.LE: "<=", listing.GT: ">", listing.GE: ">="}
	opposites = map[listing.Op]listing.Op{
		listing.EQ: listing.NE,
		listing.NE: listing.EQ,
		listing.LT: listing.GE,
		listing.GE: listing.LT,
		listing.GT: listing.LE,
		listing.LE: listing.GT,
	}
)

func (c *compiler) compare(p listing.Compare, want bool) clause {
	left, op := c.columns[p.Left.Field], p.Op
	if !want {
		op = opposites[op]
	}
	if p.Right.Literal() {
		cl := c.relation(left, signs[op], p.Right.Value)
		// For a missing property only ne holds, so its negation does not.
		if missing := p.Op == listing.NE; missing == want {
			return left.orMissing(cl)
		}
		return cl
	}
	// Where one of two properties is missing no relation is true.
	right := c.columns[p.Right.Field]
	cl := clause{text: left.name + " " + signs[op] + " " + right.name}
	if want {
		return cl
	}
	return left.orMissing(right.orMissing(cl))
}

// relation compares the column with a literal.
func (c *compiler) relation(col column, sign string, v listing.Value) clause {
	right := c.literal(col, v)
	cl := clause{text: col.name + " " + sign + " " + right.text, args: right.args}
	if col.floor != "" && strings.HasPrefix(sign, "<") && sign != signs[listing.NE] { // the other one is too, and there is an index
		return clause{text: "(" + cl.text + " AND " + col.floor + " " + sign + " " + right.text + ")", args: slices.Concat(cl.args, right.args)}
	}
	return cl
}

// literal returns a value in the form in which the column holds it.
func (c *compiler) literal(col column, v listing.Value) clause {
	cl := clause{text: "?", args: []any{v}}
	switch v := v.(type) {
	case string:
		if col.index != nil {
			cl.args[0] = col.index(c.keys, v)
		}
	case time.Time:
		cl.args[0] = micros(v)
	case float64:
		cl.args[0] = number(v)
		if _, whole := cl.args[0].(int64); !whole {
			cl.text = "CAST(? AS DOUBLE PRECISION)" // otherwise it would be read as an integer, like the column
		}
	}
	return cl
}

// number prefers integers, as columns hold them. NaN, which only a forged cursor can hold, sorts before all other numbers,
// and infinities become finite, because one of the databases has neither.
func number(v float64) any {
	switch {
	case math.IsNaN(v) || v < -math.MaxFloat64:
		return -math.MaxFloat64
	case v > math.MaxFloat64:
		return math.MaxFloat64
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return int64(v)
	}
	return v
}

// sorts reports whether the database can sort by these keys.
func (c *compiler) sorts(orders []listing.Order) bool { return listing.PlainOrder(c.schema, orders) }

// order returns an ORDER BY: missing values last, or first for a descending key.
func (c *compiler) order(orders []listing.Order, backward bool) string {
	var keys []string
	for _, o := range listing.Total(orders) {
		col := c.columns[o.Field]
		key := col.name
		desc := o.Desc != backward
		if desc {
			key += " DESC"
		}
		switch {
		case col.null && desc:
			key += " NULLS FIRST"
		case col.null:
			key += " NULLS LAST"
		}
		keys = append(keys, key)
	}
	return strings.Join(keys, ", ")
}

// beyond holds for the rows after the position, or before it where backward is set; with itself, also for the position.
func (c *compiler) beyond(orders []listing.Order, at listing.Position, backward, itself bool) clause {
	orders = listing.Total(orders)
	if cl, ok := c.tuple(orders, at, backward, itself); ok {
		return cl
	}
	var ways []clause
	var equal []clause
	for i, o := range orders {
		col, v := c.columns[o.Field], at.Values[i]
		further := c.further(col, v, o.Desc != backward)
		ways = append(ways, join("AND", append(slices.Clone(equal), further)))
		if v == nil {
			equal = append(equal, clause{text: col.name + " IS NULL"})
		} else {
			equal = append(equal, c.relation(col, "=", v))
		}
	}
	if itself {
		ways = append(ways, join("AND", equal))
	}
	return join("OR", ways)
}

// tuple is beyond as one comparison of rows, which both databases evaluate with an index.
func (c *compiler) tuple(orders []listing.Order, at listing.Position, backward, itself bool) (clause, bool) {
	var names []string
	var values []clause
	for i, o := range orders {
		col := c.columns[o.Field]
		if o.Desc != orders[0].Desc || col.null || at.Values[i] == nil {
			return clause{}, false
		}
		names = append(names, col.name)
		values = append(values, c.literal(col, at.Values[i]))
	}
	sign := ">"
	if orders[0].Desc != backward {
		sign = "<"
	}
	if itself {
		sign += "="
	}
	right := join(",", values)
	return clause{text: "(" + strings.Join(names, ", ") + ") " + sign + " " + right.text, args: right.args}, true
}

// further holds for the rows that one key sorts after the value. A missing value is greater than every value.
func (c *compiler) further(col column, v listing.Value, desc bool) clause {
	switch {
	case v == nil && desc:
		return clause{text: col.name + " IS NOT NULL"}
	case v == nil:
		return constant(false)
	case desc:
		return c.relation(col, "<", v)
	}
	return col.orMissing(c.relation(col, ">", v))
}
