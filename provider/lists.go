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

// Entries is where the institution's lists are kept. Each import that changes something has a number of its own.
type Entries interface {
	// ListSeq is the number of the newest import.
	ListSeq(ctx context.Context) (int64, error)
	// ListEntries gives entries in the order of their imports and ids, after a place in that order.
	ListEntries(ctx context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error)
}

// Lists holds the lists in memory: the institution's, which follow each import, and the government's, which are
// read again when their files change.
type Lists struct {
	entries Entries
	log     *slog.Logger
	now     func() time.Time

	own  *risk.Book
	mu   sync.Mutex // held by the one who reads new entries
	seen atomic.Int64

	dir        string
	government atomic.Pointer[risk.Book]
	files      fileState
	filesMu    sync.Mutex
	looked     atomic.Int64
}

// NewLists gives empty lists; Current fills them. Dir is the folder with the SDN files; empty: there are none.
func NewLists(entries Entries, dir string, now func() time.Time, log *slog.Logger) *Lists {
	l := &Lists{entries: entries, log: log, now: now, own: risk.NewBook(), dir: dir}
	l.government.Store(risk.NewBook())
	return l
}

// portion is how many entries are read at once.
const portion = 5000

// Current gives the lists as they are now: an import that is done, by whomever, is in them.
func (l *Lists) Current(ctx context.Context) (risk.Books, error) {
	newest, err := l.entries.ListSeq(ctx)
	if err != nil {
		return nil, err
	}
	if newest > l.seen.Load() {
		if err := l.follow(ctx, newest); err != nil {
			return nil, err
		}
	}
	if l.dir != "" {
		if err := l.reload(); err != nil {
			return nil, err
		}
	}
	return risk.Books{l.own, l.government.Load()}, nil
}

// follow reads what was imported since. Entries come in while others read.
func (l *Lists) follow(ctx context.Context, newest int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, id := l.seen.Load(), "\uffff"
	if seq >= newest {
		return nil
	}
	for {
		some, err := l.entries.ListEntries(ctx, seq, id, portion)
		if err != nil {
			return err
		}
		batch := make([]risk.Entry, 0, len(some))
		for _, e := range some {
			batch = append(batch, e.Entry)
			seq, id = e.Seq, e.ID
		}
		l.own.Put(batch...)
		if len(some) < portion {
			// What was written meanwhile has a higher number and is read next time.
			l.seen.Store(max(newest, seq))
			return nil
		}
	}
}

// lookEvery is how often the files are looked at.
const lookEvery = 2 * time.Second

// reload reads the government's files again where they have changed. A file that cannot be read any more is told, and
// the list stays as it was; at the start there is nothing to stay.
func (l *Lists) reload() error {
	if l.now().UnixNano()-l.looked.Load() < int64(lookEvery) {
		return nil
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	if l.now().UnixNano()-l.looked.Load() < int64(lookEvery) {
		return nil
	}
	state, err := stateOf(l.dir)
	if err == nil && state == l.files {
		l.looked.Store(l.now().UnixNano())
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
	l.looked.Store(l.now().UnixNano())
	return nil
}

// CheckOFAC says why the files of a folder cannot be read; nil where they can.
func CheckOFAC(dir string) error {
	_, err := stateOf(dir)
	return err
}
