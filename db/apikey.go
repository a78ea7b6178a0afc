package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// ErrNameTaken says that there is a key of that name already.
var ErrNameTaken = errors.New("db: there is a key of that name already")

// APIKey is a client key. Only its hash is stored.
type APIKey struct {
	Name      string
	CreatedAt time.Time
	// RevokedAt is zero while the key is good.
	RevokedAt time.Time
}

// apiKeyRow is a client key.
type apiKeyRow struct {
	bun.BaseModel `bun:"table:api_keys"`

	Name      string `bun:"name,pk"`
	Hash      []byte `bun:"hash"`
	CreatedAt int64  `bun:"created_at"`
	RevokedAt *int64 `bun:"revoked_at"`
}

var (
	// addAPIKey adds a key, or replaces the revoked one of its name.
	addAPIKey = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*apiKeyRow)(nil)).On("CONFLICT (name) DO UPDATE"), "hash", "created_at", "revoked_at").
			Where("?TableAlias.revoked_at IS NOT NULL")
	})
	allAPIKeys = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*apiKeyRow)(nil)).Column("name", "created_at", "revoked_at").OrderExpr("name")
	})
	revokeAPIKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*apiKeyRow)(nil)).Set("revoked_at = ?", b.arg("at")).Where("name = ? AND revoked_at IS NULL", b.arg("name"))
	})
	apiKeyByHash = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*apiKeyRow)(nil)).Column("name").Where("hash = ? AND revoked_at IS NULL", b.arg("hash"))
	})
)

// CreateAPIKey stores the hash of a key; ErrNameTaken if a valid key has the name. The name of a revoked key is free
// again: its row becomes that of the new key, and its hash is gone.
func (d *DB) CreateAPIKey(ctx context.Context, name string, hash []byte, now time.Time) error {
	_, err := d.writeRow(ctx, addAPIKey, &apiKeyRow{Name: name, Hash: hash, CreatedAt: micros(now)}, ErrNameTaken)
	return err
}

// ListAPIKeys lists all keys by name, revoked ones too.
func (d *DB) ListAPIKeys(ctx context.Context) ([]APIKey, error) {
	rows, err := query[apiKeyRow](ctx, d, allAPIKeys)
	if err != nil {
		return nil, err
	}
	out := make([]APIKey, 0, len(rows))
	for _, r := range rows {
		out = append(out, APIKey{Name: r.Name, CreatedAt: instant(r.CreatedAt), RevokedAt: maybeInstant(r.RevokedAt)})
	}
	return out, nil
}

// RevokeAPIKey ends a key; found is false if no valid key has the name.
func (d *DB) RevokeAPIKey(ctx context.Context, name string) (found bool, err error) {
	if !storable(name) {
		return false, nil
	}
	err = d.write(ctx, revokeAPIKey, domain.ErrMissing, with("name", name), with("at", micros(d.options.Now())))
	if errors.Is(err, domain.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// APIKey finds the name of the valid key with the hash.
func (d *DB) APIKey(ctx context.Context, hash []byte) (name string, found bool, err error) {
	return queryOne[string](ctx, d, apiKeyByHash, with("hash", hash))
}
