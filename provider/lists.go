package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Entries reads the institution's stored lists, and stores the published one. Each import that changes the institution's
// lists has a sequence number of its own.
type Entries interface {
	// ListSeq returns the sequence number of the newest import.
	ListSeq(ctx context.Context) (int64, error)
	// ListEntries returns at most limit entries after the given position, ordered by sequence number and id.
	ListEntries(ctx context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error)
	domain.WatchLists
}

// Lists caches the lists in memory: the institution's, which follow each import, and the published one. The version of the
// published list in force is that in the database, which all instances use. A changed folder makes a new version, unless
// the files are refused.
type Lists struct {
	entries Entries
	log     *slog.Logger
	now     func() time.Time

	institution *risk.Book
	mu          sync.Mutex // must be held to load new entries
	lastSeq     atomic.Int64
	loadedAt    atomic.Int64

	watch   atomic.Pointer[watchList]
	watchMu sync.Mutex // must be held to load another version

	dir         string
	filesMu     sync.Mutex
	files       *fileState
	lastChecked time.Time
	refused     atomic.Pointer[Refusal]

	changesMu sync.Mutex
	changes   *changes
}

// watchList is a version of the published list, indexed.
type watchList struct {
	*domain.WatchList
	book *risk.Book
}

// NewLists returns empty lists; Current fills them. dir is the folder with the published files; empty for none.
func NewLists(entries Entries, dir string, now func() time.Time, log *slog.Logger) *Lists {
	return &Lists{entries: entries, log: log, now: now, institution: risk.NewBook(), dir: dir}
}

// batchSize is the number of entries read at once.
const batchSize = 5000

// Held is the content of all lists at a time.
type Held struct {
	risk.Books
	// Stamp describes the lists of people.
	Stamp risk.ListStamp
	// At identifies the content.
	At domain.ListPosition
}

// The names of lists in stamps.
const (
	publishedList   = "sdn"
	institutionList = "institution"
)

// Current returns the current lists. They include every completed import and the version of the published list in force,
// also those of other instances. It fails if a folder is set and no good list was ever loaded.
func (l *Lists) Current(ctx context.Context) (*Held, error) {
	newest, err := l.entries.ListSeq(ctx)
	if err != nil {
		return nil, err
	}
	if newest > l.lastSeq.Load() {
		if err := l.loadNew(ctx, newest); err != nil {
			return nil, err
		}
	}
	if err := l.Refresh(ctx); err != nil {
		return nil, err
	}
	w, err := l.inForce(ctx)
	if err != nil {
		return nil, err
	}
	out := &Held{Books: risk.Books{l.institution}, At: domain.ListPosition{Institution: l.lastSeq.Load()}}
	switch {
	case w != nil:
		out.Books, out.At.Watch = append(out.Books, w.book), w.Seq
		out.Stamp = risk.ListStamp{List: publishedList, PublishedAt: w.PublishedAt, LoadedAt: w.LoadedAt, Entries: w.Size, Hash: w.Hash}
	case l.dir != "":
		return nil, errors.New("GATEHOUSE_OFAC_DIR: no list was loaded yet")
	default:
		out.Stamp = risk.ListStamp{
			List: institutionList, LoadedAt: time.UnixMicro(l.loadedAt.Load()).UTC(), Entries: l.institution.Len(), Hash: l.institution.Sum(),
		}
	}
	return out, nil
}

// loadNew loads the entries that were imported since the last call. Concurrent readers see entries as they arrive.
func (l *Lists) loadNew(ctx context.Context, newest int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := l.lastSeq.Load()
	if seq >= newest {
		return nil
	}
	seq, err := l.eachEntry(ctx, seq, func(batch []risk.Entry) { l.institution.Put(batch...) })
	if err != nil {
		return err
	}
	// Entries written in the meantime have a higher number and are loaded by the next call.
	l.lastSeq.Store(max(newest, seq))
	l.loadedAt.Store(l.now().UnixMicro())
	return nil
}

