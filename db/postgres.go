package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jackc/puddle/v2"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

var postgresDialect = &dialect{
	name: "postgres", numbered: true, skipLocked: " FOR UPDATE SKIP LOCKED",
	elements: "SELECT json_array_elements_text(CAST(? AS JSON))",
	// Transactions get their numbers before they commit. Below the oldest one that is still running none is left
	// that could add an event.
	settled: " AND tx < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
	template: map[string]string{
		"Int": "BIGINT", "Text": `TEXT COLLATE "C"`, "Bytes": "BYTEA", "Bool": "BOOLEAN",
		"Identity":    "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"Transaction": "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
		// Room in each page for the next version of a row keeps updates out of the indexes.
		"Updated": " WITH (fillfactor = 70)",
		// Of the JSON array of whom an event concerns.
		"FirstElement": "CAST(concerns AS JSON) ->> 0", "SecondElement": "CAST(concerns AS JSON) ->> 1",
	},
	unavailable: postgresUnavailable, again: postgresAgain,
	noTable: func(err error) bool { return sqlState(err) == "42P01" },
}

const (
	// connectTimeout is for one host. It is below the time of a call, so that a silent first host leaves time for
	// the second.
	connectTimeout = 2 * time.Second
	maxConns       = 16
)

func (d *DB) openPostgres(ctx context.Context) error {
	d.words = postgresDialect
	config, err := pgxpool.ParseConfig(d.options.URL)
	if err != nil {
		return errors.New("db: the database URL is malformed") // the error of pgx may hold a password
	}
	given := func(name string) bool {
		_, query, _ := strings.Cut(d.options.URL, "?")
		values, _ := url.ParseQuery(query)
		return values.Has(name)
	}
	conn := config.ConnConfig
	// Texts that are put together differ from call to call, so they are not kept prepared. Fixed texts are.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if !given("connect_timeout") {
		conn.ConnectTimeout = connectTimeout
	}
	if !given("statement_timeout") {
		conn.RuntimeParams["statement_timeout"] = fmt.Sprint(d.timeout.Milliseconds())
	}
	if !given("idle_in_transaction_session_timeout") {
		conn.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(2 * d.timeout.Milliseconds())
	}
	if !given("application_name") {
		conn.RuntimeParams["application_name"] = "gatehouse"
	}
	if !given("pool_max_conns") {
		config.MaxConns = maxConns
		if d.options.MaxConns > 0 {
			config.MaxConns = int32(min(d.options.MaxConns, 10000)) //nolint:gosec // bounded
		}
	}
	config.ShouldPing = d.alive
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return d.fault(err)
	}
	d.reader = bun.NewDB(stdlib.OpenDBFromPool(d.pool), pgdialect.New())
	return nil
}

// maintenance connects beside the pool, for work that may take long.
func (d *DB) maintenancePostgres() *bun.DB {
	config := d.pool.Config().ConnConfig.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	one := stdlib.OpenDB(*config)
	one.SetMaxOpenConns(2) // the lock, and the work
	return bun.NewDB(one, pgdialect.New())
}

// migrationLock is the advisory lock of migrations: "gatehouse" has no number, so it is any.
const migrationLock = 7_203_911_004

// lockPostgres waits until no other instance migrates, and gives the function that lets the next one.
func lockPostgres(ctx context.Context, on *bun.DB) (release func(), err error) {
	conn, err := on.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return func() {
		// With the session the lock ends too, should this fail.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		_ = conn.Close()
	}, nil
}

// attempts is how often a transaction is tried that fell victim to another one.
const attempts = 5

// retry runs a transaction that has nothing half done when it fails.
func (d *DB) retry(ctx context.Context, transaction func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on the caller hears what really happened.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
	defer cancel()
	for n := 1; ; n++ {
		err := transaction(ctx)
		if err == nil || n == attempts || !d.words.again(err) {
			return d.fault(err)
		}
		select {
		case <-ctx.Done():
			return d.fault(err)
		case <-time.After(time.Duration(n) * time.Duration(rand.Int64N(int64(5*time.Millisecond)))):
		}
	}
}

// runAlone writes the steps in a transaction of their own: it sends all at once, and the end of the transaction when
// their results are known.
func (d *DB) runAlone(ctx context.Context, steps []step) error {
	return d.retry(ctx, func(ctx context.Context) error {
		conn, err := d.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release() // and with it ends a connection that is still in a transaction
		batch := &pgx.Batch{}
		batch.Queue("begin")
		for _, s := range steps {
			text := d.bound(s.text, true)
			if _, err := conn.Conn().Prepare(ctx, text, text); err != nil { // nothing to do from the second time on
				return err
			}
			batch.Queue(text, s.args...)
		}
		if err := sendAlone(ctx, conn.Conn(), batch, steps); err != nil {
			_, _ = conn.Exec(ctx, "rollback")
			return err
		}
		return end(ctx, conn)
	})
}

