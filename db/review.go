package db

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// reviewRow is the stored form of a review. Matches and reason are sealed: that a person resembles somebody on a list is
// personal data.
type reviewRow struct {
	bun.BaseModel `bun:"table:reviews"`

	ID          string  `bun:"id,pk"`
	Version     int     `bun:"version"`
	CreatedAt   int64   `bun:"created_at"`
	UpdatedAt   int64   `bun:"updated_at"`
	State       string  `bun:"state"`
	ReportID    string  `bun:"report_id"`
	ContactID   *string `bun:"contact_id"`
	Person      []byte  `bun:"person"`
	Matches     []byte  `bun:"matches"`
	Partial     bool    `bun:"partial"`
	TakenBy     *string `bun:"taken_by"`
	Decision    *string `bun:"decision"`
	DecidedBy   *string `bun:"decided_by"`
	DecidedAt   *int64  `bun:"decided_at"`
	Reason      []byte  `bun:"reason"`
	Unconfirmed bool    `bun:"unconfirmed"`
	ConfirmedBy *string `bun:"confirmed_by"`
}

const reviewsTable = "reviews"

func reviewRowOf(keys *seal.Keyring, r *domain.Review) (*reviewRow, error) {
	s := sealer{keys: keys, table: reviewsTable, id: r.ID}
	row := &reviewRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		ReportID: r.FraudRiskReportID, ContactID: r.ContactID, Person: r.Person, Matches: s.sealJSON("matches", r.Hits), Partial: r.Partial,
		TakenBy: r.TakenBy, DecidedBy: r.DecidedBy, DecidedAt: microsOf(r.DecidedAt), Reason: s.seal("reason", r.Reason),
		Unconfirmed: r.Unconfirmed, ConfirmedBy: r.ConfirmedBy,
	}
	if r.Decision != nil {
		row.Decision = unlessEmpty(string(*r.Decision))
	}
	return row, s.err
}

func reviewRecord(keys *seal.Keyring, row *reviewRow) (*domain.Review, error) {
	s := sealer{keys: keys, table: reviewsTable, id: row.ID}
	r := &domain.Review{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.ReviewState(row.State), FraudRiskReportID: row.ReportID, ContactID: row.ContactID, Person: row.Person, Partial: row.Partial,
		TakenBy: row.TakenBy, DecidedBy: row.DecidedBy, DecidedAt: instantOf(row.DecidedAt), Reason: s.open("reason", row.Reason),
		Unconfirmed: row.Unconfirmed, ConfirmedBy: row.ConfirmedBy,
	}
	s.openJSON("matches", row.Matches, &r.Hits)
	if row.Decision != nil {
		r.Decision = new(domain.ReviewDecision(*row.Decision))
	}
	return r, s.err
}

// Reviews returns the store of reviews.
func (d *DB) Reviews() domain.Shelf[domain.Review] { return reviews.on(d) }

var reviews = recordsOf(&kind[domain.Review, reviewRow]{
	table: versionedOf[reviewRow](reviewsTable), schema: domain.ReviewSchema, read: domain.ReviewValue,
	record: reviewRecord, row: reviewRowOf, columns: map[string]column{
		"_id":               {name: "id"},
		"state":             {name: "state"},
		"fraudRiskReportId": {name: "report_id"},
		"contactId":         {name: "contact_id", null: true},
		"takenBy":           {name: "taken_by", null: true},
		"createdAt":         {name: "created_at"},
		"updatedAt":         {name: "updated_at"},
	},
})

// dismissalRow states that a person is not a list entry. Its id is a keyed hash of both.
type dismissalRow struct {
	bun.BaseModel `bun:"table:dismissals"`

	ID        string `bun:"id,pk"`
	ReviewID  string `bun:"review_id"`
	CreatedAt int64  `bun:"created_at"`
}

const dismissalsTable = "dismissals"

var (
	addDismissal   = insertOf[dismissalRow](dismissalsTable)
	dismissalsByID = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*dismissalRow)(nil)).Column("id").Where("?", b.among("id", b.arg("ids")))
	})
)

// Dismissed returns which of the dismissals exist.
func (d *DB) Dismissed(ctx context.Context, ids []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, part := range chunks(ids) {
		found, err := query[string](ctx, d, dismissalsByID, with("ids", d.dialect.list(part)))
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			out[id] = true
		}
	}
	return out, nil
}
