package db

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// entryRow is the stored form of a list entry. Even the fact that a person is on a list is personal data.
type entryRow struct {
	bun.BaseModel `bun:"table:list_entries"`

	ID          string `bun:"id,pk"`
	List        string `bun:"list"`
	Content     []byte `bun:"content"`
	Fingerprint []byte `bun:"fingerprint"`
	Seq         int64  `bun:"seq"`
}

const entriesTable = "list_entries"

// entryContent is the sealed part of a list entry.
type entryContent struct {
	Value  string   `json:"value"`
	Births []string `json:"births,omitempty"`
}

// listImportRow contains the sequence number of the newest list import.
type listImportRow struct {
	bun.BaseModel `bun:"table:list_imports"`

	ID  int64 `bun:"id,pk"`
	Seq int64 `bun:"seq"`
}

var (
	readListSeq = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*listImportRow)(nil)).Column("seq").Where("id = 1")
	})
	countListImport = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*listImportRow)(nil)).Set("seq = seq + 1").Where("id = 1")
	})
	entriesAfter = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*entryRow)(nil)).Where("(seq, id) > (?, ?)", b.arg("seq"), b.arg("id")).
			OrderExpr("seq, id LIMIT ?", b.arg("limit"))
	})
	// importEntry adds an entry, or replaces the one with its id if the data differs.
	importEntry = fixed(func(b *builder) schema.QueryAppender {
		seq := b.NewSelect().Model((*listImportRow)(nil)).Column("seq").Where("id = 1")
		q := newRow(b, (*entryRow)(nil)).Value("seq", "(?)", seq).On("CONFLICT (id) DO UPDATE")
		return replace(q, "list", "content", "fingerprint", "seq").Where("?TableAlias.fingerprint <> excluded.fingerprint")
	})
)

// ListSeq returns the sequence number of the newest import that contained list entries.
func (d *DB) ListSeq(ctx context.Context) (int64, error) {
	seq, _, err := queryOne[int64](ctx, d, readListSeq)
	return seq, err
}

// ListEntries returns entries ordered by import and id, starting after a position in that order.
func (d *DB) ListEntries(ctx context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := query[entryRow](ctx, d, entriesAfter, with("seq", afterSeq), with("id", afterID), with("limit", limit))
	if err != nil {
		return nil, err
	}
	out := make([]*domain.ListEntry, 0, len(rows))
	for _, row := range rows {
		s := sealer{keys: keys, table: entriesTable, id: row.ID}
		var content entryContent
		s.openJSON("content", row.Content, &content)
		if s.err != nil {
			return nil, s.err
		}
		out = append(out, &domain.ListEntry{
			Entry: risk.Entry{ID: row.ID, List: risk.List(row.List), Value: content.Value, Births: content.Births}, Seq: row.Seq,
		})
	}
	return out, nil
}

func entryRowOf(keys *seal.Keyring, r *domain.ListEntry) (*entryRow, error) {
	s := sealer{keys: keys, table: entriesTable, id: r.ID}
	content := entryContent{Value: r.Value, Births: r.Births}
	print, err := fingerprint(keys, "list entry", r.List, content)
	row := &entryRow{ID: r.ID, List: string(r.List), Content: s.sealJSON("content", content), Fingerprint: print}
	return row, errors.Join(s.err, err)
}
