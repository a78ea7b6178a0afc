package db

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// place says when a step of a unit comes where several units are one transaction. All of them take their locks in
// this one order, so that no two transactions wait for one another; and what has no order is written alone.
type place struct {
	rank placeRank
	// key is what is locked, within the rank. Steps of the same rank and key stay in the order in which they came.
	key string
	// sole is set where a second step of the same rank and key would find the first one in its way.
	sole bool
}

type placeRank int

const (
	noPlace placeRank = iota
	placeClients
	placeRecords
	placeEvents
	placeMessages
	placeMemory
)

// grouper writes units on PostgreSQL. Those who come while the writers are on their way go with the next one: all of
// them are one transaction, sent at once, and one wait for the disk serves all. Nobody waits for company, and nobody
// hears before the commit. A unit that is stale, or fails, is told so after it was tried alone, in the goroutine of its
// caller, and its neighbours are written without it.
type grouper struct {
	db *DB

	mu      sync.Mutex
	waiting []*grouped
	writers int
}

const (
	// groupWriters is enough to have one at the disk while another one is under way.
	groupWriters = 2
	// maxUnits bounds how long the first of a group waits for the last.
	maxUnits = 64
	// groupPatience is how long a group waits for a lock of somebody else. Whose lock it was then waits alone.
	groupPatience = 100 * time.Millisecond
)

// grouped is one unit.
type grouped struct {
	steps []step
	// taken is set by whoever comes first: the writer, or the caller who goes.
	taken atomic.Bool
	// done is closed when err and alone are set.
	done chan struct{}
	err  error
	// alone asks the caller to write the unit himself.
	alone bool
}

// fits reports whether a unit can be one of a group.
func fits(steps []step) bool {
	return !slices.ContainsFunc(steps, func(s step) bool { return s.place.rank == noPlace })
}

// write writes one unit. A caller who goes before it was taken takes it away with him; afterwards he hears what
// happened.
func (g *grouper) write(ctx context.Context, steps []step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &grouped{steps: steps, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, u)
	starts := g.writers < groupWriters
	if starts {
		g.writers++
	}
	g.mu.Unlock()
	if starts {
		go g.work()
	}
	select {
	case <-u.done:
	case <-ctx.Done():
		if !u.taken.Swap(true) {
			return ctx.Err()
		}
		<-u.done
	}
	if u.alone {
		// It was under way already, so its caller waits for the end of it.
		return g.db.runAlone(context.WithoutCancel(ctx), steps)
	}
	return u.err
}

// work writes until nobody waits.
func (g *grouper) work() {
	for {
		gather(func() int { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) })
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.writers--
			g.mu.Unlock()
			return
		}
		n := min(len(g.waiting), maxUnits)
		came := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.serve(came)
	}
}

// serve writes a group, without those who have gone, and without the second of two that are in each other's way.
func (g *grouper) serve(came []*grouped) {
	group := came[:0:0]
	locked := map[place]bool{}
	for _, u := range came {
		switch {
		case u.taken.Swap(true): // the caller has gone
		case slices.ContainsFunc(u.steps, func(s step) bool { return locked[s.place] }):
			u.leave()
		default:
			for _, s := range u.steps {
				if s.place.sole {
					locked[s.place] = true
				}
			}
			group = append(group, u)
		}
	}
	for len(group) > 0 {
		bad, ended, err := g.db.commit(group)
		group = slices.DeleteFunc(group, func(u *grouped) bool {
			if bad[u] {
				u.leave()
			}
			return bad[u]
		})
		if ended || len(bad) == 0 {
			for _, u := range group {
				u.err = err
				close(u.done)
			}
			return
		}
	}
}

func (u *grouped) leave() {
	u.alone = true
	close(u.done)
}

// placed is a step with the unit that it is of.
type placed struct {
	step
	of *grouped
}

