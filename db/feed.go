package db

import (
	"context"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// channel is where instances on PostgreSQL tell one another that there are new events.
const channel = "gatehouse"

const (
	// tellEvery bounds how often one instance tells the others: what is committed meanwhile is told together.
	tellEvery = 20 * time.Millisecond
	// lookEvery is for what nobody tells: on SQLite the commands beside the server, on PostgreSQL an instance that
	// ended between a commit and the telling.
	lookEvery = 500 * time.Millisecond
	// lookUntold is for the time in which the listener has no connection.
	lookUntold = 100 * time.Millisecond
)

// bell rings when this process has committed events.
//
// The other instances are told after the commit, in a transaction of its own: one that notifies holds a lock of the
// whole cluster while it commits, so in the units themselves it would have every writer wait for the disk in turn. What
// is lost, should the process end in between, is found by those who look now and then.
type bell struct {
	// rung is for the watcher of this process.
	rung chan struct{}
	quit chan struct{}

	tellers sync.WaitGroup
	mu      sync.Mutex
	// news is what the others have not been told, running that somebody is telling them.
	news, running, closed bool
}

func newBell() *bell { return &bell{rung: make(chan struct{}, 1), quit: make(chan struct{})} }

// ring is called after each commit of events, and costs next to nothing.
func (b *bell) ring(d *DB) {
	b.pass()
	if !d.engine.Shared() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news = true
	if !b.running && !b.closed {
		b.running = true
		b.tellers.Go(func() { b.tell(d) })
	}
}

func (b *bell) pass() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// tell tells the other instances as long as there is news.
func (b *bell) tell(d *DB) {
	pause := time.NewTimer(tellEvery)
	defer pause.Stop()
	for {
		b.mu.Lock()
		if !b.news {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.news = false
		b.mu.Unlock()
		if err := d.engine.Notify(context.Background(), channel); err != nil {
			d.log.Debug("the other instances were not notified of new events", "error", err)
		}
		pause.Reset(tellEvery)
		select {
		case <-pause.C:
		case <-b.quit: // what is left is told at once
		}
	}
}

func (b *bell) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.quit)
	b.tellers.Wait()
}

// FeedWatch calls rung whenever events may have been committed, until the context ends.
func (d *DB) FeedWatch(ctx context.Context, rung func()) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	if d.engine.Shared() {
		var listening sync.WaitGroup
		defer listening.Wait()
		listening.Go(func() { d.listen(ctx, rung) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.bell.rung:
			if ctx.Err() != nil { // it is for the next one who watches
				d.bell.pass()
				return
			}
		case <-look.C:
		}
		rung()
	}
}

// listen hears what the other instances tell, over a connection of its own. While it has none it rings in short
// intervals, so that nothing waits for the connection.
func (d *DB) listen(ctx context.Context, rung func()) {
	troubled := false
	for ctx.Err() == nil {
		err := d.engine.Listen(ctx, channel, func() { // notifications up to now may have been missed
			troubled = false
			rung()
		}, rung)
		if ctx.Err() != nil {
			return
		}
		if !troubled {
			troubled = true
			d.log.Warn("the connection that listens for new events is lost; it is restored, and new events are polled meanwhile", "error", err)
		}
		rung()
		select {
		case <-ctx.Done():
		case <-time.After(lookUntold):
		}
	}
}

// feedPosition is the position of an event.
type feedPosition struct {
	Tx  int64 `bun:"tx"`
	Seq int64 `bun:"seq"`
}

// inFeed leaves out the events that another one may still precede.
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
