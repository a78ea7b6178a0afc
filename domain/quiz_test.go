package domain_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

func TestQuizzes(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	if quiz.State != domain.QuizAsked || len(questions) != 5 || quiz.QuestionCount != 5 || !quiz.ExpiresAt.Equal(quiz.CreatedAt.Add(15*time.Minute)) {
		t.Fatalf("got %s with %d questions", quiz.State, len(questions))
	}
	for i, q := range questions {
		if q.ID != fmt.Sprint(i+1) || !slices.Contains(testkit.KnownFacts, q.Right) || len(q.Choices) != 5 || !slices.Contains(q.Choices, q.Right) {
			t.Errorf("question %d is %+v", i, q)
		}
	}
	_, second := k.AskQuiz(t, "max", c.ID)
	for i := range questions {
		at := slices.IndexFunc(second, func(q domain.QuizQuestion) bool { return q.Right == questions[i].Right })
		if at < 0 || !slices.Equal(questions[i].Choices, second[at].Choices) {
			t.Errorf("two quizzes give %v and %v", questions[i], second)
		}
	}
	for claim, answers := range map[string][]domain.QuizAnswer{
		"one too few":         testkit.RightAnswers(questions, 0)[1:],
		"one twice":           append(testkit.RightAnswers(questions, 0)[1:], testkit.RightAnswers(questions, 0)[1]),
		"an unknown question": append(testkit.RightAnswers(questions, 0)[1:], domain.QuizAnswer{QuestionID: "9", Answer: "x"}),
		"none of the choices": append(testkit.RightAnswers(questions, 0)[1:], domain.QuizAnswer{QuestionID: "1", Answer: "x"}),
	} {
		out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: answers})
		refused(t, claim, err, problem.InvalidQuizAnswers)
		if out.Record == nil || out.Record.ID != quiz.ID {
			t.Errorf("%s: the quiz is not beside the refusal", claim)
		}
		if ids, _ := problem.Of(err).Attributes["questionIds"].([]string); len(ids) == 0 {
			t.Errorf("%s: no question is named", claim)
		}
	}
	out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)})
	done(t, err)
	if out.Record.State != domain.QuizPassed || out.Record.Questions != nil {
		t.Errorf("got %s", out.Record.State)
	}
	_, err = k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)})
	refused(t, "a second try", err, problem.InvalidQuizState)
	_, _, err = k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: quiz.ID})
	refused(t, "other questions", err, problem.InvalidQuizState)

	third, questions := k.AskQuiz(t, "max", c.ID)
	out, err = k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: third.ID, Answers: testkit.RightAnswers(questions, 1)})
	done(t, err)
	if out.Record.State != domain.QuizFailed {
		t.Errorf("with one wrong answer it is %s", out.Record.State)
	}
	_, err = k.ScoreQuiz(testkit.Profiles("eve"), domain.ScoreQuizInput{QuizID: third.ID, Answers: testkit.RightAnswers(questions, 1)})
	refused(t, "a stranger's answers", err, problem.NoSuchQuiz)
}

func TestAPersonWithoutFactsHasNoQuestions(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	c := k.ContactOf(t, "max", testkit.Pike())
	quiz, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &c.ID})
	done(t, err)
	out, questions, err := k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID})
	refused(t, "questions", err, problem.QuizQuestionsUnavailable)
	if out.Record == nil || out.Record.State != domain.QuizFailedGetQuestions || questions != nil {
		t.Errorf("got %+v", out.Record)
	}
}

func TestQuizzesExpire(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	pending, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &c.ID})
	done(t, err)
	asked, questions := k.AskQuiz(t, "max", c.ID)
	k.Clock.Pass(15 * time.Minute)
	_, _, err = k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: pending.Record.ID})
	refused(t, "questions after the time", err, problem.InvalidQuizState)
	page, err := k.Service.Quizzes(testkit.Profiles("max"), listing.Query{Where: listing.Eq("outputs.state", "expired"), Limit: 10})
	done(t, err)
	if len(page.Items) != 2 {
		t.Errorf("%d quizzes are expired", len(page.Items))
	}
	n, err := k.Sweep(t.Context())
	done(t, err)
	if n != 2 {
		t.Errorf("%d are swept", n)
	}
	answers := domain.ScoreQuizInput{QuizID: asked.ID, Answers: testkit.RightAnswers(questions, 0)}
	out, err := k.ScoreQuiz(testkit.Profiles("max"), answers)
	done(t, err)
	if out.Record.State != domain.QuizExpired {
		t.Errorf("the first late answers: %s", out.Record.State)
	}
	_, err = k.ScoreQuiz(testkit.Profiles("max"), answers)
	refused(t, "later ones", err, problem.InvalidQuizState)
	answers.QuizID = pending.Record.ID
	_, err = k.ScoreQuiz(testkit.Profiles("max"), answers)
	refused(t, "answers to what was never asked", err, problem.InvalidQuizState)
}

func TestParallelAnswersScoreOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	var scored, told atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			_, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, i%2)})
			switch {
			case err == nil:
				scored.Add(1)
			case problem.Has(err, problem.InvalidQuizState):
				told.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := k.Service.Quiz(testkit.Profiles("max"), quiz.ID)
	done(t, err)
	if scored.Load() != 1 || told.Load() != 63 || got.Version != 3 {
		t.Errorf("%d scored, %d refused, version %d", scored.Load(), told.Load(), got.Version)
	}
}

func TestTheLimitOfQuizzesIsExact(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	var ids []string
	for range 12 {
		quiz, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &c.ID})
		done(t, err)
		ids = append(ids, quiz.Record.ID)
	}
	var asked atomic.Int32
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			_, _, err := k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: id})
			switch {
			case err == nil:
				asked.Add(1)
			case !problem.Has(err, problem.TooManyRequests):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 5 {
		t.Errorf("%d quizzes were asked", asked.Load())
	}
	// The same person under another contact has the same limit.
	other := k.ContactOf(t, "max", domain.Identity{TaxID: new("219 55 0142")}.With(identityWithout(who)))
	quiz, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &other.ID})
	done(t, err)
	_, _, err = k.CreateQuizQuestions(testkit.Profiles("max"), domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID})
	refused(t, "the same person again", err, problem.TooManyRequests)
	if at := problem.Of(err).AvailableAt; !at.Equal(k.Clock.Now().Add(24 * time.Hour)) {
		t.Errorf("available at %s", at)
	}
	k.Clock.Pass(24 * time.Hour)
	_, questions := k.AskQuiz(t, "max", c.ID)
	if len(questions) == 0 {
		t.Error("the limit never ends")
	}
}

// TestAStrangersTriesLockNobodyOut: quizzes that can verify a contact are counted apart from all others, in both
// directions, and for both limits.
func TestAStrangersTriesLockNobodyOut(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	k.Settings.QuizLimit = domain.Rate{Limit: 3, Per: 24 * time.Hour}
	k.Settings.ReportLimit, k.Settings.ReportPersonLimit = domain.Rate{}, domain.Rate{}
	who := testkit.Pike()
	k.Know(t, who)
	strangers := k.ContactOf(t, "eve", who)
	made, err := k.CreateContact(testkit.IdentityAdmin(), domain.CreateContactInput{UserID: new("max"), Identity: who})
	done(t, err)
	pike, eve, root := testkit.Profiles("max"), testkit.Profiles("eve"), testkit.IdentityAdmin()
	ask := func(by, answerer context.Context, in domain.CreateQuizInput) (string, error) {
		t.Helper()
		quiz, err := k.CreateQuiz(by, in)
		done(t, err)
		out, _, err := k.CreateQuizQuestions(answerer, domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID})
		if out.Record == nil {
			t.Fatalf("the quiz is not beside %v", err)
		}
		return string(out.Record.State), err
	}
	own, other := domain.CreateQuizInput{ContactID: &made.Record.ID}, domain.CreateQuizInput{ContactID: &strangers.ID}
	for n := range 3 {
		if state, err := ask(eve, eve, other); err != nil {
			t.Errorf("a stranger's try %d is %s: %v", n, state, err)
		}
	}
	for claim, in := range map[string]domain.CreateQuizInput{"with a contact": other, "without": {Identity: who}} {
		_, err := ask(eve, eve, in)
		refused(t, "a stranger's fourth try "+claim, err, problem.TooManyRequests)
	}
	// The person's own tries, and those that the institution orders, are one count.
	for n, c := range []struct{ by, answerer context.Context }{{root, pike}, {pike, pike}, {root, pike}} {
		if state, err := ask(c.by, c.answerer, own); err != nil {
			t.Errorf("try %d is %s: %v", n, state, err)
		}
	}
	_, err = ask(root, pike, own)
	refused(t, "a fourth try", err, problem.TooManyRequests)

	// Ten in 90 days, and no more until somebody approves the contact.
	for range 3 {
		k.Clock.Pass(24 * time.Hour)
		for range 3 {
			_, _ = ask(root, pike, own)
			_, _ = ask(eve, eve, other)
		}
	}
	k.Clock.Pass(24 * time.Hour)
	state, err := ask(pike, pike, own)
	refused(t, "an eleventh try", err, problem.QuizQuestionsUnavailable)
	if state != string(domain.QuizFailedGetQuestions) {
		t.Errorf("an eleventh try is %s", state)
	}
	_, err = ask(eve, eve, other)
	refused(t, "a stranger's eleventh try", err, problem.QuizQuestionsUnavailable)
	if _, err := k.CreateApproval(root, domain.CreateApprovalInput{ContactID: made.Record.ID}); err != nil {
		t.Fatal(err)
	}
	if state, err := ask(pike, pike, own); err != nil {
		t.Errorf("after an approval it is %s: %v", state, err)
	}
	_, err = ask(eve, eve, other)
	refused(t, "a stranger after the approval of another contact", err, problem.QuizQuestionsUnavailable)
	k.Clock.Pass(90 * 24 * time.Hour)
	if state, err := ask(eve, eve, other); err != nil {
		t.Errorf("after 90 days it is %s: %v", state, err)
	}
}

