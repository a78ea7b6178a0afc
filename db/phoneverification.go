package db

import (
	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// phoneVerificationRow is the stored form of a phone verification. The number is sealed; the code is stored as a hash.
type phoneVerificationRow struct {
	bun.BaseModel `bun:"table:phone_verifications"`

	ID         string `bun:"id,pk"`
	Version    int    `bun:"version"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
	State      string `bun:"state"`
	CustomerID string `bun:"customer_id"`
	Number     []byte `bun:"number"`
	CodeHash   string `bun:"code_hash"`
	Attempts   int    `bun:"attempts"`
	ExpiresAt  int64  `bun:"expires_at"`
	VerifiedAt *int64 `bun:"verified_at"`
}

const phoneVerificationsTable = "phone_verifications"

func phoneVerificationRowOf(keys *seal.Keyring, r *domain.PhoneVerification) (*phoneVerificationRow, error) {
	s := sealer{keys: keys, table: phoneVerificationsTable, id: r.ID}
	row := &phoneVerificationRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Number: s.seal("number", &r.Number), CodeHash: r.CodeHash, Attempts: r.Attempts,
		ExpiresAt: micros(r.ExpiresAt), VerifiedAt: microsOf(r.VerifiedAt),
	}
	return row, s.err
}

func phoneVerificationRecord(keys *seal.Keyring, row *phoneVerificationRow) (*domain.PhoneVerification, error) {
	s := sealer{keys: keys, table: phoneVerificationsTable, id: row.ID}
	r := &domain.PhoneVerification{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.PhoneVerificationState(row.State), CustomerID: row.CustomerID, Number: s.text("number", row.Number),
		CodeHash: row.CodeHash, Attempts: row.Attempts, ExpiresAt: instant(row.ExpiresAt), VerifiedAt: instantOf(row.VerifiedAt),
	}
	return r, s.err
}

// PhoneVerifications returns the store of phone verifications.
func (d *DB) PhoneVerifications() domain.Shelf[domain.PhoneVerification] {
	return phoneVerifications.on(d)
}

var phoneVerifications = recordsOf(&kind[domain.PhoneVerification, phoneVerificationRow]{
	table:  versionedOf[phoneVerificationRow](phoneVerificationsTable),
	schema: domain.PhoneVerificationSchema,
	read:   domain.PhoneVerificationValue,
	record: phoneVerificationRecord, row: phoneVerificationRowOf,
	due: []*deadline{
		deadlineOf[phoneVerificationRow](
			phoneVerificationsTable,
			deadline{at: "expires_at", where: "state = 'pending'", index: "phone_verifications_due"},
		),
	},
	columns: map[string]column{
		"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "createdAt": {name: "created_at"},
	},
})
