package domain_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/testkit"
)

// refused asserts a problem.
func refused(t *testing.T, claim string, err error, want *problem.Definition) {
	t.Helper()
	if !problem.Has(err, want) {
		t.Errorf("%s: got %v, want %s", claim, err, want.Code)
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestContacts(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	c := k.ContactOf(t, "max", who)
	if !c.OwnedBy("max") || c.Version != 1 || !strings.HasPrefix(c.ID, "contact_") {
		t.Errorf("got %+v", c.Meta)
	}
	got, err := k.Service.Contact(testkit.Profiles("max"), c.ID)
	done(t, err)
	if !got.Of.Equal(who) {
		t.Error("the identity is another one")
	}
	for claim, ctx := range map[string]context.Context{"a stranger": testkit.Profiles("eve"), "the same": testkit.As("max")} {
		_, err := k.Service.Contact(ctx, c.ID)
		want := problem.NoSuchContact
		if claim == "the same" {
			want = problem.AccessDenied // without the scope
		}
		refused(t, claim, err, want)
	}
	_, err = k.CreateContact(testkit.Profiles("eve"), domain.CreateContactInput{UserID: new("max"), Identity: who})
	refused(t, "a contact for another", err, problem.AccessDenied)
	_, err = k.CreateContact(testkit.Profiles("eve"), domain.CreateContactInput{})
	refused(t, "an empty contact", err, problem.InvalidInput)
	made, err := k.CreateContact(testkit.IdentityAdmin(), domain.CreateContactInput{UserID: new("bob"), Identity: domain.Identity{FirstName: new("Bob")}})
	done(t, err)
	if !made.Record.OwnedBy("bob") {
		t.Error("an administrator's contact is nobody's")
	}
	stale := 7
	_, err = k.UpdateContact(testkit.Profiles("max"), domain.UpdateContactInput{ContactID: c.ID, Identity: domain.Identity{City: new("Durham")}, Guard: domain.Guard{ExpectedVersion: &stale}})
	refused(t, "a stale update", err, problem.StaleVersion)
	out, err := k.UpdateContact(testkit.Profiles("max"), domain.UpdateContactInput{ContactID: "/contacts/contacts/" + c.ID, Identity: domain.Identity{City: new("Durham")}})
	done(t, err)
	if out.Record.Version != 2 || *out.Record.Of.City != "Durham" || *out.Record.Of.TaxID != *who.TaxID {
		t.Errorf("the update gives %+v", out.Record.Meta)
	}
	_, err = k.UpdateContact(testkit.Profiles("eve"), domain.UpdateContactInput{ContactID: c.ID, Identity: domain.Identity{City: new("Durham")}})
	refused(t, "a stranger's update", err, problem.NoSuchContact)
	_, err = k.UpdateContact(testkit.Profiles("max"), domain.UpdateContactInput{ContactID: c.ID, UserID: new("eve")})
	refused(t, "giving a contact away", err, problem.AccessDenied)

	for ctx, want := range map[context.Context]int{testkit.Profiles("max"): 1, testkit.Profiles("eve"): 0, testkit.IdentityAdmin(): 2} {
		page, err := k.Service.Contacts(ctx, listing.Query{Limit: 10}, domain.ContactSearch{})
		done(t, err)
		if len(page.Items) != want {
			t.Errorf("%s lists %d contacts", domain.ActorFrom(ctx).ID, len(page.Items))
		}
	}
	_, err = k.Service.Contacts(testkit.Profiles("max"), listing.Query{Limit: 10}, domain.ContactSearch{TaxID: who.TaxID})
	refused(t, "a search by what is masked", err, problem.AccessDenied)
	page, err := k.Service.Contacts(testkit.IdentityAdmin(), listing.Query{Limit: 10}, domain.ContactSearch{TaxID: new("219550142"), Email: new("MAX.PIKE@example.com")})
	done(t, err)
	if len(page.Items) != 1 || page.Items[0].ID != c.ID {
		t.Errorf("the blind index finds %d", len(page.Items))
	}
}

func TestIdentitiesAreChecked(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	long := strings.Repeat("ä", 513)
	for member, change := range map[string]func(*domain.Identity){
		"taxId":      func(i *domain.Identity) { i.TaxID = new(long[:130*2]) },
		"firstName":  func(i *domain.Identity) { i.FirstName = new("") },
		"address1":   func(i *domain.Identity) { i.Address1 = &long },
		"city":       func(i *domain.Identity) { i.City = new(long[:65*2]) },
		"postalCode": func(i *domain.Identity) { i.PostalCode = new(long[:33*2]) },
		"phone":      func(i *domain.Identity) { i.Phone = new(long[:33*2]) },
		"birthdate":  func(i *domain.Identity) { i.Birthdate = new("1985-02-30") },
		"email":      func(i *domain.Identity) { i.Email = new("nobody") },
		"ipAddress":  func(i *domain.Identity) { i.IPAddress = new("2001:db8::1") },
	} {
		who := testkit.Pike()
		change(&who)
		_, err := k.CreateContact(testkit.Profiles("max"), domain.CreateContactInput{Identity: who})
		p := problem.Of(err)
		if err == nil || len(p.Causes) != 1 || p.Causes[0].Path[0] != member {
			t.Errorf("%s: got %v", member, err)
		}
	}
	future := testkit.Pike()
	future.Birthdate = new(testkit.Epoch.AddDate(0, 0, 2).Format(time.DateOnly))
	_, err := k.CreateContact(testkit.Profiles("max"), domain.CreateContactInput{Identity: future})
	refused(t, "a birth in the future", err, problem.InvalidInput)
	limit := testkit.Pike()
	limit.Address1, limit.TaxID, limit.City = new(long[:512*2]), new(long[:128*2]), new(long[:64*2])
	_, err = k.CreateContact(testkit.Profiles("max"), domain.CreateContactInput{Identity: limit})
	done(t, err)
}

func TestPersonalDataIsMasked(t *testing.T) {
	t.Parallel()
	c := &domain.Contact{Of: testkit.Pike()}
	for _, full := range []bool{false, true} {
		ctx := testkit.Profiles("max")
		if full {
			ctx = testkit.Profiles("max", domain.ScopeReadPII)
		}
		for member, of := range map[string]struct{ shown, is *string }{
			"taxId": {c.TaxID(ctx), c.Of.TaxID}, "birthdate": {c.Birthdate(ctx), c.Of.Birthdate}, "phone": {c.Phone(ctx), c.Of.Phone},
			"email": {c.Email(ctx), c.Of.Email}, "address1": {c.Address1(ctx), c.Of.Address1}, "address2": {c.Address2(ctx), c.Of.Address2},
		} {
			if (*of.shown == *of.is) != full {
				t.Errorf("full %v: %s is shown as %s", full, member, *of.shown)
			}
		}
		if *c.FirstName() != "Max" || *c.City() != "Wilmington" {
			t.Error("a name or a town is masked")
		}
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	unknown, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{Identity: who})
	done(t, err)
	if r := unknown.Record; r.State != domain.ReportFailed || len(r.Findings) != 0 || r.ContactID != nil {
		t.Errorf("an unknown person: %s %v", r.State, r.Findings)
	}
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	clean, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID})
	done(t, err)
	if r := clean.Record; r.State != domain.ReportPassed || !r.Vouches || *r.ContactID != c.ID || !r.Inputs.Equal(who) {
		t.Errorf("a clean person: %+v", r)
	}
	// The list is imported while the server runs, and takes effect at once.
	k.List(t, risk.Entry{ID: "n1", List: risk.RestrictedIP, Value: "198.51.100.0/24"}, risk.Entry{ID: "w1", List: risk.GovernmentWatchlist, Value: "Max Pike", Births: []string{"1985-06-15"}})
	risky, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: new("http://gatehouse.test/contacts/contacts/" + c.ID)})
	done(t, err)
	if r := risky.Record; r.State != domain.ReportPassedWithRiskFactors || len(r.Findings) != 2 || r.Findings[1].Type != risk.IdentityOnGovernmentWatchlist ||
		*r.Findings[1].Evidence[0].Entry != "w1" || *r.Findings[1].Evidence[0].Score != 1 {
		t.Errorf("a risky person: %+v", r)
	}
	again, err := k.Service.FraudRiskReport(testkit.Profiles("max"), risky.Record.ID)
	done(t, err)
	if !reflect.DeepEqual(again.Findings, risky.Record.Findings) {
		t.Errorf("read again: %v", again.Findings)
	}
	for claim, c := range map[string]struct {
		caller             context.Context
		categories, proofs int
	}{
		"the contact's user":               {testkit.Profiles("max"), 1, 0},
		"an administrator":                 {testkit.As("root", domain.ScopeProfilesRead, domain.ScopeAdminRead), 2, 0},
		"an administrator who sees it all": {testkit.As("root", domain.ScopeProfilesFull, domain.ScopeAdminFull), 2, 2},
	} {
		proofs := 0
		shown := risky.Record.Categories(c.caller)
		for _, one := range shown {
			proofs += len(one.Evidence)
		}
		if len(shown) != c.categories || proofs != c.proofs {
			t.Errorf("%s sees %d categories with %d pieces of evidence", claim, len(shown), proofs)
		}
	}
	_, err = k.Service.FraudRiskReport(testkit.Profiles("eve"), risky.Record.ID)
	refused(t, "a stranger", err, problem.NoSuchFraudRiskReport)

	other, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID, Identity: domain.Identity{LastName: new("Other")}})
	done(t, err)
	if other.Record.Vouches {
		t.Error("a report on somebody else counts for the contact")
	}
	for claim, in := range map[string]domain.CreateFraudRiskReportInput{
		"nothing": {}, "a part": {Identity: domain.Identity{FirstName: new("Max")}},
	} {
		_, err := k.CreateFraudRiskReport(testkit.Profiles("max"), in)
		refused(t, claim, err, problem.InvalidInput)
	}
	for claim, link := range map[string]string{"unknown": "contact_nope", "a wrong shape": "/accounts/accounts/x", "another's": k.ContactOf(t, "eve", who).ID} {
		_, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &link})
		refused(t, claim, err, problem.InvalidContactLink)
	}
	half := k.ContactOf(t, "max", domain.Identity{FirstName: new("Max"), LastName: new("Pike")})
	_, err = k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &half.ID})
	refused(t, "an incomplete contact", err, problem.IncompleteIdentity)
	if missing, _ := problem.Of(err).Attributes["missing"].([]string); !slices.Contains(missing, "taxId") || slices.Contains(missing, "address2") {
		t.Errorf("missing: %v", missing)
	}
	for field, want := range map[listing.Predicate]int{
		listing.Eq("outputs.state", "failed"): 1, listing.Eq("outputs.fraudRiskCategories.type", "ipRestricted"): 2, listing.Eq("type", "quiz"): 0,
	} {
		page, err := k.Service.FraudRiskReports(testkit.Profiles("max"), listing.Query{Where: field, Limit: 10})
		done(t, err)
		if len(page.Items) != want {
			t.Errorf("%v lists %d", field, len(page.Items))
		}
	}
	key := "a key"
	first, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID, IdempotencyKey: &key})
	done(t, err)
	// The address of a contact names the same one.
	second, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: new(domain.ContactURI(c.ID)), IdempotencyKey: &key})
	done(t, err)
	if !second.Replayed || second.Record.ID != first.Record.ID {
		t.Error("a repeat makes another report")
	}
}

