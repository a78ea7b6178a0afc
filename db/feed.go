package db

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	// probeEvery is how long a silent listener is believed to be connected.
	probeEvery = 15 * time.Second
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
	if d.pool == nil {
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
		ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
		if _, err := d.pool.Exec(ctx, "SELECT pg_notify('"+channel+"', '')"); err != nil {
			d.log.Debug("the other instances were not told of new events", "error", d.fault(err))
		}
		cancel()
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
	if d.pool != nil {
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
		err := d.hear(ctx, func() { // everything up to now may have been missed
			troubled = false
			rung()
		}, rung)
		if ctx.Err() != nil {
			return
		}
		if !troubled {
			troubled = true
			d.log.Warn("the connection that hears of new events is lost; it is made again, and events are looked for meanwhile", "error", d.fault(err))
		}
		rung()
		select {
		case <-ctx.Done():
		case <-time.After(lookUntold):
		}
	}
}

func (d *DB) hear(ctx context.Context, connected, rung func()) error {
	config := d.pool.Config().ConnConfig.Copy()
	delete(config.RuntimeParams, "statement_timeout")
	delete(config.RuntimeParams, "idle_in_transaction_session_timeout")
	config.RuntimeParams["application_name"] = "gatehouse feed"
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { rung() }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if err := within(ctx, d.timeout, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+channel)
		return err
	}); err != nil {
		return err
	}
	connected()
	for {
		err := within(ctx, probeEvery, conn.PgConn().WaitForNotification)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = within(ctx, d.timeout, conn.Ping) // a connection may die without a word
		}
		if err != nil {
			return err
		}
	}
}

func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// Feed gives events in the order of their commits, after a position.
//
// On PostgreSQL an event is given only when no transaction with a smaller number is left that could add one before
// it, so a reader who goes on from the last position misses none.
func (d *DB) Feed(ctx context.Context, after domain.FeedPosition, limit int) ([]*domain.LifecycleEvent, error) {
	events := d.events()
	var rows []eventRow
	err := d.query(ctx, &rows, "SELECT "+events.table.columns+" FROM lifecycle_events WHERE (tx, seq) > (?, ?)"+
		d.words.settled+" ORDER BY tx, seq LIMIT ?", after.Tx, after.Seq, limit)
	if err != nil {
		return nil, err
	}
	return events.records(ctx, rows)
}

// FeedPart gives a part of the feed. What concerns one user is found by the indexes of its columns, each with its own
// limit, so that it costs what it gives.
func (d *DB) FeedPart(ctx context.Context, part domain.FeedPart) ([]*domain.LifecycleEvent, error) {
	events := d.events()
	c := &compiler{schema: events.schema, columns: events.columns, elements: d.words.elements}
	where := clause{text: "(tx, seq) > (?, ?) AND (tx, seq) <= (?, ?)", args: []any{part.After.Tx, part.After.Seq, part.UpTo.Tx, part.UpTo.Seq}}
	if plain, _ := c.split(part.Where); plain != nil {
		where = where.and(c.condition(plain))
	}
	one := func(where clause) clause {
		return clause{
			text: "SELECT " + events.table.columns + " FROM lifecycle_events WHERE " + where.text + " ORDER BY tx, seq LIMIT ?",
			args: append(where.args, part.Limit),
		}
	}
	find := one(where)
	if part.Concerning != "" {
		if !storable(part.Concerning) {
			return nil, nil
		}
		first := one(clause{text: "first_user = ?", args: []any{part.Concerning}}.and(where))
		second := one(clause{text: "second_user = ?", args: []any{part.Concerning}}.and(where))
		find = clause{
			text: "SELECT * FROM (" + first.text + ") AS a UNION ALL SELECT * FROM (" + second.text + ") AS b ORDER BY tx, seq LIMIT ?",
			args: append(append(first.args, second.args...), part.Limit),
		}
	}
	var rows []eventRow
	if err := d.search(ctx, &rows, find.text, find.args...); err != nil {
		return nil, err
	}
	return events.records(ctx, rows)
}

type feedPlace struct {
	Tx  int64 `bun:"tx"`
	Seq int64 `bun:"seq"`
}

// FeedEnd is the place of the newest event in the feed.
func (d *DB) FeedEnd(ctx context.Context) (domain.FeedPosition, error) {
	var found []feedPlace
	err := d.query(ctx, &found, "SELECT tx, seq FROM lifecycle_events WHERE TRUE"+d.words.settled+" ORDER BY tx DESC, seq DESC LIMIT 1")
	if err != nil || len(found) == 0 {
		return domain.FeedPosition{}, err
	}
	return domain.FeedPosition{Tx: found[0].Tx, Seq: found[0].Seq}, nil
}

// FeedWaits reports whether events are committed after the position, in the feed or not.
func (d *DB) FeedWaits(ctx context.Context, after domain.FeedPosition) (waits bool, err error) {
	if d.words.settled == "" {
		return false, nil
	}
	err = d.query(ctx, &waits, "SELECT EXISTS (SELECT 1 FROM lifecycle_events WHERE (tx, seq) > (?, ?))", after.Tx, after.Seq)
	return waits, err
}

// FeedHas reports whether an event stands at the position.
func (d *DB) FeedHas(ctx context.Context, at domain.FeedPosition) (has bool, err error) {
	err = d.query(ctx, &has, "SELECT EXISTS (SELECT 1 FROM lifecycle_events WHERE tx = ? AND seq = ?)", at.Tx, at.Seq)
	return has, err
}
