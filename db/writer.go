package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errClosed = errors.New("db: the database is closed")

// writer is the one who writes on SQLite. Whatever waits is written in one transaction, so that one wait for the
// disk serves all; each piece of work has a savepoint of its own, and fails alone.
type writer struct {
	db *DB
	// beside moves the log into the file.
	beside *sql.DB
	jobs   chan job
	quit   chan struct{}
	ended  sync.WaitGroup
	// grown asks for a checkpoint.
	grown chan struct{}

	// The rest is touched by the writing goroutine only.
	conn *direct
	// units are those since the last checkpoint.
	units int
}

type job struct {
	work func(tx) error
	// single says that the work is one statement, which by itself is done whole or not at all.
	single bool
	done   chan error
}

const (
	// maxGroup bounds how long the first of a group waits for the last.
	maxGroup = 256
	// checkpointEvery is a number of units: small steps, so that no commit waits long for a disk that has to take the
	// pages of many.
	checkpointEvery = 256
)

func newWriter(d *DB, beside *sql.DB) *writer {
	return &writer{
		db: d, beside: beside, jobs: make(chan job), quit: make(chan struct{}), grown: make(chan struct{}, 1),
	}
}

func (w *writer) connect() (err error) {
	if w.conn, err = w.db.connectDirect(fallback, cached(writerCache)); err == nil {
		_, err = w.conn.exec("PRAGMA busy_timeout = 0") // begin waits
	}
	return err
}

// lockPause is how often the writer looks whether another process has done with the file. SQLite itself would look
// every tenth of a second after a while, and miss each gap that an import leaves.
const lockPause = time.Millisecond

// begin waits until no other process writes.
func (w *writer) begin() error {
	for waited := time.Duration(0); ; waited += lockPause {
		_, err := w.conn.exec("BEGIN IMMEDIATE")
		if !sqliteBusy(err) || waited >= w.db.timeout {
			return err
		}
		time.Sleep(lockPause)
	}
}

// Yield is for a command that writes much, after a transaction that took so long: it lets the server of the file, if
// there is one, write what has come meanwhile. On PostgreSQL nobody waits for it.
func (d *DB) Yield(ctx context.Context, took time.Duration) error {
	if d.pool != nil || d.served != nil || !d.servedElsewhere() {
		return nil
	}
	select {
	case <-time.After(max(took, 5*lockPause)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) start() {
	w.ended.Go(w.loop)
	w.ended.Go(w.checkpoints)
}

func (w *writer) close() error {
	close(w.quit)
	w.ended.Wait()
	var errs []error
	if w.conn != nil {
		errs = append(errs, w.conn.close())
	}
	return errors.Join(append(errs, w.beside.Close())...)
}

// write hands the work over, if the caller is still there, and waits for what really happened.
func (w *writer) write(ctx context.Context, single bool, work func(tx) error) error {
	j := job{work: work, single: single, done: make(chan error, 1)}
	select {
	case w.jobs <- j:
		return <-j.done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
}

func (w *writer) loop() {
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.jobs:
			w.serve(w.gather(first))
		}
	}
}

// gather takes everybody who waits now.
func (w *writer) gather(first job) []job {
	group := []job{first}
	for len(group) < maxGroup {
		select {
		case next := <-w.jobs:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

func (w *writer) serve(group []job) {
	outcomes := make([]error, len(group))
	if err := w.commit(group, outcomes); err != nil {
		// Nobody's work stayed, so nobody is told that it did.
		for i := range outcomes {
			if outcomes[i] == nil {
				outcomes[i] = err
			}
		}
		w.reconnect()
	}
	for i, j := range group {
		j.done <- outcomes[i]
	}
	if w.units += len(group); w.units >= checkpointEvery {
		w.units = 0
		select {
		case w.grown <- struct{}{}:
		default:
		}
	}
}

// commit writes a group. Its error is one of the whole group.
func (w *writer) commit(group []job, outcomes []error) error {
	if w.conn == nil {
		if err := w.connect(); err != nil {
			return err
		}
	}
	if err := w.begin(); err != nil {
		return err
	}
	for i, j := range group {
		if j.single {
			if outcomes[i] = w.try(j); outcomes[i] != nil && w.conn.idle() {
				return outcomes[i]
			}
			continue
		}
		if _, err := w.conn.exec("SAVEPOINT unit"); err != nil {
			return err
		}
		if outcomes[i] = w.try(j); outcomes[i] != nil {
			if _, err := w.conn.exec("ROLLBACK TO unit"); err != nil {
				if sqliteUnavailable(outcomes[i]) {
					return outcomes[i] // an error of the disk, after which SQLite has rolled back everything
				}
				return err
			}
		}
		if _, err := w.conn.exec("RELEASE unit"); err != nil {
			return err
		}
	}
	_, err := w.conn.exec("COMMIT")
	return err
}

// try keeps the writer alive whatever the work does.
func (w *writer) try(j job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("db: panic in a transaction: %v", p)
		}
	}()
	return j.work(w.conn)
}

// reconnect begins anew after a failure, without an open transaction and without old statements.
func (w *writer) reconnect() {
	if w.conn == nil {
		return
	}
	_, _ = w.conn.exec("ROLLBACK")
	_ = w.conn.close()
	w.conn = nil
}

// checkpoints moves the log into the file beside the writer, so that no commit waits for it.
func (w *writer) checkpoints() {
	for {
		select {
		case <-w.quit:
			return
		case <-w.grown:
			if _, err := w.beside.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)"); err != nil && !sqliteBusy(err) {
				w.db.log.Warn("the database log could not be moved into the file", "error", err)
			}
		}
	}
}