// commit writes a group. Where units of it do not belong in it, bad says which they are, and nothing stays, unless ended
// says that the others are written. Else the error is that of all.
func (d *DB) commit(group []*grouped) (bad map[*grouped]bool, ended bool, err error) {
	var steps []placed
	for _, u := range group {
		for _, s := range u.steps {
			steps = append(steps, placed{s, u})
		}
	}
	slices.SortStableFunc(steps, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.place.rank, b.place.rank), cmp.Compare(a.place.key, b.place.key))
	})
	// A unit of one statement that misses has changed nothing, so that there is nothing to look at before the end of the
	// transaction: it is sent with the rest, and saves a round trip.
	short := !slices.ContainsFunc(group, func(u *grouped) bool { return len(u.steps) != 1 })
	err = d.retry(context.Background(), func(ctx context.Context) error {
		conn, err := d.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release() // and with it ends a connection that is still in a transaction
		batch := &pgx.Batch{}
		batch.Queue("begin")
		batch.Queue(fmt.Sprintf("set local lock_timeout = %d", groupPatience.Milliseconds()))
		for _, s := range steps {
			text := d.bound(s.text, true)
			if _, err := conn.Conn().Prepare(ctx, text, text); err != nil { // nothing to do from the second time on
				return err
			}
			batch.Queue(text, s.args...)
		}
		if short {
			batch.Queue("commit")
		}
		bad, err = send(ctx, conn.Conn(), batch, steps, short)
		switch {
		case short && err == nil:
			ended = true
			return nil
		case short && sqlState(err) == "": // the end was sent too
			return lost(err)
		case err == nil && len(bad) == 0:
			return end(ctx, conn)
		}
		_, _ = conn.Exec(ctx, "rollback")
		switch {
		case err == nil, d.words.again(err):
		case len(bad) > 0: // the one whose statement failed
			err = nil
		case !d.words.unavailable(err): // nobody knows whose fault it is
			for _, u := range group {
				bad[u] = true
			}
			err = nil
		}
		return err
	})
	return bad, ended, err
}

// send sends all steps at once. bad are the units that changed no row where they should have, or the one whose
// statement failed. With ends the last of the batch is the end of the transaction.
func send(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, steps []placed, ends bool) (bad map[*grouped]bool, err error) {
	bad = map[*grouped]bool{}
	results := conn.SendBatch(ctx, batch)
	for range 2 { // begin, set
		if _, err = results.Exec(); err != nil {
			_ = results.Close()
			return bad, err
		}
	}
	for _, s := range steps {
		var rows int64
		if rows, err = s.result(results); err != nil {
			if ownFault(err) {
				clear(bad)
				bad[s.of] = true
			}
			break
		}
		if rows == 0 && s.miss != nil {
			bad[s.of] = true
		}
	}
	if ends && err == nil {
		err = committed(results.Exec())
	}
	if cerr := results.Close(); err == nil {
		err = cerr
	}
	return bad, err
}

// result takes the result of the step, and says how many rows it changed.
func (s step) result(results pgx.BatchResults) (int64, error) {
	if s.dest == nil {
		tag, err := results.Exec()
		return tag.RowsAffected(), err
	}
	reflect.ValueOf(s.dest).Elem().SetZero() // a transaction may be tried again
	rows, err := results.Query()
	if err != nil {
		return 0, err
	}
	to := newSink(s.dest)
	err = to.fromPostgres(rows)
	return int64(to.rows), err
}

// ownFault reports whether an error is that of one statement, and not of the connection, the server, or two
// transactions that got in each other's way.
func ownFault(err error) bool {
	code := sqlState(err)
	return code != "" && (code == "55P03" || code == "57014" || !postgresUnavailable(err))
}

// end commits.
func end(ctx context.Context, conn *pgxpool.Conn) error {
	return lost(committed(conn.Exec(ctx, "commit")))
}

// committed looks whether the end was what was asked for.
func committed(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.String() != "COMMIT" {
		err = fmt.Errorf("db: the transaction ended in %s", tag)
	}
	return err
}

// lostEnd is an answer that never came: what was asked for may have happened or not. It hides what the driver says,
// for that calls a connection that broke after the sending one that nothing was sent on, and to try again would write
// twice.
type lostEnd struct{ why string }

func (l *lostEnd) Error() string {
	return "db: nobody knows whether the transaction was written: " + l.why
}

// lost marks an error of the statement that commits, unless the server answered.
func lost(err error) error {
	if err == nil || sqlState(err) != "" {
		return err
	}
	return &lostEnd{err.Error()}
}
