package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

const (
	// keepSent is the time for which the state of a sent message can be queried.
	keepSent = 30 * 24 * time.Hour
	// keepDecoys is arbitrary: decoys are never read.
	keepDecoys = time.Hour
	// keepChallenges is the lifetime of an idempotency key: a repetition of the call that created a challenge must find
	// it.
	keepChallenges = 24 * time.Hour
	// purgeSize keeps each transaction short.
	purgeSize = 1000
)

// purge selects the rows that are deleted at some time.
type purge struct {
	*statement
	keep time.Duration
}

// purgeOf deletes rows of the model in batches. The condition is repeated in the DELETE, because on PostgreSQL a row
// may have changed since it was selected.
func purgeOf(model any, key, where string, args int, keep time.Duration) purge {
	return purge{fixed(func(b *builder) schema.QueryAppender {
		times := make([]any, args)
		for i := range times {
			times[i] = b.arg("at")
		}
		portion := b.NewSelect().Model(model).Column(key).Where(where, times...).Limit(purgeSize)
		return b.NewDelete().Model(model).Where("? IN (?)", bun.Ident(key), portion).Where(where, times...)
	}), keep}
}

var purges = []purge{
	purgeOf((*idempotencyRow)(nil), "key", "expires_at <= ?", 1, 0),
	purgeOf((*limitRow)(nil), "key", "keep_until <= ? AND blocked_until <= ?", 2, 0),
	purgeOf((*messageRow)(nil), "id", "state = 'sent' AND ended_at <= ?", 1, keepSent),
	purgeOf((*challengeRow)(nil), "id", "expires_at <= ?", 1, keepChallenges),
	purgeOf((*decoyEventRow)(nil), "seq", "occurred_at <= ?", 1, keepDecoys),
}

// Purge deletes expired data: idempotency records, limit counters, sent messages, challenges and decoy events.
func (d *DB) Purge(ctx context.Context, now time.Time) error {
	for _, p := range purges {
		for {
			result, err := d.writeOne(ctx, p.statement, nil, with("at", micros(now.Add(-p.keep))))
			if err != nil {
				return err
			}
			if result.Changed < purgeSize {
				break
			}
		}
	}
	return nil
}
