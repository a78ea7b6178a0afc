package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// SigningKey is a key that signs session and template tokens. The private half is sealed, and is deleted when the key
// becomes old.
type SigningKey struct {
	ID        string
	Algorithm string
	// Role is next, current or old. At most one key is next, and at most one current.
	Role string
	// Public and Private are JWKs.
	Public, Private []byte
	CreatedAt       time.Time
	// SignsFrom, RetiredAt and LastExpiry are zero if not set.
	SignsFrom, RetiredAt, LastExpiry time.Time
}

// SigningKeyChange moves keys from one role to the next.
type SigningKeyChange struct {
	// Drop removes a next key, Retire makes the current key old, Promote makes a next key current.
	Drop, Retire, Promote string
	Add                   []SigningKey
	At                    time.Time
	// Forget removes old keys that were retired, and whose tokens had expired, at this time.
	Forget time.Time
}

// signingKeyRow is a signing key.
type signingKeyRow struct {
	bun.BaseModel `bun:"table:signing_keys"`

	ID         string `bun:"id,pk"`
	Algorithm  string `bun:"algorithm"`
	Role       string `bun:"role"`
	PublicKey  string `bun:"public_key"`
	PrivateKey []byte `bun:"private_key"`
	CreatedAt  int64  `bun:"created_at"`
	SignsFrom  *int64 `bun:"signs_from"`
	RetiredAt  *int64 `bun:"retired_at"`
	LastExpiry *int64 `bun:"last_expiry"`
}

// record opens the row.
func (r *signingKeyRow) record(keys *seal.Keyring) (SigningKey, error) {
	k := SigningKey{
		ID: r.ID, Algorithm: r.Algorithm, Role: r.Role, Public: []byte(r.PublicKey), CreatedAt: instant(r.CreatedAt),
		SignsFrom: maybeInstant(r.SignsFrom), RetiredAt: maybeInstant(r.RetiredAt), LastExpiry: maybeInstant(r.LastExpiry),
	}
	if r.PrivateKey == nil {
		return k, nil
	}
	var err error
	k.Private, err = keys.Open(r.PrivateKey, "signing_keys", r.ID, "private_key")
	return k, err
}

// signingKeyRowOf seals the private half.
func signingKeyRowOf(keys *seal.Keyring, k SigningKey) (*signingKeyRow, error) {
	sealed, err := keys.Seal(k.Private, "signing_keys", k.ID, "private_key")
	return &signingKeyRow{
		ID: k.ID, Algorithm: k.Algorithm, Role: k.Role, PublicKey: string(k.Public), PrivateKey: sealed, CreatedAt: micros(k.CreatedAt),
		SignsFrom: maybeMicros(k.SignsFrom), RetiredAt: maybeMicros(k.RetiredAt), LastExpiry: maybeMicros(k.LastExpiry),
	}, err
}

var (
	addSigningKey  = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*signingKeyRow)(nil)) })
	allSigningKeys = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*signingKeyRow)(nil)).OrderExpr("created_at DESC, id DESC")
	})
	forgetSigningKeys = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*signingKeyRow)(nil)).Where("role = 'old' AND retired_at <= ?", b.arg("at")).
			Where("last_expiry IS NULL OR last_expiry <= ?", b.arg("at"))
	})
	dropSigningKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*signingKeyRow)(nil)).Where("id = ? AND role = 'next'", b.arg("id"))
	})
	retireSigningKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*signingKeyRow)(nil)).Set("role = 'old'").Set("private_key = NULL").Set("retired_at = ?", b.arg("at")).
			Where("id = ? AND role = 'current'", b.arg("id"))
	})
	promoteSigningKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*signingKeyRow)(nil)).Set("role = 'current'").Set("signs_from = ?", b.arg("at")).
			Where("id = ? AND role = 'next'", b.arg("id"))
	})
	extendSigningKey = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*signingKeyRow)(nil)).
			Set("last_expiry = CASE WHEN last_expiry > ? THEN last_expiry ELSE ? END", b.arg("at"), b.arg("at")).Where("id = ?", b.arg("id"))
	})
)

// SigningKeys returns all signing keys, newest first.
func (d *DB) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := query[signingKeyRow](ctx, d, allSigningKeys)
	if err != nil {
		return nil, err
	}
	out := make([]SigningKey, 0, len(rows))
	for i := range rows {
		k, err := rows[i].record(keys)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// ChangeSigningKeys returns domain.ErrStale, and changes nothing, if a key does not have the role that the change
// expects or if the role of an added key is taken. If several callers change the keys at the same time, one succeeds.
func (d *DB) ChangeSigningKeys(ctx context.Context, c SigningKeyChange) error {
	keys, err := d.keys(ctx)
	if err != nil {
		return err
	}
	u := &unit{db: d}
	u.add(forgetSigningKeys, nil, with("at", micros(c.Forget)))
	for _, move := range []struct {
		statement *statement
		id        string
	}{{dropSigningKey, c.Drop}, {retireSigningKey, c.Retire}, {promoteSigningKey, c.Promote}} {
		if move.id != "" {
			u.add(move.statement, domain.ErrStale, with("id", move.id), with("at", micros(c.At)))
		}
	}
	for _, k := range c.Add {
		row, err := signingKeyRowOf(keys, k)
		if err != nil {
			return err
		}
		u.addRow(addSigningKey, row, domain.ErrStale)
	}
	_, err = u.write(ctx)
	return err
}

// ExtendSigningKey records that tokens of the key are valid at least until the given time. It returns domain.ErrMissing
// if the key does not exist.
func (d *DB) ExtendSigningKey(ctx context.Context, id string, lastExpiry time.Time) error {
	return d.write(ctx, extendSigningKey, domain.ErrMissing, with("id", id), with("at", micros(lastExpiry)))
}
