package db_test

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

func TestSQLiteFilesAreTheOwners(t *testing.T) {
	t.Parallel()
	at := strings.Replace(testkit.SQLite(t), "test.db", "a%20%23b%3f.db", 1) // a name with a space, # and ?
	k := testkit.New(t, at)
	k.Invite(t)
	path := strings.NewReplacer("sqlite://", "", "%20", " ", "%23", "#", "%3f", "?").Replace(at)
	for _, end := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
}

func TestSQLiteHeldByAnother(t *testing.T) {
	t.Parallel()
	at := testkit.SQLite(t)
	o := options(at)
	o.Timeout = 30 * time.Second // for the migration
	first, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Migrate(t.Context()), first.Close()); err != nil {
		t.Fatal(err)
	}
	o.Timeout = 2 * time.Second
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(at, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := commit(t.Context(), d, &domain.Unit{Decoy: true}); !problem.Has(err, problem.ServiceUnavailable) {
		t.Errorf("a write while another process writes: %v", err)
	}
	if _, err := d.Empty(t.Context()); err != nil {
		t.Errorf("a read while another process writes: %v", err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := commit(t.Context(), d, &domain.Unit{Decoy: true}); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			d, err := db.Open(t.Context(), options(database.URL(t)))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if err := commit(t.Context(), d, &domain.Unit{Decoy: true}); !problem.Has(err, problem.ServiceUnavailable) {
				t.Errorf("a write after the end: %v", err)
			}
			if _, err := d.Empty(t.Context()); !problem.Has(err, problem.ServiceUnavailable) {
				t.Errorf("a read after the end: %v", err)
			}
		})
	}
}

// TestLogIsMoved: the log does not grow without limit during continuous writes.
func TestLogIsMoved(t *testing.T) {
	t.Parallel()
	at := testkit.SQLite(t)
	k := testkit.New(t, at)
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(at, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	look := func() (log, moved int) {
		var busy int
		if err := other.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &log, &moved); err != nil {
			t.Fatal(err)
		}
		return log, moved
	}
	if log, moved := look(); moved > 0 || log == 0 {
		t.Fatalf("before anything was moved: %d of %d", moved, log)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		for range 100 {
			if err := commit(t.Context(), k.DB, &domain.Unit{Decoy: true}); err != nil {
				t.Fatal(err)
			}
		}
		log, moved := look()
		if moved > 0 && log >= 3000 {
			return
		}
		if log > 20_000 || time.Now().After(deadline) {
			t.Fatalf("%d of %d pages are moved", moved, log)
		}
	}
}