type outage struct{ domain.Quizmaster }

func (outage) Screen(context.Context, domain.Identity) (risk.Assessment, error) {
	return risk.Assessment{Found: true}, errors.New("down")
}

func (outage) Questions(context.Context, *domain.Quiz) ([]domain.QuizQuestion, error) {
	return nil, errors.New("down")
}

func TestAProviderThatIsDownLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	k.Screening, k.Quizmaster = outage{}, outage{k.Quizmaster}
	_, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID})
	refused(t, "a report", err, problem.ProviderUnavailable)
	page, err := k.Service.FraudRiskReports(testkit.IdentityAdmin(), listing.Query{Limit: 10})
	done(t, err)
	if len(page.Items) != 0 {
		t.Error("there is a half-made report")
	}
	quiz, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &c.ID})
	done(t, err)
	_, _, err = k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID})
	refused(t, "questions", err, problem.ProviderUnavailable)
	got, err := k.Service.Quiz(testkit.Profiles("max"), quiz.Record.ID)
	done(t, err)
	if got.State != domain.QuizPending || got.Version != 1 {
		t.Errorf("the quiz is %s", got.State)
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	c := k.ContactOf(t, "max", testkit.Pike())
	method := domain.VerifiedByQuiz
	out, err := k.CreateApproval(testkit.IdentityAdmin(), domain.CreateApprovalInput{ContactID: c.ID, Method: &method, Reason: new("Seen the passport.")})
	done(t, err)
	if a := out.Record; a.ApprovedBy != "root" || a.ContactID != c.ID || *a.Method != method {
		t.Errorf("got %+v", a)
	}
	_, err = k.CreateApproval(testkit.Profiles("max"), domain.CreateApprovalInput{ContactID: c.ID})
	refused(t, "the person", err, problem.AccessDenied)
	_, err = k.CreateApproval(testkit.Profiles("max", domain.ScopeAdminFull), domain.CreateApprovalInput{ContactID: c.ID})
	refused(t, "the person as an administrator", err, problem.AccessDenied)
	_, err = k.CreateApproval(testkit.IdentityAdmin(), domain.CreateApprovalInput{ContactID: "contact_none"})
	refused(t, "nobody", err, problem.InvalidContactURI)
	got, err := k.Service.Approval(testkit.Profiles("max"), out.Record.ID)
	done(t, err)
	if *got.Reason != "Seen the passport." {
		t.Error("the reason is lost")
	}
	_, err = k.Service.Approval(testkit.Profiles("eve"), out.Record.ID)
	refused(t, "a stranger", err, problem.NoSuchApproval)
	_, err = k.Service.Approvals(testkit.Profiles("max"), listing.Query{Limit: 5})
	refused(t, "a list for everybody", err, problem.AccessDenied)
	page, err := k.Service.Approvals(testkit.IdentityAdmin(), listing.Query{Limit: 5, Where: listing.Eq("method", "quiz")})
	done(t, err)
	if len(page.Items) != 1 {
		t.Errorf("%d approvals", len(page.Items))
	}
}

