// Package engine executes SQL statements on SQLite and on PostgreSQL.
//
// It decides when a statement is sent and with which others: it merges concurrent lookups, groups concurrent units into
// one transaction, runs the single writer of SQLite, retries, and keeps statements prepared. It knows no table, no
// column and no record: it receives texts with arguments and returns values.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Engine executes statements. All methods are safe for concurrent use. If the database is temporarily unavailable, the
// error is a problem with the code ServiceUnavailable.
type Engine interface {
	// Query calls row for each row of the result. The row is valid only during the call.
	Query(ctx context.Context, s Statement, args []any, row func(Row) error) error
	// Lookup returns the row of a key; Values is nil if there is none.
	Lookup(ctx context.Context, l *Lookup, key string) (Row, error)
	// Write executes the steps in one transaction, and returns one result per step. If a step with a Missing error
	// changes no row, Write returns that error and writes nothing. A caller whose context ends before the transaction
	// starts gets the error of the context; after that, Write returns the actual result.
	Write(ctx context.Context, unit []Step) ([]Result, error)

	// Shared reports whether other instances may also use the database.
	Shared() bool
	// Notify sends a notification to the instances that listen on the channel. It does nothing unless Shared.
	Notify(ctx context.Context, channel string) error
	// Listen calls notified for each notification, until the context ends or the connection fails. It calls connected
	// when it has started to listen.
	Listen(ctx context.Context, channel string, connected, notified func()) error

	// Serve claims the database for a server: a file of SQLite has at most one. Close releases it.
	Serve() error
	// Yield pauses after a transaction of a bulk command, so that the server of the same file can write.
	Yield(ctx context.Context, took time.Duration) error

	// SQL is for reading the schema. Close closes it.
	SQL() *sql.DB
	// Maintenance connects for work without time limits. The caller closes it.
	Maintenance() (*sql.DB, error)
	// NoTable reports whether the error means that a table does not exist.
	NoTable(err error) bool
	// Classify turns an error that means "temporarily unavailable" into a problem.
	Classify(err error) error
	// Close waits for the started units and closes all connections.
	io.Closer
}

// Statement is a text with the placeholders of the database.
type Statement struct {
	Text string
	// Fixed marks a text from a limited set, which stays prepared.
	Fixed bool
}

// Row is a row of a result. A value is nil, int64, bool, string, []byte or float64.
type Row struct {
	Columns []string
	Values  []any
}

// Lookup reads rows by a key.
type Lookup struct {
	// One has the key as its parameter, Many a list of keys.
	One, Many Statement
	// Key is the position of the key among the columns of Many.
	Key int
}

// Step is one statement of a unit.
type Step struct {
	Statement
	Args []any
	// Returns marks a statement that returns rows.
	Returns bool
	// Missing is the unit's error if the step changes no row; nil permits that.
	Missing error
	// Order identifies the lock of the step. Units that share a transaction take their locks in this order; steps of
	// the same order keep their sequence. A unit with a step without an order is written in a transaction of its own.
	Order string
	// SkipIfNull names a column of the previous step's result. If it is NULL, this step would change nothing, and an
	// engine may skip it.
	SkipIfNull string
	// Exclusive marks a step that must not share a transaction with another exclusive step of the same order.
	Exclusive bool
}

// Result is the result of a step.
type Result struct {
	// Changed is the number of rows that the step changed or returned.
	Changed int64
	Rows    []Row
}

// Options configure an engine.
type Options struct {
	// URL is sqlite:///abs/file.db or postgres://….
	URL string
	// Timeout limits every call.
	Timeout time.Duration
	// MaxConns limits the connections to PostgreSQL, unless the URL does; 0 = 16.
	MaxConns int
	Now      func() time.Time
	Logger   *slog.Logger
	// Repeated reports whether a text that is not fixed was executed before, and is therefore worth preparing.
	Repeated func(text string) bool
	// Plain selects the engine that uses database/sql and no optimization.
	Plain bool
}

var (
	errClosed = errors.New("db: the database is closed")
	errURL    = errors.New("db: a database URL must begin with sqlite:/// or postgres://")
)

// Dialect returns the kind of database that a URL names.
func Dialect(text string) (string, error) {
	switch scheme, _, _ := strings.Cut(text, "://"); scheme {
	case "sqlite":
		return "sqlite", nil
	case "postgres", "postgresql":
		return "postgres", nil
	}
	return "", errURL
}

// Open connects to the database.
func Open(ctx context.Context, o Options) (Engine, error) {
	dialect, err := Dialect(o.URL)
	switch {
	case err != nil:
		return nil, err
	case dialect == "sqlite" && o.Plain:
		return openPlainSQLite(ctx, o)
	case dialect == "sqlite":
		return openSQLite(ctx, o)
	case o.Plain:
		return openPlainPostgres(ctx, o)
	}
	return openPostgres(ctx, o)
}

// classify turns errors that mean "temporarily unavailable" into a problem; it returns others unchanged.
func classify(err error, closed bool, unavailable func(error) bool) error {
	var known *problem.Problem
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case closed, errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrConnDone), unavailable(err):
		return problem.New(problem.ServiceUnavailable).From(err)
	}
	return err
}

// ordered reports whether a unit can share a transaction with others.
func ordered(unit []Step) bool {
	for i := range unit {
		if unit[i].Order == "" {
			return false
		}
	}
	return true
}
