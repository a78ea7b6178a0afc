package pages

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

var started = time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)

const (
	rightID, rightKey = "inv_01", "00112233445566778899aabbccddeeff"
	rightSecret       = "our first boat"
)

// rules implements the two methods that the page calls, with one invitation.
type rules struct {
	state domain.InvitationState
	// refuse is the error of verification; previewFails and verifyFails simulate outages.
	refuse, previewFails error
	name                 string
	// verified contains the submitted secrets.
	verified []string
}

func (s *rules) InvitationPreview(_ context.Context, id, key string) (*domain.InvitationPreview, error) {
	if s.previewFails != nil {
		return nil, s.previewFails
	}
	if id != rightID || key != rightKey {
		return nil, problem.New(problem.NoSuchInvitation)
	}
	name := s.name
	if name == "" {
		name = "Alice Moreau"
	}
	return &domain.InvitationPreview{
		Institution: "First Bank", InviterFullName: name, Type: domain.InvitationJoint, State: s.state, ExpiresAt: started.Add(720 * time.Hour),
	}, nil
}

func (s *rules) VerifyInvitation(_ context.Context, in domain.VerifyInvitationInput) (domain.Outcome[domain.Invitation], error) {
	s.verified = append(s.verified, in.SharedSecret)
	if in.MailKey == nil {
		return domain.Outcome[domain.Invitation]{}, errors.New("the page sent no key")
	}
	switch {
	case s.refuse != nil:
		return domain.Outcome[domain.Invitation]{}, s.refuse
	case len(in.SharedSecret) < 8:
		return domain.Outcome[domain.Invitation]{}, problem.New(problem.InvalidInput).At("sharedSecret")
	case *in.MailKey != rightKey || in.SharedSecret != rightSecret:
		return domain.Outcome[domain.Invitation]{}, problem.New(problem.InvitationVerificationFailed)
	}
	s.state = domain.InvitationAccepted
	return domain.Outcome[domain.Invitation]{Record: &domain.Invitation{}}, nil
}

