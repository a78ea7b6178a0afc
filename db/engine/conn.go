package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
)

// conn is one connection to SQLite, without database/sql, whose work per value and call costs more than SQLite itself.
// It must be used by one goroutine at a time.
type conn struct {
	conn *sqlite.Conn
	// prepared statements, by text.
	texts map[string]*prepared
}

// prepared is a cached statement.
type prepared struct {
	*sqlite.Stmt
	columns []string
	// values is a buffer for one row.
	values []any
}

// maxPrepared limits the prepared statements of a connection, above the number of fixed texts. If there are more, all
// are dropped.
const maxPrepared = 512

// connect opens the file.
func connect(file string, timeout time.Duration, pragmas ...string) (*conn, error) {
	reservePages()
	opened, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c := &conn{conn: opened, texts: map[string]*prepared{}}
	opened.SetBusyTimeout(timeout) // a command and the server wait for each other
	for _, p := range append(pragmasSQLite(), pragmas...) {
		if err := c.once("PRAGMA " + p); err != nil {
			return nil, errors.Join(err, opened.Close())
		}
	}
	return c, nil
}

// idle reports whether no transaction is open: after a disk error SQLite has rolled it back.
func (c *conn) idle() bool { return c.conn.AutocommitEnabled() }

// once executes a statement without caching it.
func (c *conn) once(text string) error {
	s, _, err := c.conn.PrepareTransient(text)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = s.Step()
	}
	return errors.Join(err, s.Finalize())
}

func (c *conn) close() error {
	c.forget()
	return c.conn.Close()
}

func (c *conn) forget() {
	for _, s := range c.texts {
		_ = s.Finalize()
	}
	clear(c.texts)
}

func (c *conn) prepare(text string) (*prepared, error) {
	if s, ok := c.texts[text]; ok {
		return s, nil
	}
	if len(c.texts) >= maxPrepared {
		c.forget()
	}
	stmt, _, err := c.conn.PrepareTransient(text)
	if err != nil {
		return nil, err
	}
	s := &prepared{Stmt: stmt, values: make([]any, stmt.ColumnCount())}
	for i := range s.values {
		s.columns = append(s.columns, stmt.ColumnName(i))
	}
	c.texts[text] = s
	return s, nil
}

// bind sets the arguments.
func (s *prepared) bind(args []any) error {
	if n := s.BindParamCount(); n != len(args) {
		return fmt.Errorf("db: %d arguments for %d placeholders", len(args), n)
	}
	for i, a := range args {
		if s.bindOne(i+1, a) {
			continue
		}
		plain, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil || !s.bindOne(i+1, plain) {
			return fmt.Errorf("db: argument %d: the type %T is not supported", i+1, a)
		}
	}
	return nil
}

// bindOne sets an argument, if the database supports its type.
func (s *prepared) bindOne(at int, a any) bool {
	switch v := a.(type) {
	case nil:
		s.BindNull(at)
	case int64:
		s.BindInt64(at, v)
	case int:
		s.BindInt64(at, int64(v))
	case bool:
		s.BindBool(at, v)
	case float64:
		s.BindFloat(at, v)
	case string:
		s.BindText(at, v)
	case []byte:
		s.BindBytes(at, v)
	default:
		return false
	}
	return true
}

// start prepares a statement and binds its arguments; end makes it ready for the next ones.
func (c *conn) start(text string, args []any) (*prepared, error) {
	s, err := c.prepare(text)
	if err != nil {
		return nil, err
	}
	if err := s.bind(args); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// end releases the resources of the statement. Step has already returned its error.
func (s *prepared) end() {
	_ = s.Reset()
	_ = s.ClearBindings()
}

func (c *conn) exec(text string, args ...any) (int64, error) {
	s, err := c.start(text, args)
	if err != nil {
		return 0, err
	}
	defer s.end()
	for more := true; more; {
		if more, err = s.Step(); err != nil {
			return 0, err
		}
	}
	return int64(c.conn.Changes()), nil
}

func (c *conn) query(text string, args []any, row func(Row) error) error {
	s, err := c.start(text, args)
	if err != nil {
		return err
	}
	defer s.end()
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
		for i := range s.values {
			s.values[i] = s.value(i)
		}
		if err := row(Row{Columns: s.columns, Values: s.values}); err != nil {
			return err
		}
	}
}

// value returns a column of the current row.
func (s *prepared) value(i int) any {
	switch s.ColumnType(i) {
	case sqlite.TypeInteger:
		return s.ColumnInt64(i)
	case sqlite.TypeText:
		return s.ColumnText(i)
	case sqlite.TypeBlob:
		raw := make([]byte, s.ColumnLen(i)) // not nil, which means NULL
		s.ColumnBytes(i, raw)
		return raw
	case sqlite.TypeFloat:
		return s.ColumnFloat(i)
	case sqlite.TypeNull:
	}
	return nil
}

// queryContext reads until the context ends, which costs a goroutine.
func (c *conn) queryContext(ctx context.Context, text string, args []any, row func(Row) error) error {
	c.conn.SetInterrupt(ctx.Done())
	defer c.conn.SetInterrupt(nil)
	err := c.query(text, args, row)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// null reports whether the column of the first row is NULL.
func (r *Result) null(column string) bool {
	if len(r.Rows) == 0 {
		return false
	}
	at := slices.Index(r.Rows[0].Columns, column)
	return at >= 0 && r.Rows[0].Values[at] == nil
}

// execute executes the steps of a unit in the current transaction.
func (c *conn) execute(steps []Step) ([]Result, error) {
	results := make([]Result, len(steps))
	for i := range steps {
		s, r := &steps[i], &results[i]
		if i > 0 && s.SkipIfNull != "" && results[i-1].null(s.SkipIfNull) {
			continue
		}
		var err error
		if s.Returns {
			err = c.query(s.Text, s.Args, func(row Row) error {
				r.Rows = append(r.Rows, row.clone())
				return nil
			})
			r.Changed = int64(len(r.Rows))
		} else {
			r.Changed, err = c.exec(s.Text, s.Args...)
		}
		switch {
		case err != nil:
			return nil, err
		case r.Changed == 0 && s.Missing != nil:
			return nil, s.Missing
		}
	}
	return results, nil
}
