package provider

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// The two people of the demonstration directory whose provider is slow or unavailable (docs/dialects/identity.md,
// demonstration people). No other record has these tax ids.
const (
	// SlowTaxID is the tax id of a person whose answers are scored some seconds later.
	SlowTaxID = "219-55-0108"
	// OutageTaxID is the tax id of a person for whom no provider is available when questions are requested.
	OutageTaxID = "219-55-0109"
	// scoringDelay is how long the scoring takes.
	scoringDelay = 5 * time.Second
)

// Demonstration is a quizmaster that simulates a slow provider and an outage, for two people only.
type Demonstration struct {
	domain.Quizmaster
	Now func() time.Time
}

func hasTaxID(q *domain.Quiz, taxID string) bool {
	return q.Inputs.TaxID != nil && risk.FoldTaxID(*q.Inputs.TaxID) == risk.FoldTaxID(taxID)
}

// Questions fails for OutageTaxID.
func (d Demonstration) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	if hasTaxID(q, OutageTaxID) {
		return nil, problem.New(problem.ProviderUnavailable)
	}
	return d.Quizmaster.Questions(ctx, q)
}

// Mark defers the scoring for SlowTaxID.
func (d Demonstration) Mark(q *domain.Quiz, answers []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	if hasTaxID(q, SlowTaxID) {
		return domain.VerdictLater, false
	}
	return d.Quizmaster.Mark(q, answers)
}

// Score takes scoringDelay for SlowTaxID.
func (d Demonstration) Score(ctx context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	if hasTaxID(q, SlowTaxID) {
		if d.Now().Before(q.UpdatedAt.Add(scoringDelay)) {
			return domain.VerdictLater, nil
		}
		verdict, _ := d.Quizmaster.Mark(q, q.Answers)
		return verdict, nil
	}
	return d.Quizmaster.Score(ctx, q)
}
