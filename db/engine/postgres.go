package engine

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jackc/puddle/v2"
)

const (
	// connectTimeout applies to one host. It is shorter than the time limit of a call, so that a silent first host
	// leaves time for the second.
	connectTimeout = 2 * time.Second
	maxConns       = 16
)

// postgres is the engine for PostgreSQL.
type postgres struct {
	timeout  time.Duration
	repeated func(string) bool
	pool     *pgxpool.Pool
	sql      *sql.DB
	closed   atomic.Bool
	groups   grouper
	// mergers combine concurrent lookups, by *Lookup.
	mergers sync.Map
}

func openPostgres(ctx context.Context, o Options) (*postgres, error) {
	p := &postgres{timeout: o.Timeout, repeated: o.Repeated}
	p.groups.db = p
	config, err := postgresConfig(o)
	if err != nil {
		return nil, err
	}
	config.ShouldPing = p.alive
	if p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, p.Classify(err)
	}
	p.sql = stdlib.OpenDBFromPool(p.pool)
	return p, nil
}

// postgresConfig adds the required session settings, unless the URL sets them.
func postgresConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("db: the database URL is malformed") // the error of pgx may contain a password
	}
	given := func(name string) bool {
		_, query, _ := strings.Cut(o.URL, "?")
		values, _ := url.ParseQuery(query)
		return values.Has(name)
	}
	conn := config.ConnConfig
	// Per-call texts are not kept prepared; fixed texts are.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if !given("connect_timeout") {
		conn.ConnectTimeout = connectTimeout
	}
	if !given("statement_timeout") {
		conn.RuntimeParams["statement_timeout"] = fmt.Sprint(o.Timeout.Milliseconds())
	}
	if !given("idle_in_transaction_session_timeout") {
		conn.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(2 * o.Timeout.Milliseconds())
	}
	if !given("application_name") {
		conn.RuntimeParams["application_name"] = "gatehouse"
	}
	if !given("pool_max_conns") {
		config.MaxConns = maxConns
		if o.MaxConns > 0 {
			config.MaxConns = int32(min(o.MaxConns, 10000)) //nolint:gosec // bounded
		}
	}
	return config, nil
}

func (p *postgres) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	err := p.sql.Close()
	p.pool.Close()
	return err
}

func (p *postgres) Shared() bool                               { return true }
func (p *postgres) SQL() *sql.DB                               { return p.sql }
func (p *postgres) NoTable(err error) bool                     { return sqlState(err) == "42P01" }
func (p *postgres) Serve() error                               { return nil }
func (p *postgres) Yield(context.Context, time.Duration) error { return nil }

func (p *postgres) Classify(err error) error {
	return classify(err, p.closed.Load(), postgresUnavailable)
}

func (p *postgres) Maintenance() (*sql.DB, error) {
	return postgresMaintenance(p.pool.Config().ConnConfig), nil
}

// postgresMaintenance connects outside the pool, without time limits.
func postgresMaintenance(config *pgx.ConnConfig) *sql.DB {
	config = config.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	one := stdlib.OpenDB(*config)
	one.SetMaxOpenConns(2) // for the lock and the work
	return one
}

// attempts is the maximum number of attempts for a transaction that conflicts with another one.
const attempts = 5

// retry runs a transaction, and repeats it if a conflict with another one made it fail. A failed transaction must leave
// nothing behind.
func (p *postgres) retry(ctx context.Context, transaction func(context.Context) error) error {
	return p.Classify(retry(ctx, p.timeout, postgresAgain, transaction))
}

func retry(ctx context.Context, timeout time.Duration, again func(error) bool, transaction func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on, the caller must get the actual result.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	for n := 1; ; n++ {
		err := transaction(ctx)
		if err == nil || n == attempts || !again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(n) * time.Duration(rand.Int64N(int64(5*time.Millisecond)))):
		}
	}
}

func (p *postgres) Query(ctx context.Context, s Statement, args []any, row func(Row) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Classify(p.read(ctx, s, args, row))
}

