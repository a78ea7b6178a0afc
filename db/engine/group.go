package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// grouper writes units on PostgreSQL. Units that arrive while all writers are busy are written together: in one
// transaction, sent at once, with one disk flush. No unit is delayed on purpose, and no caller gets a result before the
// commit. A stale or failed unit is retried in a transaction of its own, in the goroutine of its caller, and the others
// are written without it.
type grouper struct {
	db *postgres

	mu      sync.Mutex
	waiting []*unit
	writers int
}

const (
	// groupWriters lets one group be sent while another is being flushed to disk.
	groupWriters = 2
	// maxUnits limits how long the first unit of a group waits for the last.
	maxUnits = 64
	// groupLockTimeout is how long a group waits for a lock. The unit that needs it then waits in a transaction of its own.
	groupLockTimeout = 100 * time.Millisecond
)

// unit is one call of Write.
type unit struct {
	steps   []Step
	results []Result
	// taken is set by the writer that starts the unit, or by the caller that withdraws it.
	taken atomic.Bool
	// done is closed when err and alone are set.
	done chan struct{}
	err  error
	// alone tells the caller to write the unit in a transaction of its own.
	alone bool
}

// write writes one unit. A caller whose context ends before the unit was taken withdraws it.
func (g *grouper) write(ctx context.Context, steps []Step) ([]Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u := &unit{steps: steps, results: make([]Result, len(steps)), done: make(chan struct{})}
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
			return nil, ctx.Err()
		}
		<-u.done
	}
	if u.alone {
		// The unit has started, so the caller must wait for its result.
		return g.db.writeAlone(context.WithoutCancel(ctx), steps)
	}
	return u.results, u.err
}

// work writes until no units are waiting.
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
		group := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.serve(group)
	}
}

// serve writes a group, without withdrawn units and without the second of two conflicting units.
func (g *grouper) serve(arrived []*unit) {
	group := arrived[:0:0]
	locked := map[string]bool{}
	for _, u := range arrived {
		switch {
		case u.taken.Swap(true): // withdrawn
		case slices.ContainsFunc(u.steps, func(s Step) bool { return s.Exclusive && locked[s.Order] }):
			u.leave()
		default:
			for i := range u.steps {
				if u.steps[i].Exclusive {
					locked[u.steps[i].Order] = true
				}
			}
			group = append(group, u)
		}
	}
	for len(group) > 0 {
		bad, ended, err := g.db.commit(group)
		group = slices.DeleteFunc(group, func(u *unit) bool {
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

func (u *unit) leave() {
	u.alone = true
	close(u.done)
}

// groupStep is a step of a unit.
type groupStep struct {
	*Step
	unit   *unit
	result *Result
}

// commit writes a group. If bad is not empty, it contains the units that must be retried alone, and nothing was
// written, unless ended reports that the others were. Otherwise the error applies to all units.
func (p *postgres) commit(group []*unit) (bad map[*unit]bool, ended bool, err error) {
	var steps []groupStep
	for _, u := range group {
		for i := range u.steps {
			steps = append(steps, groupStep{&u.steps[i], u, &u.results[i]})
		}
	}
	slices.SortStableFunc(steps, func(a, b groupStep) int { return cmp.Compare(a.Order, b.Order) })
	// A unit of one statement that changes no row needs no rollback, so the commit can be sent with the statements,
	// which saves a round trip.
	short := !slices.ContainsFunc(group, func(u *unit) bool { return len(u.steps) != 1 })
	err = p.retry(context.Background(), func(ctx context.Context) error {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release() // closes a connection that is still in a transaction
		batch := &pgx.Batch{}
		batch.Queue("begin")
		batch.Queue(fmt.Sprintf("set local lock_timeout = %d", groupLockTimeout.Milliseconds()))
		for _, s := range steps {
			if err := queue(ctx, conn, batch, s.Step); err != nil {
				return err
			}
		}
		if short {
			batch.Queue("commit")
		}
		bad, err = send(ctx, conn.Conn(), batch, steps, short)
		switch {
		case short && err == nil:
			ended = true
			return nil
		case short && sqlState(err) == "": // the commit was sent too
			return lost(err)
		case err == nil && len(bad) == 0:
			return commitPostgres(ctx, conn)
		}
		_, _ = conn.Exec(ctx, "rollback")
		switch {
		case err == nil, postgresAgain(err):
		case len(bad) > 0: // bad contains the unit whose statement failed
			err = nil
		case !postgresUnavailable(err): // the unit that caused it is unknown
			for _, u := range group {
				bad[u] = true
			}
			err = nil
		}
		return err
	})
	return bad, ended, err
}

// send sends all steps at once. bad contains the units that changed no row where required, or the one whose statement
// failed. If ends is set, the last statement of the batch is the commit.
func send(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, steps []groupStep, ends bool) (bad map[*unit]bool, err error) {
	bad = map[*unit]bool{}
	sent := conn.SendBatch(ctx, batch)
	for range 2 { // begin, set
		if _, err = sent.Exec(); err != nil {
			_ = sent.Close()
			return bad, err
		}
	}
	for _, s := range steps {
		if *s.result, err = s.Step.result(sent); err != nil {
			if ownFault(err) {
				clear(bad)
				bad[s.unit] = true
			}
			break
		}
		if s.result.Changed == 0 && s.Missing != nil {
			bad[s.unit] = true
		}
	}
	if ends && err == nil {
		err = committed(sent.Exec())
	}
	if cerr := sent.Close(); err == nil {
		err = cerr
	}
	return bad, err
}

// ownFault reports whether the error concerns one statement, and not the connection, the server, or a conflict of two
// transactions.
func ownFault(err error) bool {
	code := sqlState(err)
	return code != "" && (code == "55P03" || code == "57014" || !postgresUnavailable(err))
}
