package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// idempotencyRow is an idempotency record.
type idempotencyRow struct {
	bun.BaseModel `bun:"table:idempotency_keys"`

	Key         []byte `bun:"key,pk"`
	Fingerprint []byte `bun:"fingerprint"`
	Operation   string `bun:"operation"`
	SubjectID   string `bun:"subject_id"`
	Code        string `bun:"code"`
	Detail      string `bun:"detail"`
	Path        string `bun:"path"`
	Attributes  string `bun:"attributes"`
	AvailableAt *int64 `bun:"available_at"`
	CreatedAt   int64  `bun:"created_at"`
	ExpiresAt   int64  `bun:"expires_at"`
}

var (
	// addIdempotencyRecord stores a record if its key is unused or has expired.
	addIdempotencyRecord = fixed(func(b *builder) schema.QueryAppender {
		model := (*idempotencyRow)(nil)
		q := newRow(b, model).On("CONFLICT (key) DO UPDATE")
		for _, f := range b.table(model).DataFields {
			replace(q, f.Name)
		}
		return q.Where("?TableAlias.expires_at <= excluded.created_at")
	}).locking("idempotency_keys", "key").alone()
	readIdempotencyRecord = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*idempotencyRow)(nil)).Where("key = ? AND expires_at > ?", b.arg("key"), b.arg("now"))
	})
)

func (w *unit) remember(m *domain.IdempotencyRecord) error {
	path, err := json.Marshal(m.Path)
	if err != nil {
		return err
	}
	attributes, err := json.Marshal(m.Attributes)
	if err != nil {
		return err
	}
	w.addRow(addIdempotencyRecord, &idempotencyRow{
		Key: m.Key, Fingerprint: m.Fingerprint, Operation: m.Operation, SubjectID: m.SubjectID, Code: m.Code, Detail: m.Detail,
		Path: string(path), Attributes: string(attributes), AvailableAt: maybeMicros(m.AvailableAt),
		CreatedAt: micros(m.CreatedAt), ExpiresAt: micros(m.ExpiresAt),
	}, domain.ErrRemembered, with("key", m.Key))
	return nil
}

// Recall returns the record of an idempotency key.
func (d *DB) Recall(ctx context.Context, key []byte, now time.Time) (*domain.IdempotencyRecord, error) {
	row, found, err := queryOne[idempotencyRow](ctx, d, readIdempotencyRecord, with("key", key), with("now", micros(now)))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	m := &domain.IdempotencyRecord{
		Key: row.Key, Fingerprint: row.Fingerprint, Operation: row.Operation, SubjectID: row.SubjectID, Code: row.Code,
		Detail: row.Detail, AvailableAt: maybeInstant(row.AvailableAt), CreatedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt),
	}
	if err := json.Unmarshal([]byte(row.Path), &m.Path); err != nil {
		return nil, err
	}
	return m, json.Unmarshal([]byte(row.Attributes), &m.Attributes)
}