func identityWithout(who domain.Identity) domain.Identity {
	who.TaxID = nil
	return who
}

func TestQuestionsComeAgainForTheSameKeyOnly(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	quiz, err := k.CreateQuiz(testkit.Profiles("max"), domain.CreateQuizInput{ContactID: &c.ID})
	done(t, err)
	in := domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID, Guard: domain.Guard{IdempotencyKey: new("k")}}
	_, first, err := k.CreateQuizQuestions(testkit.Profiles("max"), in)
	done(t, err)
	out, again, err := k.CreateQuizQuestions(testkit.Profiles("max"), in)
	done(t, err)
	if !out.Replayed || len(again) != len(first) || again[0].Choices[0] != first[0].Choices[0] {
		t.Errorf("the replay has %d questions", len(again))
	}
	_, err = k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.Record.ID, Answers: testkit.RightAnswers(first, 0)})
	done(t, err)
	if _, after, err := k.CreateQuizQuestions(testkit.Profiles("max"), in); err != nil || after != nil {
		t.Errorf("after the answers the replay has %d questions, %v", len(after), err)
	}
}

// later is a provider that scores when the test lets it.
type later struct {
	domain.Quizmaster
	verdict atomic.Value
	calls   atomic.Int32
}

func (*later) Mark(*domain.Quiz, []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	return domain.VerdictLater, false
}

func (l *later) Score(context.Context, *domain.Quiz) (domain.QuizVerdict, error) {
	l.calls.Add(1)
	v, _ := l.verdict.Load().(domain.QuizVerdict)
	if v == "" {
		return domain.VerdictLater, nil
	}
	return v, nil
}

func TestAProviderMayScoreLater(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	slow := &later{Quizmaster: k.Quizmaster}
	k.Quizmaster = slow
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	var wg sync.WaitGroup
	var scored atomic.Int32
	for range 64 {
		wg.Go(func() {
			if out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)}); err == nil && out.Record.State == domain.QuizScoring {
				scored.Add(1)
			}
		})
	}
	wg.Wait()
	if scored.Load() != 1 || slow.calls.Load() != 1 {
		t.Errorf("%d calls took the answers, the provider was asked %d times", scored.Load(), slow.calls.Load())
	}
	k.Clock.Pass(time.Hour)
	if n, err := k.ResolveQuizzes(t.Context()); n != 0 || err != nil {
		t.Errorf("resolved %d, %v", n, err)
	}
	slow.verdict.Store(domain.VerdictPassed)
	if n, err := k.ResolveQuizzes(t.Context()); n != 1 || err != nil {
		t.Errorf("resolved %d, %v", n, err)
	}
	got, err := k.Service.Quiz(testkit.Profiles("max"), quiz.ID)
	done(t, err)
	if got.State != domain.QuizPassed || got.Answers != nil || got.Questions != nil {
		t.Errorf("got %s", got.State)
	}
	events := []string{}
	for _, e := range journalOf(t, k, got) {
		events = append(events, e.Name)
	}
	if fmt.Sprint(events) != "[createQuiz createQuizQuestions scoreQuiz resolveQuiz]" {
		t.Errorf("the journal has %v", events)
	}
}

// silent is a provider that does not answer.
type silent struct{ later }

func (*silent) Score(ctx context.Context, _ *domain.Quiz) (domain.QuizVerdict, error) {
	<-ctx.Done()
	return domain.VerdictLater, ctx.Err()
}

// TestASilentProviderKeepsNobody: a call with the answers returns soon, with the scoring still in progress.
func TestASilentProviderKeepsNobody(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	who := testkit.Pike()
	k.Know(t, who)
	c := k.ContactOf(t, "max", who)
	k.Quizmaster = &silent{later{Quizmaster: k.Quizmaster}}
	quiz, questions := k.AskQuiz(t, "max", c.ID)
	out, err := k.ScoreQuiz(testkit.Profiles("max"), domain.ScoreQuizInput{QuizID: quiz.ID, Answers: testkit.RightAnswers(questions, 0)})
	done(t, err)
	if out.Record.State != domain.QuizScoring {
		t.Errorf("got %s", out.Record.State)
	}
}

func journalOf(t *testing.T, k *testkit.Kit, r domain.Record) []*domain.LifecycleEvent {
	t.Helper()
	n := 100
	page, err := k.Timeline(testkit.IdentityAdmin(), r, domain.Paging{First: &n})
	done(t, err)
	return page.Items
}
