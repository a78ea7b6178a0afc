package engine

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// plain executes statements through database/sql: one transaction per unit, no merged lookups, no groups, no cached
// statements. Tests compare the other engines with it.
type plain struct {
	timeout time.Duration
	// reading and writing are the same pool on PostgreSQL.
	reading, writing *sql.DB
	again            func(error) bool
	classify         func(error) error
}

func (p *plain) Query(ctx context.Context, s Statement, args []any, row func(Row) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.classify(queryPlain(ctx, p.reading, s.Text, args, row))
}

func (p *plain) Lookup(ctx context.Context, l *Lookup, key string) (found Row, err error) {
	err = p.Query(ctx, l.One, []any{key}, func(row Row) error {
		found = row.clone()
		return nil
	})
	return found, err
}

func (p *plain) Write(ctx context.Context, unit []Step) (results []Result, err error) {
	if len(unit) == 0 {
		return nil, ctx.Err()
	}
	err = retry(ctx, p.timeout, p.again, func(ctx context.Context) error {
		tx, err := p.writing.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if results, err = writePlain(ctx, tx, unit); err != nil {
			_ = tx.Rollback()
			return err
		}
		return lost(tx.Commit())
	})
	if err != nil {
		return nil, p.classify(err)
	}
	return results, nil
}

func writePlain(ctx context.Context, tx *sql.Tx, unit []Step) ([]Result, error) {
	results := make([]Result, len(unit))
	for i := range unit {
		s, r := &unit[i], &results[i]
		if s.Returns {
			if err := queryPlain(ctx, tx, s.Text, s.Args, func(row Row) error {
				r.Rows = append(r.Rows, row.clone())
				return nil
			}); err != nil {
				return nil, err
			}
			r.Changed = int64(len(r.Rows))
		} else {
			done, err := tx.ExecContext(ctx, s.Text, s.Args...)
			if err != nil {
				return nil, err
			}
			if r.Changed, err = done.RowsAffected(); err != nil {
				return nil, err
			}
		}
		if r.Changed == 0 && s.Missing != nil {
			return nil, s.Missing
		}
	}
	return results, nil
}

type plainQuerier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

func queryPlain(ctx context.Context, on plainQuerier, text string, args []any, row func(Row) error) error {
	rows, err := on.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	r := Row{Columns: columns, Values: make([]any, len(columns))}
	into := make([]any, len(columns))
	for i := range into {
		into[i] = &r.Values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := row(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// plainSQLite is the plain engine for SQLite.
type plainSQLite struct {
	sqliteFile
	plain
}

func openPlainSQLite(ctx context.Context, o Options) (*plainSQLite, error) {
	p := &plainSQLite{}
	if err := p.openFile(o); err != nil {
		return nil, err
	}
	var err error
	p.plain = plain{timeout: o.Timeout, again: func(error) bool { return false }, classify: p.Classify}
	if p.writing, err = p.Maintenance(); err != nil {
		return nil, err
	}
	if p.reading, err = sql.Open("sqlite", p.dsn("query_only(1)")); err != nil {
		return nil, errors.Join(err, p.writing.Close())
	}
	p.reading.SetMaxOpenConns(readers)
	// This enables the write-ahead log.
	return p, p.Classify(p.connecting(ctx, func() error { return p.writing.PingContext(ctx) }))
}

func (p *plainSQLite) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	return errors.Join(p.writing.Close(), p.reading.Close(), p.sql.Close(), p.release())
}

// plainPostgres is the plain engine for PostgreSQL.
type plainPostgres struct {
	*postgres
	plain
}

func openPlainPostgres(ctx context.Context, o Options) (*plainPostgres, error) {
	config, err := postgresConfig(o)
	if err != nil {
		return nil, err
	}
	p := &plainPostgres{postgres: &postgres{timeout: o.Timeout}}
	config.ShouldPing = p.alive
	if p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, p.Classify(err)
	}
	p.sql = stdlib.OpenDBFromPool(p.pool)
	p.plain = plain{timeout: o.Timeout, reading: p.sql, writing: p.sql, again: postgresAgain, classify: p.Classify}
	return p, nil
}

func (p *plainPostgres) Query(ctx context.Context, s Statement, args []any, row func(Row) error) error {
	return p.plain.Query(ctx, s, args, row)
}

func (p *plainPostgres) Lookup(ctx context.Context, l *Lookup, key string) (Row, error) {
	return p.plain.Lookup(ctx, l, key)
}

func (p *plainPostgres) Write(ctx context.Context, unit []Step) ([]Result, error) {
	return p.plain.Write(ctx, unit)
}
