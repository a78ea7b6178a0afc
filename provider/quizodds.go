package provider

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

const (
	// DefaultMinQuestions is the number of facts below which a person is not asked.
	DefaultMinQuestions = 4
	// minQuestions and maxQuestions are the bounds of the number of questions, minChoices and maxChoices those of the
	// number of choices of a question.
	minQuestions, maxQuestions = 4, 10
	minChoices, maxChoices     = 5, 8
	// usualQuestions is the number of questions if there are enough facts and the odds do not need more.
	usualQuestions = 5
	// maxOdds is the bound of the odds that guesses within a day's limit pass a quiz (identity verification, section 4).
	maxOdds = 1.0 / 1000
)

// QuizRules are the settings that determine the size of a quiz.
type QuizRules struct {
	// PassShare is the share of correct answers, above 0 and up to 1, that passes a quiz.
	PassShare float64
	// MinQuestions is the minimum number of questions of a quiz.
	MinQuestions int
	// Limit limits the quizzes of one person that are not passed.
	Limit domain.Rate
}

// DefaultQuizRules are the rules of a configuration without settings.
func DefaultQuizRules() QuizRules {
	return QuizRules{PassShare: 1, MinQuestions: DefaultMinQuestions, Limit: domain.Rate{Limit: 3, Per: 24 * time.Hour}}
}

// quizShape is the size of a quiz.
type quizShape struct{ questions, choices int }

// needed returns the number of correct answers that pass a quiz. The share refers to all questions and is rounded up:
// half of three is two.
func (r QuizRules) needed(questions int) int {
	return max(1, int(math.Ceil(r.PassShare*float64(questions)-1e-9)))
}

// tries returns the maximum number of quizzes that are asked and not passed within a day.
func (r QuizRules) tries() int {
	const day = 24 * time.Hour
	if r.Limit.Per >= day || r.Limit.Per <= 0 {
		return r.Limit.Limit
	}
	return r.Limit.Limit * int((day+r.Limit.Per-1)/r.Limit.Per)
}

// oddsOfGuessing returns the probability that guesses give at least so many correct answers.
func oddsOfGuessing(s quizShape, needed int) float64 {
	p := 1 / float64(s.choices)
	sum := 0.0
	for right := needed; right <= s.questions; right++ {
		term := math.Pow(p, float64(right)) * math.Pow(1-p, float64(s.questions-right))
		for i := range right { // the number of ways to choose the correct ones
			term *= float64(s.questions-i) / float64(right-i)
		}
		sum += term
	}
	return sum
}

// safe reports whether the odds of passing by guesses within a day's limit are below the bound.
func (r QuizRules) safe(s quizShape) bool {
	return float64(r.tries())*oddsOfGuessing(s, r.needed(s.questions)) < maxOdds
}

// shapes returns the sizes that a quiz may have, the preferred one first: five questions of five choices, or four of
// eight; if the pass share is below 1, five questions or as many more as the odds need, each with as few choices as
// possible, or else four.
func (r QuizRules) shapes() []quizShape {
	var out []quizShape
	add := func(questions, fewest, most int) {
		for c := fewest; c <= most; c++ {
			if s := (quizShape{questions, c}); r.safe(s) {
				out = append(out, s)
				return
			}
		}
	}
	start := max(usualQuestions, r.MinQuestions)
	if r.PassShare >= 1 {
		add(start, minChoices, minChoices)
	} else {
		for q := start; q <= maxQuestions; q++ {
			add(q, minChoices, maxChoices)
		}
	}
	for q := usualQuestions - 1; q >= r.MinQuestions; q-- {
		if r.PassShare >= 1 {
			add(q, maxChoices, maxChoices)
		} else {
			add(q, minChoices, maxChoices)
		}
	}
	return out
}

// shapeFor returns the size of a quiz for a number of facts. ok is false if they are too few.
func (r QuizRules) shapeFor(facts int) (shape quizShape, ok bool) {
	for _, s := range r.shapes() {
		if s.questions <= facts {
			return s, true
		}
	}
	return quizShape{}, false
}

// Check refuses rules by which a quiz can be guessed, and names the setting to change.
func (r QuizRules) Check() (setting string, err error) {
	if r.MinQuestions < minQuestions || r.MinQuestions > maxQuestions {
		return "QUIZ_MIN_QUESTIONS", fmt.Errorf("expected %d to %d", minQuestions, maxQuestions)
	}
	if len(r.shapes()) > 0 {
		return "", nil
	}
	one := r
	one.Limit = domain.Rate{Limit: 1, Per: 24 * time.Hour}
	if len(one.shapes()) > 0 {
		return "QUIZ_LIMIT", fmt.Errorf(
			"with %d tries in 24 hours the odds of passing a quiz by guessing are not below 1 in 1000; allow fewer tries", r.tries(),
		)
	}
	return "QUIZ_PASS_SHARE", errors.New(
		"the odds of passing a quiz by guessing are not below 1 in 1000, even with ten questions of eight choices; require a larger share",
	)
}
