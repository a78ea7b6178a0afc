package db

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/db/engine"
)

// statement is a fixed statement. bun builds its text once for each dialect; the engine keeps it prepared.
type statement struct {
	build func(*builder) schema.QueryAppender
	// returns is set for a statement that writes and returns rows.
	returns bool
	// locks is the table whose row the statement locks, and key is the argument with the id of the row. Units whose
	// steps all have locks can share a transaction.
	locks, key string
	// exclusive marks statements that must not be executed twice for one row in a transaction of several units.
	exclusive bool
	// skipIfNull is a column in the result of the previous step of the unit: if it is NULL, the statement changes
	// nothing.
	skipIfNull string
	// byDialect contains the text for each dialect.
	byDialect [dialects]atomic.Pointer[text]
}

// text is the text of a statement, with the arguments in the order of their placeholders.
type text struct {
	engine.Statement
	args []argument
}

// statements contains all fixed statements, for the tests.
var statements []*statement

// fixed declares a statement. Declarations are package variables.
func fixed(build func(*builder) schema.QueryAppender) *statement {
	s := &statement{build: build}
	statements = append(statements, s)
	return s
}

// returning declares a statement that writes and returns rows.
func returning(build func(*builder) schema.QueryAppender) *statement {
	s := fixed(build)
	s.returns = true
	return s
}

// locking sets the row that the statement locks.
func (s *statement) locking(table, key string) *statement {
	s.locks, s.key = table, key
	return s
}

func (s *statement) alone() *statement {
	s.exclusive = true
	return s
}

func (s *statement) skippedIfNull(column string) *statement {
	s.skipIfNull = column
	return s
}

// argument is the value of a placeholder: a named argument, a column of a row, or a value.
type argument struct {
	name  string
	field *schema.Field
	value any
}

// named is an argument of a call.
type named struct {
	name  string
	value any
}

func with(name string, value any) named { return named{name, value} }

// builder builds one text. bun normally writes values into the text; here each value is a query that writes a
// placeholder instead and records its argument. bun appends each argument once, in the order of the text.
type builder struct {
	*bun.DB
	dialect *dialect
	args    []argument
	// inline makes bun write the values into the text, as it does by default; for the tests.
	inline func(argument) (any, error)
}

// placeholder is a function because bun treats a single struct argument as a set of named arguments.
type placeholder func([]byte) ([]byte, error)

// AppendQuery implements schema.QueryAppender.
func (p placeholder) AppendQuery(_ schema.QueryGen, b []byte) ([]byte, error) { return p(b) }

func (b *builder) mark(a argument) schema.QueryAppender {
	return placeholder(func(text []byte) ([]byte, error) {
		if b.inline != nil {
			v, err := b.inline(a)
			if texts, ok := v.([]string); ok {
				v = pgdialect.Array(texts)
			}
			return b.QueryGen().Append(text, v), err
		}
		b.args = append(b.args, a)
		return b.dialect.placeholder(text, len(b.args)), nil
	})
}

// arg is an argument named by each call.
func (b *builder) arg(name string) schema.QueryAppender { return b.mark(argument{name: name}) }

// column is an argument taken from a column of the call's row.
func (b *builder) column(f *schema.Field) schema.QueryAppender { return b.mark(argument{field: f}) }

// value is an argument of a text built for one call.
func (b *builder) value(v any) schema.QueryAppender { return b.mark(argument{value: v}) }

// values are arguments of a text built for one call.
func (b *builder) values(all []any) []any {
	if len(all) == 0 {
		return nil
	}
	out := make([]any, len(all))
	for i, v := range all {
		if texts, ok := v.(textList); ok {
			out[i] = b.dialect.elements(b, b.value(string(texts)))
		} else {
			out[i] = b.value(v)
		}
	}
	return out
}

// table returns the table of a row struct.
func (b *builder) table(model any) *schema.Table { return b.Table(reflect.TypeOf(model).Elem()) }

// exists selects whether the query returns a row.
func (b *builder) exists(q *bun.SelectQuery) *bun.SelectQuery {
	return b.NewSelect().ColumnExpr("EXISTS (?)", q.ColumnExpr("1"))
}

// text returns the text of the query, and refuses a text with placeholders other than the builder's own.
func (b *builder) text(q schema.QueryAppender) (string, error) {
	out, err := q.AppendQuery(b.QueryGen(), nil)
	if err != nil {
		return "", fmt.Errorf("db: build a statement: %w", err)
	}
	want := len(b.args)
	if b.dialect.numbered || b.inline != nil {
		want = 0
	}
	if n := bytes.Count(out, []byte("?")); n != want && b.inline == nil {
		return "", fmt.Errorf("db: %d placeholders for %d arguments: %s", n, len(b.args), out)
	}
	return string(out), nil
}

