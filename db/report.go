package db

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
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
	Fingerprint   []byte  `bun:"fingerprint"`
	Institutional *bool   `bun:"institutional"`
	// Screening is JSON: the list that the person was compared with, which is not personal data.
	Screening *string `bun:"screening"`
}

const reportsTable = "fraud_risk_reports"

func reportRowOf(keys *seal.Keyring, r *domain.FraudRiskReport) (*reportRow, error) {
	s := sealer{keys: keys, table: reportsTable, id: r.ID}
	screening, err := screeningText(r.Held)
	if err != nil {
		return nil, err
	}
	return &reportRow{
		ID:            r.ID,
		Version:       r.Version,
		CreatedAt:     micros(r.CreatedAt),
		UpdatedAt:     micros(r.UpdatedAt),
		Type:          string(domain.VerifiedByReport),
		State:         string(r.State),
		Identity:      s.sealJSON("identity", r.Inputs),
		Categories:    s.sealJSON("categories", r.Findings),
		CreatedBy:     r.CreatedBy,
		ContactID:     r.ContactID,
		ContactUserID: r.ContactUserID,
		Vouches:       r.Vouches,
		Fingerprint:   fingerprintBytes(r.Fingerprint),
		Institutional: &r.Institutional,
		Screening:     screening,
	}, s.err
}

func screeningText(held *domain.ReportScreening) (*string, error) {
	if held == nil {
		return nil, nil
	}
	text, err := json.Marshal(held)
	return new(string(text)), err
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
		Fingerprint:   domain.FingerprintFrom(row.Fingerprint),
		Institutional: orderedByInstitution(row.Institutional, row.CreatedBy, row.ContactUserID),
	}
	if row.Screening != nil {
		if err := json.Unmarshal([]byte(*row.Screening), &r.Held); err != nil {
			return nil, err
		}
	}
	s.openJSON("identity", row.Identity, &r.Inputs)
	var categories []storedCategory
	s.openJSON("categories", row.Categories, &categories)
	r.Findings = make([]domain.FraudRiskCategory, 0, len(categories))
	for _, c := range categories {
		evidence := []domain.RiskEvidence(c.Evidence)
		for i := range evidence {
			if evidence[i].ID == "" {
				evidence[i].ID = fmt.Sprintf("%s.%s.%d", r.ID, c.Type, i+1)
			}
		}
		r.Findings = append(r.Findings, domain.FraudRiskCategory{Type: c.Type, Description: c.Description, Evidence: evidence})
	}
	return r, s.err
}

// storedCategory is a category at rest.
type storedCategory struct {
	Type        risk.Category
	Description string
	Evidence    storedEvidence
}

// storedEvidence is a list of evidence. Earlier versions stored one text: for each piece of evidence the rule, the
// members, the entry and the score, separated by semicolons.
type storedEvidence []domain.RiskEvidence

// UnmarshalJSON reads both forms.
func (e *storedEvidence) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		return json.Unmarshal(data, (*[]domain.RiskEvidence)(e))
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil || text == "" {
		return err
	}
	for part := range strings.SplitSeq(text, "; ") {
		one := domain.RiskEvidence{}
		for word := range strings.SplitSeq(part, ", ") {
			name, value, _ := strings.Cut(word, " ")
			switch name {
			case "rule":
				one.Rule = value
			case "input":
				one.Members = strings.Split(value, "+")
			case "entry":
				one.Entry = &value
			case "score":
				if score, err := strconv.ParseFloat(value, 64); err == nil {
					one.Score = &score
				}
			}
		}
		*e = append(*e, one)
	}
	return nil
}

// fingerprintBytes is a fingerprint at rest; nil for none.
func fingerprintBytes(f domain.Fingerprint) []byte {
	if f.IsZero() {
		return nil
	}
	return f.Bytes()
}

// orderedByInstitution reads the column institutional. Before there was one, nobody but the contact's user and the staff
// could order a result that counts.
func orderedByInstitution(stored *bool, createdBy string, contactUserID *string) bool {
	if stored != nil {
		return *stored
	}
	return contactUserID == nil || *contactUserID != createdBy
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