func TestContactVerification(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	c := k.ContactOf(t, "max", who)
	if ok, err := k.UsersVerified(t.Context(), "max"); ok["max"] || err != nil {
		t.Error("somebody nobody has looked at is verified")
	}
	_, err := k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID}) // failed: unknown
	done(t, err)
	k.Know(t, who)
	k.Clock.Pass(time.Minute)
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	k.AskQuiz(t, "max", c.ID) // without answers
	k.Clock.Pass(time.Minute)
	_, err = k.CreateFraudRiskReport(testkit.Profiles("max"), domain.CreateFraudRiskReportInput{ContactID: &c.ID, Identity: domain.Identity{City: new("Elsewhere")}}) // of another person
	done(t, err)
	_, err = k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 5)})
	done(t, err)
	if ok, _ := k.UsersVerified(t.Context(), "max"); ok["max"] {
		t.Error("somebody who failed everything is verified")
	}
	k.Clock.Pass(time.Minute)
	_, err = k.CreateApproval(testkit.IdentityAdmin(), domain.CreateApprovalInput{ContactID: c.ID})
	done(t, err)
	v, err := k.ContactVerification(testkit.Profiles("max"), "/contacts/contacts/"+c.ID)
	done(t, err)
	var got []string
	for _, one := range v.Verifications {
		got = append(got, fmt.Sprintf("%s %s", one.Type, one.State))
	}
	if want := "[fraudRiskReport failed quiz failed adminApproval passed]"; fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
	only, err := k.ContactVerification(testkit.Profiles("max"), c.ID, domain.VerifiedByQuiz)
	done(t, err)
	if len(only.Verifications) != 1 || only.Verifications[0].Source != quiz.ID {
		t.Errorf("quizzes only: %v", only.Verifications)
	}
	if ok, err := k.UsersVerified(t.Context(), "max"); !ok["max"] || err != nil {
		t.Error("an approved person is not verified")
	}
	_, err = k.ContactVerification(testkit.Profiles("eve"), c.ID)
	refused(t, "a stranger", err, problem.InvalidContactLink)
}

