package db

import (
	"context"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// channel is the notification channel on which instances on PostgreSQL announce new events.
const channel = "gatehouse"

const (
	// notifyInterval is the minimum time between two notifications of an instance. One covers all commits since the last.
	notifyInterval = 20 * time.Millisecond
	// pollInterval is for commits without a notification: on SQLite those of other processes, on PostgreSQL those of an
	// instance that ended between the commit and the notification.
	pollInterval = 500 * time.Millisecond
	// offlinePollInterval applies while the listener has no connection.
	offlinePollInterval = 100 * time.Millisecond
)

// announcer announces the commits of events of this process.
//
// It notifies the other instances after the commit, in a separate transaction: a transaction that notifies holds a lock
// of the whole cluster while it commits, so that in the units themselves every writer would wait for the disk in turn. If
// the process ends in between, the other instances find the events when they poll.
type announcer struct {
	// local signals the watcher of this process.
	local chan struct{}
	quit  chan struct{}

	workers sync.WaitGroup
	mu      sync.Mutex
	// pending is set while the other instances must be notified, running while a goroutine does it.
	pending, running, closed bool
}

func newAnnouncer() *announcer {
	return &announcer{local: make(chan struct{}, 1), quit: make(chan struct{})}
}

// announce is called after each commit of events. It does not block.
func (a *announcer) announce(d *DB) {
	a.signal()
	if !d.engine.Shared() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = true
	if !a.running && !a.closed {
		a.running = true
		a.workers.Go(func() { a.notify(d) })
	}
}

// signal signals the watcher of this process.
func (a *announcer) signal() {
	select {
	case a.local <- struct{}{}:
	default:
	}
}

// notify notifies the other instances as long as notifications are pending.
func (a *announcer) notify(d *DB) {
	pause := time.NewTimer(notifyInterval)
	defer pause.Stop()
	for {
		a.mu.Lock()
		if !a.pending {
			a.running = false
			a.mu.Unlock()
			return
		}
		a.pending = false
		a.mu.Unlock()
		if err := d.engine.Notify(context.Background(), channel); err != nil {
			d.log.Debug("the other instances were not notified of new events", "error", err)
		}
		pause.Reset(notifyInterval)
		select {
		case <-pause.C:
		case <-a.quit: // the last notification is not delayed
		}
	}
}

func (a *announcer) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	close(a.quit)
	a.workers.Wait()
}

// FeedWatch calls notify whenever events may have been committed, until the context ends.
func (d *DB) FeedWatch(ctx context.Context, notify func()) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	if d.engine.Shared() {
		var listening sync.WaitGroup
		defer listening.Wait()
		listening.Go(func() { d.listen(ctx, notify) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.announcer.local:
			if ctx.Err() != nil { // the signal is for the next watcher
				d.announcer.signal()
				return
			}
		case <-poll.C:
		}
		notify()
	}
}

// listen receives the notifications of the other instances over a separate connection. While there is no connection it
// calls notify at short intervals.
func (d *DB) listen(ctx context.Context, notify func()) {
	offline := false
	for ctx.Err() == nil {
		err := d.engine.Listen(ctx, channel, func() { // notifications up to now may have been missed
			offline = false
			notify()
		}, notify)
		if ctx.Err() != nil {
			return
		}
		if !offline {
			offline = true
			d.log.Warn("the connection that listens for new events is lost; it is restored, and new events are polled meanwhile", "error", err)
		}
		notify()
		select {
		case <-ctx.Done():
		case <-time.After(offlinePollInterval):
		}
	}
}

// feedPosition is the position of an event.
type feedPosition struct {
	Tx  int64 `bun:"tx"`
	Seq int64 `bun:"seq"`
}

// inFeed excludes events that a later commit may still precede.
func inFeed(b *builder, q *bun.SelectQuery) *bun.SelectQuery {
	if b.dialect.settled != "" {
		q.Where(b.dialect.settled)
	}
	return q
}

