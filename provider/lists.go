package provider

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Entries reads the institution's stored lists. Each import that changes the lists has a sequence number of its own.
type Entries interface {
	// ListSeq returns the sequence number of the newest import.
	ListSeq(ctx context.Context) (int64, error)
	// ListEntries returns at most limit entries after the given position, ordered by sequence number and id.
	ListEntries(ctx context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error)
}

// Lists caches the lists in memory: the institution's, which follow each import, and the government's, which are
// reloaded when their files change.
type Lists struct {
	entries Entries
	log     *slog.Logger
	now     func() time.Time

	institution *risk.Book
	mu          sync.Mutex // must be held to load new entries
	lastSeq     atomic.Int64

	dir         string
	government  atomic.Pointer[risk.Book]
	files       fileState
	filesMu     sync.Mutex
	lastChecked atomic.Int64
}

// NewLists returns empty lists; Current fills them. dir is the directory with the SDN files; empty for none.
func NewLists(entries Entries, dir string, now func() time.Time, log *slog.Logger) *Lists {
	l := &Lists{entries: entries, log: log, now: now, institution: risk.NewBook(), dir: dir}
	l.government.Store(risk.NewBook())
	return l
}

// batchSize is the number of entries read at once.
const batchSize = 5000

// Current returns the current lists. They include every completed import, also those of other instances.
func (l *Lists) Current(ctx context.Context) (risk.Books, error) {
	newest, err := l.entries.ListSeq(ctx)
	if err != nil {
		return nil, err
	}
	if newest > l.lastSeq.Load() {
		if err := l.loadNew(ctx, newest); err != nil {
			return nil, err
		}
	}
	if l.dir != "" {
		if err := l.reload(); err != nil {
			return nil, err
		}
	}
	return risk.Books{l.institution, l.government.Load()}, nil
}

// loadNew loads the entries that were imported since the last call. Concurrent readers see entries as they arrive.
func (l *Lists) loadNew(ctx context.Context, newest int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, id := l.lastSeq.Load(), "\uffff"
	if seq >= newest {
		return nil
	}
	for {
		page, err := l.entries.ListEntries(ctx, seq, id, batchSize)
		if err != nil {
			return err
		}
		batch := make([]risk.Entry, 0, len(page))
		for _, e := range page {
			batch = append(batch, e.Entry)
			seq, id = e.Seq, e.ID
		}
		l.institution.Put(batch...)
		if len(page) < batchSize {
			// Entries written in the meantime have a higher number and are loaded by the next call.
			l.lastSeq.Store(max(newest, seq))
			return nil
		}
	}
}

// checkInterval is how often the files are checked for changes.
const checkInterval = 2 * time.Second

// reload reloads the government's files if they have changed. If a changed file cannot be read, reload logs the error
// and keeps the previous list; for the first load it returns the error.
func (l *Lists) reload() error {
	if l.now().UnixNano()-l.lastChecked.Load() < int64(checkInterval) {
		return nil
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	if l.now().UnixNano()-l.lastChecked.Load() < int64(checkInterval) {
		return nil
	}
	state, err := statFiles(l.dir)
	if err == nil && state == l.files {
		l.lastChecked.Store(l.now().UnixNano())
		return nil
	}
	var book *risk.Book
	if err == nil {
		book, err = readOFAC(l.dir)
	}
	switch {
	case err == nil:
		l.government.Store(book)
		l.files = state
		l.log.Info("government list read", "entries", book.Len())
	case l.files == fileState{}:
		return fmt.Errorf("GATEHOUSE_OFAC_DIR: %w", err)
	default:
		l.log.Error("the government list cannot be read again; the old one stays", "error", err)
	}
	l.lastChecked.Store(l.now().UnixNano())
	return nil
}

// CheckOFAC returns an error if the directory does not have the files of the list.
func CheckOFAC(dir string) error {
	_, err := statFiles(dir)
	return err
}
