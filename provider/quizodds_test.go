package provider

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// exactOdds counts the ways to answer by guessing that pass.
func exactOdds(s quizShape, needed int) *big.Rat {
	passing := new(big.Int)
	for right := needed; right <= s.questions; right++ {
		ways := new(big.Int).Binomial(int64(s.questions), int64(right))
		wrong := new(big.Int).Exp(big.NewInt(int64(s.choices-1)), big.NewInt(int64(s.questions-right)), nil)
		passing.Add(passing, ways.Mul(ways, wrong))
	}
	all := new(big.Int).Exp(big.NewInt(int64(s.choices)), big.NewInt(int64(s.questions)), nil)
	return new(big.Rat).SetFrac(passing, all)
}

// TestGuessesNeverPass: for every accepted configuration and every number of facts, the odds that guesses within a day's
// limit pass a quiz are below 1 in 1,000.
func TestGuessesNeverPass(t *testing.T) {
	t.Parallel()
	bound := big.NewRat(1, 1000)
	accepted, refused := 0, map[string]int{}
	for limit := 1; limit <= 40; limit++ {
		for _, per := range []time.Duration{time.Minute, time.Hour, 5 * time.Hour, 12 * time.Hour, 24 * time.Hour, 72 * time.Hour} {
			for percent := 1; percent <= 100; percent++ {
				for least := 3; least <= 11; least++ {
					r := QuizRules{PassShare: float64(percent) / 100, MinQuestions: least, Limit: domain.Rate{Limit: limit, Per: per}}
					setting, err := r.Check()
					if err != nil {
						refused[setting]++
						continue
					}
					accepted++
					asked := false
					for facts := range 20 {
						s, ok := r.shapeFor(facts)
						if !ok {
							continue
						}
						asked = true
						if s.questions < least || s.questions > min(facts, 10) || s.choices < 5 || s.choices > 8 {
							t.Fatalf("%+v with %d facts: %+v", r, facts, s)
						}
						day := int64(limit)
						if per < 24*time.Hour {
							day *= int64((24*time.Hour + per - 1) / per)
						}
						odds := new(big.Rat).Mul(exactOdds(s, r.needed(s.questions)), big.NewRat(day, 1))
						if odds.Cmp(bound) >= 0 {
							t.Fatalf("%+v with %d facts: %+v passes with odds of %s", r, facts, s, odds.FloatString(6))
						}
					}
					if !asked {
						t.Fatalf("%+v is accepted, and nobody is asked", r)
					}
				}
			}
		}
	}
	if accepted == 0 || refused["QUIZ_LIMIT"] == 0 || refused["QUIZ_PASS_SHARE"] == 0 || refused["QUIZ_MIN_QUESTIONS"] == 0 {
		t.Errorf("%d accepted, refused are %v", accepted, refused)
	}
}

func TestTheSizeOfAQuiz(t *testing.T) {
	t.Parallel()
	day := func(n int) domain.Rate { return domain.Rate{Limit: n, Per: 24 * time.Hour} }
	for _, c := range []struct {
		share float64
		least int
		limit domain.Rate
		want  string
	}{
		// The size for 3, 4, 5, 6, 7 and 10 facts.
		{1, 4, day(3), "none 4x8 5x5 5x5 5x5 5x5"},
		{1, 5, day(3), "none none 5x5 5x5 5x5 5x5"},
		{1, 7, day(3), "none none none none 7x5 7x5"},
		{1, 4, day(4), "none 4x8 4x8 4x8 4x8 4x8"},
		{0.8, 4, day(3), "none 4x8 4x8 6x7 6x7 6x7"},
		{0.7, 4, day(3), "none none none 6x7 6x7 6x7"},
		{0.6, 4, day(1), "none none none none 7x7 7x7"},
		{1, 4, day(5), "QUIZ_LIMIT"},
		{1, 4, domain.Rate{Limit: 3, Per: time.Hour}, "QUIZ_LIMIT"},
		{0.5, 4, day(1), "QUIZ_PASS_SHARE"},
		{1, 3, day(3), "QUIZ_MIN_QUESTIONS"},
	} {
		r := QuizRules{PassShare: c.share, MinQuestions: c.least, Limit: c.limit}
		got, _ := r.Check()
		if got == "" {
			for _, facts := range []int{3, 4, 5, 6, 7, 10} {
				if s, ok := r.shapeFor(facts); ok {
					got += fmt.Sprintf("%dx%d ", s.questions, s.choices)
				} else {
					got += "none "
				}
			}
			got = got[:len(got)-1]
		}
		if got != c.want {
			t.Errorf("%+v: got %s, want %s", r, got, c.want)
		}
	}
}

// TestPublishedWords: no value is twice in a list, each is long enough to be drawn from, and each is a value of its kind.
func TestPublishedWords(t *testing.T) {
	t.Parallel()
	if len(townWords) != 50 {
		t.Errorf("towns of %d states", len(townWords))
	}
	for _, kind := range questionKinds {
		for group, words := range kind.words {
			seen := map[string]bool{}
			for _, text := range words {
				key := kind.keyOf(text)
				if key == "" || seen[key] || strings.TrimSpace(text) != text || strings.ContainsAny(text, "\n\t:") {
					t.Errorf("%s %s: %q", kind.name, group, text)
				}
				seen[key] = true
			}
			if len(seen) <= maxChoices {
				t.Errorf("%s %s has only %d values", kind.name, group, len(seen))
			}
		}
	}
}
