package db

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
)

// policyRow contains the second factors of an application or a jurisdiction; NULL if it has no policy.
type policyRow struct {
	ID            string  `bun:"id,pk"`
	SecondFactors *string `bun:"second_factors"`
}

// applicationRow is an application.
type applicationRow struct {
	bun.BaseModel `bun:"table:applications"`
	policyRow
}

// jurisdictionRow is a jurisdiction.
type jurisdictionRow struct {
	bun.BaseModel `bun:"table:jurisdictions"`
	policyRow
}

var (
	applicationByID  = byIDOf[applicationRow]()
	jurisdictionByID = byIDOf[jurisdictionRow]()
	saveApplication  = upsertOf[applicationRow]()
	saveJurisdiction = upsertOf[jurisdictionRow]()
)

// Application returns an application.
func (d *DB) Application(ctx context.Context, id string) (*domain.Application, error) {
	factors, err := d.secondFactors(ctx, applicationByID, id)
	if err != nil {
		return nil, err
	}
	return &domain.Application{ID: id, SecondFactors: factors}, nil
}

// Jurisdiction returns a jurisdiction.
func (d *DB) Jurisdiction(ctx context.Context, id string) (*domain.Jurisdiction, error) {
	factors, err := d.secondFactors(ctx, jurisdictionByID, id)
	if err != nil {
		return nil, err
	}
	return &domain.Jurisdiction{ID: id, SecondFactors: factors}, nil
}

func (d *DB) secondFactors(ctx context.Context, byID *statement, id string) ([]domain.SecondFactor, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	row, found, err := queryOne[policyRow](ctx, d, byID, with("id", id))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	if row.SecondFactors == nil {
		return nil, nil
	}
	out := []domain.SecondFactor{} // an empty policy differs from no policy
	for _, f := range strings.Fields(*row.SecondFactors) {
		out = append(out, domain.SecondFactor(f))
	}
	return out, nil
}

func policyOf(id string, factors []domain.SecondFactor) policyRow {
	row := policyRow{ID: id}
	if factors != nil {
		texts := make([]string, len(factors))
		for i, f := range factors {
			texts[i] = string(f)
		}
		slices.Sort(texts)
		joined := strings.Join(texts, " ")
		row.SecondFactors = &joined
	}
	return row
}
