package domain

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Quiz asks a person what only that person should know (Identity 0.3.2).
type Quiz struct {
	Meta
	State QuizState
	// Inputs is the person, in full.
	Inputs    Identity
	CreatedBy string
	// ContactID is the contact that the quiz was created from; nil if the input had the fields of the person.
	ContactID *string
	// Vouches is set if the person is that contact, so that the quiz counts for it.
	Vouches bool
	// ContactUserID is the user of the contact when the quiz was created.
	ContactUserID *string
	// Fingerprint identifies the person's identity.
	Fingerprint Fingerprint
	// Institutional is set where the institution ordered the quiz, not the contact's user.
	Institutional bool
	// Person identifies the person across the quizzes that can verify a contact, or across all others, by a keyed hash.
	Person []byte
	// ExpiresAt is the end of the time for the answers.
	ExpiresAt time.Time
	// AskedAt is the time at which the questions were shown; nil before.
	AskedAt *time.Time
	// Questions has the questions, with the right choices if the provider returned them. It is empty after scoring.
	Questions []QuizQuestion
	// QuestionCount is the number of questions. Scoring does not change it.
	QuestionCount int
	// Answers has the answers until the provider has scored them.
	Answers []QuizAnswer
	// Late is set if answers arrived after ExpiresAt.
	Late bool
}

// QuizQuestion is a question with its choices.
type QuizQuestion struct {
	ID       string
	Question string
	Choices  []string
	// Right is the right choice; empty if only the provider has it. It is never returned to a caller.
	Right string
}

// QuizAnswer is the text of the selected choice.
type QuizAnswer struct {
	QuestionID string `json:"questionId" validate:"required,min=1,max=256"`
	Answer     string `json:"answer" validate:"required,min=1,max=256"`
}

// Head returns the part that all records share.
func (q *Quiz) Head() *Meta { return &q.Meta }

// KindQuiz is the kind.
const KindQuiz Kind = "quiz"

// Kind names the machine.
func (*Quiz) Kind() Kind { return KindQuiz }

// Identity is the person, as the caller may see it.
func (q *Quiz) Identity(ctx context.Context) *Identity { return q.Inputs.For(ctx) }

// QuizState is the state of a quiz.
type QuizState string

// The states; quizMachine describes how each is reached.
const (
	QuizPending            QuizState = "pending"
	QuizFailedGetQuestions QuizState = "failedGetQuestions"
	QuizAsked              QuizState = "asked"
	QuizScoring            QuizState = "scoring"
	QuizPassed             QuizState = "passed"
	QuizFailed             QuizState = "failed"
	QuizExpired            QuizState = "expired"
)

// QuizTransition is a verb of the machine.
type QuizTransition string

// The transitions.
const (
	QuizAsk     QuizTransition = "ask"
	QuizScore   QuizTransition = "score"
	QuizResolve QuizTransition = "resolve"
	QuizLate    QuizTransition = "late"
	QuizExpire  QuizTransition = "expire"
)

type quizRow = lifecycle.Row[QuizState, QuizTransition, Role]

var quizMachine = &lifecycle.Machine[QuizState, QuizTransition, Role]{
	Name: string(KindQuiz), Start: QuizPending, Clock: RoleClock,
	Create: "createQuiz", CreateBy: list(RoleAnyone),
	States: []lifecycle.State[QuizState]{
		{Name: QuizPending, Help: "The questions are not generated yet. They may be requested until the quiz expires."},
		{
			Name: QuizFailedGetQuestions,
			Help: "No questions can be generated for this person. This state is final; create another quiz, or approve the person.",
		},
		{Name: QuizAsked, Help: "The questions were returned, once. The answers are accepted until the quiz expires."},
		{Name: QuizScoring, Help: "The provider is scoring the answers. The quiz does not expire in this state."},
		{Name: QuizPassed, Help: "Enough answers were correct. This state is final."},
		{Name: QuizFailed, Help: "Not enough answers were correct. This state is final; create another quiz."},
		{Name: QuizExpired, Help: "It expired before it was answered. This state is final; create another quiz."},
	},
	Transitions: []quizRow{
		{On: QuizAsk, From: list(QuizPending), To: list(QuizAsked, QuizFailedGetQuestions), By: list(RoleOwner, RoleAdmin), Else: wrongQuizState, Operation: "createQuizQuestions"},
		{On: QuizScore, From: list(QuizAsked), To: list(QuizPassed, QuizFailed, QuizScoring), By: list(RoleOwner, RoleAdmin), Else: wrongQuizState},
		{On: QuizResolve, From: list(QuizScoring), To: list(QuizPassed, QuizFailed), By: list(RoleProvider), Else: wrongQuizState, Within: "scoreQuiz"},
		{On: QuizLate, From: list(QuizExpired), To: list(QuizExpired), By: list(RoleOwner, RoleAdmin), Else: wrongQuizState, Operation: "noteLateQuizAnswers", Within: "scoreQuiz"},
		{On: QuizExpire, From: list(QuizPending, QuizAsked), To: list(QuizExpired), By: list(RoleClock), Else: wrongQuizState},
	},
}