// placeholder appends the nth placeholder.
func (w *dialect) placeholder(text []byte, n int) []byte {
	if !w.numbered {
		return append(text, '?')
	}
	return strconv.AppendInt(append(text, '$'), int64(n), 10)
}

// of returns the text of the statement for the dialect.
func (s *statement) of(d *DB) (*text, error) {
	at := &s.byDialect[d.dialect.number]
	if t := at.Load(); t != nil {
		return t, nil
	}
	b := &builder{DB: d.bun, dialect: d.dialect}
	out, err := b.text(s.build(b))
	if err != nil {
		return nil, err
	}
	t := &text{Statement: engine.Statement{Text: out, Fixed: true}, args: b.args}
	at.Store(t)
	return t, nil
}

// bind returns the text with the arguments of a call. row is a pointer to a row struct, or nil.
func (s *statement) bind(d *DB, row any, given []named) (engine.Statement, []any, error) {
	if d.inline {
		return s.inlined(d, row, given)
	}
	t, err := s.of(d)
	if err != nil {
		return engine.Statement{}, nil, err
	}
	args := make([]any, len(t.args))
	for i, a := range t.args {
		if args[i], err = a.resolve(row, given); err != nil {
			return engine.Statement{}, nil, fmt.Errorf("%w: %s", err, t.Text)
		}
	}
	return t.Statement, args, nil
}

// inlined returns the statement as bun executes it by default: with the values in the text.
func (s *statement) inlined(d *DB, row any, given []named) (engine.Statement, []any, error) {
	b := &builder{DB: d.bun, dialect: d.dialect, inline: func(a argument) (any, error) { return a.resolve(row, given) }}
	out, err := b.text(s.build(b))
	return engine.Statement{Text: out}, nil, err
}

func (a *argument) resolve(row any, given []named) (any, error) {
	switch {
	case a.field != nil && row != nil:
		return driverValue(a.field.Value(reflect.ValueOf(row).Elem())), nil
	case a.field != nil:
		return nil, fmt.Errorf("db: missing row for the column %s", a.field.Name)
	case a.name == "":
		return a.value, nil
	}
	for i := range given {
		if given[i].name == a.name {
			return given[i].value, nil
		}
	}
	return nil, fmt.Errorf("db: missing argument %s", a.name)
}

// driverValue returns a value in the form that the drivers accept: no pointers, and nil for a missing value.
func driverValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
	case reflect.String:
		return v.String()
	case reflect.Int64, reflect.Int:
		return v.Int()
	default:
	}
	return v.Interface()
}

// query reads with a fixed statement. W is a row struct or the type of a single column.
func query[W any](ctx context.Context, d *DB, s *statement, given ...named) ([]W, error) {
	text, args, err := s.bind(d, nil, given)
	if err != nil {
		return nil, err
	}
	return read[W](ctx, d, text, args)
}

// queryOne reads at most one row with a fixed statement.
func queryOne[W any](ctx context.Context, d *DB, s *statement, given ...named) (row W, found bool, err error) {
	rows, err := query[W](ctx, d, s, given...)
	if err == nil && len(rows) > 0 {
		row, found = rows[0], true
	}
	return row, found, err
}

// search reads with a text built for this call.
func search[W any](ctx context.Context, d *DB, build func(*builder) schema.QueryAppender) ([]W, error) {
	b := &builder{DB: d.bun, dialect: d.dialect}
	if d.inline {
		b.inline = func(a argument) (any, error) { return a.value, nil }
	}
	out, err := b.text(build(b))
	if err != nil {
		return nil, err
	}
	args := make([]any, len(b.args))
	for i := range b.args {
		args[i] = b.args[i].value
	}
	return read[W](ctx, d, engine.Statement{Text: out}, args)
}

func read[W any](ctx context.Context, d *DB, s engine.Statement, args []any) (rows []W, err error) {
	if d.options.Reads != nil {
		d.options.Reads(s.Text)
	}
	var scan scanner
	err = d.engine.Query(ctx, s, args, func(r engine.Row) error {
		if len(rows) == cap(rows) { // slices.Grow would retain the rest of the array
			rows = append(make([]W, 0, max(1, 2*cap(rows))), rows...)
		}
		rows = rows[:len(rows)+1]
		return scan.row(d, r, reflect.ValueOf(&rows[len(rows)-1]).Elem())
	})
	return rows, err
}

