package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the single writer of SQLite. It writes all waiting units in one transaction, so that one disk flush serves
// all of them; each unit has a savepoint and fails separately.
type writer struct {
	db *embedded

	mu      sync.Mutex
	waiting []*job
	// called signals that units are waiting.
	called chan struct{}
	quit   chan struct{}
	ended  sync.WaitGroup
	// grown signals that the log has grown.
	grown chan struct{}
	// full is set if the disk may have no space left for the log.
	full atomic.Bool

	// The fields below are used only by the writing goroutine.
	conn *conn
	// group is a buffer for the next group.
	group []*job
}

// job is one call of Write.
type job struct {
	steps []Step
	// done receives the result when the group is committed.
	done    chan struct{}
	results []Result
	err     error
}

const (
	// maxGroup limits how long the first unit of a group waits for the last.
	maxGroup = 256
	// checkpointPages is the approximate number of log pages moved at once: each move needs a disk flush, which delays
	// commits, and only the last version of a page is moved.
	checkpointPages = 4000
	// checkpointEvery is how often the length of the log is read while it grows.
	checkpointEvery = 50 * time.Millisecond
)

func newWriter(e *embedded) *writer {
	return &writer{db: e, called: make(chan struct{}, 1), quit: make(chan struct{}), grown: make(chan struct{}, 1)}
}

func (w *writer) connect() (err error) {
	if w.conn, err = connect(w.db.file, w.db.timeout, fallback, cacheSize(writerCache)); err == nil {
		_, err = w.conn.exec("PRAGMA busy_timeout = 0") // begin waits instead
	}
	return err
}

// lockPause is how often the writer checks whether another process has released the file. SQLite itself would check
// every tenth of a second after a while, and miss the gaps between the transactions of an import.
const lockPause = time.Millisecond

// begin waits until no other process is writing.
func (w *writer) begin() error {
	for waited := time.Duration(0); ; waited += lockPause {
		_, err := w.conn.exec("BEGIN IMMEDIATE")
		if !sqliteBusy(err) || waited >= w.db.timeout {
			return err
		}
		time.Sleep(lockPause)
	}
}

func (w *writer) start() {
	w.ended.Go(w.loop)
	w.ended.Go(w.checkpoints)
}

func (w *writer) close() error {
	close(w.quit)
	w.ended.Wait()
	if w.conn == nil {
		return nil
	}
	return w.conn.close()
}

// write waits for the result of the unit. A caller whose context ends before the unit was taken withdraws it.
func (w *writer) write(ctx context.Context, steps []Step) ([]Result, error) {
	j := &job{steps: steps, done: make(chan struct{})}
	w.mu.Lock()
	w.waiting = append(w.waiting, j)
	w.mu.Unlock()
	select {
	case w.called <- struct{}{}:
	default: // already called
	}
	select {
	case <-j.done:
		return j.results, j.err
	case <-ctx.Done():
		if w.withdraw(j) {
			return nil, ctx.Err()
		}
	case <-w.quit:
		if w.withdraw(j) {
			return nil, errClosed
		}
	}
	<-j.done
	return j.results, j.err
}

// withdraw removes a unit that has not started.
func (w *writer) withdraw(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.Index(w.waiting, j)
	if at >= 0 {
		w.waiting = slices.Delete(w.waiting, at, at+1)
	}
	return at >= 0
}

func (w *writer) loop() {
	// Every caller that writes waits for this goroutine. With a dedicated thread it continues as soon as the disk has
	// finished, and does not compete for a thread.
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

// take adds the waiting units to the group.
func (w *writer) take(group []*job) []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), maxGroup-len(group))
	group = append(group, w.waiting[:n]...)
	w.waiting = slices.Delete(w.waiting, 0, n)
	return group
}