func wrongQuizState(QuizState) *problem.Definition { return problem.InvalidQuizState }

var quizzes = &life[Quiz, QuizState, QuizTransition]{
	kind: KindQuiz, machine: quizMachine,
	shelf: func(s Store) Shelf[Quiz] { return s.Quizzes() },
	head:  func(q *Quiz) *Meta { return &q.Meta },
	state: func(q *Quiz) *QuizState { return &q.State },
	rolesOf: func(ctx context.Context, s *Service, pre *Prefetched, a Actor, q *Quiz) ([]Role, bool, error) {
		return personRoles(ctx, s, pre, a, q.CreatedBy, q.ContactID)
	},
	dummy: func() *Quiz { return &Quiz{ContactID: new("contact_-")} },
	due: func(q *Quiz) (QuizTransition, QuizState, time.Time, bool) {
		return QuizExpire, QuizExpired, q.ExpiresAt, q.State == QuizPending || q.State == QuizAsked
	},
	settled: func(q *Quiz, _ QuizState, _ time.Time) { q.Questions = nil },
	allow: func(ctx context.Context, s *Service, pre *Prefetched, on QuizTransition, q *Quiz) *problem.Problem {
		if on != QuizAsk {
			return nil
		}
		person := PersonWord(q.Person)
		asked, known := pre.quizzes(person)
		if !known {
			all, err := s.quizzesAsked(ctx, person)
			if err != nil {
				return problem.Of(err)
			}
			asked = all[person]
		}
		return s.tooMany(asked)
	},
	prefetch: func(need *needs, q *Quiz) {
		need.personal(q.CreatedBy, q.ContactID)
		if q.State == QuizPending {
			need.persons = append(need.persons, PersonWord(q.Person))
		}
	},
	concerns: func(q *Quiz) []string { return concernedUsers(q.CreatedBy, q.ContactUserID) },
	missing:  problem.NoSuchQuiz, denied: problem.AccessDenied,
}

// concernedUsers lists the users who may see the events of a record about a person: its creator and that person's user.
func concernedUsers(createdBy string, user *string) []string {
	if user != nil && *user != createdBy {
		return list(createdBy, *user)
	}
	return list(createdBy)
}

// QuizSchema has the fields by which quizzes can be selected and ordered.
var QuizSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "type", Type: listing.Enum, Values: verificationTypes},
	{Name: "createdAt", Type: listing.Time},
	{Name: "expiresAt", Type: listing.Time},
	{Name: "outputs.state", Type: listing.Enum, Values: quizMachine.StateNames(), Searched: true},
	{Name: "updatedAt", Type: listing.Time, Hidden: true},
	{Name: "createdBy", Type: listing.ID, Hidden: true},
	{Name: "contactId", Type: listing.ID, Hidden: true},
	{Name: "vouches", Type: listing.Bool, Hidden: true},
	{Name: "askedAt", Type: listing.Time, Hidden: true},
	{Name: "person", Type: listing.ID, Hidden: true},
}}

// QuizValue reads a field of a quiz.
func QuizValue(q *Quiz, field string) listing.Value {
	switch field {
	case "_id":
		return q.ID
	case "type":
		return string(VerifiedByQuiz)
	case "createdAt":
		return q.CreatedAt
	case "updatedAt":
		return q.UpdatedAt
	case "expiresAt":
		return q.ExpiresAt
	case "outputs.state":
		return string(q.State)
	case "createdBy":
		return q.CreatedBy
	case "contactId":
		if q.ContactID != nil {
			return *q.ContactID
		}
	case "vouches":
		return q.Vouches
	case "askedAt":
		if q.AskedAt != nil {
			return *q.AskedAt
		}
	case "person":
		return PersonWord(q.Person)
	}
	return nil
}

