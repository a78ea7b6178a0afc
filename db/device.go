package db

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// deviceRow is the stored form of a device. Its name is sealed.
type deviceRow struct {
	bun.BaseModel `bun:"table:devices"`

	ID          string `bun:"id,pk"`
	Version     int    `bun:"version"`
	CreatedAt   int64  `bun:"created_at"`
	UpdatedAt   int64  `bun:"updated_at"`
	State       string `bun:"state"`
	CustomerID  string `bun:"customer_id"`
	Name        []byte `bun:"name"`
	PublicKey   []byte `bun:"public_key"`
	Fingerprint string `bun:"fingerprint"`
	Algorithm   string `bun:"algorithm"`
	RevokedAt   *int64 `bun:"revoked_at"`
}

const devicesTable = "devices"

func deviceRowOf(keys *seal.Keyring, r *domain.Device) (*deviceRow, error) {
	s := sealer{keys: keys, table: devicesTable, id: r.ID}
	row := &deviceRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Name: s.seal("name", r.Name), PublicKey: r.PublicKey, Fingerprint: r.Fingerprint,
		Algorithm: string(r.Algorithm), RevokedAt: microsOf(r.RevokedAt),
	}
	return row, s.err
}

func deviceRecord(keys *seal.Keyring, row *deviceRow) (*domain.Device, error) {
	s := sealer{keys: keys, table: devicesTable, id: row.ID}
	r := &domain.Device{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.DeviceState(row.State), CustomerID: row.CustomerID, Name: s.open("name", row.Name), PublicKey: row.PublicKey,
		Fingerprint: row.Fingerprint, Algorithm: domain.KeyAlgorithm(row.Algorithm), RevokedAt: instantOf(row.RevokedAt),
	}
	return r, s.err
}

// Devices returns the store of devices.
func (d *DB) Devices() domain.Shelf[domain.Device] { return devices.on(d) }

var devices = recordsOf(&kind[domain.Device, deviceRow]{
	table: versionedOf[deviceRow](devicesTable), schema: domain.DeviceSchema, read: domain.DeviceValue, record: deviceRecord, row: deviceRowOf,
	columns: map[string]column{
		"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "fingerprint": {name: "fingerprint"},
		"createdAt": {name: "created_at"},
	},
})

// importedDevice replaces the device with an id. A revoked device stays revoked, and no customer gets the same key
// twice.
var importedDevice = fixed(func(b *builder) schema.QueryAppender {
	model := (*deviceRow)(nil)
	of := func(name string) schema.QueryAppender { return b.column(b.table(model).FieldMap[name]) }
	q := b.NewUpdate().Model(model).Set("version = version + 1")
	for _, name := range []string{"customer_id", "public_key", "fingerprint", "algorithm", "updated_at"} {
		q.Set("? = ?", bun.Ident(name), of(name))
	}
	same := b.NewSelect().Model(model).ModelTableExpr("? AS o", bun.Ident(devicesTable)).ColumnExpr("1").
		Where("o.customer_id = ? AND o.fingerprint = ? AND o.state = 'registered'", of("customer_id"), of("fingerprint"))
	return q.Where("id = ? AND state = 'registered'", of("id")).
		Where("customer_id <> ? OR fingerprint <> ?", of("customer_id"), of("fingerprint")).Where("NOT EXISTS (?)", same)
})

// importDevice adds a device, or replaces the one with its id.
func (u *unit) importDevice(keys *seal.Keyring, r *domain.Device) error {
	row, err := deviceRowOf(keys, r)
	u.addRow(importedDevice, row, nil)
	u.addRow(devices.insert, row, nil)
	return err
}

// challengeRow is the stored form of a challenge.
type challengeRow struct {
	bun.BaseModel `bun:"table:device_challenges"`

	ID           string `bun:"id,pk"`
	CreatedAt    int64  `bun:"created_at"`
	CustomerID   string `bun:"customer_id"`
	DeviceID     string `bun:"device_id"`
	UsernameHash []byte `bun:"username_hash"`
	ExpiresAt    int64  `bun:"expires_at"`
	UsedAt       *int64 `bun:"used_at"`
	UsedBy       []byte `bun:"used_by"`
}

