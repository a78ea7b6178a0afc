package db

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// verificationKeyRow is the key that signs verification tokens, sealed.
type verificationKeyRow struct {
	bun.BaseModel `bun:"table:verification_keys"`

	ID         int64  `bun:"id,pk"`
	PrivateKey []byte `bun:"private_key"`
	CreatedAt  int64  `bun:"created_at"`
}

var (
	readVerificationKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*verificationKeyRow)(nil)).Where("id = 1")
	})
	addVerificationKey = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*verificationKeyRow)(nil)) })
)

// VerificationKey returns the private key that signs verification tokens. The first caller creates it.
func (d *DB) VerificationKey(ctx context.Context, fresh []byte) ([]byte, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	const table, column = "verification_keys", "private_key"
	sealed, err := keys.Seal(fresh, table, "1", column)
	if err != nil {
		return nil, err
	}
	row := &verificationKeyRow{ID: 1, PrivateKey: sealed, CreatedAt: micros(d.options.Now())}
	if _, err := d.writeRow(ctx, addVerificationKey, row, nil); err != nil {
		return nil, err
	}
	kept, found, err := queryOne[verificationKeyRow](ctx, d, readVerificationKey)
	if err == nil && !found {
		err = errors.New("db: the key that signs verification tokens is missing")
	}
	if err != nil {
		return nil, err
	}
	return keys.Open(kept.PrivateKey, table, "1", column)
}