// PersonWord returns the keyed hash of a person as a text for conditions of lists.
func PersonWord(person []byte) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 2*len(person))
	for _, b := range person {
		out = append(out, hex[b>>4], hex[b&15])
	}
	return string(out)
}

// quizLapse makes a list show a quiz as expired from the moment that a read of the quiz does.
func quizLapse(state listing.Value, now time.Time) listing.Predicate {
	open := listing.OneWord("outputs.state", QuizPending, QuizAsked)
	switch state {
	case listing.Value(string(QuizPending)), listing.Value(string(QuizAsked)):
		return listing.All(listing.Eq("outputs.state", state), listing.Is(listing.GT, "expiresAt", now))
	case listing.Value(string(QuizExpired)):
		return listing.Any(listing.Eq("outputs.state", state), listing.All(open, listing.Is(listing.LE, "expiresAt", now)))
	}
	return nil
}

// QuizVerdict is the result of scoring.
type QuizVerdict string

// The verdicts.
const (
	VerdictLater  QuizVerdict = "later"
	VerdictPassed QuizVerdict = "passed"
	VerdictFailed QuizVerdict = "failed"
)

// Quizmaster creates questions and scores answers. It may be a remote service: its calls are made before and after
// units, never inside one.
type Quizmaster interface {
	// Questions returns the questions of a quiz. It fails with QuizQuestionsUnavailable if there are none for this
	// person, and with ProviderUnavailable if the provider does not answer.
	Questions(ctx context.Context, q *Quiz) ([]QuizQuestion, error)
	// Mark scores without a remote call; ok is false if one is needed.
	Mark(q *Quiz, answers []QuizAnswer) (verdict QuizVerdict, ok bool)
	// Score sends the answers to the provider and returns the verdict so far. It may be repeated for the same quiz. An
	// error means that there is no verdict yet.
	Score(ctx context.Context, q *Quiz) (QuizVerdict, error)
}

// CreateQuiz creates a quiz for a person. CreateQuizQuestions requests the questions.
// Refuses with InvalidInput, AccessDenied (an auditor, or a value for a masked member), TooManyRequests,
// InvalidContactLink, IncompleteIdentity and IdempotencyKeyReused.
func (s *Service) CreateQuiz(ctx context.Context, in CreateQuizInput) (Outcome[Quiz], error) {
	const operation = "createQuiz"
	a, err := s.begin(ctx, operation, in, in.check(s.now())...)
	if err != nil {
		return Outcome[Quiz]{}, err
	}
	limited := s.orders()
	return create(ctx, s, quizzes, s.callOf(operation, in), func(ctx context.Context, n *creation) (*Quiz, error) {
		who, err := s.subject(ctx, in, limited)
		if err != nil {
			return nil, err
		}
		return &Quiz{
			Meta: newMeta("quiz", n.Now), State: quizMachine.Start, Inputs: who.identity, CreatedBy: a.ID, ContactID: who.contactID,
			Vouches: who.vouches, ContactUserID: who.userID, Person: s.quizPerson(who.identity, who.counts),
			ExpiresAt: n.Now.Add(s.Settings.QuizTTL), Fingerprint: who.fingerprint, Institutional: who.institutional,
		}, nil
	})
}

// CreateQuizQuestionsInput names a quiz.
type CreateQuizQuestionsInput struct {
	QuizID string `json:"quizId" validate:"required,max=512"`
	Guard
}

