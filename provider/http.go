package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// HTTPConfig is what a client of another service works with.
type HTTPConfig struct {
	// URL is the service's; paths are added to it.
	URL string
	// Client sends; nil means one of its own.
	Client *http.Client
	// Now is the clock.
	Now func() time.Time
	// Deadline bounds one attempt, Overall all attempts of one call; 0 means the defaults.
	Deadline, Overall time.Duration
}

const (
	defaultDeadline = 3 * time.Second
	defaultOverall  = 8 * time.Second
	// attempts is how often a call is tried.
	attempts = 3
	// pause is how long to wait before the second attempt, about; before the third twice that.
	pause = 150 * time.Millisecond
	// trips is how many calls in a row fail before the others are spared the wait, and rest for how long.
	trips = 5
	rest  = 20 * time.Second
	// maxAnswer bounds an answer.
	maxAnswer = 1 << 20
)

// client calls a service: each attempt has a deadline, what may pass is tried again, and a service that has failed
// often in a row is left alone for a while, after which one call tries it for all.
type client struct {
	HTTPConfig

	mu       sync.Mutex
	failures int
	until    time.Time
	probing  bool
}

func newClient(c HTTPConfig) *client {
	if c.Client == nil {
		c.Client = &http.Client{
			// A service that points elsewhere would get somebody's personal data there.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if c.Deadline == 0 {
		c.Deadline = defaultDeadline
	}
	if c.Overall == 0 {
		c.Overall = defaultOverall
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	return &client{HTTPConfig: c}
}

// admit refuses while the service is left alone.
func (c *client) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < trips {
		return nil
	}
	if now := c.Now(); now.Before(c.until) || c.probing {
		wait := c.until
		if !now.Before(wait) {
			wait = now.Add(time.Second)
		}
		return problem.New(problem.ProviderUnavailable).Until(wait)
	}
	c.probing = true
	return nil
}

// settle notes how a call ended. One that its caller gave up says nothing of the service.
func (c *client) settle(failed, counts bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
	switch {
	case !counts:
	case !failed:
		c.failures = 0
	default:
		if c.failures++; c.failures >= trips {
			c.until = c.Now().Add(rest)
		}
	}
}

// errAgain is a failure that another attempt may not meet.
type errAgain struct{ error }

// call sends a request and reads the answer. Statuses that are listed are answers too. What is sent and what comes
// back is somebody's, so that no error holds any of it.
func (c *client) call(ctx context.Context, method, path, key string, in, out any, others ...int) (status int, err error) {
	if err := c.admit(); err != nil {
		return 0, err
	}
	defer func() { c.settle(err != nil, ctx.Err() == nil) }()
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	within, cancel := context.WithTimeout(ctx, c.Overall)
	defer cancel()
	for try := 0; ; try++ {
		status, err = c.attempt(within, method, path, key, body, out, others)
		var again errAgain
		if err == nil || !errors.As(err, &again) || try == attempts-1 || within.Err() != nil {
			break
		}
		wait := pause << try
		select {
		case <-within.Done():
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // only to spread the attempts
		}
	}
	if err != nil {
		return 0, problem.New(problem.ProviderUnavailable).From(err)
	}
	return status, nil
}

func (c *client) attempt(ctx context.Context, method, path, key string, body []byte, out any, others []int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Deadline)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the provider's URL is none")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := c.Client.Do(r)
	if err != nil {
		return 0, errAgain{fmt.Errorf("the provider does not answer: %w", bare(err))}
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, errAgain{errors.New("the provider's answer ends too early")}
	case len(text) > maxAnswer:
		return 0, errors.New("the provider's answer is too large")
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout:
		return 0, errAgain{fmt.Errorf("the provider answers %d", answer.StatusCode)}
	}
	for _, other := range others {
		if answer.StatusCode == other {
			return other, nil
		}
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return 0, fmt.Errorf("the provider answers %d", answer.StatusCode)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return 0, errors.New("the provider's answer is not of its form")
	}
	return answer.StatusCode, nil
}

