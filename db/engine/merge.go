package engine

import (
	"context"
	"runtime"
	"sync"
)

// merger reads rows by key on PostgreSQL. Lookups that arrive while all readers are busy are combined into one
// statement, which saves round trips; no lookup is delayed on purpose.
type merger struct {
	db     *postgres
	lookup *Lookup

	mu      sync.Mutex
	waiting []*pending
	readers int
}

const (
	// mergedReaders lets one statement be sent while the rows of another are distributed.
	mergedReaders = 2
	// maxMerged limits how long the first lookup of a batch waits for the rows of the last.
	maxMerged = 128
)

// pending is one call of Lookup. Row and error are set when done is closed.
type pending struct {
	key  string
	done chan struct{}
	row  Row
	err  error
}

func (p *postgres) Lookup(ctx context.Context, l *Lookup, key string) (Row, error) {
	m, ok := p.mergers.Load(l)
	if !ok {
		m, _ = p.mergers.LoadOrStore(l, &merger{db: p, lookup: l})
	}
	row, err := m.(*merger).get(ctx, key)
	return row, p.Classify(err)
}

func (m *merger) get(ctx context.Context, key string) (Row, error) {
	if err := ctx.Err(); err != nil {
		return Row{}, err
	}
	w := &pending{key: key, done: make(chan struct{})}
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
		return Row{}, ctx.Err()
	}
}

// maxYields limits the time in which a batch is gathered.
const maxYields = 8

// gather yields the processor as long as more callers arrive: on a busy machine a batch becomes larger, on an idle one
// this takes no time.
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

// work reads until no lookups are waiting.
func (m *merger) work() {
	for {
		gather(func() int { m.mu.Lock(); defer m.mu.Unlock(); return len(m.waiting) })
		m.mu.Lock()
		batch := m.waiting
		if len(batch) == 0 {
			m.readers--
			m.mu.Unlock()
			return
		}
		if len(batch) > maxMerged {
			m.waiting, batch = batch[maxMerged:], batch[:maxMerged:maxMerged]
		} else {
			m.waiting = nil
		}
		m.mu.Unlock()
		m.read(batch)
	}
}

// read reads the rows of a batch. If the statement fails although the database is available, one of the keys may be the
// cause, so each key is read separately.
func (m *merger) read(batch []*pending) {
	defer func() {
		for _, w := range batch {
			close(w.done)
		}
	}()
	// The context of one caller must not end the read of the others.
	ctx, cancel := context.WithTimeout(context.Background(), m.db.timeout)
	defer cancel()
	if len(batch) == 1 {
		m.single(ctx, batch[0])
		return
	}
	keys := make([]string, 0, len(batch))
	for _, w := range batch {
		keys = append(keys, w.key)
	}
	found := make(map[string]Row, len(batch))
	err := m.db.read(ctx, m.lookup.Many, []any{keys}, func(row Row) error {
		key, _ := row.Values[m.lookup.Key].(string)
		found[key] = row.clone()
		return nil
	})
	switch {
	case err == nil:
		for _, w := range batch {
			w.row = found[w.key]
		}
	case ctx.Err() != nil, postgresUnavailable(err):
		for _, w := range batch {
			w.err = err
		}
	default:
		for _, w := range batch {
			m.single(ctx, w)
		}
	}
}

func (m *merger) single(ctx context.Context, w *pending) {
	w.err = m.db.read(ctx, m.lookup.One, []any{w.key}, func(row Row) error {
		w.row = row.clone()
		return nil
	})
}
