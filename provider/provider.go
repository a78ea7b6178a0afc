// Package provider implements the external services that the rules use: screening, which lists the risks of a person,
// and quizzes, which ask questions that only this person can answer. Local works on the bank's own records and lists;
// the HTTP types call another service.
//
// It knows records, list files, and HTTP as a client. It must not know how a request arrived, nor retain personal data
// beyond a call.
package provider

import (
	"context"
	"time"

	emailverifier "github.com/AfterShip/email-verifier"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// DefaultNameMatch is the score from which a name matches a list entry. docs/decisions/0010-watchlists.md states the
// reason; the test of names in domain/risk holds the pairs that verify it.
const DefaultNameMatch = 0.90

// Records looks up the bank's records of people.
type Records interface {
	// IdentityRecords returns the records with a tax id, in any spelling.
	IdentityRecords(ctx context.Context, taxID string) ([]*domain.IdentityRecord, error)
}

// Local implements both services in this process.
type Local struct {
	Records Records
	// Lists holds the institution's and the government's lists; nil for none.
	Lists *Lists
	// NameMatch is the score from which a name matches a list entry.
	NameMatch float64
	// Rules determine the size of a quiz, and when it is passed.
	Rules QuizRules
	// Population has the values that the records share, from which the choices of a question are drawn; nil for none,
	// then they are drawn from published values.
	Population *Population
	// Choices stores the choices of the questions; nil if they need not outlive a change of the records.
	Choices Choices
	// KeyedHash returns a keyed hash. Values derived from it are reproducible, and unpredictable without the key.
	KeyedHash func(purpose string, parts ...string) []byte
	// Now returns the current time.
	Now func() time.Time
}

var (
	_ domain.Screening  = (*Local)(nil)
	_ domain.Quizmaster = (*Local)(nil)
	_ domain.Rescreener = (*Local)(nil)
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
		held, err := l.Lists.Current(ctx)
		if err != nil {
			return risk.Assessment{}, problem.New(problem.ProviderUnavailable).From(err)
		}
		c.Lists, c.Held = held.Books, &held.Stamp
	}
	return risk.Assess(c), nil
}

// Position returns the position of the lists in force.
func (l *Local) Position(ctx context.Context) (domain.ListPosition, error) {
	held, err := l.Lists.Current(ctx)
	if err != nil {
		return domain.ListPosition{}, err
	}
	return held.At, nil
}

// Changes returns a function that finds the entries that a person matches, of those that are new or changed between two
// positions of the lists.
func (l *Local) Changes(ctx context.Context, from, to domain.ListPosition) (func(domain.Identity) []risk.Evidence, error) {
	book, err := l.Lists.newEntries(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return func(person domain.Identity) []risk.Evidence {
		var out []risk.Evidence
		if book.Len() == 0 {
			return nil
		}
		found := risk.Assess(&risk.Case{Person: person.Person(), Lists: book, On: l.Now(), NameMatch: l.NameMatch})
		for _, f := range found.Findings {
			for _, e := range f.Evidence {
				if e.Entry != "" {
					out = append(out, e)
				}
			}
		}
		return out
	}, nil
}

// disposable recognizes the domains of disposable mail addresses from an embedded list. It does not use the network.
var disposable = emailverifier.NewVerifier()

// record returns the record that matches a person best, or nil if there is none.
func (l *Local) record(ctx context.Context, person domain.Identity) (*domain.IdentityRecord, error) {
	if person.TaxID == nil {
		return nil, nil
	}
	records, err := l.Records.IdentityRecords(ctx, *person.TaxID)
	return bestOf(person, records), err
}

// bestOf returns the record with the fewest differences from a person, or nil if there is none.
func bestOf(person domain.Identity, records []*domain.IdentityRecord) *domain.IdentityRecord {
	candidates := make([]*risk.Record, 0, len(records))
	for _, r := range records {
		candidates = append(candidates, riskRecord(r))
	}
	best := risk.Best(person.Person(), candidates)
	for i, r := range candidates {
		if r == best {
			return records[i]
		}
	}
	return nil
}

func riskRecord(r *domain.IdentityRecord) *risk.Record {
	out := &risk.Record{
		ID: r.ID, Person: r.Identity.Person(), PreviousPhones: r.PreviousPhones,
		Relatives: r.Relatives, Vehicles: r.Vehicles, Employers: r.Employers,
	}
	for _, a := range r.PreviousAddresses {
		out.PreviousAddresses = append(
			out.PreviousAddresses, risk.Place{Address1: a.Address1, City: a.City, Region: a.Region, PostalCode: a.PostalCode},
		)
	}
	return out
}
