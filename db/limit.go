package db

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// takeText counts one call. The row is locked while it is decided, so the count is exact over all instances. A
// blocked key stays as it is; in a new window, and after a block, the count begins again; the call over the limit
// begins the block.
const takeText = `INSERT INTO limits AS l (key, window_start, count, blocked_until, keep_until) VALUES (?, ?, 1, 0, ?)
  ON CONFLICT (key) DO UPDATE SET
    window_start = CASE WHEN l.blocked_until <= ? AND (l.window_start <= ? OR l.blocked_until > 0) THEN excluded.window_start ELSE l.window_start END,
    count = CASE WHEN l.blocked_until > ? THEN l.count WHEN l.window_start <= ? OR l.blocked_until > 0 THEN 1 WHEN l.count < ? THEN l.count + 1 ELSE l.count END,
    blocked_until = CASE WHEN l.blocked_until > ? THEN l.blocked_until WHEN l.window_start <= ? OR l.blocked_until > 0 OR l.count < ? THEN 0
      WHEN CAST(? AS BIGINT) > 0 THEN CAST(? AS BIGINT) ELSE l.window_start + CAST(? AS BIGINT) END,
    keep_until = excluded.keep_until
  RETURNING blocked_until`

// Take counts one call of the key, in a transaction of its own.
func (d *DB) Take(ctx context.Context, key []byte, rate domain.Rate, block time.Duration) (bool, time.Time, error) {
	now := d.options.Now().UTC().Truncate(time.Microsecond)
	if rate.Limit <= 0 {
		return false, now.Add(max(rate.Per, block)), nil
	}
	at, over := micros(now), micros(now.Add(-rate.Per)) // a window that began then is over
	var blockEnd int64
	if block > 0 {
		blockEnd = micros(now.Add(block))
	}
	args := []any{
		key, at, micros(now.Add(rate.Per + block)),
		at, over,
		at, over, rate.Limit,
		at, over, rate.Limit, blockEnd, blockEnd, rate.Per.Microseconds(),
	}
	var until int64
	if err := d.writeOne(ctx, &until, takeText, args...); err != nil {
		return false, time.Time{}, err
	}
	if until > at {
		return false, instant(until), nil
	}
	return true, time.Time{}, nil
}