func TestTokensFollowTheState(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	asked := tokenOf(t, k, quiz)
	same, err := k.Service.Quiz(testkit.Profiles("max"), quiz.ID)
	done(t, err)
	if again := tokenOf(t, k, same); again != asked || asked == "" {
		t.Error("the token changes while the quiz does not")
	}
	out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)})
	done(t, err)
	if passed := tokenOf(t, k, out.Record); passed == asked {
		t.Error("the token stays while the quiz changes")
	}
	inline, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{Identity: who})
	done(t, err)
	if token := tokenOf(t, k, inline.Record); token != "" {
		t.Error("nobody's quiz has a token")
	}
}

func TestCompletionSeesTheVerification(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	k.Settings.CompleteRequiresVerification = true
	i := k.Invite(t)
	_, err := k.VerifyInvitation(testkit.As("dora"), domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: testkit.Secret})
	done(t, err)
	_, err = k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID})
	refused(t, "an invitee nobody has looked at", err, problem.InviteeNotVerified)
	c := k.ContactOf(t, "dora", testkit.Pike())
	_, err = k.CreateApproval(testkit.IdentityAdmin(), domain.CreateApprovalInput{ContactID: c.ID})
	done(t, err)
	out, err := k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID})
	done(t, err)
	verification := func(ctx context.Context) *domain.ContactVerification {
		all, err := k.InviteeVerifications(ctx, []*domain.Invitation{out.Record})
		done(t, err)
		return all[0]
	}
	v := verification(testkit.Admin())
	if v == nil || !v.Decided.Verified || v.Contact.ID != c.ID {
		t.Errorf("got %+v", v)
	}
	if v := verification(testkit.As("alice")); v == nil || v.Contact != nil {
		t.Error("the inviter learns who the invitee is, or not how it ended")
	}
	if v := verification(testkit.As("bob")); v != nil {
		t.Error("a co-owner learns of the invitee")
	}
}

func tokenOf(t *testing.T, k *testkit.Kit, q *domain.Quiz) string {
	t.Helper()
	tokens, err := k.QuizTokens(t.Context(), q)
	done(t, err)
	return tokens[0]
}
