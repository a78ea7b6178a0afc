package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// ErrNameTaken reports that an active key has the name.
var ErrNameTaken = errors.New("db: an active key has this name")

// APIKey is a client key. Only its hash is stored.
type APIKey struct {
	Name      string
	CreatedAt time.Time
	// RevokedAt is zero while the key is active.
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

// CreateAPIKey stores the hash of a key. It returns ErrNameTaken if an active key has the name. The name of a revoked
// key can be reused: the new key replaces its row, including the hash.
func (d *DB) CreateAPIKey(ctx context.Context, name string, hash []byte, now time.Time) error {
	_, err := d.writeRow(ctx, addAPIKey, &apiKeyRow{Name: name, Hash: hash, CreatedAt: micros(now)}, ErrNameTaken)
	return err
}

// ListAPIKeys lists all keys by name, including revoked ones.
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

// RevokeAPIKey revokes a key; found is false if no active key has the name.
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

// APIKey returns the name of the active key with the hash.
func (d *DB) APIKey(ctx context.Context, hash []byte) (name string, found bool, err error) {
	return queryOne[string](ctx, d, apiKeyByHash, with("hash", hash))
}
