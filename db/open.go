// Package db keeps the records of package domain in a database: SQLite in a file, or PostgreSQL.
//
// It knows tables, columns, SQL and how to seal what is personal. It must not know rules, HTTP or GraphQL: it
// writes units as it gets them, and answers what is stored. What differs between the two databases stands in
// postgres.go and sqlite.go.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/seal"
)

// Options say which database, and what it needs.
type Options struct {
	// URL is sqlite:///abs/file.db or postgres://….
	URL string
	// Key is the key-encryption key of the stored keysets.
	Key seal.Key
	// Now is the one clock.
	Now func() time.Time
	// Logger hears of work in the background that failed. Nil: nobody does.
	Logger *slog.Logger
	// Timeout bounds every call; 0 = 4 seconds. A database that has fallen silent is an error after it.
	Timeout time.Duration
	// Reads hears the text of every statement that reads, which has no values in it. Nil: nobody does.
	Reads func(text string)
	// MaxConns bounds the connections to PostgreSQL, unless the URL does (pool_max_conns); 0 = 16.
	MaxConns int
}

// defaultTimeout leaves time to tell the caller within five seconds that the database has fallen silent.
const defaultTimeout = 4 * time.Second

// DB is the database. It implements the ports Store, Directory, Limiter and Outbox of package domain.
type DB struct {
	options Options
	log     *slog.Logger
	timeout time.Duration
	words   *dialect

	// reader knows the schema, and reads what is not read often.
	reader *bun.DB
	// pool is there on PostgreSQL only, file and writer on SQLite only.
	pool   *pgxpool.Pool
	file   string
	writer *writer
	// served is the lock of the server that has the file.
	served *os.File

	ring   atomic.Pointer[seal.Keyring]
	woken  chan struct{}
	closed atomic.Bool
	// bell rings when this process has committed events.
	bell *bell

	// free is there on SQLite only: the reading connections that nobody uses, nil for one that is still to be made.
	free chan *direct
	// repeats are texts that were put together before, texts those of fixed statements with the marks of the dialect.
	repeats repeats
	texts   sync.Map
	// groups writes units on PostgreSQL.
	groups grouper
	// mergers read rows by id on PostgreSQL, by table.
	mergers sync.Map
	// tables are the tables, by the type of their rows.
	tables sync.Map
}

// dialect is what must differ between the two databases.
type dialect struct {
	name string
	// numbered: placeholders are $1, $2, … and not ?.
	numbered bool
	// indexed begins what says by which index rows are found. The planner of SQLite knows no figures, and takes an index
	// that finds half of the table where a small one would do. Empty: the planner finds it by itself.
	indexed string
	// skipLocked ends a SELECT that leaves out rows which others are taking.
	skipLocked string
	// elements selects the texts of a JSON array that is one parameter.
	elements string
	// settled is the condition that an event is in the feed for good: none can appear before it any more.
	settled string
	// template has the words of the migrations.
	template map[string]string
	// unavailable says that the database could not do it now, whatever it was.
	unavailable func(error) bool
	// again says that nothing was done and another try may do.
	again func(error) bool
	// noTable says that the database has not been migrated.
	noTable func(error) bool
}

// by names the index that finds rows.
func (w *dialect) by(index string) string {
	if w.indexed == "" {
		return ""
	}
	return w.indexed + index
}

var errNotMigrated = errors.New("the database has not been migrated: run gatehouse migrate up")

// Open connects. It does not migrate; where the schema is there it opens the keysets, and makes them where there
// are none. The error is seal.ErrWrongKey where the key does not open them.
func Open(ctx context.Context, o Options) (*DB, error) {
	d := &DB{options: o, log: o.Logger, timeout: o.Timeout, woken: make(chan struct{}, 1), bell: newBell()}
	d.groups.db = d
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	var err error
	switch scheme, _, _ := strings.Cut(o.URL, "://"); scheme {
	case "sqlite":
		err = d.openSQLite(ctx)
	case "postgres", "postgresql":
		err = d.openPostgres(ctx)
	default:
		return nil, errors.New("db: a database URL begins with sqlite:/// or postgres://")
	}
	if err == nil {
		err = d.unlock(ctx)
	}
	if errors.Is(err, errNotMigrated) {
		err = nil
	}
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Close ends all connections, after the units that were taken. Whose unit was not is told so.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.bell.close()
	var errs []error
	if d.writer != nil {
		errs = append(errs, d.writer.close())
	}
	for range cap(d.free) { // when all who read have done
		if c := <-d.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	for range cap(d.free) {
		d.free <- nil // whoever comes now hears that it is closed
	}
	if d.reader != nil {
		errs = append(errs, d.reader.Close())
	}
	if d.pool != nil {
		d.pool.Close()
	}
	if d.served != nil {
		errs = append(errs, d.served.Close())
		d.served = nil
	}
	return errors.Join(errs...)
}

// unlock opens the keysets. Of several instances that find none, one makes them and all open the same.
func (d *DB) unlock(ctx context.Context) error {
	if d.ring.Load() != nil {
		return nil
	}
	const read = "SELECT wrapped FROM keysets WHERE id = 1"
	var found [][]byte
	err := d.query(ctx, &found, read)
	if err != nil && d.words.noTable(err) {
		return errNotMigrated
	}
	if err == nil && len(found) == 0 {
		var made []byte
		if made, err = seal.NewKeysets(d.options.Key); err != nil {
			return err
		}
		err = d.run(ctx, []step{{
			text: "INSERT INTO keysets (id, wrapped, created_at) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING",
			args: []any{made, micros(d.options.Now())},
		}})
		if err == nil {
			err = d.query(ctx, &found, read)
		}
	}
	if err != nil {
		return err
	}
	ring, err := seal.Open(d.options.Key, found[0])
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	d.ring.Store(ring)
	return nil
}

// keys gives the keyring.
func (d *DB) keys(ctx context.Context) (*seal.Keyring, error) {
	if ring := d.ring.Load(); ring != nil {
		return ring, nil
	}
	if err := d.unlock(ctx); err != nil {
		if errors.Is(err, errNotMigrated) {
			return nil, problem.New(problem.ServiceUnavailable).From(err)
		}
		return nil, err
	}
	return d.ring.Load(), nil
}

// KeyedHash is a keyed hash of several parts, different for each purpose. The database must have been migrated.
func (d *DB) KeyedHash(purpose string, parts ...string) []byte {
	data := make([][]byte, 0, len(parts))
	for _, p := range parts {
		data = append(data, []byte(p))
	}
	return d.ring.Load().KeyedHash(purpose, data...)
}

// fault makes what the database could not do now a problem that says so; other errors stay as they are.
func (d *DB) fault(err error) error {
	var known *problem.Problem
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case d.closed.Load(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrConnDone), d.words.unavailable(err):
		return problem.New(problem.ServiceUnavailable).From(err)
	}
	return err
}

// micros is how times are stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// instant is how times are read.
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// maybeMicros stores the zero time as a missing one.
func maybeMicros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := micros(t)
	return &us
}

func maybeInstant(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return instant(*us)
}
