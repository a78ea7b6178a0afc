package db

import (
	"context"
	"time"
)

const (
	// keepSent is how long it can be looked up that a message was sent.
	keepSent = 30 * 24 * time.Hour
	// keepDecoys is as good as any; nobody reads them.
	keepDecoys = time.Hour
	// keepChallenges is how long a repeat of the call that made a challenge finds it: as long as an idempotency key.
	keepChallenges = 24 * time.Hour
	// purgeSize keeps each transaction short.
	purgeSize = 1000
)

// Purge removes what has run out: idempotency keys, counters of limits, sent messages, traces of decoys.
func (d *DB) Purge(ctx context.Context, now time.Time) error {
	for _, of := range []struct {
		table, key, where string
		args              []any
	}{
		{"idempotency_keys", "key", "expires_at <= ?", []any{micros(now)}},
		{"limits", "key", "keep_until <= ? AND blocked_until <= ?", []any{micros(now), micros(now)}},
		{"messages", "id", "state = 'sent' AND ended_at <= ?", []any{micros(now.Add(-keepSent))}},
		{"device_challenges", "id", "expires_at <= ?", []any{micros(now.Add(-keepChallenges))}},
		{"decoy_events", "seq", "occurred_at <= ?", []any{micros(now.Add(-keepDecoys))}},
	} {
		text := "DELETE FROM " + of.table + " WHERE " + of.key + " IN (SELECT " + of.key + " FROM " + of.table +
			" WHERE " + of.where + " LIMIT ?)"
		// Asked again where the row goes: on PostgreSQL it may have changed since the SELECT.
		text += " AND " + of.where
		for {
			var gone int64
			err := d.write(ctx, func(t tx) (err error) {
				gone, err = t.exec(text, append(append(append([]any{}, of.args...), purgeSize), of.args...)...)
				return err
			})
			if err != nil {
				return err
			}
			if gone < purgeSize {
				break
			}
		}
	}
	return nil
}