// visit sends one request to the page and returns the response, its body and the log.
func visit(s *rules, r *http.Request) (*http.Response, string, string) {
	var log bytes.Buffer
	h := Invite(InviteOptions{
		Service: s, Institution: "First Bank", Now: func() time.Time { return started }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), w.Body.String(), log.String()
}

const rightLink = "/invite?invitationId=" + rightID + "&key=" + rightKey

func form(secret string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, rightLink, strings.NewReader(url.Values{"sharedSecret": {secret}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestInviteOpened(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		claim  string
		link   string
		rules  *rules
		status int
		shows  []string
		form   bool
	}{
		{
			"an open invitation shows who, for whom, what, until when, and the field", rightLink, &rules{state: domain.InvitationSent}, 200,
			[]string{"Alice Moreau invites you", "First Bank", "Joint owner of an account", "Open", "25 December 2026 at 09:30 UTC"},
			true,
		},
		{"an accepted one says so", rightLink, &rules{state: domain.InvitationAccepted}, 200, []string{"already accepted"}, false},
		{"a completed one looks accepted", rightLink, &rules{state: domain.InvitationCompleted}, 200, []string{"already accepted"}, false},
		{"a locked one says so", rightLink, &rules{state: domain.InvitationFailed}, 200, []string{"is locked", "Ask Alice Moreau"}, false},
		{"a revoked one says so", rightLink, &rules{state: domain.InvitationRevoked}, 200, []string{"was revoked"}, false},
		{"an expired one says so", rightLink, &rules{state: domain.InvitationExpired}, 200, []string{"has expired"}, false},
		{"a wrong key shows nothing", "/invite?invitationId=inv_01&key=ff", &rules{state: domain.InvitationSent}, 404, []string{"link in the latest e-mail"}, false},
		{"no key shows nothing", "/invite?invitationId=inv_01", &rules{state: domain.InvitationSent}, 404, []string{"link in the latest e-mail"}, false},
		{"a bare page shows nothing", "/invite", &rules{state: domain.InvitationSent}, 404, []string{"link in the latest e-mail"}, false},
		{"an outage says to come back", rightLink, &rules{previewFails: errors.New("connection refused")}, 503, []string{"temporarily unavailable", "err_"}, false},
	} {
		t.Run(story.claim, func(t *testing.T) {
			t.Parallel()
			answer, body, log := visit(story.rules, httptest.NewRequest(http.MethodGet, story.link, nil))
			if answer.StatusCode != story.status {
				t.Errorf("status %d, want %d", answer.StatusCode, story.status)
			}
			for _, text := range story.shows {
				if !strings.Contains(body, text) {
					t.Errorf("%q is missing in:\n%s", text, body)
				}
			}
			if strings.Contains(body, "<form") != story.form {
				t.Errorf("form: want %v", story.form)
			}
			if story.status == 404 && (strings.Contains(body, "Alice") || strings.Contains(body, "Joint")) {
				t.Errorf("a stranger sees:\n%s", body)
			}
			if strings.Contains(body+log, rightKey) {
				t.Error("the key is shown or logged")
			}
			if len(story.rules.verified) != 0 {
				t.Error("opening the page submitted a secret")
			}
		})
	}
}

func TestInviteSent(t *testing.T) {
	t.Parallel()
	limited := problem.New(problem.TooManyRequests).Until(started.Add(90 * time.Second))
	for _, story := range []struct {
		claim  string
		rules  *rules
		secret string
		status int
		shows  []string
		form   bool
	}{
		{"the right secret accepts", &rules{state: domain.InvitationSent}, rightSecret, 200, []string{"You have accepted the invitation", `role="status"`}, false},
		{"a wrong one may be tried again", &rules{state: domain.InvitationSent}, "our second boat", 400, []string{"The secret is not correct", `role="alert"`, `aria-invalid="true"`, "Problem:"}, true},
		{"the last wrong one locks", &rules{state: domain.InvitationFailed, refuse: problem.New(problem.InvitationVerificationFailed)}, "our second boat", 400, []string{"is locked"}, false},
		{"a short one is told apart", &rules{state: domain.InvitationSent}, "boat", 400, []string{"too short", "at least 8"}, true},
		{"one that nobody can type is simply wrong", &rules{state: domain.InvitationSent, refuse: problem.New(problem.InvalidInput).At("sharedSecret")}, "our first\x00boat", 400, []string{"The secret is not correct"}, true},
		{"none is a short one", &rules{state: domain.InvitationSent}, "", 400, []string{"too short"}, true},
		{"a locked invitation refuses", &rules{state: domain.InvitationFailed, refuse: problem.New(problem.InvitationIsFailed)}, rightSecret, 409, []string{"is locked", `role="alert"`}, false},
		{"an expired one refuses", &rules{state: domain.InvitationExpired, refuse: problem.New(problem.InvitationIsExpired)}, rightSecret, 409, []string{"has expired"}, false},
		{"a revoked one refuses", &rules{state: domain.InvitationRevoked, refuse: problem.New(problem.InvitationIsRevoked)}, rightSecret, 409, []string{"was revoked"}, false},
		{"an accepted one refuses", &rules{state: domain.InvitationAccepted, refuse: problem.New(problem.InvitationWrongState)}, rightSecret, 409, []string{"already accepted"}, false},
		{"too many tries name the time", &rules{state: domain.InvitationSent, refuse: limited}, rightSecret, 429, []string{"Too many attempts", "in 2 minutes", "25 November 2026 at 09:31 UTC"}, false},
		{"an outage says to come back", &rules{state: domain.InvitationSent, refuse: errors.New("connection refused")}, rightSecret, 503, []string{"temporarily unavailable", "err_"}, false},
		{"an outage of a port, too", &rules{state: domain.InvitationSent, refuse: problem.New(problem.ServiceUnavailable)}, rightSecret, 503, []string{"temporarily unavailable"}, false},
		{"a refusal that nobody expects is our fault", &rules{state: domain.InvitationSent, refuse: problem.New(problem.AccessDenied)}, rightSecret, 500, []string{"temporarily unavailable"}, false},
	} {
		t.Run(story.claim, func(t *testing.T) {
			t.Parallel()
			answer, body, log := visit(story.rules, form(story.secret))
			if answer.StatusCode != story.status {
				t.Errorf("status %d, want %d", answer.StatusCode, story.status)
			}
			for _, text := range story.shows {
				if !strings.Contains(body, text) {
					t.Errorf("%q is missing in:\n%s", text, body)
				}
			}
			if strings.Contains(body, "<form") != story.form {
				t.Errorf("form: want %v", story.form)
			}
			if story.secret != "" && story.secret != "boat" && strings.Contains(body+log, story.secret) || strings.Contains(body+log, rightKey) {
				t.Error("the secret or the key is shown or logged")
			}
			if again := answer.Header.Get("Retry-After"); (story.status == 429 && again != "90") || (story.status == 503 && again == "") {
				t.Errorf("Retry-After %q", again)
			}
			if answer.Header.Get("Set-Cookie") != "" {
				t.Error("a cookie")
			}
		})
	}
}

func TestWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Second: "in a minute (", 61 * time.Second: "in 2 minutes (", 10 * time.Minute: "in 10 minutes (", 5 * time.Hour: "in 5 hours (", -time.Second: "in a minute (",
	} {
		if got := retryHint(started, started.Add(wait)); !strings.Contains(got, want) {
			t.Errorf("%s: %s", wait, got)
		}
	}
}

func TestInviteDoor(t *testing.T) {
	t.Parallel()

	t.Run("other methods are refused", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
			answer, _, _ := visit(&rules{}, httptest.NewRequest(method, rightLink, nil))
			if answer.StatusCode != 405 || answer.Header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("%s: %d, Allow %q", method, answer.StatusCode, answer.Header.Get("Allow"))
			}
		}
	})

	t.Run("nothing is loaded, framed, stored or told to others", func(t *testing.T) {
		t.Parallel()
		answer, body, _ := visit(&rules{state: domain.InvitationSent}, httptest.NewRequest(http.MethodGet, rightLink, nil))
		policy := answer.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", source(inviteCSS)} {
			if !strings.Contains(policy, part) {
				t.Errorf("policy %q lacks %q", policy, part)
			}
		}
		for name, value := range map[string]string{
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Content-Type": "text/html; charset=utf-8",
		} {
			if got := answer.Header.Get(name); got != value {
				t.Errorf("%s is %q", name, got)
			}
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "http") {
			t.Errorf("a script or a foreign address in:\n%s", body)
		}
	})

	t.Run("a form from another site, a foreign body and a huge one tell no secret", func(t *testing.T) {
		t.Parallel()
		foreign := form(rightSecret)
		foreign.Header.Set("Sec-Fetch-Site", "cross-site")
		strange := form(rightSecret)
		strange.Header.Set("Content-Type", "application/json")
		for status, r := range map[int]*http.Request{403: foreign, 415: strange, 413: form(strings.Repeat("x", maxForm+1))} {
			s := &rules{state: domain.InvitationSent}
			answer, _, _ := visit(s, r)
			if answer.StatusCode != status || len(s.verified) != 0 {
				t.Errorf("status %d, want %d; told %q", answer.StatusCode, status, s.verified)
			}
		}
	})

	t.Run("a secret in the address is not read", func(t *testing.T) {
		t.Parallel()
		s := &rules{state: domain.InvitationSent}
		r := httptest.NewRequest(http.MethodPost, rightLink+"&sharedSecret="+url.QueryEscape(rightSecret), strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if answer, _, _ := visit(s, r); answer.StatusCode != 400 || s.verified[0] != "" {
			t.Errorf("status %d, told %q", answer.StatusCode, s.verified)
		}
	})

	t.Run("without a key nobody is asked for the secret", func(t *testing.T) {
		t.Parallel()
		s := &rules{state: domain.InvitationSent}
		r := form(rightSecret)
		r.URL.RawQuery = "invitationId=" + rightID
		if answer, _, _ := visit(s, r); answer.StatusCode != 404 || len(s.verified) != 0 {
			t.Errorf("status %d, told %q", answer.StatusCode, s.verified)
		}
	})

	t.Run("a name is text", func(t *testing.T) {
		t.Parallel()
		_, body, _ := visit(&rules{state: domain.InvitationSent, name: `<script>alert(1)</script>" onfocus="x`}, httptest.NewRequest(http.MethodGet, rightLink, nil))
		if strings.Contains(body, "<script>") || strings.Contains(body, `" onfocus`) {
			t.Error(body)
		}
	})
}
