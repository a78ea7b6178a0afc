package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	plain "zombiezen.com/go/sqlite"
)

var sqliteDialect = &dialect{
	name:     "sqlite",
	indexed:  " INDEXED BY ",
	elements: "SELECT value FROM json_each(?)",
	template: map[string]string{
		"Int": "BIGINT", "Text": "TEXT", "Bytes": "BLOB", "Bool": "BOOLEAN",
		"Identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
		// One transaction writes at a time, so events are numbered in the order of their commits.
		"Transaction": "0", "Updated": "",
		"FirstElement": "json_extract(concerns, '$[0]')", "SecondElement": "json_extract(concerns, '$[1]')",
	},
	unavailable: sqliteUnavailable,
	again:       func(error) bool { return false },
	noTable: func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "no such table")
	},
}

const (
	// readers is the number of reading connections: more than there are usually processors for.
	readers = 4
	// fallback is when the writer moves the log into the file itself, should the checkpoints beside it not have kept
	// up: 30000 pages, 120 MB, which are read through within half a second when a killed server starts again.
	fallback = "wal_autocheckpoint(30000)"
	// readerCache and writerCache are pages that a connection keeps in memory: 4 MB, which hold the upper levels of all
	// indexes, and 16 MB, for nobody else's commit empties the cache of the writer.
	readerCache, writerCache = 1024, 4096
	// reserved is room for the pages of all connections, 36 MB.
	reserved = readers*readerCache + writerCache + 256
	pageSize = 4096
)

// reservePages takes the memory for the pages of all connections once. Each commit of the writer empties the caches of
// all readers, and to get and give back the memory of every page was a quarter of all processor time. SQLite hears of
// it before the first connection of the process, or not at all, which costs that time and nothing else.
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

func (d *DB) openSQLite(ctx context.Context) error {
	d.words = sqliteDialect
	u, err := url.Parse(d.options.URL)
	if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("db: an embedded database is named by sqlite:// and an absolute path: sqlite:///var/lib/gatehouse.db")
	}
	d.file = u.Path
	// SQLite gives its other files the mode of this one.
	file, err := os.OpenFile(d.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("db: open the database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("db: open the database file: %w", err)
	}
	reservePages()
	reading, err := sql.Open("sqlite", d.dsn("query_only(1)"))
	if err != nil {
		return err
	}
	reading.SetMaxOpenConns(1) // the schema only; what is read often goes by free
	reading.SetMaxIdleConns(0)
	d.reader = bun.NewDB(reading, sqlitedialect.New())
	d.free = make(chan *direct, readers)
	for range readers {
		d.free <- nil // connected when it is needed
	}
	d.writer, err = d.startWriter(ctx)
	return d.fault(err)
}

// pragmasSQLite are the settings of every connection. A commit is on the disk when it is told (synchronous FULL).
func pragmasSQLite() []string {
	return []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", cached(readerCache)}
}

// cached says how many pages a connection keeps in memory.
func cached(pages int) string { return fmt.Sprintf("cache_size(%d)", pages) }

// dsn is the file with its settings, for a connection of database/sql.
func (d *DB) dsn(pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	waits := fmt.Sprintf("busy_timeout(%d)", d.timeout.Milliseconds())
	for _, p := range slices.Concat([]string{waits}, pragmasSQLite(), pragmas) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: d.file, RawQuery: q.Encode()}).String()
}

// startWriter takes the one writing connection. Where several processes start at once, turning on the log is
// refused to all but one of them without waiting, so it is tried again.
func (d *DB) startWriter(ctx context.Context) (*writer, error) {
	beside, err := sql.Open("sqlite", d.dsn(fallback))
	if err != nil {
		return nil, err
	}
	beside.SetMaxOpenConns(1)
	w := newWriter(d, beside)
	for wait := d.timeout; ; wait -= 20 * time.Millisecond {
		err := w.connect()
		if err == nil {
			break
		}
		if !sqliteBusy(err) || wait < 0 || ctx.Err() != nil {
			_ = beside.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	w.start()
	return w, nil
}

// maintenanceSQLite connects beside the writer.
func (d *DB) maintenanceSQLite() (*bun.DB, error) {
	one, err := sql.Open("sqlite", d.dsn())
	if err != nil {
		return nil, err
	}
	one.SetMaxOpenConns(1)
	return bun.NewDB(one, sqlitedialect.New()), nil
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff // without the extension
	}
	if code := plain.ErrCode(err).ToPrimary(); code != plain.ResultOK && code != plain.ResultError {
		return int(code)
	}
	return 0
}

func sqliteBusy(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// sqliteUnavailable: another process has the file, or the disk does not do its part.
func sqliteUnavailable(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return true
	}
	return errors.Is(err, errClosed) || errors.Is(err, driver.ErrBadConn)
}