// CreateQuizQuestions creates the questions and returns them: once, and again only for a repeat with the same
// idempotency key before the answers arrive.
// Refuses with NoSuchQuiz, AccessDenied, StaleVersion, InvalidQuizState, TooManyRequests (too many quizzes of this
// person were asked and not passed within a day), QuizQuestionsUnavailable (also if too many were not passed since an
// approval), ProviderUnavailable and IdempotencyKeyReused.
func (s *Service) CreateQuizQuestions(ctx context.Context, in CreateQuizQuestionsInput) (Outcome[Quiz], []QuizQuestion, error) {
	const operation = "createQuizQuestions"
	if _, err := s.begin(ctx, operation, in); err != nil {
		return s.besideQuiz(ctx, Outcome[Quiz]{}, in.QuizID, err), nil, err
	}
	limited := s.orders()
	var questions []QuizQuestion
	var none *problem.Problem
	requested := false
	out, err := apply(ctx, s, quizzes, call{operation: operation, id: s.QuizID(in.QuizID), guard: in.Guard}, QuizAsk,
		func(ctx context.Context, ch *change[Quiz]) (QuizState, error) {
			q := ch.Record
			if !q.Institutional {
				if err := limited.count(ctx); err != nil {
					return "", err
				}
				if err := limited.countPerson(ctx, q.Inputs); err != nil {
					return "", err
				}
			}
			counter, err := s.quizzesLeft(ctx, q)
			if err != nil {
				return "", err
			}
			if blocked, err := s.quizzesUsedUp(ctx, q); err != nil {
				return "", err
			} else if blocked {
				none, requested = problem.New(problem.QuizQuestionsUnavailable), true
			}
			if !requested { // once, however many races are lost
				switch asked, err := s.Quizmaster.Questions(ctx, q); {
				case problem.Has(err, problem.QuizQuestionsUnavailable):
					none = problem.Of(err)
				case err != nil:
					return "", unavailable(err)
				default:
					questions = asked
				}
				requested = true
			}
			if none != nil {
				ch.refuseAfterCommit(none)
				return QuizFailedGetQuestions, nil
			}
			q.Questions, q.QuestionCount, q.AskedAt = questions, len(questions), &ch.Now
			ch.Counters = append(ch.Counters, counter)
			return QuizAsked, nil
		})
	if err != nil || out.Record == nil || out.Record.State != QuizAsked {
		return s.besideQuiz(ctx, out, in.QuizID, err), nil, err
	}
	return out, out.Record.Questions, nil
}

// besideQuiz adds the quiz to a refusal of a call about it, if the caller may see it.
func (s *Service) besideQuiz(ctx context.Context, out Outcome[Quiz], reference string, refusal error) Outcome[Quiz] {
	if refusal == nil || out.Record != nil {
		return out
	}
	switch problem.Of(refusal).Kind {
	case problem.Denied, problem.Unauthenticated, problem.Missing, problem.Internal:
		return out
	default:
	}
	if s.Permit(ctx, "quiz") != nil {
		return out
	}
	read, err := find(ctx, s, quizzes, s.QuizID(reference))
	if err != nil {
		return out
	}
	if _, visible, err := quizzes.rolesOf(ctx, s, nil, ActorFrom(ctx), read.record); err == nil && visible {
		out.Record = read.record
	}
	return out
}

const (
	// maxNotPassed is the number of quizzes of a person that are not passed within notPassedPeriod after which no
	// questions are generated until an approval.
	maxNotPassed    = 10
	notPassedPeriod = 90 * 24 * time.Hour
)

// quizzesUsedUp reports whether so many quizzes of the person were not passed that no more are asked until an approval of
// the contact.
func (s *Service) quizzesUsedUp(ctx context.Context, q *Quiz) (bool, error) {
	page, err := s.Store.Quizzes().List(ctx, listing.Query{
		Where: listing.All(listing.Eq("person", PersonWord(q.Person)), s.notPassedWithin(notPassedPeriod)),
		Order: []listing.Order{{Field: "askedAt", Desc: true}}, Limit: maxNotPassed,
	})
	if err != nil || len(page.Items) < maxNotPassed {
		return false, err
	}
	if q.ContactID == nil || !q.Vouches {
		return true, nil
	}
	first := *page.Items[maxNotPassed-1].AskedAt
	all, err := listAll(ctx, s.Store.Approvals(), listing.Eq("contactId", *q.ContactID))
	return !slices.ContainsFunc(all, func(a *Approval) bool {
		return !a.CreatedAt.Before(first) && bytes.Equal(a.Fingerprint.Person, q.Fingerprint.Person)
	}), err
}

// quizzesLeft refuses if too many quizzes of the person were asked and not passed. It returns the counter that makes
// one of two concurrent units of a person stale, so that concurrent calls do not exceed the limit.
func (s *Service) quizzesLeft(ctx context.Context, q *Quiz) (Counter, error) {
	turn, err := s.Store.Turn(ctx, q.Person)
	limit := s.Settings.QuizLimit
	if err != nil || limit.Limit <= 0 {
		return turn, err
	}
	page, err := s.Store.Quizzes().List(ctx, listing.Query{
		Where: listing.All(listing.Eq("person", PersonWord(q.Person)), s.notPassedWithin(s.Settings.QuizLimit.Per)),
		Order: []listing.Order{{Field: "askedAt", Desc: true}}, Limit: limit.Limit,
	})
	if err != nil {
		return turn, err
	}
	if p := s.tooMany(page.Items); p != nil {
		return turn, problem.Note(ctx, p)
	}
	return turn, nil
}