// eachEntry passes on the institution's entries after an import in batches, and returns the number of the newest import.
func (l *Lists) eachEntry(ctx context.Context, seq int64, each func([]risk.Entry)) (int64, error) {
	for id := "\uffff"; ; {
		page, err := l.entries.ListEntries(ctx, seq, id, batchSize)
		if err != nil {
			return seq, err
		}
		batch := make([]risk.Entry, 0, len(page))
		for _, e := range page {
			batch = append(batch, e.Entry)
			seq, id = e.Seq, e.ID
		}
		each(batch)
		if len(page) < batchSize {
			return seq, nil
		}
	}
}

// inForce returns the version of the published list in force; nil if there is none.
func (l *Lists) inForce(ctx context.Context) (*watchList, error) {
	newest, err := l.entries.NewestWatchList(ctx)
	if errors.Is(err, domain.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if w := l.watch.Load(); w != nil && w.Seq == newest.Seq {
		return w, nil
	}
	l.watchMu.Lock()
	defer l.watchMu.Unlock()
	if w := l.watch.Load(); w != nil && w.Seq >= newest.Seq {
		return w, nil
	}
	entries, err := l.entries.WatchListEntries(ctx, newest.Seq)
	if err != nil {
		return nil, err
	}
	w := &watchList{WatchList: newest, book: risk.NewBook()}
	w.book.Put(entries...)
	l.watch.Store(w)
	if r := l.refused.Load(); r != nil && r.Hash == w.Hash { // taken since, by an operator
		l.refused.CompareAndSwap(r, nil)
	}
	l.log.Info("published list in force", "entries", w.Size, "hash", w.Hash, "publishedAt", w.PublishedAt)
	return w, nil
}

// checkInterval is how often the files are checked for changes.
const checkInterval = 2 * time.Second

// Refusal describes files that were not taken as the published list.
type Refusal struct {
	// Hash identifies the entries; empty if the files could not be read.
	Hash   string
	Reason string
}

// Refused returns the refusal of the files as they are; nil if they are in force.
func (l *Lists) Refused() *Refusal { return l.refused.Load() }

// Refresh takes the files of the folder as the published list if they have changed. Refused files are told once at error
// level; the list in force stays.
func (l *Lists) Refresh(ctx context.Context) error {
	if l.dir == "" {
		return nil
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	now := l.now()
	if since := now.Sub(l.lastChecked); since >= 0 && since < checkInterval {
		return nil
	}
	state, err := statFiles(l.dir)
	if err == nil && l.files != nil && state == *l.files {
		l.lastChecked = now
		return nil
	}
	refusal, err := Load(ctx, l.entries, l.dir, "", now, l.log)
	if err != nil {
		return err
	}
	if was := l.refused.Swap(refusal); refusal != nil && (was == nil || *was != *refusal) {
		l.log.Error("the published list is refused; the list in force stays", "reason", refusal.Reason, "hash", refusal.Hash)
	}
	l.files, l.lastChecked = &state, now
	return nil
}

// maxLoss is the share of the entries that a new version may lack without being refused.
const maxLoss = 0.10

// Load takes the files of a folder as the published list, or returns why they are refused. acceptLoss is the hash of
// entries that are taken although they lack many of the entries in force, or are older.
func Load(ctx context.Context, store domain.WatchLists, dir, acceptLoss string, now time.Time, log *slog.Logger) (*Refusal, error) {
	read, refusal, err := compare(ctx, store, dir)
	switch {
	case err != nil:
		return nil, err
	case refusal != nil && (refusal.Hash == "" || refusal.Hash != acceptLoss):
		return refusal, nil
	case read.inForce:
		return nil, nil
	}
	for _, warning := range read.warnings {
		log.Warn("the published list is incomplete", "reason", warning)
	}
	saved, err := store.SaveWatchList(ctx, &domain.WatchList{
		Hash: read.hash, PublishedAt: read.publishedAt, LoadedAt: now.UTC().Truncate(time.Microsecond), Entries: read.entries,
	})
	if err != nil {
		return nil, err
	}
	log.Info("published list loaded", "entries", saved.Size, "hash", saved.Hash, "publishedAt", saved.PublishedAt)
	return nil, nil
}

// Check returns why the files of a folder would be refused as the published list; nil if they would not. It changes nothing.
func Check(ctx context.Context, store domain.WatchLists, dir string) (*Refusal, error) {
	_, refusal, err := compare(ctx, store, dir)
	return refusal, err
}

// compare reads the files and compares them with the version in force.
func compare(ctx context.Context, store domain.WatchLists, dir string) (*published, *Refusal, error) {
	read, err := readOFAC(dir)
	if err != nil {
		return nil, &Refusal{Reason: err.Error()}, nil //nolint:nilerr // the refusal states it
	}
	newest, err := store.NewestWatchList(ctx)
	if errors.Is(err, domain.ErrMissing) {
		return read, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if read.inForce = newest.Hash == read.hash; read.inForce {
		return read, nil, nil
	}
	old, err := store.WatchListEntries(ctx, newest.Seq)
	if err != nil {
		return nil, nil, err
	}
	return read, read.refusal(newest, old), nil
}

// refusal returns why the files are not taken instead of the version in force; nil if they are.
func (f *published) refusal(newest *domain.WatchList, old []risk.Entry) *Refusal {
	if f.publishedAt.Before(newest.PublishedAt) {
		return &Refusal{Hash: f.hash, Reason: fmt.Sprintf("the files are of %s, older than the list in force, of %s",
			f.publishedAt.Format(time.RFC3339), newest.PublishedAt.Format(time.RFC3339))}
	}
	has := make(map[string]bool, len(f.entries))
	for _, e := range f.entries {
		has[e.ID] = true
	}
	lost := 0
	for _, e := range old {
		if !has[e.ID] {
			lost++
		}
	}
	if float64(lost) > maxLoss*float64(len(old)) {
		return &Refusal{Hash: f.hash, Reason: fmt.Sprintf("the files lack %d of the %d entries in force", lost, len(old))}
	}
	return nil
}

// Age returns the time since the publication of the list in force, and its size; ok is false if there is none.
func (l *Lists) Age() (age time.Duration, entries int, ok bool) {
	w := l.watch.Load()
	if w == nil {
		return 0, 0, false
	}
	return l.now().Sub(w.PublishedAt), w.Size, true
}

// changes has the entries that are new between two positions.
type changes struct {
	from, to domain.ListPosition
	book     *risk.Book
}

// newEntries returns a book of the entries that are new or changed between two positions.
func (l *Lists) newEntries(ctx context.Context, from, to domain.ListPosition) (*risk.Book, error) {
	l.changesMu.Lock()
	defer l.changesMu.Unlock()
	if c := l.changes; c != nil && c.from == from && c.to == to {
		return c.book, nil
	}
	book := risk.NewBook()
	if from.Institution != to.Institution {
		if _, err := l.eachEntry(ctx, from.Institution, func(batch []risk.Entry) { book.Put(batch...) }); err != nil {
			return nil, err
		}
	}
	if from.Watch != to.Watch {
		was := risk.NewBook()
		old, err := l.entries.WatchListEntries(ctx, from.Watch)
		if err != nil && !errors.Is(err, domain.ErrMissing) { // one that is no longer stored: all entries are new
			return nil, err
		}
		was.Put(old...)
		entries, err := l.entries.WatchListEntries(ctx, to.Watch)
		if err != nil && !errors.Is(err, domain.ErrMissing) {
			return nil, err
		}
		for _, e := range entries {
			if was.Version(e.ID) != e.Version() {
				book.Put(e)
			}
		}
	}
	l.changes = &changes{from, to, book}
	return book, nil
}