var (
	feedAfter = fixed(func(b *builder) schema.QueryAppender {
		return inFeed(b, b.NewSelect().Model((*eventRow)(nil)).Where("(tx, seq) > (?, ?)", b.arg("tx"), b.arg("seq"))).
			OrderExpr("tx, seq LIMIT ?", b.arg("limit"))
	})
	feedEnd = fixed(func(b *builder) schema.QueryAppender {
		return inFeed(b, b.NewSelect().Model((*eventRow)(nil)).Column("tx", "seq")).OrderExpr("tx DESC, seq DESC").Limit(1)
	})
	feedPending = fixed(func(b *builder) schema.QueryAppender {
		return b.exists(b.NewSelect().Model((*eventRow)(nil)).Where("(tx, seq) > (?, ?)", b.arg("tx"), b.arg("seq")))
	})
	feedHas = fixed(func(b *builder) schema.QueryAppender {
		return b.exists(b.NewSelect().Model((*eventRow)(nil)).Where("tx = ? AND seq = ?", b.arg("tx"), b.arg("seq")))
	})
)

// Feed returns events in the order of their commits, after a position.
//
// On PostgreSQL an event is returned only when no transaction with a smaller number is left that could add one before
// it, so a reader that continues from the last position misses none.
func (d *DB) Feed(ctx context.Context, after domain.FeedPosition, limit int) ([]*domain.LifecycleEvent, error) {
	rows, err := query[eventRow](ctx, d, feedAfter, with("tx", after.Tx), with("seq", after.Seq), with("limit", limit))
	if err != nil {
		return nil, err
	}
	return events.on(d).records(ctx, rows)
}

// FeedPart returns a part of the feed. The events that concern one user are found by the indexes of the two columns, each
// with its own limit, so that the cost depends on the size of the result.
func (d *DB) FeedPart(ctx context.Context, part domain.FeedPart) ([]*domain.LifecycleEvent, error) {
	c := &compiler{schema: events.schema, columns: events.columns}
	where := clause{
		text: "(tx, seq) > (?, ?) AND (tx, seq) <= (?, ?)",
		args: []any{part.After.Tx, part.After.Seq, part.UpTo.Tx, part.UpTo.Seq},
	}
	if plain, _ := c.split(part.Where); plain != nil {
		where = where.and(c.condition(plain))
	}
	if !storable(part.Concerning) {
		return nil, nil
	}
	rows, err := search[eventRow](ctx, d, func(b *builder) schema.QueryAppender {
		page := func(q *bun.SelectQuery) *bun.SelectQuery { return q.OrderExpr("tx, seq").Limit(int64(part.Limit)) }
		shelf := events.on(d)
		if part.Concerning == "" {
			return page(shelf.selection(b, where))
		}
		concerning := func(column string) *bun.SelectQuery {
			q := page(shelf.selection(b, clause{text: column + " = ?", args: []any{part.Concerning}}.and(where)))
			return b.NewSelect().ColumnExpr("*").TableExpr("(?) AS ?", q, bun.Ident(column)) // SQLite needs it around an ORDER BY
		}
		return page(b.NewSelect().Model((*eventRow)(nil)).
			ModelTableExpr("(? UNION ALL ?) AS ?TableAlias", concerning("first_user"), concerning("second_user")))
	})
	if err != nil {
		return nil, err
	}
	return events.on(d).records(ctx, rows)
}

// FeedEnd is the position of the newest event in the feed.
func (d *DB) FeedEnd(ctx context.Context) (domain.FeedPosition, error) {
	end, _, err := queryOne[feedPosition](ctx, d, feedEnd)
	return domain.FeedPosition(end), err
}

// FeedPending reports whether events are committed after the position, in the feed or not.
func (d *DB) FeedPending(ctx context.Context, after domain.FeedPosition) (bool, error) {
	if d.dialect.settled == "" {
		return false, nil
	}
	waits, _, err := queryOne[bool](ctx, d, feedPending, with("tx", after.Tx), with("seq", after.Seq))
	return waits, err
}

// FeedHas reports whether there is an event at the position.
func (d *DB) FeedHas(ctx context.Context, at domain.FeedPosition) (bool, error) {
	has, _, err := queryOne[bool](ctx, d, feedHas, with("tx", at.Tx), with("seq", at.Seq))
	return has, err
}
