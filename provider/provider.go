// Package provider answers what the rules ask of others: what speaks against a person, and which questions only that
// person can answer. Local works from the bank's own records and lists; HTTP asks another service.
//
// It knows records, list files, and HTTP as a client. It must not know how a caller came here, nor keep anything of a
// person beyond a call.
package provider

import (
	"context"
	"time"

	emailverifier "github.com/AfterShip/email-verifier"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// DefaultNameMatch is the score from which a name counts as listed. docs/decisions/0010-watchlists.md has the reason,
// and the test of names in domain/risk the pairs that pin it.
const DefaultNameMatch = 0.90

// Records is where people are known.
type Records interface {
	// IdentityRecords finds the records of a tax id, in whatever spelling.
	IdentityRecords(ctx context.Context, taxID string) ([]*domain.IdentityRecord, error)
}

// Local is both providers in this process.
type Local struct {
	Records Records
	// Lists are the institution's and the government's; nil: none.
	Lists *Lists
	// NameMatch is the score from which a name counts as listed.
	NameMatch float64
	// PassShare is the share of right answers that passes a quiz.
	PassShare float64
	// KeyedHash is a keyed hash: what is drawn from it is the same each time, and nobody else can draw it.
	KeyedHash func(purpose string, parts ...string) []byte
	// Now is the clock.
	Now func() time.Time
}

var (
	_ domain.Screening  = (*Local)(nil)
	_ domain.Quizmaster = (*Local)(nil)
)

// Screen applies the table of rules to a person.
func (l *Local) Screen(ctx context.Context, person domain.Identity) (risk.Assessment, error) {
	record, err := l.record(ctx, person)
	if err != nil {
		return risk.Assessment{}, problem.New(problem.ProviderUnavailable).From(err)
	}
	c := &risk.Case{Person: person.Person(), On: l.Now(), NameMatch: l.NameMatch, Disposable: disposable.IsDisposable}
	if record != nil {
		c.Record = riskRecord(record)
	}
	if l.Lists != nil {
		books, err := l.Lists.Current(ctx)
		if err != nil {
			return risk.Assessment{}, problem.New(problem.ProviderUnavailable).From(err)
		}
		c.Lists = books
	}
	return risk.Assess(c), nil
}

// disposable knows the mail domains that hand out addresses for a moment, from a list within the program. Nothing of
// it asks the network.
var disposable = emailverifier.NewVerifier()

// record finds the record of a person; nil where there is none.
func (l *Local) record(ctx context.Context, person domain.Identity) (*domain.IdentityRecord, error) {
	if person.TaxID == nil {
		return nil, nil
	}
	found, err := l.Records.IdentityRecords(ctx, *person.TaxID)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	read := make([]*risk.Record, 0, len(found))
	for _, r := range found {
		read = append(read, riskRecord(r))
	}
	best := risk.Best(person.Person(), read)
	for i, r := range read {
		if r == best {
			return found[i], nil
		}
	}
	return found[0], nil
}

func riskRecord(r *domain.IdentityRecord) *risk.Record {
	out := &risk.Record{
		ID: r.ID, Person: r.Identity.Person(), PreviousPhones: r.PreviousPhones,
		Relatives: r.Relatives, Vehicles: r.Vehicles, Employers: r.Employers,
	}
	for _, a := range r.PreviousAddresses {
		out.PreviousAddresses = append(out.PreviousAddresses, risk.Place{Address1: a.Address1, City: a.City, Region: a.Region, PostalCode: a.PostalCode})
	}
	return out
}
