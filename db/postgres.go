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

// runBatch sends all steps at once, and the end of the transaction when their results are known.
func (d *DB) runBatch(ctx context.Context, steps []step) error {
	return d.retry(ctx, func(ctx context.Context) error {
		conn, err := d.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release() // and with it ends a connection that is still in a transaction
		batch := &pgx.Batch{}
		batch.Queue("begin")
		for _, s := range steps {
			text := d.words.bind(s.text)
			if _, err := conn.Conn().Prepare(ctx, text, text); err != nil { // nothing to do from the second time on
				return err
			}
			batch.Queue(text, s.args...)
		}
		if err := sendBatch(ctx, conn.Conn(), batch, steps); err != nil {
			_, _ = conn.Exec(ctx, "rollback")
			return err
		}
		tag, err := conn.Exec(ctx, "commit")
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("db: the transaction ended in %s", tag)
		}
		return err
	})
}

func sendBatch(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, steps []step) error {
	results := conn.SendBatch(ctx, batch)
	_, err := results.Exec() // begin
	for i := 0; err == nil && i < len(steps); i++ {
		var tag pgconn.CommandTag
		if tag, err = results.Exec(); err == nil && tag.RowsAffected() == 0 {
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
		t, err := d.reader.DB.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := work(postgresTx{ctx: ctx, db: d, tx: t}); err != nil {
			_ = t.Rollback()
			return err
		}
		return t.Commit()
	})
}

// writeOnePostgres is one round trip: a statement is a transaction of its own.
func (d *DB) writeOnePostgres(ctx context.Context, dest any, text string, args []any) error {
	return d.retry(ctx, func(ctx context.Context) error {
		rows, err := d.rows(ctx, true, text, args) //nolint:rowserrcheck // ScanRows does
		if err != nil {
			return err
		}
		return d.reader.ScanRows(ctx, rows, dest)
	})
}

type postgresTx struct {
	ctx context.Context
	db  *DB
	tx  *sql.Tx
}

func (t postgresTx) exec(text string, args ...any) (int64, error) {
	done, err := t.tx.ExecContext(t.ctx, t.db.words.bind(text), append([]any{pgx.QueryExecModeCacheStatement}, args...)...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (t postgresTx) query(dest any, text string, args ...any) error {
	//nolint:rowserrcheck // ScanRows does
	rows, err := t.tx.QueryContext(t.ctx, t.db.words.bind(text), append([]any{pgx.QueryExecModeCacheStatement}, args...)...)
	if err != nil {
		return err
	}
	return t.db.reader.ScanRows(t.ctx, rows, dest)
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
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, puddle.ErrNotAvailable) || errors.Is(err, sql.ErrTxDone)
}

// postgresAgain: a victim of another transaction, or nothing was sent.
func postgresAgain(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01" || code == "" && pgconn.SafeToRetry(err)
}
