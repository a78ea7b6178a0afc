package provider

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// The two people of the demonstration directory whose provider behaves badly (docs/dialects/identity.md,
// demonstration people). The tax ids are theirs alone.
const (
	// SlowTaxID is of a person whose answers are scored some seconds later.
	SlowTaxID = "219-55-0108"
	// OutageTaxID is of a person for whom no provider can be reached when questions are asked for.
	OutageTaxID = "219-55-0109"
	// slowness is how long the scoring takes.
	slowness = 5 * time.Second
)

// Demonstration is a quizmaster that shows what becomes of a slow provider and of one that is down, for two people
// only.
type Demonstration struct {
	domain.Quizmaster
	Now func() time.Time
}

func is(q *domain.Quiz, taxID string) bool {
	return q.Inputs.TaxID != nil && risk.FoldTaxID(*q.Inputs.TaxID) == risk.FoldTaxID(taxID)
}

// Questions are not to be had for one of the people.
func (d Demonstration) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	if is(q, OutageTaxID) {
		return nil, problem.New(problem.ProviderUnavailable)
	}
	return d.Quizmaster.Questions(ctx, q)
}

// Mark leaves the scoring of one of the people for later.
func (d Demonstration) Mark(q *domain.Quiz, answers []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	if is(q, SlowTaxID) {
		return domain.VerdictLater, false
	}
	return d.Quizmaster.Mark(q, answers)
}

// Score takes its time for one of the people.
func (d Demonstration) Score(ctx context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	if is(q, SlowTaxID) {
		if d.Now().Before(q.UpdatedAt.Add(slowness)) {
			return domain.VerdictLater, nil
		}
		verdict, _ := d.Quizmaster.Mark(q, q.Answers)
		return verdict, nil
	}
	return d.Quizmaster.Score(ctx, q)
}
