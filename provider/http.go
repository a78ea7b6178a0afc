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

// HTTPConfig configures a client of an external service.
type HTTPConfig struct {
	// URL is the base URL of the service.
	URL string
	// Client sends the requests; if nil, a default client is used.
	Client *http.Client
	// Now returns the current time.
	Now func() time.Time
	// Deadline limits one attempt, and Overall all attempts of one call; 0 means the default.
	Deadline, Overall time.Duration
}

const (
	defaultDeadline = 3 * time.Second
	defaultOverall  = 8 * time.Second
	// maxAttempts is the maximum number of attempts of one call.
	maxAttempts = 3
	// retryPause is the average pause before the second attempt; it doubles before the third.
	retryPause = 150 * time.Millisecond
	// After failureThreshold failed calls in a row the circuit breaker rejects calls for openInterval.
	failureThreshold = 5
	openInterval     = 20 * time.Second
	// maxResponseSize is the maximum size of a response in bytes.
	maxResponseSize = 1 << 20
)

// client calls a service. Each attempt has a deadline, temporary failures are retried, and a circuit breaker rejects
// calls after repeated failures, until a single probe succeeds.
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
			// Following a redirect would send personal data to another host.
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

// admit returns an error while the circuit breaker is open.
func (c *client) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < failureThreshold {
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

// record records the result of a call. A call that its caller cancelled does not count.
func (c *client) record(failed, counts bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
	switch {
	case !counts:
	case !failed:
		c.failures = 0
	default:
		if c.failures++; c.failures >= failureThreshold {
			c.until = c.Now().Add(openInterval)
		}
	}
}

// retryableError is a temporary failure.
type retryableError struct{ error }

// call sends a request and decodes the response. The statuses in otherStatuses are not failures. Request and response
// hold personal data, so no error contains any part of them.
func (c *client) call(ctx context.Context, method, path, key string, in, out any, otherStatuses ...int) (status int, err error) {
	if err := c.admit(); err != nil {
		return 0, err
	}
	defer func() { c.record(err != nil, ctx.Err() == nil) }()
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	overallCtx, cancel := context.WithTimeout(ctx, c.Overall)
	defer cancel()
	for try := 0; ; try++ {
		status, err = c.attempt(overallCtx, method, path, key, body, out, otherStatuses)
		var retryable retryableError
		if err == nil || !errors.As(err, &retryable) || try == maxAttempts-1 || overallCtx.Err() != nil {
			break
		}
		wait := retryPause << try
		select {
		case <-overallCtx.Done():
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // only to spread the attempts
		}
	}
	if err != nil {
		return 0, problem.New(problem.ProviderUnavailable).From(err)
	}
	return status, nil
}

func (c *client) attempt(ctx context.Context, method, path, key string, body []byte, out any, otherStatuses []int) (int, error) {
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
	response, err := c.Client.Do(r)
	if err != nil {
		return 0, retryableError{fmt.Errorf("the provider does not answer: %w", rootCause(err))}
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponseSize+1))
	switch {
	case err != nil:
		return 0, retryableError{errors.New("the provider's answer ends too early")}
	case len(text) > maxResponseSize:
		return 0, errors.New("the provider's answer is too large")
	case response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusRequestTimeout:
		return 0, retryableError{fmt.Errorf("the provider answers %d", response.StatusCode)}
	}
	for _, other := range otherStatuses {
		if response.StatusCode == other {
			return other, nil
		}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return 0, fmt.Errorf("the provider answers %d", response.StatusCode)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return 0, errors.New("the provider's answer is not of its form")
	}
	return response.StatusCode, nil
}

// rootCause returns the innermost error, without the URL, which may contain a password.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// person is an identity in the format of the providers.
type person struct {
	domain.Identity
}

// HTTPScreening requests an assessment of a person from an external service:
//
//	POST {URL}/assessments  {identity members}
//	200 {"found": true, "partial": false,
//	     "categories": [{"type": "ipRestricted", "rule": "…", "inputs": ["ipAddress"], "entry": "…", "score": 0.9}]}
type HTTPScreening struct{ client *client }

