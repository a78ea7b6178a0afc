package db

import (
	"context"
	"reflect"
	"runtime"
	"sync"
)

// merger reads rows by id on PostgreSQL. Whoever asks while the readers are on their way goes with the next one, and
// all who go together are one statement: many callers cost few round trips, and nobody ever waits for company.
type merger[W any] struct {
	db   *DB
	one  string // SELECT … WHERE id = ?
	many string // SELECT … WHERE id = ANY(?)
	id   []int  // the field of the id

	mu      sync.Mutex
	waiting []*wanted[W]
	readers int
}

const (
	// mergedReaders is enough to keep one on its way while another one's rows are handed out.
	mergedReaders = 2
	// maxMerged bounds how long the first waits for the rows of the last.
	maxMerged = 128
)

// wanted is one call. Row and error are set when done is closed. Who asked for the same row got the same one, and only
// reads it.
type wanted[W any] struct {
	id   string
	done chan struct{}
	row  *W // nil: there is none
	err  error
}

func newMerger[W any](d *DB, t *table) *merger[W] {
	text := "SELECT " + t.columns + " FROM " + t.name + " WHERE id = "
	return &merger[W]{db: d, one: text + "?", many: text + "ANY(?)", id: fieldsOf(reflect.TypeFor[W]())["id"]}
}

// get reads one row; nil where there is none. A caller who goes hears so at once, and takes nobody along.
func (m *merger[W]) get(ctx context.Context, id string) (*W, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &wanted[W]{id: id, done: make(chan struct{})}
	m.mu.Lock()
	m.waiting = append(m.waiting, w)
	starts := m.readers < mergedReaders
	if starts {
		m.readers++
	}
	m.mu.Unlock()
	if starts {
		go m.work()
	}
	select {
	case <-w.done:
		return w.row, w.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// maxYields bounds how long a group gathers.
const maxYields = 8

// gather lets others run as long as more of them come to wait here: on a busy machine a group becomes larger, and on
// one that has nothing else to do this takes no time.
func gather(waiting func() int) {
	had := waiting()
	for range maxYields {
		runtime.Gosched()
		has := waiting()
		if has == had {
			return
		}
		had = has
	}
}

// work reads until nobody waits.
func (m *merger[W]) work() {
	for {
		gather(func() int { m.mu.Lock(); defer m.mu.Unlock(); return len(m.waiting) })
		m.mu.Lock()
		group := m.waiting
		if len(group) == 0 {
			m.readers--
			m.mu.Unlock()
			return
		}
		if len(group) > maxMerged {
			m.waiting, group = group[maxMerged:], group[:maxMerged:maxMerged]
		} else {
			m.waiting = nil
		}
		m.mu.Unlock()
		m.serve(group)
	}
}

// serve reads the rows of a group. An error of the statement, not of the database, may be due to one of the ids, so
// then each reads alone.
func (m *merger[W]) serve(group []*wanted[W]) {
	defer func() {
		for _, w := range group {
			close(w.done)
		}
	}()
	// Long enough for each of them, and nobody's going ends it.
	ctx, cancel := context.WithTimeout(context.Background(), m.db.timeout)
	defer cancel()
	if len(group) == 1 {
		m.alone(ctx, group[0])
		return
	}
	ids := make([]string, 0, len(group))
	for _, w := range group {
		ids = append(ids, w.id)
	}
	rows := make([]W, 0, len(group))
	err := m.db.readPostgres(ctx, &rows, true, m.many, []any{ids})
	switch {
	case err == nil:
		found := make(map[string]*W, len(rows))
		for i := range rows {
			found[reflect.ValueOf(&rows[i]).Elem().FieldByIndex(m.id).String()] = &rows[i]
		}
		for _, w := range group {
			w.row = found[w.id]
		}
	case ctx.Err() != nil, m.db.words.unavailable(err):
		for _, w := range group {
			w.err = err
		}
	default:
		for _, w := range group {
			m.alone(ctx, w)
		}
	}
}

func (m *merger[W]) alone(ctx context.Context, w *wanted[W]) {
	var rows []W
	if w.err = m.db.readPostgres(ctx, &rows, true, m.one, []any{w.id}); w.err == nil && len(rows) > 0 {
		w.row = &rows[0]
	}
}

// merged is the merger of a table.
func merged[W any](d *DB, t *table) *merger[W] {
	if m, ok := d.mergers.Load(t.name); ok {
		return m.(*merger[W])
	}
	m, _ := d.mergers.LoadOrStore(t.name, newMerger[W](d, t))
	return m.(*merger[W])
}

// row reads one row by its id; nil where there is none.
func row[W any](ctx context.Context, d *DB, t *table, id string) (*W, error) {
	if d.pool != nil {
		found, err := merged[W](d, t).get(ctx, id)
		return found, d.fault(err)
	}
	var rows []W
	if err := d.query(ctx, &rows, t.byID, id); err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}