// rowsOf returns the rows of a step.
func rowsOf[W any](d *DB, r engine.Result) ([]W, error) {
	rows := make([]W, len(r.Rows))
	var scan scanner
	for i := range r.Rows {
		if err := scan.row(d, r.Rows[i], reflect.ValueOf(&rows[i]).Elem()); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// scanner makes bun scan the values of rows into row structs.
type scanner struct {
	fields []*schema.Field
	value  schema.ScannerFunc
}

func (s *scanner) row(d *DB, r engine.Row, into reflect.Value) error {
	if into.Kind() != reflect.Struct {
		if s.value == nil {
			s.value = schema.Scanner(into.Type())
		}
		if len(r.Values) != 1 {
			return fmt.Errorf("db: %d columns for a single value", len(r.Values))
		}
		return s.value(into, r.Values[0])
	}
	if s.fields == nil {
		of := d.bun.Table(into.Type())
		s.fields = make([]*schema.Field, len(r.Columns))
		for i, name := range r.Columns {
			if s.fields[i] = of.FieldMap[name]; s.fields[i] == nil {
				return fmt.Errorf("db: %s has no field for the column %s", into.Type(), name)
			}
		}
	}
	for i, f := range s.fields {
		if r.Values[i] == nil {
			continue // the row is already zero
		}
		if err := f.ScanValue(into, r.Values[i]); err != nil {
			return fmt.Errorf("db: column %s: %w", r.Columns[i], err)
		}
	}
	return nil
}

// unit collects the steps of a transaction. It keeps the first error.
type unit struct {
	db    *DB
	steps []engine.Step
	err   error
	// sessions contains the steps that change a session and return its activity.
	sessions []int
}

// add adds a step. missing is the unit's error if the step changes no row; nil permits that.
func (u *unit) add(s *statement, missing error, given ...named) { u.addRow(s, nil, missing, given...) }

// addRow adds a step that writes a row, a pointer to a row struct.
func (u *unit) addRow(s *statement, row any, missing error, given ...named) {
	if u.err != nil {
		return
	}
	text, args, err := s.bind(u.db, row, given)
	if err != nil {
		u.err = err
		return
	}
	step := engine.Step{Statement: text, Args: args, Returns: s.returns, Missing: missing, Exclusive: s.exclusive, SkipIfNull: s.skipIfNull}
	if s.locks != "" {
		step.Order = lockOrder(s.locks, s.key, given)
	}
	u.steps = append(u.steps, step)
}

// write executes the unit.
func (u *unit) write(ctx context.Context) ([]engine.Result, error) {
	if u.err != nil {
		return nil, u.err
	}
	return u.db.engine.Write(ctx, u.steps)
}

// write executes one statement.
func (d *DB) write(ctx context.Context, s *statement, missing error, given ...named) error {
	_, err := d.writeOne(ctx, s, missing, given...)
	return err
}

func (d *DB) writeOne(ctx context.Context, s *statement, missing error, given ...named) (engine.Result, error) {
	return d.writeRow(ctx, s, nil, missing, given...)
}

func (d *DB) writeRow(ctx context.Context, s *statement, row any, missing error, given ...named) (engine.Result, error) {
	u := &unit{db: d}
	u.addRow(s, row, missing, given...)
	results, err := u.write(ctx)
	if err != nil {
		return engine.Result{}, err
	}
	return results[0], nil
}

// lockRanks orders the tables that are locked before and after the records: every transaction locks in this order.
var lockRanks = map[string]string{"clients": "1", "lifecycle_events": "3", "decoy_events": "3", "messages": "4", "idempotency_keys": "5"}

// lockOrder returns the position of a row in the global lock order.
func lockOrder(table, key string, given []named) string {
	rank, ok := lockRanks[table]
	if !ok {
		rank = "2"
	}
	if key == "" {
		return rank // added rows keep their sequence
	}
	for i := range given {
		if given[i].name != key {
			continue
		}
		switch v := given[i].value.(type) {
		case string:
			return rank + table + "/" + v
		case []byte:
			return rank + table + "/" + string(v)
		}
	}
	return "" // unknown, so the unit is written in a transaction of its own
}

// storable reports whether a database can store, and therefore contain, the text: PostgreSQL accepts no NUL.
func storable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for i := range len(text) {
		if text[i] == 0 {
			return false
		}
	}
	return true
}
