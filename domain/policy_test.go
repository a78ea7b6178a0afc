package domain_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/testkit"
)

// order orders a report.
func order(t *testing.T, k *testkit.Kit, caller context.Context, contactID string, over ...domain.Identity) *domain.FraudRiskReport {
	t.Helper()
	in := domain.CreateFraudRiskReportInput{ContactID: &contactID}
	for _, o := range over {
		in.Identity = o
	}
	out, err := k.CreateFraudRiskReport(caller, in)
	done(t, err)
	k.Clock.Pass(time.Minute)
	return out.Record
}

// decision is the decision about a contact in one line, as the caller sees it.
func decision(t *testing.T, k *testkit.Kit, caller context.Context, contactID string) string {
	t.Helper()
	v, err := k.ContactVerification(caller, contactID)
	done(t, err)
	d := v.Decision(caller)
	codes := []string{}
	for _, r := range d.Reasons {
		codes = append(codes, string(r.Code))
	}
	return fmt.Sprintf("%t %v %v", d.Verified, codes, d.Missing)
}

func expect[V comparable](t *testing.T, claim string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", claim, got, want)
	}
}

var institution = testkit.As("clerk", domain.ScopeProfilesFull, domain.ScopeAdminWrite)

// TestOnlyTheNewestReportCounts: a later result takes back what an earlier one gave, and a hit on a list excludes a
// verification until an approval names it.
func TestOnlyTheNewestReportCounts(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	c := k.ContactOf(t, "max", who)
	expect(t, "without a result", decision(t, k, institution, c.ID), "false [noQuiz noReport] [report approval]")
	order(t, k, institution, c.ID)
	expect(t, "no record matches", decision(t, k, institution, c.ID), "false [noQuiz reportFailed] [approval]")
	k.Know(t, who)
	order(t, k, institution, c.ID)
	expect(t, "a passed report", decision(t, k, institution, c.ID), "true [reportPassed] []")
	if ok, err := k.UsersVerified(t.Context(), "max"); !ok["max"] || err != nil {
		t.Errorf("the user is not verified: %v", err)
	}
	k.List(t, risk.Entry{ID: "w1", List: risk.AlertList, Value: "Max Pike", Births: []string{"1985-06-15"}})
	hit := order(t, k, institution, c.ID)
	expect(t, "a hit", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	expect(t, "a hit, for the person", decision(t, k, testkit.Profiles("max"), c.ID), "false [needsReview] [approval]")
	if shown := hit.Categories(testkit.Profiles("max")); hit.State != domain.ReportPassedWithRiskFactors || len(shown) != 0 {
		t.Errorf("the person sees %s with %v", hit.State, shown)
	}
	approve := func(by string, overrides ...risk.Category) {
		t.Helper()
		_, err := k.CreateApproval(testkit.As(by, domain.ScopeProfilesFull, domain.ScopeAdminWrite), domain.CreateApprovalInput{ContactID: c.ID, Overrides: overrides})
		done(t, err)
		k.Clock.Pass(time.Minute)
	}
	approve("root")
	expect(t, "an approval that does not name the list", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	approve("root", risk.IdentityOnAlertList)
	expect(t, "an approval that names it", decision(t, k, institution, c.ID), "true [approved] []")
	order(t, k, institution, c.ID)
	expect(t, "a later report", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")

	k.Settings.Policy = domain.DefaultVerificationPolicy()
	k.Settings.Policy.FourEyes = true
	approve("root", risk.IdentityOnAlertList)
	approve("root", risk.IdentityOnAlertList)
	expect(t, "one person twice", decision(t, k, institution, c.ID), "false [neverCategory] [approval]")
	approve("clara", risk.IdentityOnAlertList)
	expect(t, "a second person", decision(t, k, institution, c.ID), "true [approved] []")
}

// TestResultsAreAboutAnIdentity: a changed name, tax id or birth date makes results count no more, and what a report is
// about cannot be replaced in the request.
func TestResultsAreAboutAnIdentity(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	who.Email, who.Address2 = nil, nil
	k.Know(t, who)
	created, err := k.CreateContact(institution, domain.CreateContactInput{Identity: who, UserID: new("max")})
	done(t, err)
	c := created.Record
	for claim, over := range map[string]struct {
		identity domain.Identity
		vouches  bool
	}{
		"another IP address":          {domain.Identity{IPAddress: new("192.0.2.99")}, true},
		"an e-mail address":           {domain.Identity{Email: new("max@example.net")}, true},
		"a second line":               {domain.Identity{Address2: new("Apt 2")}, true},
		"another spelling":            {domain.Identity{FirstName: new("MÁX"), LastName: new("PIKE")}, true},
		"another name":                {domain.Identity{FirstName: new("Maxine")}, false},
		"another town":                {domain.Identity{City: new("Elsewhere")}, false},
		"another phone than the own":  {domain.Identity{Phone: new("+1 302 555 0199")}, false},
		"another birth date":          {domain.Identity{Birthdate: new("1985-06-16")}, false},
		"the same name, spelled out":  {domain.Identity{FirstName: who.FirstName}, true},
		"another tax id with a space": {domain.Identity{TaxID: new("123 45 6780")}, false},
	} {
		if r := order(t, k, institution, c.ID, over.identity); r.Vouches != over.vouches {
			t.Errorf("%s: counts for the contact: %t", claim, r.Vouches)
		}
	}
	order(t, k, testkit.Profiles("max"), c.ID) // the institution made the contact, so the user's own order counts
	expect(t, "before", decision(t, k, institution, c.ID), "true [reportPassed] []")
	change := func(caller context.Context, to domain.Identity) {
		t.Helper()
		_, err := k.UpdateContact(caller, domain.UpdateContactInput{ContactID: c.ID, Identity: to})
		done(t, err)
		k.Clock.Pass(time.Minute)
	}
	change(testkit.Profiles("max"), domain.Identity{City: new("Dover"), LastName: new("  pike")})
	expect(t, "another town and spelling", decision(t, k, institution, c.ID), "true [reportPassed] []")
	change(testkit.Profiles("max"), domain.Identity{LastName: new("Somebody")})
	expect(t, "another name", decision(t, k, institution, c.ID), "false [identitySuperseded noQuiz noReport] [report approval]")
	v, err := k.ContactVerification(institution, c.ID)
	done(t, err)
	if slices.ContainsFunc(v.Verifications, func(one *domain.Verification) bool { return one.State != domain.VerificationSuperseded }) {
		t.Error("a result about another name is not superseded")
	}
	change(testkit.Profiles("max"), domain.Identity{LastName: who.LastName})
	expect(t, "changed back by the user", decision(t, k, institution, c.ID), "true [reportPassed] []")
	k.Clock.Pass(91 * 24 * time.Hour)
	expect(t, "after 91 days", decision(t, k, institution, c.ID), "false [noQuiz reportExpired selfOrdered] [report quiz approval]")
}

// TestAUserDoesNotVouchForThemselves: results that a user orders about a contact of their making count only with
// selfService, or ordered by the institution or one of its verifiers.
func TestAUserDoesNotVouchForThemselves(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	order(t, k, testkit.Profiles("max"), c.ID)
	expect(t, "ordered by the user", decision(t, k, institution, c.ID), "false [noQuiz noReport selfOrdered] [report approval]")
	v, err := k.ContactVerification(testkit.Profiles("max"), c.ID)
	done(t, err)
	if len(v.Verifications) != 1 || v.Verifications[0].State != domain.VerificationPassed {
		t.Errorf("the documented list has %v", v.Verifications)
	}
	k.Settings.Policy = domain.DefaultVerificationPolicy()
	k.Settings.Policy.SelfService = true
	expect(t, "with selfService", decision(t, k, institution, c.ID), "true [reportPassed] []")
	k.Settings.Policy = domain.VerificationPolicy{}

	_, err = k.CreateFraudRiskReport(testkit.As("auditor", domain.ScopeProfilesFull, domain.ScopeAdminRead), domain.CreateFraudRiskReportInput{ContactID: &c.ID})
	refused(t, "an auditor", err, problem.AccessDenied)
	own := k.ContactOf(t, "teller", who)
	order(t, k, testkit.As("teller", domain.ScopeProfilesFull, domain.ScopeAdminWrite), own.ID)
	expect(t, "a member of staff about themselves", decision(t, k, institution, own.ID), "false [noQuiz noReport selfOrdered] [report approval]")

	verifier := domain.ActorFrom(testkit.Profiles("onboarding"))
	verifier.Verifier = true
	order(t, k, domain.WithActor(t.Context(), verifier), c.ID)
	expect(t, "ordered by a verifier", decision(t, k, institution, c.ID), "true [reportPassed] []")
}

// TestAQuizThatCouldNotCountNeverCounts: its attempts were limited apart, also if the contact is confirmed later.
func TestAQuizThatCouldNotCountNeverCounts(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	k.Settings.Policy = domain.VerificationPolicy{Verified: []domain.PolicyCondition{{Quiz: domain.QuizPassed}}, Version: "quiz"}
	who := testkit.Pike()
	k.Know(t, who)
	wrong := who
	wrong.Birthdate = new("1985-06-16")
	created, err := k.CreateContact(institution, domain.CreateContactInput{Identity: wrong, UserID: new("max")})
	done(t, err)
	id := created.Record.ID
	change := func(caller context.Context, birthdate string) {
		t.Helper()
		_, err := k.UpdateContact(caller, domain.UpdateContactInput{ContactID: id, Identity: domain.Identity{Birthdate: &birthdate}})
		done(t, err)
	}
	pass := func() {
		t.Helper()
		quiz, questions := k.AskQuiz(t, "max", id)
		out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)})
		done(t, err)
		if out.Record.State != domain.QuizPassed {
			t.Fatalf("it is %s", out.Record.State)
		}
	}
	change(testkit.Profiles("max"), *who.Birthdate)
	pass()
	expect(t, "ordered by the user", decision(t, k, institution, id), "false [noQuiz selfOrdered] [quiz]")
	change(institution, *wrong.Birthdate)
	change(institution, *who.Birthdate)
	expect(t, "after the institution confirmed the contact", decision(t, k, institution, id), "false [noQuiz selfOrdered] [quiz]")
	pass()
	expect(t, "ordered after that", decision(t, k, institution, id), "true [quizPassed] []")
}

