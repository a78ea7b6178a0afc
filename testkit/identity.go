package testkit

import (
	"context"
	"log/slog"
	"testing"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
)

// providers configures the service with the local providers, which use the records and lists of the kit.
func (k *Kit) providers(t testing.TB) {
	t.Helper()
	local := &provider.Local{
		Records: k.DB, Lists: provider.NewLists(k.DB, "", k.Clock.Now, slog.New(slog.DiscardHandler)),
		NameMatch: provider.DefaultNameMatch, Rules: provider.DefaultQuizRules(), Choices: k.DB, KeyedHash: k.DB.KeyedHash, Now: k.Clock.Now,
	}
	k.Screening, k.Quizmaster, k.Rescreener = local, local, local
	k.Attest = auth.NewAttester(k.DB).Attest
	k.Verified = k.UsersVerified
}

// Profiles returns the context of a user with the scopes of the identity operations.
func Profiles(user string, scopes ...string) context.Context {
	return As(user, append([]string{domain.ScopeProfilesRead, domain.ScopeProfilesWrite}, scopes...)...)
}

// IdentityAdmin returns the context of an administrator with the scopes of the identity operations.
func IdentityAdmin() context.Context {
	return As("root", domain.ScopeProfilesFull, domain.ScopeAdminFull, domain.ScopeBankingFull)
}

// Pike is an identity with all twelve members.
func Pike() domain.Identity {
	return domain.Identity{
		TaxID: new("219-55-0142"), FirstName: new("Max"), LastName: new("Pike"), Address1: new("1234 S. Front Street"), Address2: new("Apt 4B"),
		City: new("Wilmington"), Region: new("NC"), PostalCode: new("28401"), Phone: new("+1 910 555 0155"), Birthdate: new("1985-06-15"),
		Email: new("max.pike@example.com"), IPAddress: new("198.51.100.7"),
	}
}

// KnownFacts are the correct answers about the people of Know.
var KnownFacts = []string{"Burlington", "Greenville", "Food Lion", "Mazda", "Carter"}

// Know imports an identity record of the person with a fact of each kind, and two towns.
func (k *Kit) Know(t testing.TB, who domain.Identity) *domain.IdentityRecord {
	t.Helper()
	who.IPAddress = nil
	r := &domain.IdentityRecord{
		ID: "rec-" + *who.TaxID, Identity: who,
		PreviousAddresses: []domain.PreviousAddress{
			{Address1: "9 Elm Avenue", City: "Burlington", Region: "NC", PostalCode: "27215"},
			{Address1: "31 Dogwood Drive", City: "Greenville", Region: "NC", PostalCode: "27834"},
		},
		Relatives: []string{"Ada Carter"}, Vehicles: []string{"2014 Mazda 3"}, Employers: []string{"Food Lion LLC"},
	}
	if err := k.DB.ImportBatch(context.Background(), []any{r}); err != nil {
		t.Fatal(err)
	}
	return r
}

// List imports list entries.
func (k *Kit) List(t testing.TB, entries ...risk.Entry) {
	t.Helper()
	var all []any
	for _, e := range entries {
		all = append(all, &domain.ListEntry{Entry: e})
	}
	if err := k.DB.ImportBatch(context.Background(), all); err != nil {
		t.Fatal(err)
	}
}

// ContactOf creates a contact that belongs to the user.
func (k *Kit) ContactOf(t testing.TB, user string, who domain.Identity) *domain.Contact {
	t.Helper()
	out, err := k.CreateContact(Profiles(user), domain.CreateContactInput{Identity: who})
	if err != nil {
		t.Fatal(err)
	}
	return out.Record
}

// AskQuiz creates a quiz for a contact and returns it with its questions.
func (k *Kit) AskQuiz(t testing.TB, user, contactID string) (*domain.Quiz, []domain.QuizQuestion) {
	t.Helper()
	quiz, err := k.CreateQuiz(Profiles(user), domain.CreateQuizInput{ContactID: &contactID})
	if err != nil {
		t.Fatal(err)
	}
	asked, questions, err := k.CreateQuizQuestions(Profiles(user), domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID})
	if err != nil {
		t.Fatal(err)
	}
	return asked.Record, questions
}

// RightAnswers returns an answer to each question: incorrect for the first wrong questions, correct for the others.
func RightAnswers(questions []domain.QuizQuestion, wrong int) []domain.QuizAnswer {
	var out []domain.QuizAnswer
	for i, q := range questions {
		a := domain.QuizAnswer{QuestionID: q.ID, Answer: q.Right}
		for _, c := range q.Choices {
			if i < wrong && c != q.Right {
				a.Answer = c
			}
		}
		out = append(out, a)
	}
	return out
}
