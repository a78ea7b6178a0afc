package domain_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/testkit"
)

func reviewer(name string) context.Context {
	return testkit.As(name, domain.ScopeProfilesFull, domain.ScopeAdminWrite)
}

// hit makes a contact whose newest report has two matches with lists of people, and returns the report with its review.
func hit(t *testing.T, k *testkit.Kit, user string) (*domain.Contact, *domain.FraudRiskReport, *domain.Review) {
	t.Helper()
	who := testkit.Pike()
	k.Know(t, who)
	k.List(t,
		risk.Entry{ID: "w1", List: risk.AlertList, Value: "Max Pike", Births: []string{"1985-06-15"}},
		risk.Entry{ID: "w2", List: risk.GovernmentWatchlist, Value: "Max Pike", Births: []string{"1985-06-15"}},
	)
	created, err := k.CreateContact(institution, domain.CreateContactInput{Identity: who, UserID: &user})
	done(t, err)
	report := order(t, k, institution, created.Record.ID)
	found, err := k.ReviewsOf(institution, []*domain.FraudRiskReport{report})
	done(t, err)
	if found[0] == nil {
		t.Fatal("the report has no review")
	}
	return created.Record, report, found[0]
}

// reviewRows are the operations of reviews for TestOutcomeNamesItsRecord.
func reviewRows(t *testing.T, k *testkit.Kit) []outcomeRow {
	t.Helper()
	k.Settings.Policy = domain.DefaultVerificationPolicy()
	k.Settings.Policy.FourEyes = true
	_, _, taken := hit(t, k, "rick")
	_, _, decided := hit(t, k, "ruth")
	_, dismissed, review := hit(t, k, "rosa")
	reviewInput := func(r *domain.Review, key *string) domain.ReviewInput {
		return domain.ReviewInput{ReviewID: r.ID, Guard: domain.Guard{IdempotencyKey: key}}
	}
	return []outcomeRow{
		{operation: "TakeReview", ctx: reviewer("root"), want: taken.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.TakeReview(ctx, reviewInput(taken, key)))
		}},
		{operation: "ReleaseReview", ctx: reviewer("root"), want: taken.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ReleaseReview(ctx, reviewInput(taken, key)))
		}},
		{operation: "DismissMatch", ctx: reviewer("root"), want: review.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.DismissMatch(ctx, domain.DismissMatchInput{
				FraudRiskReportID: dismissed.ID, Entry: "w1", Reason: "Another middle name.", Guard: domain.Guard{IdempotencyKey: key},
			}))
		}},
		{operation: "DecideReview", ctx: reviewer("root"), want: decided.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.DecideReview(ctx, domain.DecideReviewInput{
				ReviewID: decided.ID, Decision: domain.ReviewConfirmed, Reason: "The same person.", Guard: domain.Guard{IdempotencyKey: key},
			}))
		}},
		{operation: "ConfirmReview", ctx: reviewer("clara"), want: decided.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ConfirmReview(ctx, reviewInput(decided, key)))
		}},
	}
}

