package db

import (
	"context"
	"errors"
	"time"

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

// CreateAPIKey stores the hash of a key; ErrNameTaken where a good key has the name. The name of a revoked key is free
// again: its row becomes that of the new key, and its hash is gone.
func (d *DB) CreateAPIKey(ctx context.Context, name string, hash []byte, now time.Time) error {
	return d.run(ctx, []step{{
		text: "INSERT INTO api_keys (name, hash, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE " +
			"SET hash = excluded.hash, created_at = excluded.created_at, revoked_at = NULL WHERE api_keys.revoked_at IS NOT NULL",
		args: []any{name, hash, micros(now)}, miss: ErrNameTaken,
	}})
}

// ListAPIKeys lists all keys by name, revoked ones too.
func (d *DB) ListAPIKeys(ctx context.Context) ([]APIKey, error) {
	var rows []struct {
		Name      string `bun:"name"`
		CreatedAt int64  `bun:"created_at"`
		RevokedAt *int64 `bun:"revoked_at"`
	}
	if err := d.query(ctx, &rows, "SELECT name, created_at, revoked_at FROM api_keys ORDER BY name"); err != nil {
		return nil, err
	}
	out := make([]APIKey, 0, len(rows))
	for _, r := range rows {
		out = append(out, APIKey{Name: r.Name, CreatedAt: instant(r.CreatedAt), RevokedAt: maybeInstant(r.RevokedAt)})
	}
	return out, nil
}

// RevokeAPIKey ends a key; found is false where no good key has the name.
func (d *DB) RevokeAPIKey(ctx context.Context, name string) (found bool, err error) {
	if !storable(name) {
		return false, nil
	}
	err = d.run(ctx, []step{{
		text: "UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
		args: []any{micros(d.options.Now()), name}, miss: domain.ErrMissing,
	}})
	if errors.Is(err, domain.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// APIKey finds the name of the good key with the hash.
func (d *DB) APIKey(ctx context.Context, hash []byte) (name string, found bool, err error) {
	var names []string
	if err := d.query(ctx, &names, "SELECT name FROM api_keys WHERE hash = ? AND revoked_at IS NULL", hash); err != nil || len(names) == 0 {
		return "", false, err
	}
	return names[0], true, nil
}
