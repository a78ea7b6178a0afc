package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// direct is one connection to SQLite, without the layer of database/sql above the driver: what that does for each
// value and each call costs more than SQLite itself. One goroutine uses it at a time.
type direct struct {
	conn driver.Conn
	// texts are the statements that are kept prepared.
	texts map[string]driver.Stmt
	// room is where rows are read into.
	room []driver.Value
}

// maxPrepared bounds the statements of a connection that are kept prepared, above the number of fixed texts. With
// more, all are given up.
const maxPrepared = 512

// connectDirect opens the file.
func (d *DB) connectDirect(pragmas ...string) (*direct, error) {
	conn, err := d.driver.Open(d.dsn(pragmas...))
	if err != nil {
		return nil, err
	}
	return &direct{conn: conn, texts: map[string]driver.Stmt{}}, nil
}

func (c *direct) close() error {
	var errs []error
	for _, s := range c.texts {
		errs = append(errs, s.Close())
	}
	c.texts = nil
	return errors.Join(append(errs, c.conn.Close())...)
}

func (c *direct) prepare(text string) (driver.Stmt, error) {
	if s, ok := c.texts[text]; ok {
		return s, nil
	}
	if len(c.texts) >= maxPrepared {
		for _, s := range c.texts {
			_ = s.Close()
		}
		clear(c.texts)
	}
	s, err := c.conn.Prepare(text)
	if err == nil {
		c.texts[text] = s
	}
	return s, err
}

// named are arguments as the driver takes them.
func named(args []any) ([]driver.NamedValue, error) {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case nil, int64, string, []byte, bool, float64:
		case int:
			a = int64(v)
		default:
			var err error
			if a, err = driver.DefaultParameterConverter.ConvertValue(a); err != nil {
				return nil, fmt.Errorf("db: argument %d: %w", i+1, err)
			}
		}
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out, nil
}

func (c *direct) exec(text string, args ...any) (int64, error) {
	values, err := named(args)
	if err != nil {
		return 0, err
	}
	s, err := c.prepare(text)
	if err != nil {
		return 0, err
	}
	done, err := s.(driver.StmtExecContext).ExecContext(context.Background(), values)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (c *direct) query(dest any, text string, args ...any) error {
	return c.queryContext(context.Background(), dest, text, args)
}

// queryContext reads; a context that can end costs a goroutine.
func (c *direct) queryContext(ctx context.Context, dest any, text string, args []any) (err error) {
	values, err := named(args)
	if err != nil {
		return err
	}
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, values)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	to := newSink(dest)
	names := rows.Columns()
	if err := to.columns(len(names), func(i int) string { return names[i] }); err != nil {
		return err
	}
	if len(c.room) < len(names) {
		c.room = make([]driver.Value, len(names))
	}
	room := c.room[:len(names)]
	for {
		switch err := rows.Next(room); {
		case errors.Is(err, io.EOF):
			return to.end()
		case err != nil:
			return err
		}
		to.add()
		for i, v := range room {
			if v == nil {
				continue // the zero value
			}
			if err := setValue(target(to.cell(i)), v); err != nil {
				return fmt.Errorf("db: column %s: %w", names[i], err)
			}
		}
	}
}

// readSQLite reads with one of the reading connections.
func (d *DB) readSQLite(ctx context.Context, dest any, fixed bool, text string, args []any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *direct
	select {
	case c = <-d.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.closed.Load() {
		d.free <- c
		return errClosed
	}
	var err error
	if c == nil {
		c, err = d.connectDirect("query_only(1)")
	}
	if err == nil {
		if fixed { // an index answers it, so nobody has to interrupt it
			ctx = context.Background()
		}
		err = c.queryContext(ctx, dest, text, args)
		if sqliteCode(err) != 0 { // it begins anew
			_ = c.close()
			c = nil
		}
	}
	d.free <- c
	return err
}
