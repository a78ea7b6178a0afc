package engine

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	direct "zombiezen.com/go/sqlite"
)

const (
	// readers is the number of reading connections: more than the usual number of processors.
	readers = 4
	// fallback is the log size at which the writer itself moves the log into the file, if the checkpoints on the other
	// connection have not kept up: 30000 pages, 120 MB, which a restarted server reads within half a second after a
	// kill.
	fallback = "wal_autocheckpoint(30000)"
	// readerCache and writerCache are the cache sizes of a connection: 4 MB, enough for the upper levels of all
	// indexes, and 16 MB, because no other connection's commit invalidates the writer's cache.
	readerCache, writerCache = 1024, 4096
	// reserved is the memory for the pages of all connections, 36 MB.
	reserved = readers*readerCache + writerCache + 256
	pageSize = 4096
)

// reservePages allocates the memory for the pages of all connections once. Each commit of the writer empties the caches
// of all readers, and allocating and freeing the memory of every page took a quarter of all processor time. SQLite must
// be configured before the first connection of the process; otherwise this has no effect.
var reservePages = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	configure := func(what int32, args ...any) bool {
		list := libc.NewVaList(args...)
		defer libc.Xfree(tls, list)
		return sqlite3.Xsqlite3_config(tls, what, list) == sqlite3.SQLITE_OK
	}
	header := libc.Xmalloc(tls, 8)
	defer libc.Xfree(tls, header)
	if !configure(sqlite3.SQLITE_CONFIG_PCACHE_HDRSZ, header) {
		return
	}
	slot := pageSize + int(binary.NativeEndian.Uint32(libc.GoBytes(header, 4)))
	room := libc.Xmalloc(tls, types.Size_t(reserved*slot))
	if room != 0 && !configure(sqlite3.SQLITE_CONFIG_PAGECACHE, room, int32(slot), int32(reserved)) { //nolint:gosec // small
		libc.Xfree(tls, room)
	}
})

// sqliteFile is the common part of both SQLite engines.
type sqliteFile struct {
	fileLock
	file    string
	timeout time.Duration
	// sql reads the schema.
	sql    *sql.DB
	closed atomic.Bool
}

// openFile creates the file if it does not exist.
func (f *sqliteFile) openFile(o Options) error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("db: the URL of an embedded database is sqlite:// and an absolute path, such as sqlite:///var/lib/gatehouse.db")
	}
	f.file, f.timeout, f.path = u.Path, o.Timeout, u.Path+".lock"
	// SQLite creates its other files with the mode of this one.
	file, err := os.OpenFile(f.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("db: open the database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("db: open the database file: %w", err)
	}
	reservePages()
	f.sql, err = sql.Open("sqlite", f.dsn("query_only(1)"))
	if err != nil {
		return err
	}
	f.sql.SetMaxOpenConns(1)
	f.sql.SetMaxIdleConns(0)
	return nil
}

func (f *sqliteFile) Shared() bool                         { return false }
func (f *sqliteFile) Notify(context.Context, string) error { return nil }
func (f *sqliteFile) SQL() *sql.DB                         { return f.sql }

