package db

import (
	"context"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// step is one statement of a transaction, with the argument marks of both databases: ?.
type step struct {
	text string
	args []any
	// miss is the error that no changed row means; nil where that is fine. Nothing of the transaction stays then.
	miss error
	// dest points to the slice for the rows that the statement returns; nil: it returns none.
	dest any
	// place is that among the steps of other units, if it can be one of several.
	place place
}

// tx is a transaction. Its statements have fixed texts, for they are kept prepared.
type tx interface {
	exec(text string, args ...any) (rows int64, err error)
	query(dest any, text string, args ...any) error
	// several comes before the first of statements that write, where they are more than one and the work was handed over
	// as single: from here on they are done whole or not at all.
	several() error
}

// run does the steps in one transaction.
func (d *DB) run(ctx context.Context, steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	switch {
	case d.pool == nil:
	case fits(steps):
		return d.groups.write(ctx, steps)
	default:
		return d.runAlone(ctx, steps)
	}
	return d.writeSQLite(ctx, len(steps) == 1, func(t tx) error { return do(t, steps) })
}

// do does the steps in a transaction.
func do(t tx, steps []step) error {
	if len(steps) > 1 {
		if err := t.several(); err != nil {
			return err
		}
	}
	for _, s := range steps {
		var rows int64
		var err error
		if s.dest == nil {
			rows, err = t.exec(s.text, s.args...)
		} else {
			err = t.query(s.dest, s.text, s.args...)
			rows = int64(reflect.ValueOf(s.dest).Elem().Len())
		}
		if err != nil {
			return err
		}
		if rows == 0 && s.miss != nil {
			return s.miss
		}
	}
	return nil
}

// write runs a function in one transaction. A caller who has gone before it began is told so; afterwards the
// caller waits for what really happened.
func (d *DB) write(ctx context.Context, work func(tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.pool != nil {
		return d.writePostgres(ctx, work)
	}
	return d.writeSQLite(ctx, false, work)
}

func (d *DB) writeSQLite(ctx context.Context, single bool, work func(tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.fault(d.writer.write(ctx, single, work))
}

// writeOne writes by one statement and reads what it returns.
func (d *DB) writeOne(ctx context.Context, dest any, text string, args ...any) error {
	if d.pool != nil {
		return d.writeOnePostgres(ctx, dest, text, args)
	}
	return d.writeSQLite(ctx, true, func(t tx) error { return t.query(dest, text, args...) })
}

// query reads with a statement of a fixed text, which is kept prepared. dest points to a slice of rows or values,
// or to one value.
func (d *DB) query(ctx context.Context, dest any, text string, args ...any) error {
	return d.scan(ctx, dest, true, text, args)
}

// search reads with a statement that was put together for this call.
func (d *DB) search(ctx context.Context, dest any, text string, args ...any) error {
	return d.scan(ctx, dest, false, text, args)
}

func (d *DB) scan(ctx context.Context, dest any, fixed bool, text string, args []any) error {
	if d.options.Reads != nil {
		d.options.Reads(text)
	}
	if d.pool == nil {
		return d.fault(d.readSQLite(ctx, dest, fixed, text, args))
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.fault(d.readPostgres(ctx, dest, fixed, text, args))
}

// bind writes the argument marks of the dialect. No text of this package has a question mark of another meaning.
func (w *dialect) bind(text string) string {
	if !w.numbered {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 16)
	n := 0
	for i := range len(text) {
		if text[i] != '?' {
			b.WriteByte(text[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// marks is so many argument marks for an IN.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// storable reports whether a database can hold the text, and so be asked about it: PostgreSQL knows no NUL.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }
