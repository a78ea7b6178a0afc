package db

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// watchListRow is a version of the published list. It is public, and therefore not sealed.
type watchListRow struct {
	bun.BaseModel `bun:"table:watch_lists"`

	Seq         int64  `bun:"seq,autoincrement"`
	Hash        string `bun:"hash"`
	PublishedAt int64  `bun:"published_at"`
	LoadedAt    int64  `bun:"loaded_at"`
	Entries     int    `bun:"entries"`
	// Content is the JSON of the entries, compressed by gzip.
	Content []byte `bun:"content"`
}

// keptWatchLists is the number of versions that are kept: a re-screening compares the newest with an earlier one.
const keptWatchLists = 10

var (
	newestWatchList = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*watchListRow)(nil)).Column("seq", "hash", "published_at", "loaded_at", "entries").
			OrderExpr("seq DESC").Limit(1)
	})
	watchListContent = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*watchListRow)(nil)).Column("content").Where("seq = ?", b.arg("seq"))
	})
	addWatchList    = returning(func(b *builder) schema.QueryAppender { return newRow(b, (*watchListRow)(nil), "seq") })
	pruneWatchLists = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*watchListRow)(nil)).Where("seq <= ?", b.arg("seq"))
	})
)

// NewestWatchList describes the version of the published list that is in force.
func (d *DB) NewestWatchList(ctx context.Context) (*domain.WatchList, error) {
	row, found, err := queryOne[watchListRow](ctx, d, newestWatchList)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	return &domain.WatchList{
		Seq: row.Seq, Hash: row.Hash, PublishedAt: instant(row.PublishedAt), LoadedAt: instant(row.LoadedAt), Size: row.Entries,
	}, nil
}

// WatchListEntries returns the entries of a version.
func (d *DB) WatchListEntries(ctx context.Context, seq int64) ([]risk.Entry, error) {
	content, found, err := queryOne[[]byte](ctx, d, watchListContent, with("seq", seq))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	in, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var out []risk.Entry
	return out, json.Unmarshal(text, &out)
}

// SaveWatchList stores a version of the published list and deletes the oldest ones.
func (d *DB) SaveWatchList(ctx context.Context, l *domain.WatchList) (*domain.WatchList, error) {
	text, err := json.Marshal(l.Entries)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	out := gzip.NewWriter(&content)
	if _, err := out.Write(text); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	result, err := d.writeRow(ctx, addWatchList, &watchListRow{
		Hash: l.Hash, PublishedAt: micros(l.PublishedAt), LoadedAt: micros(l.LoadedAt), Entries: len(l.Entries), Content: content.Bytes(),
	}, nil)
	if err != nil {
		return nil, err
	}
	seqs, err := rowsOf[int64](d, result)
	if err != nil {
		return nil, err
	}
	saved := *l
	saved.Seq, saved.Size = seqs[0], len(l.Entries)
	return &saved, d.write(ctx, pruneWatchLists, nil, with("seq", saved.Seq-keptWatchLists))
}

// rescreeningRow is the progress of the comparison of all contacts with new entries of the lists.
type rescreeningRow struct {
	bun.BaseModel `bun:"table:rescreenings"`

	ID              string `bun:"id,pk"`
	Version         int    `bun:"version"`
	FromWatch       int64  `bun:"from_watch"`
	FromInstitution int64  `bun:"from_institution"`
	ToWatch         int64  `bun:"to_watch"`
	ToInstitution   int64  `bun:"to_institution"`
	Running         bool   `bun:"running"`
	After           string `bun:"after_contact"`
	Contacts        int    `bun:"contacts"`
	Reports         int    `bun:"reports"`
	StartedAt       int64  `bun:"started_at"`
	ClaimedUntil    int64  `bun:"claimed_until"`
}

// theRescreening is the id of the only row.
const theRescreening = "contacts"

var (
	rescreenings  = versionedOf[rescreeningRow]("rescreenings")
	screeningsDue = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*screeningRow)(nil)).OrderExpr("requested_at, contact_id LIMIT ?", b.arg("limit"))
	})
	addScreeningDue = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*screeningRow)(nil)).On("CONFLICT (contact_id) DO UPDATE"), "requested_at")
	})
	screeningDone = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*screeningRow)(nil)).Where("contact_id = ?", b.arg("id")).Where("requested_at = ?", b.arg("requested_at"))
	})
)

// screeningRow asks for the comparison of a contact with the lists.
type screeningRow struct {
	bun.BaseModel `bun:"table:screenings_due"`

	ContactID   string `bun:"contact_id,pk"`
	RequestedAt int64  `bun:"requested_at"`
}

// Rescreening returns the progress of the re-screening.
func (d *DB) Rescreening(ctx context.Context) (*domain.Rescreening, error) {
	row, found, err := queryOne[rescreeningRow](ctx, d, rescreenings.byID, with("id", theRescreening))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	return &domain.Rescreening{
		From:    domain.ListPosition{Watch: row.FromWatch, Institution: row.FromInstitution},
		To:      domain.ListPosition{Watch: row.ToWatch, Institution: row.ToInstitution},
		Running: row.Running, After: row.After, Contacts: row.Contacts, Reports: row.Reports, Version: row.Version,
		StartedAt: instant(row.StartedAt), ClaimedUntil: instant(row.ClaimedUntil),
	}, nil
}

// SaveRescreening stores the progress of the re-screening.
func (d *DB) SaveRescreening(ctx context.Context, r *domain.Rescreening) error {
	row := &rescreeningRow{
		ID: theRescreening, Version: r.Version + 1, FromWatch: r.From.Watch, FromInstitution: r.From.Institution, ToWatch: r.To.Watch,
		ToInstitution: r.To.Institution, Running: r.Running, After: r.After, Contacts: r.Contacts, Reports: r.Reports,
		StartedAt: micros(r.StartedAt), ClaimedUntil: micros(r.ClaimedUntil),
	}
	s := rescreenings.update
	if r.Version == 0 {
		s = rescreenings.insert
	}
	if _, err := d.writeRow(ctx, s, row, domain.ErrStale, with("id", row.ID), with("version", r.Version)); err != nil {
		return err
	}
	r.Version++
	return nil
}

// ScreeningsDue returns the oldest contacts to compare with the lists.
func (d *DB) ScreeningsDue(ctx context.Context, limit int) ([]domain.ScreeningDue, error) {
	rows, err := query[screeningRow](ctx, d, screeningsDue, with("limit", limit))
	if err != nil {
		return nil, err
	}
	out := make([]domain.ScreeningDue, 0, len(rows))
	for _, row := range rows {
		out = append(out, domain.ScreeningDue{ContactID: row.ContactID, RequestedAt: instant(row.RequestedAt)})
	}
	return out, nil
}

// ScreeningDone removes a request, unless it was made again.
func (d *DB) ScreeningDone(ctx context.Context, due domain.ScreeningDue) error {
	return d.write(ctx, screeningDone, nil, with("id", due.ContactID), with("requested_at", micros(due.RequestedAt)))
}
