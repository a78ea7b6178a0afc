package provider

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// maxFacts is the maximum number of facts of one kind that a person is asked for.
const maxFacts = 4

// Choices stores the choices of a person's facts, so that they are the same in every quiz even when the records have
// changed: the choices that two quizzes have in common would otherwise reveal the correct one.
type Choices interface {
	// QuizChoices returns the choices of a person by fact, and the version of the set.
	QuizChoices(ctx context.Context, person []byte) (choices map[string][]string, version int64, err error)
	// SaveQuizChoices replaces the choices of a person. ok is false if they have another version.
	SaveQuizChoices(ctx context.Context, person []byte, version int64, choices map[string][]string) (ok bool, err error)
}

// candidate is a question that can be asked. The first choice is the correct one.
type candidate struct {
	kind    *questionKind
	name    string
	choices []string
}

// Questions returns questions about facts in the record of the person, if tax id, name and birth date are those of the
// record. If there are more facts than questions, the facts differ from quiz to quiz. The decoys of a fact never do.
func (l *Local) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	record, err := l.matching(ctx, q.Inputs)
	if err != nil {
		return nil, problem.New(problem.ProviderUnavailable).From(err)
	}
	if record == nil {
		return nil, problem.New(problem.QuizQuestionsUnavailable)
	}
	candidates, err := l.candidates(ctx, record, q.Inputs)
	if err != nil {
		return nil, problem.New(problem.ProviderUnavailable).From(err)
	}
	shape, ok := l.Rules.shapeFor(len(candidates))
	if !ok {
		return nil, problem.New(problem.QuizQuestionsUnavailable)
	}
	out := make([]domain.QuizQuestion, 0, shape.questions)
	person := l.personHash(q.Inputs)
	for _, c := range l.selected(q.ID, candidates, shape.questions) {
		shown := slices.Clone(c.choices[:shape.choices])
		rng := l.keyedRand("quiz order", string(person), c.name, strconv.Itoa(shape.choices))
		rng.Shuffle(len(shown), func(i, j int) { shown[i], shown[j] = shown[j], shown[i] })
		out = append(out, domain.QuizQuestion{
			ID: strconv.Itoa(len(out) + 1), Question: c.kind.text, Choices: shown, Right: c.choices[0],
		})
	}
	return out, nil
}

