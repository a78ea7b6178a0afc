package domain_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/testkit"
)

// rescreened runs the re-screening to its end and returns the number of reports made.
func rescreened(t *testing.T, k *testkit.Kit) int {
	t.Helper()
	total := 0
	for {
		k.Clock.Pass(time.Minute)
		made, more, err := k.Rescreen(context.Background())
		done(t, err)
		total += made
		if !more {
			return total
		}
	}
}

// TestNewEntriesTakeVerificationsBack: contacts with a report are compared with the entries that lists gain. A hit is a
// report by the system, which takes the verification back, and which no customer sees.
func TestNewEntriesTakeVerificationsBack(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			who := testkit.Pike()
			k.Know(t, who)
			make := func(identity domain.Identity, user string) *domain.Contact {
				t.Helper()
				out, err := k.CreateContact(institution, domain.CreateContactInput{Identity: identity, UserID: &user})
				done(t, err)
				return out.Record
			}
			c := make(who, "max")
			make(who, "another") // without a report
			order(t, k, institution, c.ID)
			max := testkit.Profiles("max")
			expect(t, "the first run", rescreened(t, k), 0)
			k.List(t, risk.Entry{ID: "w0", List: risk.AlertList, Value: "Somebody Else"})
			expect(t, "an entry about somebody else", rescreened(t, k), 0)
			before, err := k.FraudRiskReports(max, listing.Query{Limit: 10, WithCount: true})
			done(t, err)
			k.List(t, risk.Entry{ID: "w1", List: risk.AlertList, Value: "Max Pike", Births: []string{"1985-06-15"}})
			expect(t, "an entry about the person", rescreened(t, k), 1)
			expect(t, "nothing new", rescreened(t, k), 0)
			expect(t, "the decision", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
			expect(t, "the decision, for the person", decision(t, k, max, c.ID), "false [needsReview] [approval]")

			all, err := k.FraudRiskReports(institution, listing.Query{Limit: 10, Where: listing.Eq("createdBy", domain.SystemActor)})
			done(t, err)
			if len(all.Items) != 1 {
				t.Fatalf("%d reports by the system", len(all.Items))
			}
			report := all.Items[0]
			if s := report.Screening(institution); s == nil || s.List != "institution" || s.Entries != 2 || s.Hash == "" {
				t.Errorf("the list that it was compared with: %+v", s)
			}
			if report.Screening(max) != nil {
				t.Error("a customer sees the screening")
			}
			if found, err := k.ReviewsOf(institution, all.Items); err != nil || found[0] == nil {
				t.Errorf("the report has no review: %v", err)
			}
			after, err := k.FraudRiskReports(max, listing.Query{Limit: 10, WithCount: true})
			done(t, err)
			if len(after.Items) != len(before.Items) || after.Count != before.Count {
				t.Errorf("the person sees %d reports, before %d", len(after.Items), len(before.Items))
			}
			if _, err := k.FraudRiskReport(max, report.ID); !problem.Has(err, problem.NoSuchFraudRiskReport) {
				t.Errorf("the person finds the report: %v", err)
			}
			events, err := k.LifecycleEvents(max, listing.Query{Limit: 100})
			done(t, err)
			for _, e := range events.Items {
				if e.SubjectID == report.ID || e.ActorID == domain.SystemActor {
					t.Errorf("the person sees the event %+v", e)
				}
			}
			v, err := k.ContactVerification(max, c.ID)
			done(t, err)
			if len(v.Verifications) != 1 {
				t.Errorf("the person sees %d verifications", len(v.Verifications))
			}

			_, err = k.DismissMatch(reviewer("root"), domain.DismissMatchInput{FraudRiskReportID: report.ID, Entry: "w1", Reason: "Somebody else."})
			done(t, err)
			expect(t, "dismissed", decision(t, k, institution, c.ID), "true [reportPassed] []")
			k.List(t, risk.Entry{ID: "w2", List: risk.RestrictedIP, Value: "203.0.113.0/24"})
			expect(t, "a dismissed match is not reported again", rescreened(t, k), 0)
		})
	}
}

// TestAChangedAddressIsComparedAtOnce: a changed address, phone or e-mail address is compared with the lists at once, by
// the system.
func TestAChangedAddressIsComparedAtOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	k.List(t, risk.Entry{ID: "e1", List: risk.RestrictedEmail, Value: "bad.example"})
	created, err := k.CreateContact(institution, domain.CreateContactInput{Identity: who, UserID: new("max")})
	done(t, err)
	c := created.Record
	change := func(to domain.Identity) {
		t.Helper()
		_, err := k.UpdateContact(testkit.Profiles("max"), domain.UpdateContactInput{ContactID: c.ID, Identity: to})
		done(t, err)
		k.Clock.Pass(time.Minute)
	}
	change(domain.Identity{Email: new("max@bad.example")})
	expect(t, "without a report nothing is compared", decision(t, k, institution, c.ID), "false [noQuiz noReport] [report approval]")
	change(domain.Identity{Email: who.Email})
	order(t, k, institution, c.ID)
	expect(t, "before", decision(t, k, institution, c.ID), "true [reportPassed] []")
	change(domain.Identity{Address1: new("1 Other Lane")})
	expect(t, "an address that is on no list", decision(t, k, institution, c.ID), "true [reportPassed] []")
	change(domain.Identity{Address1: who.Address1, Email: new("max@bad.example")})
	expect(t, "an e-mail address that is on a list", decision(t, k, institution, c.ID), "false [noQuiz riskFactors] [approval]")
	due, err := k.Store.ScreeningsDue(t.Context(), 10)
	done(t, err)
	if len(due) != 0 {
		t.Errorf("still due: %v", due)
	}

	k.Screening = failing{}
	change(domain.Identity{Email: new("max@worse.example")})
	k.Screening = k.Rescreener.(domain.Screening)
	k.List(t, risk.Entry{ID: "e2", List: risk.RestrictedEmail, Value: "worse.example"})
	if made := rescreened(t, k); made != 1 {
		t.Errorf("after an outage %d reports are made", made)
	}
}

// failing is a provider that is down.
type failing struct{}

func (failing) Screen(context.Context, domain.Identity) (risk.Assessment, error) {
	return risk.Assessment{}, problem.New(problem.ProviderUnavailable)
}
