package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
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
		var e *sqlite.Error
		return errors.As(err, &e) && strings.Contains(e.Error(), "no such table")
	},
}

const (
	// readers is the number of reading connections: more than there are usually processors for.
	readers = 4
	// fallback is when the writer moves the log into the file itself, should the checkpoints beside it not have kept
	// up: 20000 pages, 80 MB.
	fallback = "wal_autocheckpoint(20000)"
)

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
	reading, err := sql.Open("sqlite", d.dsn("query_only(1)"))
	if err != nil {
		return err
	}
	reading.SetMaxOpenConns(1) // the schema only; what is read often goes by free
	reading.SetMaxIdleConns(0)
	d.reader = bun.NewDB(reading, sqlitedialect.New())
	d.driver = reading.Driver()
	d.free = make(chan *direct, readers)
	for range readers {
		d.free <- nil // connected when it is needed
	}
	d.writer, err = d.startWriter(ctx)
	return d.fault(err)
}

// dsn is the file with its settings. A commit is on the disk when it is told (synchronous FULL).
func (d *DB) dsn(pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", d.timeout.Milliseconds()), // a command and the server wait for one another
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)",
		"cache_size(-16384)",
	}, pragmas...) {
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