func (f *sqliteFile) Listen(ctx context.Context, _ string, _, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

func (f *sqliteFile) Classify(err error) error {
	return classify(err, f.closed.Load(), sqliteUnavailable)
}

func (f *sqliteFile) NoTable(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no such table")
}

func (f *sqliteFile) Maintenance() (*sql.DB, error) {
	one, err := sql.Open("sqlite", f.dsn())
	if err == nil {
		one.SetMaxOpenConns(1)
	}
	return one, err
}

// embedded is the engine for SQLite: several reading connections and one writing connection.
type embedded struct {
	sqliteFile
	log    *slog.Logger
	now    func() time.Time
	writer *writer
	// free contains the unused reading connections; nil stands for one that is not yet connected.
	free chan *conn
}

func openSQLite(ctx context.Context, o Options) (*embedded, error) {
	e := &embedded{log: o.Logger, now: o.Now, free: make(chan *conn, readers)}
	if err := e.openFile(o); err != nil {
		return nil, err
	}
	for range readers {
		e.free <- nil // connected on first use
	}
	var err error
	if e.writer, err = e.startWriter(ctx); err != nil {
		return nil, errors.Join(e.Classify(err), e.sql.Close())
	}
	return e, nil
}

func (e *embedded) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	errs := []error{e.writer.close()}
	for range cap(e.free) { // wait for all reads
		if c := <-e.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	for range cap(e.free) {
		e.free <- nil // later calls fail with errClosed
	}
	return errors.Join(append(errs, e.sql.Close(), e.release())...)
}

func (e *embedded) Query(ctx context.Context, s Statement, args []any, row func(Row) error) error {
	return e.Classify(e.withReader(ctx, func(c *conn) error {
		if s.Fixed { // uses an index, so it needs no interruption
			return c.query(s.Text, args, row)
		}
		ctx, cancel := context.WithTimeout(ctx, e.timeout)
		defer cancel()
		return c.queryContext(ctx, s.Text, args, row)
	}))
}

func (e *embedded) Lookup(ctx context.Context, l *Lookup, key string) (found Row, err error) {
	err = e.Query(ctx, l.One, []any{key}, func(row Row) error {
		found = row.clone()
		return nil
	})
	return found, err
}

func (e *embedded) Write(ctx context.Context, unit []Step) ([]Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(unit) == 0 {
		return nil, nil
	}
	results, err := e.writer.write(ctx, unit)
	return results, e.Classify(err)
}

// withReader reads with one of the reading connections.
func (e *embedded) withReader(ctx context.Context, read func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-e.free:
	default:
		var err error
		if c, err = e.awaitReader(ctx); err != nil {
			return err
		}
	}
	defer func() { e.free <- c }() // even after a panic
	if e.closed.Load() {
		return errClosed
	}
	if c == nil {
		var err error
		if c, err = connect(e.file, e.timeout, "query_only(1)"); err != nil {
			return err
		}
	}
	using := c
	c = nil // a connection is not used again after a panic
	err := read(using)
	if sqliteCode(err) != 0 {
		_ = using.close()
		return err
	}
	c = using
	return err
}

// awaitReader waits until a reading connection is free.
func (e *embedded) awaitReader(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	select {
	case c := <-e.free:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pragmasSQLite are the settings of every connection. A commit is on disk when it returns (synchronous FULL).
func pragmasSQLite() []string {
	return []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", cacheSize(readerCache)}
}

// cacheSize returns the pragma for a connection's cache size.
func cacheSize(pages int) string { return fmt.Sprintf("cache_size(%d)", pages) }

// dsn returns the file name with its settings, for a connection of database/sql.
func (f *sqliteFile) dsn(pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	busy := fmt.Sprintf("busy_timeout(%d)", f.timeout.Milliseconds())
	for _, p := range slices.Concat([]string{busy}, pragmasSQLite(), pragmas) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: f.file, RawQuery: q.Encode()}).String()
}

// startWriter opens the only writing connection.
func (e *embedded) startWriter(ctx context.Context) (*writer, error) {
	w := newWriter(e)
	if err := e.connecting(ctx, w.connect); err != nil {
		return nil, err
	}
	w.start()
	return w, nil
}

// connecting opens the first connection. If several processes start at the same time, switching to the write-ahead log
// fails immediately for all but one of them, so it is tried again.
func (f *sqliteFile) connecting(ctx context.Context, connect func() error) error {
	const pause = 20 * time.Millisecond
	for wait := f.timeout; ; wait -= pause {
		err := connect()
		if err == nil || !sqliteBusy(err) || wait < 0 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff // without the extension
	}
	if code := direct.ErrCode(err).ToPrimary(); code != direct.ResultOK && code != direct.ResultError {
		return int(code)
	}
	return 0
}

func sqliteBusy(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// sqliteUnavailable reports whether another process uses the file or the disk fails.
func sqliteUnavailable(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return true
	}
	return errors.Is(err, errClosed) || errors.Is(err, driver.ErrBadConn)
}