var _ domain.Screening = (*HTTPScreening)(nil)

// NewHTTPScreening returns a client of a screening service.
func NewHTTPScreening(c HTTPConfig) *HTTPScreening { return &HTTPScreening{client: newClient(c)} }

// Screen requests an assessment. A malformed response is an error: a report is never made from a partial response.
func (h *HTTPScreening) Screen(ctx context.Context, identity domain.Identity) (risk.Assessment, error) {
	var answer struct {
		Found      *bool `json:"found"`
		Mismatch   bool  `json:"mismatch"`
		Partial    bool  `json:"partial"`
		Categories []struct {
			Type   risk.Category `json:"type"`
			Rule   string        `json:"rule"`
			Inputs []string      `json:"inputs"`
			Entry  string        `json:"entry"`
			Score  float64       `json:"score"`
		} `json:"categories"`
	}
	if _, err := h.client.call(ctx, http.MethodPost, "/assessments", "", person{identity}, &answer); err != nil {
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
		e := risk.Evidence{
			Inputs: memberNames(c.Inputs),
			Rule:   identifier(c.Rule, "provider"),
			Entry:  identifier(c.Entry, ""),
			Score:  min(1, max(0, c.Score)),
		}
		evidence[c.Type] = append(evidence[c.Type], e)
	}
	if answer.Mismatch && evidence[risk.PersonalInfoDoesNotMatch] == nil {
		evidence[risk.PersonalInfoDoesNotMatch] = []risk.Evidence{{Rule: "provider"}}
	}
	out := risk.Assessment{Found: *answer.Found, Partial: answer.Partial}
	for _, c := range risk.Categories() {
		if len(evidence[c]) > 0 {
			out.Findings = append(out.Findings, risk.Finding{Category: c, Description: risk.Description(c), Evidence: evidence[c]})
		}
	}
	return out, nil
}

// memberNames keeps known member names only: a provider's own text could contain confidential data.
func memberNames(inputs []string) []string {
	var out []string
	for _, name := range inputs {
		switch name {
		case "taxId", "firstName", "lastName", "address1", "address2", "city", "region", "postalCode", "phone", "birthdate", "email", "ipAddress":
			out = append(out, name)
		}
	}
	return out
}

// identifier returns text if it is a short identifier, and fallback otherwise.
func identifier(text, fallback string) string {
	if text == "" || len(text) > 64 || strings.Trim(text, "-_.:/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return fallback
	}
	return text
}

// HTTPQuizmaster requests questions from an external service, which scores the answers immediately or later:
//
//	POST {URL}/quizzes/{id}/questions  {"identity": {…}}
//	200 {"questions": [{"id": "1", "question": "…", "choices": ["…"]}]}, or 404, 409 or 422: there are none
//	PUT  {URL}/quizzes/{id}/answers    {"answers": [{"questionId": "1", "answer": "…"}]}
//	200 {"state": "passed" | "failed" | "scoring"}; repeated until it is scored
type HTTPQuizmaster struct{ client *client }

var _ domain.Quizmaster = (*HTTPQuizmaster)(nil)

// NewHTTPQuizmaster returns a client of a quiz service.
func NewHTTPQuizmaster(c HTTPConfig) *HTTPQuizmaster { return &HTTPQuizmaster{client: newClient(c)} }

// Questions requests the questions of a quiz.
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
	for _, question := range answer.Questions {
		if question.ID == "" || len(question.ID) > 256 || seen[question.ID] || question.Question == "" || len(question.Choices) < 2 ||
			!answerable(question.Choices) {
			return nil, problem.New(problem.ProviderUnavailable).From(errors.New("the provider's questions are not of their form"))
		}
		seen[question.ID] = true
		out = append(out, domain.QuizQuestion{ID: question.ID, Question: question.Question, Choices: question.Choices})
	}
	return out, nil
}

// answerable reports whether each choice is a valid answer and occurs once.
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

// Mark defers the scoring to Score.
func (h *HTTPQuizmaster) Mark(*domain.Quiz, []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	return domain.VerdictLater, false
}

// Score submits the answers. It may be repeated, because the service identifies the quiz by its id.
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