func sendAlone(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, steps []step) error {
	results := conn.SendBatch(ctx, batch)
	_, err := results.Exec() // begin
	for i := 0; err == nil && i < len(steps); i++ {
		var rows int64
		if rows, err = steps[i].result(results); err == nil && rows == 0 {
			err = steps[i].miss
		}
	}
	if cerr := results.Close(); err == nil {
		err = cerr
	}
	return err
}

func (d *DB) writePostgres(ctx context.Context, work func(tx) error) error {
	return d.retry(ctx, func(ctx context.Context) error {
		t, err := d.pool.Begin(ctx)
		if err != nil {
			return err
		}
		if err := work(postgresTx{ctx: ctx, db: d, tx: t}); err != nil {
			_ = t.Rollback(ctx)
			return err
		}
		return lost(t.Commit(ctx))
	})
}

// readPostgres is one round trip. Fixed texts are kept prepared, and of those that were put together the ones that
// come again: a list of one page after the other is one text.
func (d *DB) readPostgres(ctx context.Context, dest any, fixed bool, text string, args []any) error {
	mode := pgx.QueryExecModeExec
	if fixed || d.repeats.again(text) {
		mode = pgx.QueryExecModeCacheStatement
	}
	return readFrom(ctx, d.pool, dest, d.bound(text, fixed), mode, args)
}

// querier is what rows can be asked of.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

func readFrom(ctx context.Context, on querier, dest any, text string, mode pgx.QueryExecMode, args []any) error {
	rows, err := on.Query(ctx, text, append([]any{mode}, args...)...)
	if err != nil {
		return err
	}
	return newSink(dest).fromPostgres(rows)
}

// bound is a text with the argument marks of PostgreSQL.
func (d *DB) bound(text string, fixed bool) string {
	if !fixed {
		return d.words.bind(text)
	}
	if known, ok := d.texts.Load(text); ok {
		return known.(string)
	}
	made := d.words.bind(text)
	d.texts.Store(text, made)
	return made
}

// repeats remembers texts for a while, so that one can be told from those that never come again: each prepared
// statement costs a round trip, and a place among those that are kept.
type repeats struct {
	mu         sync.Mutex
	young, old map[string]struct{}
}

// repeatsKept is half of how many are remembered, below the number of statements that pgx keeps (512).
const repeatsKept = 100

func (r *repeats) again(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[text]; ok {
		return true
	}
	_, before := r.old[text]
	if r.young == nil || len(r.young) >= repeatsKept {
		r.young, r.old = make(map[string]struct{}, repeatsKept), r.young
	}
	r.young[text] = struct{}{}
	return before
}

// writeOnePostgres is one round trip: a statement is a transaction of its own.
func (d *DB) writeOnePostgres(ctx context.Context, dest any, text string, args []any) error {
	return d.retry(ctx, func(ctx context.Context) error {
		conn, err := d.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return lost(readFrom(ctx, conn, dest, d.bound(text, true), pgx.QueryExecModeCacheStatement, args))
	})
}

type postgresTx struct {
	ctx context.Context
	db  *DB
	tx  pgx.Tx
}

// several: every transaction is one unit.
func (postgresTx) several() error { return nil }

func (t postgresTx) exec(text string, args ...any) (int64, error) {
	done, err := t.tx.Exec(t.ctx, t.db.bound(text, true), append([]any{pgx.QueryExecModeCacheStatement}, args...)...)
	return done.RowsAffected(), err
}

func (t postgresTx) query(dest any, text string, args ...any) error {
	return readFrom(t.ctx, t.tx, dest, t.db.bound(text, true), pgx.QueryExecModeCacheStatement, args)
}

func sqlState(err error) string {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState()
	}
	return ""
}

// postgresUnavailable: no connection, or a server that is stopping, full, in recovery or too slow.
func postgresUnavailable(err error) bool {
	switch code := sqlState(err); {
	case code == "":
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "58"):
		return true
	case code == "57014", code == "25006", code == "55P03", code == "25P03", code == "40001", code == "40P01":
		return true
	default:
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	var end *lostEnd
	return errors.As(err, &end) || errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, puddle.ErrNotAvailable) || errors.Is(err, sql.ErrTxDone)
}

// postgresAgain: a victim of another transaction, or nothing was sent.
func postgresAgain(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01" || code == "" && pgconn.SafeToRetry(err)
}
