package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// limitRow counts the calls of a key.
type limitRow struct {
	bun.BaseModel `bun:"table:limits"`

	Key          []byte `bun:"key,pk"`
	WindowStart  int64  `bun:"window_start"`
	Count        int    `bun:"count"`
	BlockedUntil int64  `bun:"blocked_until"`
	KeepUntil    int64  `bun:"keep_until"`
}

var (
	// takeLimit counts one call. It locks the row, so the count is exact across all instances. A blocked key does not
	// change. In a new window, and after a block, the count restarts. The call that exceeds the limit starts the block.
	// A window that started at or before "over" has ended.
	takeLimit = returning(func(b *builder) schema.QueryAppender {
		now, over, limit, end := b.arg("now"), b.arg("over"), b.arg("limit"), b.arg("block_end")
		return replace(newRow(b, (*limitRow)(nil), "blocked_until").On("CONFLICT (key) DO UPDATE"), "keep_until").
			Set("window_start = CASE WHEN ?TableAlias.blocked_until <= ? AND (?TableAlias.window_start <= ? OR ?TableAlias.blocked_until > 0) "+
				"THEN excluded.window_start ELSE ?TableAlias.window_start END", now, over).
			Set("count = CASE WHEN ?TableAlias.blocked_until > ? THEN ?TableAlias.count "+
				"WHEN ?TableAlias.window_start <= ? OR ?TableAlias.blocked_until > 0 THEN 1 "+
				"WHEN ?TableAlias.count < ? THEN ?TableAlias.count + 1 ELSE ?TableAlias.count END", now, over, limit).
			Set("blocked_until = CASE WHEN ?TableAlias.blocked_until > ? THEN ?TableAlias.blocked_until "+
				"WHEN ?TableAlias.window_start <= ? OR ?TableAlias.blocked_until > 0 OR ?TableAlias.count < ? THEN 0 "+
				"WHEN CAST(? AS BIGINT) > 0 THEN CAST(? AS BIGINT) ELSE ?TableAlias.window_start + CAST(? AS BIGINT) END",
				now, over, limit, end, end, b.arg("per"))
	})
	readLimit = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*limitRow)(nil)).Where("key = ?", b.arg("key"))
	})
)

// Take counts one call of the key in a separate transaction.
func (d *DB) Take(ctx context.Context, key []byte, rate domain.Rate, block time.Duration) (bool, time.Time, error) {
	now := d.options.Now().UTC().Truncate(time.Microsecond)
	if rate.Limit <= 0 {
		return false, now.Add(max(rate.Per, block)), nil
	}
	var blockEnd int64
	if block > 0 {
		blockEnd = micros(now.Add(block))
	}
	row := &limitRow{Key: key, WindowStart: micros(now), Count: 1, KeepUntil: micros(now.Add(rate.Per + block))}
	result, err := d.writeRow(ctx, takeLimit, row, nil, with("now", micros(now)), with("over", micros(now.Add(-rate.Per))),
		with("limit", rate.Limit), with("block_end", blockEnd), with("per", rate.Per.Microseconds()))
	if err != nil {
		return false, time.Time{}, err
	}
	rows, err := rowsOf[int64](d, result)
	if err != nil {
		return false, time.Time{}, err
	}
	if rows[0] > micros(now) {
		return false, instant(rows[0]), nil
	}
	return true, time.Time{}, nil
}

// Peek reports whether the rate permits a call of the key. It counts nothing.
func (d *DB) Peek(ctx context.Context, key []byte, rate domain.Rate) (bool, time.Time, error) {
	now := d.options.Now().UTC().Truncate(time.Microsecond)
	row, found, err := queryOne[limitRow](ctx, d, readLimit, with("key", key))
	if err != nil {
		return false, time.Time{}, err
	}
	if !found {
		return rate.Limit > 0, now.Add(rate.Per), nil
	}
	if until := instant(row.BlockedUntil); until.After(now) {
		return false, until, nil
	}
	if until := instant(row.WindowStart).Add(rate.Per); row.Count >= rate.Limit && until.After(now) {
		return false, until, nil
	}
	return true, time.Time{}, nil
}
