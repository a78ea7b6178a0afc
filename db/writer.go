package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var errClosed = errors.New("db: the database is closed")

// writer is the one who writes on SQLite. Whatever waits is written in one transaction, so that one wait for the
// disk serves all; each piece of work has a savepoint of its own, and fails alone.
type writer struct {
	db *DB
	// beside moves the log into the file.
	beside *sql.DB

	mu      sync.Mutex
	waiting []*job
	// called says that somebody waits.
	called chan struct{}
	quit   chan struct{}
	ended  sync.WaitGroup
	// grown says that the log has grown.
	grown chan struct{}
	// full says that the disk may have no more room for the log.
	full atomic.Bool

	// The rest is touched by the writing goroutine only.
	conn *direct
	// group is room for the next group.
	group []*job
}

type job struct {
	work func(tx) error
	// single says that the work is one statement that writes, which by itself is done whole or not at all.
	single bool
	done   chan error
	// outcome is what done is to tell, should the group be written.
	outcome error
}

const (
	// maxGroup bounds how long the first of a group waits for the last.
	maxGroup = 256
	// checkpointPages is about how many pages of the log are moved in one go: each time the disk has to take them, which
	// commits wait for, and of pages that come again only the last one is moved.
	checkpointPages = 4000
	// checkpointLook is how often the length of the log is looked at while it grows.
	checkpointLook = 50 * time.Millisecond
)

func newWriter(d *DB, beside *sql.DB) *writer {
	return &writer{
		db: d, beside: beside, called: make(chan struct{}, 1), quit: make(chan struct{}), grown: make(chan struct{}, 1),
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

// write hands the work over and waits for what really happened. A caller who goes before it was taken takes it away
// with him.
func (w *writer) write(ctx context.Context, single bool, work func(tx) error) error {
	j := &job{work: work, single: single, done: make(chan error, 1)}
	w.mu.Lock()
	w.waiting = append(w.waiting, j)
	w.mu.Unlock()
	select {
	case w.called <- struct{}{}:
	default: // it has been called
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if w.takeAway(j) {
			return ctx.Err()
		}
	case <-w.quit:
		if w.takeAway(j) {
			return errClosed
		}
	}
	return <-j.done
}

// takeAway takes back what has not been taken yet.
func (w *writer) takeAway(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.Index(w.waiting, j)
	if at >= 0 {
		w.waiting = slices.Delete(w.waiting, at, at+1)
	}
	return at >= 0
}

func (w *writer) loop() {
	// Everybody who writes waits for this goroutine. With a thread of its own it goes on as soon as the disk has
	// answered, and is not one of many that wait for one of the threads.
	runtime.LockOSThread()
	for {
		select {
		case <-w.quit:
			return
		case <-w.called:
		}
		for w.serve() {
		}
	}
}

// take adds to the group whoever waits.
func (w *writer) take(group []*job) []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), maxGroup-len(group))
	group = append(group, w.waiting[:n]...)
	w.waiting = slices.Delete(w.waiting, 0, n)
	return group
}

// serve writes those who wait, if anybody does.
func (w *writer) serve() bool {
	group := w.take(w.group[:0])
	if len(group) == 0 {
		return false
	}
	group, err := w.commit(group)
	if err != nil {
		// Nobody's work stayed, so nobody is told that it did; nor may a refusal rest on what a neighbour had written.
		for _, j := range group {
			j.outcome = err
		}
		w.reconnect()
		w.full.Store(true)
	}
	for _, j := range group {
		j.done <- j.outcome
	}
	select {
	case w.grown <- struct{}{}:
	default: // it is known
	}
	clear(group)
	w.group = group
	return true
}

// commit writes the group, and who comes meanwhile: the disk is slow, and takes many as fast as one. Its error is one of
// all who are in the group then.
func (w *writer) commit(group []*job) ([]*job, error) {
	if w.conn == nil {
		if err := w.connect(); err != nil {
			return group, err
		}
	}
	if err := w.begin(); err != nil {
		return group, err
	}
	for done := 0; done < len(group); {
		for ; done < len(group); done++ {
			if err := w.do(group[done]); err != nil {
				return group, err
			}
		}
		if group = w.take(group); done == len(group) {
			runtime.Gosched() // who is about to come, comes
			group = w.take(group)
		}
	}
	_, err := w.conn.exec("COMMIT")
	return group, err
}

// do does the work of one, within the transaction of the group. Its error is one of the group.
func (w *writer) do(j *job) error {
	u := &unit{direct: w.conn}
	if !j.single {
		if err := u.several(); err != nil {
			return err
		}
	}
	j.outcome = w.try(j, u)
	if !u.saved {
		if j.outcome != nil && w.conn.idle() {
			return j.outcome
		}
		return nil
	}
	if j.outcome != nil {
		if _, err := w.conn.exec("ROLLBACK TO unit"); err != nil {
			if sqliteUnavailable(j.outcome) {
				return j.outcome // an error of the disk, after which SQLite has rolled back everything
			}
			return err
		}
	}
	_, err := w.conn.exec("RELEASE unit")
	return err
}

// unit is what one job does within the transaction of its group.
type unit struct {
	*direct
	saved bool
}

func (u *unit) several() error {
	if u.saved {
		return nil
	}
	_, err := u.exec("SAVEPOINT unit")
	u.saved = err == nil
	return err
}

// try keeps the writer alive whatever the work does.
func (w *writer) try(j *job, u *unit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("db: panic in a transaction: %v", p)
		}
	}()
	return j.work(u)
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

// checkpoints moves the log into the file beside the writer, so that no commit waits for it: each time there is enough to
// move, and when the disk may be full, for the log takes no more room when it begins anew.
func (w *writer) checkpoints() {
	var told time.Time
	for {
		select {
		case <-w.quit:
			return
		case <-w.grown:
		}
		log, moved, err := w.log("NOOP") // only looks
		if err == nil && (w.full.Swap(false) || log-moved >= checkpointPages) {
			_, _, err = w.log("PASSIVE")
		}
		if err != nil && !sqliteBusy(err) && w.db.options.Now().Sub(told) > time.Second {
			told = w.db.options.Now()
			w.db.log.Warn("the database log could not be moved into the file", "error", err)
		}
		select {
		case <-w.quit:
			return
		case <-time.After(checkpointLook):
		}
	}
}

// log does something with the log, and says how many pages it has, and how many of them are in the file, too.
func (w *writer) log(mode string) (pages, moved int64, err error) {
	var busy int64
	err = w.beside.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &pages, &moved)
	return pages, moved, err
}
