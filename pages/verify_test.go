package pages_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/pages"
)

// oneAnswer is a service with a constant result that counts its calls.
type oneAnswer struct {
	err   error
	asked int
	in    domain.VerifyEmailInput
}

func (o *oneAnswer) VerifyEmail(_ context.Context, in domain.VerifyEmailInput) (domain.Outcome[domain.EmailVerification], error) {
	o.asked++
	o.in = in
	return domain.Outcome[domain.EmailVerification]{}, o.err
}

func TestVerifyEmailPage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	const token = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		method, query string
		header        map[string]string
		err           error
		status, asked int
		says          string
	}{
		"opening it spends nothing":    {"GET", "?token=" + token, nil, nil, 200, 0, "Verify my address"},
		"the button":                   {"POST", "?token=" + token, nil, nil, 200, 1, "Your e-mail address is verified"},
		"used already":                 {"POST", "?token=" + token, nil, problem.New(problem.AlreadyVerified), 409, 1, "already verified"},
		"too late":                     {"POST", "?token=" + token, nil, problem.New(problem.TokenExpired), 410, 1, "has expired"},
		"unknown":                      {"POST", "?token=" + token, nil, problem.New(problem.InvalidToken), 400, 1, "latest e-mail"},
		"too many":                     {"POST", "?token=" + token, nil, problem.New(problem.TooManyAttempts).Until(now.Add(time.Minute)), 429, 1, "Too many attempts"},
		"our fault":                    {"POST", "?token=" + token, nil, errors.New("disk on fire"), 503, 1, "temporarily unavailable"},
		"no token":                     {"GET", "", nil, nil, 400, 0, "latest e-mail"},
		"no token, and the button":     {"POST", "", nil, nil, 400, 0, "latest e-mail"},
		"from another page":            {"POST", "?token=" + token, map[string]string{"Sec-Fetch-Site": "cross-site"}, nil, 403, 0, "another page"},
		"not a form":                   {"POST", "?token=" + token, map[string]string{"Content-Type": "application/json"}, nil, 415, 0, "could not be read"},
		"a method that there is not":   {"DELETE", "?token=" + token, nil, nil, 405, 0, ""},
		"from the mail, in a new page": {"POST", "?token=" + token, map[string]string{"Sec-Fetch-Site": "same-origin"}, nil, 200, 1, "verified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := &oneAnswer{err: c.err}
			var log strings.Builder
			page := pages.VerifyEmail(pages.VerifyEmailOptions{
				Service: rules, Institution: "First Bank", Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/verify-email"+c.query, strings.NewReader(""))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			body, _ := io.ReadAll(w.Body)
			if w.Code != c.status || rules.asked != c.asked || !strings.Contains(string(body), c.says) {
				t.Errorf("%d, asked %d times: %s", w.Code, rules.asked, body)
			}
			if strings.Contains(string(body), token) || strings.Contains(log.String(), token) || strings.Contains(string(body), "<script") || strings.Contains(string(body), "disk on fire") {
				t.Errorf("the page or the log contains a secret: %s %s", body, log.String())
			}
			if c.asked == 1 && (!rules.in.Page || rules.in.Token != token) {
				t.Errorf("asked for %+v", rules.in)
			}
			if policy := w.Header().Get("Content-Security-Policy"); c.status != http.StatusMethodNotAllowed && (!strings.Contains(policy, "default-src 'none'") || w.Header().Get("Referrer-Policy") != "no-referrer") {
				t.Errorf("%v", w.Header())
			}
			if (c.status == 429 || c.status == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
		})
	}
}