func (row *challengeRow) record() *domain.DeviceChallenge {
	return &domain.DeviceChallenge{
		ID: row.ID, CustomerID: row.CustomerID, DeviceID: row.DeviceID, UsernameHash: row.UsernameHash,
		CreatedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt), UsedAt: instantOf(row.UsedAt),
	}
}

var (
	challengeByID = byIDOf[challengeRow]()
	addChallenge  = insertOf[challengeRow]("device_challenges")
	// lockDevice locks a registered device until the end of the transaction.
	lockDevice = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*deviceRow)(nil)).Set("version = version").Where("id = ? AND state = 'registered'", b.arg("device"))
	})
	// dropChallenges deletes the oldest open challenges of a device above the limit, not counting the new one.
	dropChallenges = fixed(func(b *builder) schema.QueryAppender {
		model := (*challengeRow)(nil)
		newest := b.NewSelect().Model(model).Column("id").Where("device_id = ? AND used_at IS NULL", b.arg("device")).
			Where("expires_at > ? AND id <> ?", b.arg("now"), b.arg("id")).OrderExpr("created_at DESC, id DESC LIMIT ?", b.arg("limit"))
		return b.NewDelete().Model(model).Where("device_id = ? AND used_at IS NULL AND id <> ?", b.arg("device"), b.arg("id")).
			Where("id NOT IN (?)", newest)
	})
	// useChallenge marks a challenge as used. The same call, identified by its hash, may use it again.
	useChallenge = returning(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*challengeRow)(nil)).
			Set("used_at = COALESCE(used_at, ?)", b.arg("at")).Set("used_by = COALESCE(used_by, ?)", b.arg("by")).
			Where("id = ? AND customer_id = ? AND username_hash = ?", b.arg("id"), b.arg("customer"), b.arg("username")).
			Where("expires_at > ?", b.arg("at")).Where("used_at IS NULL OR used_by = ? AND length(used_by) > 0", b.arg("by")).
			Returning("*")
	})
)

// newChallenge adds a challenge. It locks the row of the device first, so that concurrent calls do not exceed the limit
// and no challenge is created for a device that is being revoked.
func (u *unit) newChallenge(r *domain.DeviceChallenge) {
	row := &challengeRow{
		ID: r.ID, CreatedAt: micros(r.CreatedAt), CustomerID: r.CustomerID, DeviceID: r.DeviceID, UsernameHash: r.UsernameHash,
		ExpiresAt: micros(r.ExpiresAt),
	}
	u.add(lockDevice, domain.ErrStale, with("device", r.DeviceID))
	u.addRow(addChallenge, row, domain.ErrStale)
	u.add(dropChallenges, nil, with("device", r.DeviceID), with("now", row.CreatedAt), with("id", r.ID), with("limit", r.OpenChallenges()-1))
}

// Challenge returns a challenge.
func (d *DB) Challenge(ctx context.Context, id string) (*domain.DeviceChallenge, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	row, found, err := queryOne[challengeRow](ctx, d, challengeByID, with("id", id))
	if err == nil && !found {
		err = domain.ErrMissing
	}
	if err != nil {
		return nil, err
	}
	return row.record(), nil
}

// UseChallenge marks a challenge as used. The same call, identified by its idempotency key and input, may use it again.
func (d *DB) UseChallenge(ctx context.Context, use domain.ChallengeUse) (*domain.DeviceChallenge, error) {
	if !storable(use.ID) {
		return nil, domain.ErrMissing
	}
	by := use.By
	if by == nil {
		by = []byte{} // equal to no stored value
	}
	result, err := d.writeOne(ctx, useChallenge, domain.ErrMissing, with("at", micros(use.At)), with("by", by), with("id", use.ID),
		with("customer", use.CustomerID), with("username", use.UsernameHash))
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf[challengeRow](d, result)
	if err != nil {
		return nil, err
	}
	return rows[0].record(), nil
}
