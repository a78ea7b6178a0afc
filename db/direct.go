package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"

	"zombiezen.com/go/sqlite"
)

// direct is one connection to SQLite, without the layers of database/sql: what those do for each value and each call
// costs more than SQLite itself. One goroutine uses it at a time.
type direct struct {
	conn *sqlite.Conn
	// texts are the statements that are kept prepared.
	texts map[string]*prepared
}

// prepared is a statement that is kept, and how its rows were read the last time.
type prepared struct {
	*sqlite.Stmt
	columns []string
	rowType reflect.Type
	fields  [][]int
}

// maxPrepared bounds the statements of a connection that are kept prepared, above the number of fixed texts. With
// more, all are given up.
const maxPrepared = 512

// connectDirect opens the file.
func (d *DB) connectDirect(pragmas ...string) (*direct, error) {
	reservePages()
	conn, err := sqlite.OpenConn(d.file, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c := &direct{conn: conn, texts: map[string]*prepared{}}
	conn.SetBusyTimeout(d.timeout) // a command and the server wait for one another
	for _, p := range append(pragmasSQLite(), pragmas...) {
		if err := c.once("PRAGMA " + p); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return c, nil
}

// idle reports that there is no transaction: after an error of the disk SQLite has rolled it back.
func (c *direct) idle() bool { return c.conn.AutocommitEnabled() }

// once runs a statement that is not kept.
func (c *direct) once(text string) error {
	s, _, err := c.conn.PrepareTransient(text)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = s.Step()
	}
	return errors.Join(err, s.Finalize())
}

func (c *direct) close() error {
	c.forget()
	return c.conn.Close()
}

func (c *direct) forget() {
	for _, s := range c.texts {
		_ = s.Finalize()
	}
	clear(c.texts)
}

func (c *direct) prepare(text string) (*prepared, error) {
	if s, ok := c.texts[text]; ok {
		return s, nil
	}
	if len(c.texts) >= maxPrepared {
		c.forget()
	}
	made, _, err := c.conn.PrepareTransient(text)
	if err != nil {
		return nil, err
	}
	s := &prepared{Stmt: made}
	for i := range made.ColumnCount() {
		s.columns = append(s.columns, made.ColumnName(i))
	}
	c.texts[text] = s
	return s, nil
}

// bind gives the arguments.
func (s *prepared) bind(args []any) error {
	if n := s.BindParamCount(); n != len(args) {
		return fmt.Errorf("db: %d arguments for %d marks", len(args), n)
	}
	for i, a := range args {
		if s.one(i+1, a) {
			continue
		}
		plain, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil || !s.one(i+1, plain) {
			return fmt.Errorf("db: argument %d: no way from %T", i+1, a)
		}
	}
	return nil
}

// one gives an argument, if it is of a kind that the database has.
func (s *prepared) one(at int, a any) bool {
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

// start prepares a statement and gives it its arguments; end makes it ready for the next ones.
func (c *direct) start(text string, args []any) (*prepared, error) {
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

// end lets go of what the statement holds. What went wrong has been told by the step.
func (s *prepared) end() {
	_ = s.Reset()
	_ = s.ClearBindings()
}

func (c *direct) exec(text string, args ...any) (int64, error) {
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

func (c *direct) query(dest any, text string, args ...any) error {
	s, err := c.start(text, args)
	if err != nil {
		return err
	}
	defer s.end()
	to := newSink(dest)
	if err := s.into(to); err != nil {
		return err
	}
	for {
		more, err := s.Step()
		switch {
		case err != nil:
			return err
		case !more:
			return to.end()
		}
		to.add()
		for i := range s.columns {
			if err := s.value(i, to); err != nil {
				return fmt.Errorf("db: column %s: %w", s.columns[i], err)
			}
		}
	}
}

// into says where the columns go. A statement mostly has rows of one type.
func (s *prepared) into(to *sink) error {
	if to.list.IsValid() && s.rowType == to.list.Type() {
		to.fields = s.fields
		return nil
	}
	err := to.columns(len(s.columns), func(i int) string { return s.columns[i] })
	if err == nil && to.list.IsValid() {
		s.rowType, s.fields = to.list.Type(), to.fields
	}
	return err
}

// value takes a column of the row.
func (s *prepared) value(i int, to *sink) error {
	switch s.ColumnType(i) {
	case sqlite.TypeNull: // the zero value
		return nil
	case sqlite.TypeInteger:
		cell := target(to.cell(i))
		switch cell.Kind() {
		case reflect.Int, reflect.Int64:
			cell.SetInt(s.ColumnInt64(i))
			return nil
		case reflect.Bool:
			cell.SetBool(s.ColumnInt64(i) != 0)
			return nil
		default:
		}
	case sqlite.TypeText, sqlite.TypeBlob:
		cell := target(to.cell(i))
		switch {
		case cell.Kind() == reflect.String:
			cell.SetString(s.ColumnText(i))
			return nil
		case cell.Type() == bytesType:
			raw := make([]byte, s.ColumnLen(i)) // never nil: nil is what is missing
			s.ColumnBytes(i, raw)
			cell.SetBytes(raw)
			return nil
		}
	case sqlite.TypeFloat: // no table has one
	}
	return fmt.Errorf("no way from %s to the field", s.ColumnType(i))
}

// queryContext reads until the context ends, which costs a goroutine.
func (c *direct) queryContext(ctx context.Context, dest any, text string, args []any) error {
	c.conn.SetInterrupt(ctx.Done())
	defer c.conn.SetInterrupt(nil)
	err := c.query(dest, text, args...)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readSQLite reads with one of the reading connections.
func (d *DB) readSQLite(ctx context.Context, dest any, fixed bool, text string, args []any) error {
	return d.withReader(ctx, func(c *direct) error {
		if fixed { // an index answers it, so nobody has to interrupt it
			return c.query(dest, text, args...)
		}
		ctx, cancel := context.WithTimeout(ctx, d.timeout)
		defer cancel()
		return c.queryContext(ctx, dest, text, args)
	})
}

// withReader reads with one of the reading connections.
func (d *DB) withReader(ctx context.Context, read func(*direct) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *direct
	select {
	case c = <-d.free:
	default:
		var err error
		if c, err = d.awaitReader(ctx); err != nil {
			return err
		}
	}
	defer func() { d.free <- c }() // whatever happens
	if d.closed.Load() {
		return errClosed
	}
	if c == nil {
		var err error
		if c, err = d.connectDirect("query_only(1)"); err != nil {
			return err
		}
	}
	using := c
	c = nil // a connection that a panic left is not used again
	err := read(using)
	if sqliteCode(err) != 0 { // it begins anew
		_ = using.close()
		return err
	}
	c = using
	return err
}

// awaitReader waits until a reading connection is free.
func (d *DB) awaitReader(ctx context.Context) (*direct, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	select {
	case c := <-d.free:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