// TestSeveralContactsOfOneUser: the institution's contact goes first, and an excluding category of any contact holds for
// all.
func TestSeveralContactsOfOneUser(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	own := k.ContactOf(t, "max", who)
	made, err := k.CreateContact(institution, domain.CreateContactInput{Identity: who, UserID: new("max")})
	done(t, err)
	of := func() *domain.ContactVerification {
		all, err := k.UserVerifications(t.Context(), "max")
		done(t, err)
		return all["max"]
	}
	order(t, k, institution, own.ID)
	if v := of(); v.Contact.ID != made.Record.ID || v.Decided.Verified {
		t.Errorf("got %s, %t", v.Contact.ID, v.Decided.Verified)
	}
	order(t, k, institution, made.Record.ID)
	if v := of(); !v.Decided.Verified {
		t.Error("the institution's contact is not verified")
	}
	other := testkit.Pike()
	other.TaxID, other.FirstName = new("219-55-0177"), new("Maxwell")
	third := k.ContactOf(t, "max", other)
	k.List(t, risk.Entry{ID: "w1", List: risk.GovernmentWatchlist, Value: "Maxwell Pike", Births: []string{*other.Birthdate}})
	k.Know(t, other)
	order(t, k, institution, third.ID)
	if v := of(); v.Decided.Verified {
		t.Error("a hit about another contact of the user is ignored")
	}
}

// TestOrdersAreLimited: reports, quizzes and questions count for the caller and for the person; the institution is not
// counted.
func TestOrdersAreLimited(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	k.Settings.ReportLimit, k.Settings.ReportPersonLimit = domain.Rate{Limit: 3, Per: time.Hour}, domain.Rate{Limit: 5, Per: 24 * time.Hour}
	who := testkit.Pike()
	k.Know(t, who)
	ask := func(user string) error {
		_, err := k.CreateFraudRiskReport(testkit.Profiles(user), domain.CreateFraudRiskReportInput{Identity: who})
		return err
	}
	for range 3 {
		done(t, ask("eve"))
	}
	refused(t, "the fourth of a caller", ask("eve"), problem.TooManyRequests)
	done(t, ask("mallory"))
	done(t, ask("mallory"))
	refused(t, "the sixth of a person", ask("mallory"), problem.TooManyRequests)
	c := k.ContactOf(t, "max", who)
	order(t, k, institution, c.ID)
}