// TestDismissedMatches: a match that a reviewer dismisses no longer excludes the person, and is not reported again until the
// person or the entry changes.
func TestDismissedMatches(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	c, report, review := hit(t, k, "max")
	expect(t, "two matches", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	dismiss := func(reportID, entry string) (domain.Outcome[domain.Review], error) {
		return k.DismissMatch(reviewer("root"), domain.DismissMatchInput{FraudRiskReportID: reportID, Entry: entry, Reason: "Somebody else."})
	}
	if _, err := dismiss(report.ID, "w3"); !problem.Has(err, problem.NoSuchMatch) {
		t.Errorf("an entry that the report does not name: %v", err)
	}
	if _, err := dismiss("frr_none", "w1"); !problem.Has(err, problem.NoSuchFraudRiskReport) {
		t.Errorf("no report: %v", err)
	}
	out, err := dismiss(report.ID, "w1")
	done(t, err)
	if out.Record.State != domain.ReviewOpen {
		t.Errorf("the first of two: %s", out.Record.State)
	}
	expect(t, "one match left", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	out, err = dismiss(report.ID, "w2")
	done(t, err)
	if r := out.Record; r.State != domain.ReviewDecided || *r.Decision != domain.ReviewCleared || r.ID != review.ID {
		t.Errorf("the last one: %+v", r)
	}
	expect(t, "no match left", decision(t, k, institution, c.ID), "true [reportPassed] []")
	if _, err := dismiss(report.ID, "w2"); !problem.Has(err, problem.ReviewAlreadyDecided) {
		t.Errorf("again: %v", err)
	}
	if kept, err := k.FraudRiskReport(institution, report.ID); err != nil || len(kept.Findings) != 2 {
		t.Errorf("the report itself has changed: %v", err)
	}
	if again := order(t, k, institution, c.ID); again.State != domain.ReportPassed {
		t.Errorf("a new report has the dismissed matches: %v", again.Findings)
	}
	k.List(t, risk.Entry{ID: "w1", List: risk.AlertList, Value: "Max Pike", Births: []string{"1985-06-15", "1985-06-16"}})
	if again := order(t, k, institution, c.ID); len(again.Findings) != 1 || *again.Findings[0].Evidence[0].Entry != "w1" {
		t.Errorf("the entry has changed: %v", again.Findings)
	}
	_, err = k.UpdateContact(institution, domain.UpdateContactInput{ContactID: c.ID, Identity: domain.Identity{Birthdate: new("1985-06-16")}})
	done(t, err)
	if again := order(t, k, institution, c.ID); len(matched(again)) != 2 {
		t.Errorf("the person has changed: %v", again.Findings)
	}
}

// TestAPartialScreeningNeedsAReview: a name that cannot be compared does not pass until a reviewer has cleared it.
func TestAPartialScreeningNeedsAReview(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	who.FirstName, who.LastName = new("小明"), new("王")
	k.Know(t, who)
	k.List(t, risk.Entry{ID: "w1", List: risk.AlertList, Value: "Wang, Xiaoming"})
	created, err := k.CreateContact(institution, domain.CreateContactInput{Identity: who, UserID: new("ming")})
	done(t, err)
	c := created.Record
	report := order(t, k, institution, c.ID)
	if s := report.Screening(institution); report.State != domain.ReportPassed || s == nil || !s.Partial {
		t.Errorf("the report: %s, %+v", report.State, s)
	}
	expect(t, "partial", decision(t, k, institution, c.ID), "false [noQuiz screeningPartial] [approval]")
	expect(t, "partial, for the person", decision(t, k, testkit.Profiles("ming"), c.ID), "false [noQuiz needsReview] [approval]")
	found, err := k.ReviewsOf(institution, []*domain.FraudRiskReport{report})
	done(t, err)
	if found[0] == nil || !found[0].Partial {
		t.Fatalf("the review: %+v", found[0])
	}
	_, err = k.DecideReview(reviewer("root"), domain.DecideReviewInput{ReviewID: found[0].ID, Decision: domain.ReviewCleared, Reason: "Compared by hand."})
	done(t, err)
	expect(t, "cleared", decision(t, k, institution, c.ID), "true [reportPassed] []")
	order(t, k, institution, c.ID)
	expect(t, "a later report", decision(t, k, institution, c.ID), "false [noQuiz screeningPartial] [approval]")
}

// matched returns the entries of the lists of people that a report names.
func matched(r *domain.FraudRiskReport) []string {
	var out []string
	for _, f := range r.Findings {
		if f.Type == risk.IdentityOnAlertList || f.Type == risk.IdentityOnGovernmentWatchlist {
			for _, e := range f.Evidence {
				out = append(out, *e.Entry)
			}
		}
	}
	return out
}

// TestReviewsWithFourEyes: a decision has no effect until a person who took no part in it confirms it.
func TestReviewsWithFourEyes(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	k.Settings.Policy = domain.DefaultVerificationPolicy()
	k.Settings.Policy.FourEyes = true
	c, report, review := hit(t, k, "max")
	in := domain.ReviewInput{ReviewID: review.ID}

	_, err := k.TakeReview(reviewer("root"), in)
	done(t, err)
	decide := func(by string) error {
		_, err := k.DecideReview(reviewer(by), domain.DecideReviewInput{ReviewID: review.ID, Decision: domain.ReviewCleared, Reason: "Somebody else."})
		return err
	}
	if err := decide("clara"); !problem.Has(err, problem.ReviewTaken) {
		t.Errorf("another reviewer has taken it: %v", err)
	}
	if _, err := k.TakeReview(reviewer("clara"), in); !problem.Has(err, problem.ReviewTaken) {
		t.Errorf("taken twice: %v", err)
	}
	if _, err := k.ConfirmReview(reviewer("clara"), in); !problem.Has(err, problem.ReviewNotDecided) {
		t.Errorf("confirmed before the decision: %v", err)
	}
	_, err = k.DismissMatch(reviewer("root"), domain.DismissMatchInput{FraudRiskReportID: report.ID, Entry: "w1", Reason: "Somebody else."})
	done(t, err)
	done(t, decide("root"))
	expect(t, "unconfirmed", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	if _, err := k.ConfirmReview(reviewer("root"), in); !problem.Has(err, problem.SecondPersonRequired) {
		t.Errorf("the same person: %v", err)
	}
	released, err := k.ReleaseReview(reviewer("clara"), in)
	done(t, err)
	if r := released.Record; r.State != domain.ReviewOpen || r.Decision != nil || slices.ContainsFunc(r.Hits, func(m domain.ReviewMatch) bool { return m.DismissedBy != nil }) {
		t.Errorf("a released decision: %+v", r)
	}
	done(t, decide("clara"))
	k.Clock.Pass(time.Minute)
	confirmed, err := k.ConfirmReview(reviewer("root"), in)
	done(t, err)
	if r := confirmed.Record; r.Unconfirmed || *r.ConfirmedBy != "root" {
		t.Errorf("confirmed: %+v", r)
	}
	expect(t, "confirmed", decision(t, k, institution, c.ID), "true [reportPassed] []")
	if _, err := k.ReleaseReview(reviewer("clara"), in); !problem.Has(err, problem.ReviewAlreadyDecided) {
		t.Errorf("released after it was confirmed: %v", err)
	}
}

// TestReviewsAreOfTheInstitution: no customer sees that there is a review.
func TestReviewsAreOfTheInstitution(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	_, report, review := hit(t, k, "max")
	max := testkit.As("max", domain.ScopeProfilesFull)
	if _, err := k.Review(max, review.ID); !problem.Has(err, problem.NoSuchReview) {
		t.Errorf("the review: %v", err)
	}
	if _, err := k.Reviews(max, listing.Query{Limit: 10}); !problem.Has(err, problem.AccessDenied) {
		t.Errorf("the reviews: %v", err)
	}
	if found, err := k.ReviewsOf(max, []*domain.FraudRiskReport{report}); err != nil || found[0] != nil {
		t.Errorf("the review of the report: %v %v", found, err)
	}
	if _, err := k.TakeReview(max, domain.ReviewInput{ReviewID: review.ID}); !problem.Has(err, problem.AccessDenied) {
		t.Errorf("taken: %v", err)
	}
	auditor := testkit.As("audrey", domain.ScopeProfilesFull, domain.ScopeAdminRead)
	if _, err := k.Review(auditor, review.ID); err != nil {
		t.Errorf("for an auditor: %v", err)
	}
	if _, err := k.TakeReview(auditor, domain.ReviewInput{ReviewID: review.ID}); !problem.Has(err, problem.AccessDenied) {
		t.Errorf("taken by an auditor: %v", err)
	}
	if review.Matches(testkit.As("clerk", domain.ScopeAdminRead)) != nil || len(review.Matches(auditor)) != 2 {
		t.Error("the matches are for reviewers")
	}
	events, err := k.LifecycleEvents(max, listing.Query{Limit: 100})
	done(t, err)
	for _, e := range events.Items {
		if e.SubjectKind == domain.KindReview {
			t.Errorf("an event of a review: %+v", e)
		}
	}
}
