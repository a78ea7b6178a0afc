package db

import (
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// approvalRow is the stored form of an approval.
type approvalRow struct {
	bun.BaseModel `bun:"table:approvals"`

	ID            string  `bun:"id,pk"`
	Version       int     `bun:"version"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	State         string  `bun:"state"`
	ContactID     string  `bun:"contact_id"`
	ContactUserID *string `bun:"contact_user_id"`
	Method        *string `bun:"method"`
	Reason        []byte  `bun:"reason"`
	ApprovedBy    string  `bun:"approved_by"`
	Fingerprint   []byte  `bun:"fingerprint"`
	// Overrides lists categories, separated by spaces.
	Overrides *string `bun:"overrides"`
	ReportID  *string `bun:"report_id"`
}

const approvalsTable = "approvals"

func approvalRowOf(keys *seal.Keyring, a *domain.Approval) (*approvalRow, error) {
	s := sealer{keys: keys, table: approvalsTable, id: a.ID}
	row := &approvalRow{
		ID: a.ID, Version: a.Version, CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt), State: string(a.State),
		ContactID: a.ContactID, ContactUserID: a.ContactUserID, Reason: s.seal("reason", a.Reason), ApprovedBy: a.ApprovedBy,
		Fingerprint: fingerprintBytes(a.Fingerprint), Overrides: unlessEmpty(joinWords(a.Overrides)), ReportID: a.ReportID,
	}
	if a.Method != nil {
		row.Method = unlessEmpty(string(*a.Method))
	}
	return row, s.err
}

func approvalRecord(keys *seal.Keyring, row *approvalRow) (*domain.Approval, error) {
	s := sealer{keys: keys, table: approvalsTable, id: row.ID}
	a := &domain.Approval{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.ApprovalState(row.State), ContactID: row.ContactID, ContactUserID: row.ContactUserID,
		Reason: s.open("reason", row.Reason), ApprovedBy: row.ApprovedBy,
		Fingerprint: domain.FingerprintFrom(row.Fingerprint), ReportID: row.ReportID,
	}
	for _, word := range strings.Fields(orEmpty(row.Overrides)) {
		a.Overrides = append(a.Overrides, risk.Category(word))
	}
	if row.Method != nil {
		method := domain.VerificationType(*row.Method)
		a.Method = &method
	}
	return a, s.err
}

// joinWords joins words that have no spaces by spaces.
func joinWords[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, " ")
}

// Approvals returns the store of approvals.
func (d *DB) Approvals() domain.Shelf[domain.Approval] { return approvals.on(d) }

var approvals = recordsOf(&kind[domain.Approval, approvalRow]{
	table: versionedOf[approvalRow](approvalsTable), schema: domain.ApprovalSchema, read: domain.ApprovalValue,
	record: approvalRecord, row: approvalRowOf, columns: map[string]column{
		"_id":        {name: "id"},
		"method":     {name: "method", null: true},
		"approvedBy": {name: "approved_by"},
		"contactId":  {name: "contact_id"},
		"createdAt":  {name: "created_at"},
	},
})
