package db

import (
	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// twoFactorRequestRow is the stored form of a two-factor request. The statement is sealed.
type twoFactorRequestRow struct {
	bun.BaseModel `bun:"table:two_factor_requests"`

	ID              string  `bun:"id,pk"`
	Version         int     `bun:"version"`
	CreatedAt       int64   `bun:"created_at"`
	UpdatedAt       int64   `bun:"updated_at"`
	State           string  `bun:"state"`
	CustomerID      string  `bun:"customer_id"`
	ClientID        string  `bun:"client_id"`
	Statement       []byte  `bun:"statement"`
	StatementSigned bool    `bun:"statement_signed"`
	ExpiresAt       int64   `bun:"expires_at"`
	DecidedAt       *int64  `bun:"decided_at"`
	DecidedBy       *string `bun:"decided_by"`
}

const twoFactorRequestsTable = "two_factor_requests"

func twoFactorRequestRowOf(keys *seal.Keyring, r *domain.TwoFactorRequest) (*twoFactorRequestRow, error) {
	s := sealer{keys: keys, table: twoFactorRequestsTable, id: r.ID}
	row := &twoFactorRequestRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, ClientID: r.ClientID, Statement: s.seal("statement", &r.Statement), StatementSigned: r.StatementSigned,
		ExpiresAt: micros(r.ExpiresAt), DecidedAt: microsOf(r.DecidedAt), DecidedBy: r.DecidedBy,
	}
	return row, s.err
}

func twoFactorRequestRecord(keys *seal.Keyring, row *twoFactorRequestRow) (*domain.TwoFactorRequest, error) {
	s := sealer{keys: keys, table: twoFactorRequestsTable, id: row.ID}
	r := &domain.TwoFactorRequest{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.TwoFactorRequestState(row.State), CustomerID: row.CustomerID, ClientID: row.ClientID,
		Statement: s.text("statement", row.Statement), StatementSigned: row.StatementSigned, ExpiresAt: instant(row.ExpiresAt),
		DecidedAt: instantOf(row.DecidedAt), DecidedBy: row.DecidedBy,
	}
	return r, s.err
}

// TwoFactorRequests returns the store of two-factor requests.
func (d *DB) TwoFactorRequests() domain.Shelf[domain.TwoFactorRequest] {
	return twoFactorRequests.on(d)
}

var twoFactorRequests = recordsOf(&kind[domain.TwoFactorRequest, twoFactorRequestRow]{
	table:  versionedOf[twoFactorRequestRow](twoFactorRequestsTable),
	schema: domain.TwoFactorRequestSchema,
	read:   domain.TwoFactorRequestValue,
	record: twoFactorRequestRecord, row: twoFactorRequestRowOf,
	due: []*deadline{
		deadlineOf[twoFactorRequestRow](
			twoFactorRequestsTable,
			deadline{at: "expires_at", where: "state = 'pending'", index: "two_factor_requests_due"},
		),
	},
	columns: map[string]column{
		"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "clientId": {name: "client_id"},
		"createdAt": {name: "created_at"}, "updatedAt": {name: "updated_at"}, "expiresAt": {name: "expires_at"},
	},
})
