package db

import (
	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// emailVerificationRow is the stored form of an e-mail verification. The address is sealed; the token is stored as a
// hash.
type emailVerificationRow struct {
	bun.BaseModel `bun:"table:email_verifications"`

	ID         string `bun:"id,pk"`
	Version    int    `bun:"version"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
	State      string `bun:"state"`
	CustomerID string `bun:"customer_id"`
	Address    []byte `bun:"address"`
	TokenHash  string `bun:"token_hash"`
	ExpiresAt  int64  `bun:"expires_at"`
	VerifiedAt *int64 `bun:"verified_at"`
}

const emailVerificationsTable = "email_verifications"

func emailVerificationRowOf(keys *seal.Keyring, r *domain.EmailVerification) (*emailVerificationRow, error) {
	s := sealer{keys: keys, table: emailVerificationsTable, id: r.ID}
	row := &emailVerificationRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Address: s.seal("address", &r.Address), TokenHash: r.TokenHash,
		ExpiresAt: micros(r.ExpiresAt), VerifiedAt: microsOf(r.VerifiedAt),
	}
	return row, s.err
}

func emailVerificationRecord(keys *seal.Keyring, row *emailVerificationRow) (*domain.EmailVerification, error) {
	s := sealer{keys: keys, table: emailVerificationsTable, id: row.ID}
	r := &domain.EmailVerification{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.EmailVerificationState(row.State), CustomerID: row.CustomerID, Address: s.text("address", row.Address),
		TokenHash: row.TokenHash, ExpiresAt: instant(row.ExpiresAt), VerifiedAt: instantOf(row.VerifiedAt),
	}
	return r, s.err
}

// EmailVerifications returns the store of e-mail verifications.
func (d *DB) EmailVerifications() domain.Shelf[domain.EmailVerification] {
	return emailVerifications.on(d)
}

var emailVerifications = recordsOf(&kind[domain.EmailVerification, emailVerificationRow]{
	table:  versionedOf[emailVerificationRow](emailVerificationsTable),
	schema: domain.EmailVerificationSchema,
	read:   domain.EmailVerificationValue,
	record: emailVerificationRecord, row: emailVerificationRowOf,
	due: []*deadline{
		deadlineOf[emailVerificationRow](
			emailVerificationsTable,
			deadline{at: "expires_at", where: "state = 'pending'", index: "email_verifications_due"},
		),
	},
	columns: map[string]column{
		"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "tokenHash": {name: "token_hash"},
		"createdAt": {name: "created_at"},
	},
})