// read is one round trip. Fixed texts stay prepared, and per-call texts if they repeat: a list that is read page by
// page has one text.
func (p *postgres) read(ctx context.Context, s Statement, args []any, row func(Row) error) error {
	mode := pgx.QueryExecModeExec
	if s.Fixed || p.repeated != nil && p.repeated(s.Text) {
		mode = pgx.QueryExecModeCacheStatement
	}
	return readPostgres(ctx, p.pool, s.Text, mode, args, row)
}

type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

func readPostgres(ctx context.Context, on querier, text string, mode pgx.QueryExecMode, args []any, row func(Row) error) error {
	all := make([]any, 0, len(args)+1)
	rows, err := on.Query(ctx, text, append(append(all, mode), args...)...)
	if err != nil {
		return err
	}
	return eachPostgres(rows, row)
}

func (p *postgres) Write(ctx context.Context, unit []Step) ([]Result, error) {
	switch {
	case len(unit) == 0:
		return nil, nil
	case ordered(unit):
		return p.groups.write(ctx, unit)
	case len(unit) == 1:
		return p.writeSingle(ctx, unit)
	}
	return p.writeAlone(ctx, unit)
}

// writeSingle executes the only statement of a unit, which is a transaction by itself: one round trip.
func (p *postgres) writeSingle(ctx context.Context, unit []Step) ([]Result, error) {
	s := &unit[0]
	results := make([]Result, 1)
	err := p.retry(ctx, func(ctx context.Context) error {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		all := make([]any, 0, len(s.Args)+1)
		all = append(append(all, pgx.QueryExecModeCacheStatement), s.Args...)
		if s.Returns {
			rows, err := conn.Query(ctx, s.Text, all...)
			if err == nil {
				results[0], err = collectPostgres(rows)
			}
			return lost(err)
		}
		tag, err := conn.Exec(ctx, s.Text, all...)
		results[0] = Result{Changed: tag.RowsAffected()}
		return lost(err)
	})
	if err == nil && results[0].Changed == 0 {
		err = s.Missing
	}
	return results, err
}

// writeAlone executes a unit in a transaction of its own: it sends all steps at once, and the commit after their
// results.
func (p *postgres) writeAlone(ctx context.Context, unit []Step) ([]Result, error) {
	results := make([]Result, len(unit))
	err := p.retry(ctx, func(ctx context.Context) error {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release() // closes a connection that is still in a transaction
		batch := &pgx.Batch{}
		batch.Queue("begin")
		for i := range unit {
			if err := queue(ctx, conn, batch, &unit[i]); err != nil {
				return err
			}
		}
		if err := sendAlone(ctx, conn.Conn(), batch, unit, results); err != nil {
			_, _ = conn.Exec(ctx, "rollback")
			return err
		}
		return commitPostgres(ctx, conn)
	})
	return results, err
}

// queue adds a step to a batch.
func queue(ctx context.Context, conn *pgxpool.Conn, batch *pgx.Batch, s *Step) error {
	if _, err := conn.Conn().Prepare(ctx, s.Text, s.Text); err != nil { // does nothing if already prepared
		return err
	}
	batch.Queue(s.Text, s.Args...)
	return nil
}

func sendAlone(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, unit []Step, results []Result) error {
	sent := conn.SendBatch(ctx, batch)
	_, err := sent.Exec() // begin
	for i := 0; err == nil && i < len(unit); i++ {
		if results[i], err = unit[i].result(sent); err == nil && results[i].Changed == 0 {
			err = unit[i].Missing
		}
	}
	if cerr := sent.Close(); err == nil {
		err = cerr
	}
	return err
}

// result reads the result of the step.
func (s *Step) result(sent pgx.BatchResults) (Result, error) {
	if !s.Returns {
		tag, err := sent.Exec()
		return Result{Changed: tag.RowsAffected()}, err
	}
	rows, err := sent.Query()
	if err != nil {
		return Result{}, err
	}
	return collectPostgres(rows)
}

