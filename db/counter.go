package db

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// counterRow counts the units written with a key.
type counterRow struct {
	bun.BaseModel `bun:"table:turns"`

	Key   []byte `bun:"key,pk"`
	Taken int64  `bun:"taken"`
}

var (
	readCounter = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*counterRow)(nil)).Where("key = ?", b.arg("key"))
	})
	// countUnit increments a counter, unless another unit has incremented it.
	countUnit = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*counterRow)(nil)).On("CONFLICT (key) DO UPDATE"), "taken").Where("?TableAlias.taken = ?", b.arg("was"))
	})
)

// Turn returns the number of units written with a key.
func (d *DB) Turn(ctx context.Context, key []byte) (domain.Counter, error) {
	row, _, err := queryOne[counterRow](ctx, d, readCounter, with("key", key))
	return domain.Counter{Key: key, Was: row.Taken}, err
}

// count increments a counter.
func (u *unit) count(t domain.Counter) {
	u.addRow(countUnit, &counterRow{Key: t.Key, Taken: t.Was + 1}, domain.ErrStale, with("was", t.Was))
}