// selected returns n of the candidates, of as many kinds as possible, in the order of the kinds. The selection depends on
// the quiz.
func (l *Local) selected(quizID string, candidates []candidate, n int) []candidate {
	rng := l.keyedRand("quiz fact", quizID)
	mixed := slices.Clone(candidates)
	slices.SortFunc(mixed, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	turns := map[*questionKind]int{}
	turn := make(map[string]int, len(mixed))
	for _, c := range mixed {
		turn[c.name] = turns[c.kind]
		turns[c.kind]++
	}
	slices.SortStableFunc(mixed, func(a, b candidate) int { return cmp.Compare(turn[a.name], turn[b.name]) })
	mixed = mixed[:n]
	slices.SortStableFunc(mixed, func(a, b candidate) int {
		return cmp.Compare(slices.Index(questionKinds, a.kind), slices.Index(questionKinds, b.kind))
	})
	return mixed
}

// matching returns the record whose tax id, name and birth date are those of the person, or nil. Without a name or a
// birth date, a record matches nobody.
func (l *Local) matching(ctx context.Context, person domain.Identity) (*domain.IdentityRecord, error) {
	if person.TaxID == nil {
		return nil, nil
	}
	records, err := l.Records.IdentityRecords(ctx, *person.TaxID)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(slices.Clone(records), func(r *domain.IdentityRecord) bool {
		recorded := r.Identity.Person()
		return recorded.FirstName == "" || recorded.LastName == "" || recorded.Birthdate == "" ||
			slices.ContainsFunc(risk.Differences(person.Person(), riskRecord(r)), func(member string) bool {
				return member == "firstName" || member == "lastName" || member == "birthdate"
			})
	})
	return bestOf(person, records), nil
}

// personHash identifies a person by tax id.
func (l *Local) personHash(i domain.Identity) []byte {
	return l.KeyedHash("quiz person", risk.FoldTaxID(*i.TaxID))
}

// errBusy says that other quizzes of the person changed the choices in the meantime.
var errBusy = errors.New("the choices of the person were changed several times")

// candidates returns the questions that can be asked about a person. It draws and stores the choices of new facts.
func (l *Local) candidates(ctx context.Context, record *domain.IdentityRecord, input domain.Identity) ([]candidate, error) {
	person := l.personHash(input)
	for range 5 {
		choices, version := map[string][]string{}, int64(0)
		if l.Choices != nil {
			stored, v, err := l.Choices.QuizChoices(ctx, person)
			if err != nil {
				return nil, err
			}
			version = v
			for name, texts := range stored {
				choices[name] = texts
			}
		}
		var out []candidate
		known := len(choices)
		for _, kind := range questionKinds {
			more, err := l.candidatesOf(ctx, kind, record, input, string(person), choices)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		if len(choices) == known || l.Choices == nil {
			return out, nil
		}
		if saved, err := l.Choices.SaveQuizChoices(ctx, person, version, choices); err != nil || saved {
			return out, err
		}
	}
	return nil, errBusy
}

// candidatesOf returns the questions of a kind, and adds the choices of new facts.
func (l *Local) candidatesOf(
	ctx context.Context, kind *questionKind, record *domain.IdentityRecord, input domain.Identity, person string, choices map[string][]string,
) ([]candidate, error) {
	facts, given := kind.factsOf(record), kind.current(input)
	known := append(kind.current(record.Identity), facts...)
	// Facts that were asked for come first, because their choices must not change. Otherwise the order is random, but
	// always the same.
	rank := func(f fact) uint64 {
		if choices[f.name(kind.name)] != nil {
			return 0
		}
		return l.keyedRand("quiz rank", person, f.name(kind.name)).Uint64()
	}
	slices.SortStableFunc(facts, func(a, b fact) int { return cmp.Compare(rank(a), rank(b)) })
	type slot struct {
		group string
		class int
	}
	taken := map[slot]bool{}
	var out []candidate
	for _, f := range facts {
		values, err := l.valuesFor(ctx, kind, f.group)
		if err != nil {
			return nil, err
		}
		class, shared := values.classOf(f.key)
		at := slot{f.group, class}
		name := f.name(kind.name)
		texts := choices[name]
		switch {
		case texts != nil:
			taken[at] = taken[at] || shared
		case len(out) == maxFacts || !shared || taken[at]:
			continue
		default:
			excluded := map[string]bool{}
			for _, g := range known {
				if g.group == f.group && g.key != f.key {
					excluded[g.key] = true
				}
			}
			drawn, ok := values.rest(class, excluded).draw(l.keyedRand("quiz choices", person, name), f.key, maxChoices)
			if !ok || kind.overlap(f, drawn, choices) {
				continue
			}
			choices[name], texts, taken[at] = drawn, drawn, true
		}
		if len(texts) < maxChoices || slices.ContainsFunc(given, f.same) || ambiguous(kind, f, texts, append(given, known...)) {
			continue // the input tells it, or two choices are right
		}
		if out = append(out, candidate{kind, name, texts}); len(out) == maxFacts {
			break
		}
	}
	return out, nil
}

// overlap reports whether choices have something in common with those of another fact of the kind and group. Choices of
// different classes have not, but the classes may have changed since.
func (k *questionKind) overlap(f fact, drawn []string, choices map[string][]string) bool {
	prefix := k.name + "|" + f.group + "|"
	keys := map[string]bool{}
	for _, text := range drawn {
		keys[k.keyOf(text)] = true
	}
	for name, texts := range choices {
		if strings.HasPrefix(name, prefix) && slices.ContainsFunc(texts, func(text string) bool { return keys[k.keyOf(text)] }) {
			return true
		}
	}
	return false
}

// ambiguous reports whether other data of the person is among the choices of a fact.
func ambiguous(kind *questionKind, f fact, texts []string, others []fact) bool {
	for i, text := range texts {
		key := kind.keyOf(text)
		if slices.ContainsFunc(others, func(g fact) bool { return g.key == key && (i > 0 || g.group != f.group) }) {
			return true
		}
	}
	return false
}

// valuesFor returns the values from which the choices of a fact are drawn: those of the records, or the published ones if
// the records have too few.
func (l *Local) valuesFor(ctx context.Context, kind *questionKind, group string) (pool, error) {
	values, err := l.Population.poolOf(ctx, kind.name, group)
	if err != nil || len(values) >= maxChoices {
		return values, err
	}
	var out pool
	for i, text := range kind.words[group] {
		out = append(out, value{key: kind.keyOf(text), text: text, weight: math.Pow(float64(i+1), -kind.decline)})
	}
	out.classes()
	return out, nil
}

// Mark scores the answers.
func (l *Local) Mark(q *domain.Quiz, answers []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	correct := 0
	for _, question := range q.Questions {
		if slices.ContainsFunc(answers, func(a domain.QuizAnswer) bool { return a.QuestionID == question.ID && a.Answer == question.Right }) {
			correct++
		}
	}
	if correct >= l.Rules.needed(len(q.Questions)) {
		return domain.VerdictPassed, true
	}
	return domain.VerdictFailed, true
}

// Score scores answers that were submitted to another provider before; Mark has scored all others.
func (l *Local) Score(_ context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	verdict, _ := l.Mark(q, q.Answers)
	return verdict, nil
}

// keyedRand returns a generator seeded by a keyed hash: the same parts yield the same sequence, which is unpredictable
// without the key.
func (l *Local) keyedRand(purpose string, parts ...string) *rand.Rand {
	h := l.KeyedHash(purpose, parts...)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h), binary.BigEndian.Uint64(h[8:]))) //nolint:gosec // seeded by a keyed hash
}