// serve writes the waiting units, and reports whether there were units.
func (w *writer) serve() bool {
	group := w.take(w.group[:0])
	if len(group) == 0 {
		return false
	}
	group, err := w.commit(group)
	if err != nil {
		// Nothing was written, so every caller gets the error, including those whose unit was refused: the refusal may
		// depend on writes of another unit.
		for _, j := range group {
			j.results, j.err = nil, err
		}
		w.reconnect()
		w.full.Store(true)
	}
	for _, j := range group {
		close(j.done)
	}
	select {
	case w.grown <- struct{}{}:
	default: // already signalled
	}
	clear(group)
	w.group = group
	return true
}

// commit writes the group, and the units that arrive meanwhile: a disk flush is slow, and costs the same for many units
// as for one. Its error applies to all units in the group at that time.
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
			if err := w.execute(group[done]); err != nil {
				return group, err
			}
		}
		if group = w.take(group); done == len(group) {
			runtime.Gosched() // lets units arrive that are about to
			group = w.take(group)
		}
	}
	_, err := w.conn.exec("COMMIT")
	return group, err
}

// execute executes one unit within the group's transaction. Its error concerns the whole group. A single statement
// needs no savepoint, because it is atomic.
func (w *writer) execute(j *job) error {
	single := len(j.steps) == 1
	if !single {
		if _, err := w.conn.exec("SAVEPOINT unit"); err != nil {
			return err
		}
	}
	j.results, j.err = w.try(j)
	if single {
		if j.err != nil && w.conn.idle() {
			return j.err
		}
		return nil
	}
	if j.err != nil {
		if _, err := w.conn.exec("ROLLBACK TO unit"); err != nil {
			if sqliteUnavailable(j.err) {
				return j.err // a disk error, after which SQLite has rolled back everything
			}
			return err
		}
	}
	_, err := w.conn.exec("RELEASE unit")
	return err
}

// try keeps the writer running if a statement panics.
func (w *writer) try(j *job) (results []Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("db: panic in a transaction: %v", p)
		}
	}()
	return w.conn.execute(j.steps)
}

// reconnect opens a new connection after a failure, without an open transaction and without old statements.
func (w *writer) reconnect() {
	if w.conn == nil {
		return
	}
	_, _ = w.conn.exec("ROLLBACK")
	_ = w.conn.close()
	w.conn = nil
}

// checkpoints moves the log into the file on a separate connection, so that no commit waits for it: whenever enough has
// accumulated, and when the disk may be full, because a log that was moved is overwritten from its start.
func (w *writer) checkpoints() {
	var on *conn
	defer func() {
		if on != nil {
			_ = on.close()
		}
	}()
	var warned time.Time
	for {
		select {
		case <-w.quit:
			return
		case <-w.grown:
		}
		err := w.checkpoint(&on)
		if err != nil && !sqliteBusy(err) && w.db.now().Sub(warned) > time.Second {
			warned = w.db.now()
			w.db.log.Warn("the database log could not be moved into the file", "error", err)
		}
		if err != nil && on != nil && !sqliteBusy(err) {
			_ = on.close()
			on = nil
		}
		select {
		case <-w.quit:
			return
		case <-time.After(checkpointEvery):
		}
	}
}

func (w *writer) checkpoint(on **conn) (err error) {
	if *on == nil {
		if *on, err = connect(w.db.file, w.db.timeout, fallback); err != nil {
			return err
		}
	}
	pages, moved, err := (*on).checkpoint("NOOP") // reads only the counters
	if err == nil && (w.full.Swap(false) || pages-moved >= checkpointPages) {
		_, _, err = (*on).checkpoint("PASSIVE")
	}
	return err
}

// checkpoint returns the number of pages in the log, and the number of those already in the file.
func (c *conn) checkpoint(mode string) (pages, moved int64, err error) {
	err = c.query("PRAGMA wal_checkpoint("+mode+")", nil, func(row Row) error {
		var ok, also bool
		if len(row.Values) == 3 {
			pages, ok = row.Values[1].(int64)
			moved, also = row.Values[2].(int64)
		}
		if !ok || !also {
			return errors.New("db: wal_checkpoint returned no counters")
		}
		return nil
	})
	return pages, moved, err
}
