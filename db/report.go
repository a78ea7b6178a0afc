package db

import (
	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// reportRow is the stored form of a fraud-risk report.
type reportRow struct {
	bun.BaseModel `bun:"table:fraud_risk_reports"`

	ID            string  `bun:"id,pk"`
	Version       int     `bun:"version"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	Type          string  `bun:"type"`
	State         string  `bun:"state"`
	Identity      []byte  `bun:"identity"`
	Categories    []byte  `bun:"categories"`
	CreatedBy     string  `bun:"created_by"`
	ContactID     *string `bun:"contact_id"`
	ContactUserID *string `bun:"contact_user_id"`
	Vouches       bool    `bun:"vouches"`
	ExpiresAt     *int64  `bun:"expires_at"`
}

const reportsTable = "fraud_risk_reports"

func reportRowOf(keys *seal.Keyring, r *domain.FraudRiskReport) (*reportRow, error) {
	s := sealer{keys: keys, table: reportsTable, id: r.ID}
	return &reportRow{
		ID:            r.ID,
		Version:       r.Version,
		CreatedAt:     micros(r.CreatedAt),
		UpdatedAt:     micros(r.UpdatedAt),
		Type:          string(domain.VerifiedByReport),
		State:         string(r.State),
		Identity:      s.sealJSON("identity", r.Inputs),
		Categories:    s.sealJSON("categories", r.Categories),
		CreatedBy:     r.CreatedBy,
		ContactID:     r.ContactID,
		ContactUserID: r.ContactUserID,
		Vouches:       r.Vouches,
	}, s.err
}

func reportRecord(keys *seal.Keyring, row *reportRow) (*domain.FraudRiskReport, error) {
	s := sealer{keys: keys, table: reportsTable, id: row.ID}
	r := &domain.FraudRiskReport{
		Meta:          domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State:         domain.FraudRiskReportState(row.State),
		CreatedBy:     row.CreatedBy,
		ContactID:     row.ContactID,
		ContactUserID: row.ContactUserID,
		Vouches:       row.Vouches,
	}
	s.openJSON("identity", row.Identity, &r.Inputs)
	s.openJSON("categories", row.Categories, &r.Categories)
	return r, s.err
}

// FraudRiskReports returns the store of fraud-risk reports.
func (d *DB) FraudRiskReports() domain.Shelf[domain.FraudRiskReport] { return reports.on(d) }

var reports = recordsOf(&kind[domain.FraudRiskReport, reportRow]{
	table: versionedOf[reportRow](reportsTable), schema: domain.FraudRiskReportSchema, read: domain.FraudRiskReportValue,
	record: reportRecord, row: reportRowOf, columns: verificationColumns,
})

// verificationColumns are the columns common to reports and quizzes.
var verificationColumns = map[string]column{
	"_id":           {name: "id"},
	"type":          {name: "type"},
	"createdAt":     {name: "created_at"},
	"updatedAt":     {name: "updated_at"},
	"expiresAt":     {name: "expires_at", null: true},
	"outputs.state": {name: "state"},
	"createdBy":     {name: "created_by"},
	"contactId":     {name: "contact_id", null: true},
	"vouches":       {name: "vouches"},
	"askedAt":       {name: "asked_at", null: true},
	"person":        {name: "person"},
}