// bare is an error without the address, which a URL with a password would be in.
func bare(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// person is an identity as providers read it.
type person struct {
	domain.Identity
}

// HTTPScreening asks another service what speaks against a person:
//
//	POST {URL}/assessments  {identity members}
//	200 {"found": true, "categories": [{"type": "ipRestricted", "rule": "…", "inputs": ["ipAddress"], "entry": "…", "score": 0.9}]}
type HTTPScreening struct{ client *client }

var _ domain.Screening = (*HTTPScreening)(nil)

// NewHTTPScreening makes one.
func NewHTTPScreening(c HTTPConfig) *HTTPScreening { return &HTTPScreening{client: newClient(c)} }

// Screen asks. An answer that is not of its form is none: no report is made from a half.
func (h *HTTPScreening) Screen(ctx context.Context, who domain.Identity) (risk.Assessment, error) {
	var answer struct {
		Found      *bool `json:"found"`
		Mismatch   bool  `json:"mismatch"`
		Categories []struct {
			Type   risk.Category `json:"type"`
			Rule   string        `json:"rule"`
			Inputs []string      `json:"inputs"`
			Entry  string        `json:"entry"`
			Score  float64       `json:"score"`
		} `json:"categories"`
	}
	if _, err := h.client.call(ctx, http.MethodPost, "/assessments", "", person{who}, &answer); err != nil {
		return risk.Assessment{}, err
	}
	malformed := func(what string) (risk.Assessment, error) {
		return risk.Assessment{}, problem.New(problem.ProviderUnavailable).From(errors.New("the provider's answer " + what))
	}
	if answer.Found == nil {
		return malformed("does not say whether a record was found")
	}
	evidence := map[risk.Category][]risk.Evidence{}
	for _, c := range answer.Categories {
		if risk.Description(c.Type) == "" {
			return malformed("has a category that is not documented")
		}
		e := risk.Evidence{Inputs: known(c.Inputs), Rule: word(c.Rule, "provider"), Entry: word(c.Entry, ""), Score: min(1, max(0, c.Score))}
		evidence[c.Type] = append(evidence[c.Type], e)
	}
	if answer.Mismatch && evidence[risk.PersonalInfoDoesNotMatch] == nil {
		evidence[risk.PersonalInfoDoesNotMatch] = []risk.Evidence{{Rule: "provider"}}
	}
	out := risk.Assessment{Found: *answer.Found}
	for _, c := range risk.Categories() {
		if len(evidence[c]) > 0 {
			out.Findings = append(out.Findings, risk.Finding{Category: c, Description: risk.Description(c), Evidence: evidence[c]})
		}
	}
	return out, nil
}

// known keeps names of members: a provider's own words could hold what nobody may see.
func known(inputs []string) []string {
	var out []string
	for _, name := range inputs {
		switch name {
		case "taxId", "firstName", "lastName", "address1", "address2", "city", "region", "postalCode", "phone", "birthdate", "email", "ipAddress":
			out = append(out, name)
		}
	}
	return out
}

// word keeps a short identifier.
func word(text, instead string) string {
	if text == "" || len(text) > 64 || strings.Trim(text, "-_.:/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return instead
	}
	return text
}

// HTTPQuizmaster asks another service for questions, and has it score the answers, at once or later:
//
//	POST {URL}/quizzes/{id}/questions  {"identity": {…}}
//	200 {"questions": [{"id": "1", "question": "…", "choices": ["…"]}]}, or 404, 409 or 422: there are none
//	PUT  {URL}/quizzes/{id}/answers    {"answers": [{"questionId": "1", "answer": "…"}]}
//	200 {"state": "passed" | "failed" | "scoring"}; repeated until it is scored
type HTTPQuizmaster struct{ client *client }

var _ domain.Quizmaster = (*HTTPQuizmaster)(nil)

// NewHTTPQuizmaster makes one.
func NewHTTPQuizmaster(c HTTPConfig) *HTTPQuizmaster { return &HTTPQuizmaster{client: newClient(c)} }

// Questions asks for the questions of a quiz.
func (h *HTTPQuizmaster) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	var answer struct {
		Questions []struct {
			Question string   `json:"question"`
			ID       string   `json:"id"`
			Choices  []string `json:"choices"`
		} `json:"questions"`
	}
	status, err := h.client.call(ctx, http.MethodPost, "/quizzes/"+q.ID+"/questions", q.ID+"-questions",
		map[string]any{"identity": q.Inputs}, &answer, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	if err != nil {
		return nil, err
	}
	if status >= 400 || len(answer.Questions) == 0 {
		return nil, problem.New(problem.QuizQuestionsUnavailable)
	}
	seen := map[string]bool{}
	var out []domain.QuizQuestion
	for _, one := range answer.Questions {
		if one.ID == "" || len(one.ID) > 256 || seen[one.ID] || one.Question == "" || len(one.Choices) < 2 || !answerable(one.Choices) {
			return nil, problem.New(problem.ProviderUnavailable).From(errors.New("the provider's questions are not of their form"))
		}
		seen[one.ID] = true
		out = append(out, domain.QuizQuestion{ID: one.ID, Question: one.Question, Choices: one.Choices})
	}
	return out, nil
}

// answerable reports whether each choice can be an answer, and is there once.
func answerable(choices []string) bool {
	seen := map[string]bool{}
	for _, c := range choices {
		if c == "" || len([]rune(c)) > 256 || seen[c] {
			return false
		}
		seen[c] = true
	}
	return true
}

// Mark leaves it to Score.
func (h *HTTPQuizmaster) Mark(*domain.Quiz, []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	return domain.VerdictLater, false
}

// Score hands the answers over, again if need be: the service knows the quiz by its id.
func (h *HTTPQuizmaster) Score(ctx context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	var answer struct {
		State string `json:"state"`
	}
	_, err := h.client.call(ctx, http.MethodPut, "/quizzes/"+q.ID+"/answers", q.ID+"-answers", map[string]any{"answers": q.Answers}, &answer)
	if err != nil {
		return domain.VerdictLater, err
	}
	switch answer.State {
	case "passed":
		return domain.VerdictPassed, nil
	case "failed":
		return domain.VerdictFailed, nil
	case "scoring":
		return domain.VerdictLater, nil
	}
	return domain.VerdictLater, problem.New(problem.ProviderUnavailable).From(errors.New("the provider's verdict is none"))
}
