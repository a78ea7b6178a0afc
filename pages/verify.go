package pages

import (
	"bytes"
	"context"
	_ "embed" // the template of the page
	"html/template"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// EmailVerifications is the part of domain.Service that the page uses.
type EmailVerifications interface {
	VerifyEmail(ctx context.Context, in domain.VerifyEmailInput) (domain.Outcome[domain.EmailVerification], error)
}

// VerifyEmailOptions configures the page.
type VerifyEmailOptions struct {
	Service EmailVerifications
	// Institution is the name displayed on the page.
	Institution string
	// Now returns the current time.
	Now func() time.Time
	Log *slog.Logger
}

//go:embed verify.html
var verifyHTML string

var verifyTemplate = template.Must(template.New("verify").Parse(verifyHTML))

// VerifyEmail returns the page /verify-email?token=…: GET displays one button without calling the rules, POST submits
// the token. Programs that open the links of a mail before its reader do not use up the token.
func VerifyEmail(o VerifyEmailOptions) http.Handler {
	policy := "default-src 'none'; style-src " + source(inviteCSS) + "; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard(w.Header(), policy)
		if !allowMethods(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
			return
		}
		p := &verifyPage{
			o:      o,
			r:      r,
			status: http.StatusOK,
			view:   verifyView{Institution: o.Institution, Style: template.CSS(inviteCSS)},
		} //nolint:gosec // our own file
		token := r.URL.Query().Get("token")
		switch {
		case token == "":
			p.wrong()
		case r.Method == http.MethodPost:
			p.post(token)
		default:
			p.view.Form = true
		}
		p.write(w)
	})
}

// verifyView is the input of the template.
type verifyView struct {
	Institution string
	Style       template.CSS
	// Form is true if the button is displayed.
	Form bool
	// Tone (error, info or done), Heading and Text are the message of the page.
	Tone, Heading string
	Text          []string
	// Reference identifies an occurrence in the log.
	Reference string
}

// Title is the title of the browser tab, which screen readers announce first.
func (v verifyView) Title() string {
	switch {
	case v.Tone == "error":
		return "Problem: " + v.Heading
	case v.Heading != "":
		return v.Heading
	}
	return "Verify your e-mail address"
}

// verifyPage handles one request to the page.
type verifyPage struct {
	o      VerifyEmailOptions
	r      *http.Request
	view   verifyView
	status int
	until  time.Time
}

func (p *verifyPage) say(status int, tone, heading string, text ...string) {
	p.status, p.view.Tone, p.view.Heading, p.view.Text = status, tone, heading, text
}

func (p *verifyPage) wrong() {
	p.say(
		http.StatusBadRequest,
		"error",
		"Use the link in the latest e-mail",
		"This link is not valid. Only the link in the latest e-mail works; links in earlier e-mails are no longer valid. Check also that the link is complete.",
	)
}

func (p *verifyPage) post(token string) {
	// There is no cookie that a forged request could use; a form from another site is still refused if the browser
	// reports it.
	if site := p.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		p.say(http.StatusForbidden, "error", "Open the link in your e-mail", "The form was sent from another page, so nothing was changed.")
		return
	}
	if kind, _, err := mime.ParseMediaType(p.r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		p.say(http.StatusUnsupportedMediaType, "error", "The form could not be read", "Open the link in your e-mail and try again.")
		return
	}
	_, err := p.o.Service.VerifyEmail(p.r.Context(), domain.VerifyEmailInput{Token: token, Page: true})
	refusal := problem.Of(err)
	switch {
	case err == nil:
		p.say(http.StatusOK, "done", "Your e-mail address is verified", "You do not need to do anything else on this page.")
	case problem.Has(err, problem.AlreadyVerified):
		p.say(http.StatusConflict, "info", "Your e-mail address is already verified", "You do not need to do anything else on this page.")
	case problem.Has(err, problem.TokenExpired):
		p.say(http.StatusGone, "error", "This link has expired", "Ask "+p.o.Institution+" for a new e-mail.")
	case problem.Has(err, problem.InvalidToken), problem.Has(err, problem.InvalidInput):
		p.wrong()
	case refusal.Kind == problem.Limited:
		p.until = refusal.AvailableAt
		p.say(
			http.StatusTooManyRequests, "error", "Too many attempts",
			"There were too many attempts from your network. "+retryHint(p.o.Now(), p.until),
		)
	default:
		p.view.Reference = domain.NewID("err", p.o.Now())
		if p.r.Context().Err() == nil {
			p.o.Log.Error("verification page", "reference", p.view.Reference, "code", refusal.Code, "error", err)
		}
		p.until = p.o.Now().Add(5 * time.Second)
		p.say(
			http.StatusServiceUnavailable, "error", "The service is temporarily unavailable",
			"Try again in a few minutes with the link in your e-mail.",
		)
	}
}

func (p *verifyPage) write(w http.ResponseWriter) {
	var b bytes.Buffer
	if err := verifyTemplate.Execute(&b, p.view); err != nil {
		p.o.Log.Error("verification page", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	if !p.until.IsZero() {
		seconds := math.Ceil(p.until.Sub(p.o.Now()).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(seconds))))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(p.status)
	_, _ = w.Write(b.Bytes())
}