// tooMany refuses another quiz if asked, the quizzes of one person from newest to oldest, reaches the limit.
func (s *Service) tooMany(asked []*Quiz) *problem.Problem {
	limit := s.Settings.QuizLimit
	if limit.Limit <= 0 || len(asked) < limit.Limit {
		return nil
	}
	until := asked[limit.Limit-1].AskedAt.Add(limit.Per)
	return problem.New(problem.TooManyRequests).
		Because("Too many quizzes of this person were not passed.").With("limit", limit.Limit).Until(until)
}

// quizzesAsked returns, by person, the quizzes that count against the limit, newest first.
func (s *Service) quizzesAsked(ctx context.Context, persons ...string) (map[string][]*Quiz, error) {
	out := map[string][]*Quiz{}
	if s.Settings.QuizLimit.Limit <= 0 {
		return out, nil
	}
	counted := listing.All(listing.OneWord("person", persons...), s.notPassedWithin(s.Settings.QuizLimit.Per))
	all, err := listAll(ctx, s.Store.Quizzes(), counted)
	for _, p := range persons {
		out[p] = nil
	}
	for _, q := range all {
		p := PersonWord(q.Person)
		out[p] = append(out[p], q)
	}
	for _, asked := range out {
		slices.SortFunc(asked, func(a, b *Quiz) int { return b.AskedAt.Compare(*a.AskedAt) })
	}
	return out, err
}

// notPassedWithin selects the quizzes that count against a limit: asked within its period, and not passed.
func (s *Service) notPassedWithin(period time.Duration) listing.Predicate {
	return listing.All(listing.Is(listing.GT, "askedAt", s.now().Add(-period)), listing.Ne("outputs.state", string(QuizPassed)))
}

const (
	// scoreWait is how long the caller waits for a provider to score the answers; after that the state is SCORING.
	scoreWait = 2 * time.Second
	// resolveWait is longer than the deadline of any provider.
	resolveWait = time.Minute
)

// ScoreQuizInput are the answers to a quiz.
type ScoreQuizInput struct {
	QuizID  string       `json:"quizId" validate:"required,max=512"`
	Answers []QuizAnswer `json:"answers" validate:"required,max=100,dive"`
	Guard
}

// ScoreQuiz scores the answers. Answers that do not fit the questions are refused without an attempt. The first answers
// after the time return the quiz as expired; later ones are refused.
// Refuses with InvalidInput, NoSuchQuiz, AccessDenied, StaleVersion, InvalidQuizState, InvalidQuizAnswers and
// IdempotencyKeyReused.
func (s *Service) ScoreQuiz(ctx context.Context, in ScoreQuizInput) (Outcome[Quiz], error) {
	const operation = "scoreQuiz"
	if _, err := s.begin(ctx, operation, in); err != nil {
		return s.besideQuiz(ctx, Outcome[Quiz]{}, in.QuizID, err), err
	}
	c := call{operation: operation, id: s.QuizID(in.QuizID), guard: in.Guard}
	for _, a := range in.Answers {
		c.parts = append(c.parts, a.QuestionID, a.Answer)
	}
	on := QuizScore
	read, err := find(ctx, s, quizzes, c.id)
	if err == nil && read.record.State == QuizExpired && read.record.AskedAt != nil && !read.record.Late {
		on = QuizLate
	}
	out, err := apply(ctx, s, quizzes, c, on, func(_ context.Context, ch *change[Quiz]) (QuizState, error) {
		q := ch.Record
		if on == QuizLate {
			if q.Late {
				return "", quizMachine.Refusal(QuizScore, QuizExpired)
			}
			q.Late = true
			return QuizExpired, nil
		}
		if p := fitting(q.Questions, in.Answers); p != nil {
			return "", p
		}
		verdict, ok := s.Quizmaster.Mark(q, in.Answers)
		if !ok {
			q.Answers = slices.Clone(in.Answers)
			return QuizScoring, nil
		}
		q.Questions = nil
		return verdict.state(), nil
	})
	if err == nil && !out.Replayed && out.Record.State == QuizScoring {
		// Only this call, and later the worker, may send the answers to the provider.
		if resolved, err := s.resolve(ctx, out.Record, scoreWait); err == nil && resolved != nil {
			out.Record = resolved
		}
	}
	return s.besideQuiz(ctx, out, in.QuizID, err), err
}