func collectPostgres(rows pgx.Rows) (Result, error) {
	var r Result
	err := eachPostgres(rows, func(row Row) error {
		r.Rows = append(r.Rows, row.clone())
		return nil
	})
	r.Changed = int64(len(r.Rows))
	return r, err
}

// clone returns a copy of the row.
func (r Row) clone() Row {
	r.Values = append([]any(nil), r.Values...)
	return r
}

// eachPostgres calls row for each row.
func eachPostgres(rows pgx.Rows, row func(Row) error) error {
	defer rows.Close()
	fields := rows.FieldDescriptions()
	if len(fields) == 0 { // an error occurred, which Err returns
		rows.Next()
		return rows.Err()
	}
	columns := make([]string, len(fields))
	for i := range fields {
		columns[i] = fields[i].Name
	}
	r := Row{Columns: columns, Values: make([]any, len(fields))}
	for rows.Next() {
		for i, raw := range rows.RawValues() {
			var err error
			if r.Values[i], err = decode(fields[i].DataTypeOID, fields[i].Format, raw); err != nil {
				return fmt.Errorf("db: column %s: %w", columns[i], err)
			}
		}
		if err := row(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// decode decodes a value of one of the few types that statements return.
func decode(oid uint32, format int16, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil
	}
	isBinary := format == pgx.BinaryFormatCode
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID:
		return string(raw), nil
	case pgtype.Int8OID, pgtype.Int4OID, pgtype.Int2OID:
		switch {
		case !isBinary:
			return strconv.ParseInt(string(raw), 10, 64)
		case len(raw) == 8:
			return int64(binary.BigEndian.Uint64(raw)), nil //nolint:gosec // its bits
		case len(raw) == 4:
			return int64(int32(binary.BigEndian.Uint32(raw))), nil //nolint:gosec // its bits
		case len(raw) == 2:
			return int64(int16(binary.BigEndian.Uint16(raw))), nil //nolint:gosec // its bits
		}
	case pgtype.BoolOID:
		return len(raw) == 1 && (raw[0] == 1 || raw[0] == 't'), nil
	case pgtype.ByteaOID:
		if isBinary {
			return append([]byte{}, raw...), nil
		}
		if text, ok := strings.CutPrefix(string(raw), `\x`); ok {
			return hex.DecodeString(text)
		}
	}
	return nil, fmt.Errorf("unsupported type %d", oid)
}

func sqlState(err error) string {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState()
	}
	return ""
}

// postgresUnavailable reports whether there is no connection, or the server is stopping, full, in recovery or too slow.
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
	var end *lostCommit
	return errors.As(err, &end) || errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, puddle.ErrNotAvailable) || errors.Is(err, sql.ErrTxDone)
}

// postgresAgain reports whether the transaction conflicted with another one, or nothing was sent.
func postgresAgain(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01" || code == "" && pgconn.SafeToRetry(err)
}

// commitPostgres commits a transaction.
func commitPostgres(ctx context.Context, conn *pgxpool.Conn) error {
	return lost(committed(conn.Exec(ctx, "commit")))
}

// committed returns an error if the transaction ended differently than requested.
func committed(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.String() != "COMMIT" {
		err = fmt.Errorf("db: the transaction ended in %s", tag)
	}
	return err
}

// lostCommit is a missing response to a commit: the outcome is unknown. It hides the driver's error, which reports a
// connection that broke after sending as one on which nothing was sent; a retry would write twice.
type lostCommit struct{ why string }

func (l *lostCommit) Error() string {
	return "db: it is unknown whether the transaction was committed: " + l.why
}

// lost marks an error of the committing statement, unless the server sent it.
func lost(err error) error {
	if err == nil || sqlState(err) != "" {
		return err
	}
	return &lostCommit{err.Error()}
}

// CheckPostgresURL reports whether pgx accepts the URL.
func CheckPostgresURL(text string) bool {
	_, err := pgxpool.ParseConfig(text)
	return err == nil
}
