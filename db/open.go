// Package db stores the records of package domain in a database: SQLite in a file, or PostgreSQL.
//
// It knows tables and columns, and seals personal data. It must not know rules, HTTP or GraphQL: it writes units
// unchanged and returns the stored records. bun builds all statements from the row structs; package engine executes
// them. The differences between the two databases are in postgres.go and sqlite.go.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/db/engine"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/recent"
	"github.com/gatehouse/gatehouse/seal"
)

// Options configure the database.
type Options struct {
	// URL is sqlite:///abs/file.db or postgres://….
	URL string
	// Key is the key-encryption key of the stored keysets.
	Key seal.Key
	// Now is the clock.
	Now func() time.Time
	// Logger receives failures of background work; nil discards them.
	Logger *slog.Logger
	// Timeout limits every call; 0 = 4 seconds. A call that takes longer returns an error.
	Timeout time.Duration
	// Reads is called with the text of every reading statement, without values; may be nil.
	Reads func(text string)
	// MaxConns limits the connections to PostgreSQL, unless the URL does (pool_max_conns); 0 = 16.
	MaxConns int
}

// defaultTimeout lets the server respond within five seconds if the database does not respond.
const defaultTimeout = 4 * time.Second

// DB is the database. It implements the ports Store, Directory, Limiter and Outbox of package domain.
type DB struct {
	options Options
	log     *slog.Logger
	timeout time.Duration
	dialect *dialect
	engine  engine.Engine
	// bun builds the statements and knows the row structs.
	bun *bun.DB
	// inline makes bun write the values into the texts, as it does by default; for tests.
	inline bool

	ring  atomic.Pointer[seal.Keyring]
	woken chan struct{}
	// announcer announces commits of events.
	announcer *announcer
	// repeated contains per-call texts that were executed before. Preparing a statement costs a round trip and a slot
	// in the statement cache.
	repeated recent.Cache[string, struct{}]
}

// repeatedTexts is half the number of such texts kept; together they fit into pgx's statement cache (512).
const repeatedTexts = 100

// engineVariable selects the engine, for tests: plain uses database/sql without optimizations; inline does the same,
// with the values in the texts.
const engineVariable = "GATEHOUSE_TEST_ENGINE"

var errNotMigrated = errors.New("the database has not been migrated: run gatehouse migrate up")

// Open connects to the database. It does not migrate. If the schema exists, Open opens the keysets, and creates them if
// they do not exist. It returns seal.ErrWrongKey if the key does not open them.
func Open(ctx context.Context, o Options) (*DB, error) {
	variant := os.Getenv(engineVariable)
	d := &DB{
		options: o, log: o.Logger, timeout: o.Timeout, woken: make(chan struct{}, 1), announcer: newAnnouncer(), inline: variant == "inline",
	}
	d.repeated.Size = repeatedTexts
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	name, err := engine.Dialect(o.URL)
	if err != nil {
		return nil, err
	}
	if d.dialect = sqliteDialect; name == postgresDialect.name {
		d.dialect = postgresDialect
	}
	d.engine, err = engine.Open(ctx, engine.Options{
		URL: o.URL, Timeout: d.timeout, MaxConns: o.MaxConns, Now: o.Now, Logger: d.log, Repeated: d.repeats,
		Plain: variant == "plain" || variant == "inline",
	})
	if err != nil {
		return nil, err
	}
	d.bun = bun.NewDB(d.engine.SQL(), d.dialect.schema())
	if err := d.unlock(ctx); err != nil && !errors.Is(err, errNotMigrated) {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// repeats reports whether the text was executed before.
func (d *DB) repeats(text string) bool {
	_, found := d.repeated.Get(text)
	if !found {
		d.repeated.Add(text, struct{}{})
	}
	return found
}

// ErrServed reports that another server uses the database file.
var ErrServed = engine.ErrServed

// Serve claims the database for a server: a SQLite file has at most one server, but commands may use the file at the
// same time. PostgreSQL may have any number. Close releases the claim.
func (d *DB) Serve() error { return d.engine.Serve() }

// Yield pauses after a transaction of a bulk command that took the given time, so that the server of the same file can
// write.
func (d *DB) Yield(ctx context.Context, took time.Duration) error { return d.engine.Yield(ctx, took) }

// Close closes all connections after the started units have ended. Later units fail.
func (d *DB) Close() error {
	d.announcer.close()
	return d.engine.Close()
}

// keysetRow contains the wrapped keysets.
type keysetRow struct {
	bun.BaseModel `bun:"table:keysets"`

	ID        int64  `bun:"id,pk"`
	Wrapped   []byte `bun:"wrapped"`
	CreatedAt int64  `bun:"created_at"`
}

var (
	readKeyset = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*keysetRow)(nil)).Where("id = 1")
	})
	addKeyset = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*keysetRow)(nil)) })
)

// unlock opens the keysets. If several instances find none, one creates them and all open the same ones.
func (d *DB) unlock(ctx context.Context) error {
	if d.ring.Load() != nil {
		return nil
	}
	row, found, err := queryOne[keysetRow](ctx, d, readKeyset)
	if err != nil && d.engine.NoTable(err) {
		return errNotMigrated
	}
	if err == nil && !found {
		fresh := &keysetRow{ID: 1, CreatedAt: micros(d.options.Now())}
		if fresh.Wrapped, err = seal.NewKeysets(d.options.Key); err != nil {
			return err
		}
		if _, err = d.writeRow(ctx, addKeyset, fresh, nil); err == nil {
			row, _, err = queryOne[keysetRow](ctx, d, readKeyset)
		}
	}
	if err != nil {
		return err
	}
	ring, err := seal.Open(d.options.Key, row.Wrapped)
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	d.ring.Store(ring)
	return nil
}

// keys returns the keyring.
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

// KeyedHash returns a keyed hash of several parts, different for each purpose. The database must be migrated.
func (d *DB) KeyedHash(purpose string, parts ...string) []byte {
	data := make([][]byte, 0, len(parts))
	for _, p := range parts {
		data = append(data, []byte(p))
	}
	return d.ring.Load().KeyedHash(purpose, data...)
}