func (v QuizVerdict) state() QuizState {
	switch v {
	case VerdictPassed:
		return QuizPassed
	case VerdictFailed:
		return QuizFailed
	case VerdictLater:
	}
	return QuizScoring
}

// fitting refuses answers that do not fit the questions: each question once, each answer one of its choices.
func fitting(questions []QuizQuestion, answers []QuizAnswer) *problem.Problem {
	var bad []string
	wrong := func(id string) {
		if !slices.Contains(bad, id) {
			bad = append(bad, id)
		}
	}
	given := map[string]bool{}
	for _, a := range answers {
		at := slices.IndexFunc(questions, func(q QuizQuestion) bool { return q.ID == a.QuestionID })
		if at < 0 || given[a.QuestionID] || !slices.Contains(questions[at].Choices, a.Answer) {
			wrong(a.QuestionID)
		}
		given[a.QuestionID] = true
	}
	for _, q := range questions {
		if !given[q.ID] {
			wrong(q.ID)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return problem.New(problem.InvalidQuizAnswers).With("questionIds", bad).At("answers")
}

// resolving is the life for the provider.
var resolving = func() *life[Quiz, QuizState, QuizTransition] {
	l := *quizzes
	l.rolesOf = func(context.Context, *Service, *Prefetched, Actor, *Quiz) ([]Role, bool, error) {
		return list(RoleProvider), true, nil
	}
	return &l
}()

// resolve requests the verdict of the provider and stores it; nil if there is none yet.
func (s *Service) resolve(ctx context.Context, q *Quiz, patience time.Duration) (*Quiz, error) {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	verdict, err := s.Quizmaster.Score(asking, q)
	if err != nil || verdict.state() == QuizScoring {
		return nil, err
	}
	ctx = WithActor(ctx, Actor{})
	out, err := apply(ctx, s, resolving, call{operation: quizMachine.OperationName(QuizResolve), id: q.ID}, QuizResolve,
		func(_ context.Context, ch *change[Quiz]) (QuizState, error) {
			ch.Record.Questions, ch.Record.Answers = nil, nil
			return verdict.state(), nil
		})
	return out.Record, err
}

// ResolveQuizzes requests the verdicts of the quizzes that are being scored, and returns the number of those resolved.
// A failure does not stop the others; the last one is returned.
func (s *Service) ResolveQuizzes(ctx context.Context) (int, error) {
	page, err := s.Store.Quizzes().List(ctx, listing.Query{
		Where: listing.Eq("outputs.state", string(QuizScoring)), Order: []listing.Order{{Field: "updatedAt"}}, Limit: 100,
	})
	if err != nil {
		return 0, err
	}
	done := 0
	var failure error
	for _, q := range page.Items {
		switch resolved, err := s.resolve(ctx, q, resolveWait); {
		case problem.Has(err, problem.InvalidQuizState): // another instance was first
		case err != nil:
			failure = err
		case resolved != nil:
			done++
		}
	}
	return done, failure
}

const quizzesPath = "/identity/quizzes/"

// QuizID returns the id in a reference: an id, or the URI of the quiz, relative or absolute.
func (s *Service) QuizID(reference string) string {
	if id := s.target(reference, quizzesPath); id != "" {
		return id
	}
	return reference
}

// Quiz finds a quiz that the caller may see.
// Refuses with NoSuchQuiz.
func (s *Service) Quiz(ctx context.Context, id string) (*Quiz, error) {
	if err := s.Permit(ctx, "quiz"); err != nil {
		return nil, err
	}
	return show(ctx, s, quizzes, id)
}

// Quizzes lists the quizzes that the caller may see.
// Refuses with InvalidInput and InvalidParameter.
func (s *Service) Quizzes(ctx context.Context, q listing.Query) (listing.Page[Quiz], error) {
	if err := s.Permit(ctx, "quizzes"); err != nil {
		return listing.Page[Quiz]{}, err
	}
	mine, err := s.visiblePersons(ctx)
	if err != nil {
		return listing.Page[Quiz]{}, err
	}
	q.Where = settledStatesOf("outputs.state", listing.All(mine, q.Where), s.now(), quizLapse)
	page, err := s.Store.Quizzes().List(ctx, q)
	settleAll(s, quizzes, page.Items)
	return page, err
}
