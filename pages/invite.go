package pages

import (
	"bytes"
	"context"
	_ "embed" // the templates of the page
	"errors"
	"html/template"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Invitations is the part of domain.Service that the page uses. Both methods take the client's address from the actor
// of the context, and ignore any token.
type Invitations interface {
	InvitationPreview(ctx context.Context, id, key string) (*domain.InvitationPreview, error)
	VerifyInvitation(ctx context.Context, in domain.VerifyInvitationInput) (domain.Outcome[domain.Invitation], error)
}

// InviteOptions configures the page.
type InviteOptions struct {
	Service Invitations
	// Institution is the name displayed if no invitation is.
	Institution string
	// Now returns the current time.
	Now func() time.Time
	Log *slog.Logger
}

//go:embed invite.html
var inviteHTML string

//go:embed invite.css
var inviteCSS string

var inviteTemplate = template.Must(template.New("invite").Parse(inviteHTML))

// maxForm is the maximum size of a form in bytes; a secret has at most 100 characters.
const maxForm = 16 << 10

// minSecret is the minimum length of a shared secret (Invitations, minLength).
const minSecret = 8

// Invite returns the page /invite?invitationId=…&key=…: GET displays the invitation, POST submits the secret. Opening
// the page changes nothing.
//
// POST responds with the page and not with a redirect, because a redirect would have to carry the result in a cookie or
// an address, and a repeated POST finds the state left by the first. A forged form gains nothing, because there is no
// cookie that authenticates the invitee: a sender must have the link and the secret.
func Invite(o InviteOptions) http.Handler {
	policy := "default-src 'none'; style-src " + source(inviteCSS) + "; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard(w.Header(), policy)
		if !allowMethods(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
			return
		}
		p := &invitePage{
			o:    o,
			r:    r,
			view: inviteView{Institution: o.Institution, Style: template.CSS(inviteCSS), MinSecret: minSecret},
		} //nolint:gosec // our own file
		query := r.URL.Query()
		p.id, p.key = query.Get("invitationId"), query.Get("key")
		if r.Method == http.MethodPost {
			p.post(w)
		} else {
			p.get()
		}
		p.write(w)
	})
}

// inviteView is the input of the template.
type inviteView struct {
	Institution string
	Style       template.CSS
	MinSecret   int
	// Preview is nil without a valid key.
	Preview *domain.InvitationPreview
	// Form is true if the secret can be entered.
	Form bool
	// Tone (error, info or done), Heading and Text are the message of the page. FieldError marks the field.
	Tone, Heading string
	Text          []string
	FieldError    bool
	// Reference identifies an occurrence in the log.
	Reference string
}

// Kind describes what the invitee is invited to become.
func (v inviteView) Kind() string {
	if v.Preview.Type == domain.InvitationJoint {
		return "Joint owner of an account"
	}
	return "Authorized signer of an organization"
}

// State describes the state of the invitation.
func (v inviteView) State() string {
	switch v.Preview.State {
	case domain.InvitationSent:
		return "Open"
	case domain.InvitationAccepted, domain.InvitationCompleted:
		return "Accepted"
	case domain.InvitationFailed:
		return "Locked"
	case domain.InvitationRevoked:
		return "Revoked"
	case domain.InvitationExpired:
		return "Expired"
	}
	return string(v.Preview.State)
}

// Accepted reports whether the invitee has nothing left to do.
func (v inviteView) Accepted() bool {
	return v.Preview.State == domain.InvitationAccepted || v.Preview.State == domain.InvitationCompleted
}

// Deadline describes the meaning of the time in this state; empty if it has none.
func (v inviteView) Deadline() string {
	switch v.Preview.State {
	case domain.InvitationSent:
		return "Can be accepted until"
	case domain.InvitationExpired:
		return "Could be accepted until"
	default:
		return ""
	}
}

// Expires returns the expiry formatted for people.
func (v inviteView) Expires() string { return inWords(v.Preview.ExpiresAt) }

// ExpiresISO returns the expiry formatted for machines.
func (v inviteView) ExpiresISO() string { return v.Preview.ExpiresAt.UTC().Format(time.RFC3339) }

// Title is the title of the browser tab, which screen readers announce first.
func (v inviteView) Title() string {
	switch {
	case v.Tone == "error":
		return "Problem: " + v.Heading
	case v.Heading != "":
		return v.Heading
	}
	return "Your invitation"
}

// invitePage handles one request to the page.
type invitePage struct {
	o       InviteOptions
	r       *http.Request
	id, key string
	view    inviteView
	status  int
	until   time.Time
}

func (p *invitePage) say(status int, tone, heading string, text ...string) {
	p.status, p.view.Tone, p.view.Heading, p.view.Text = status, tone, heading, text
}

func (p *invitePage) get() {
	if !p.load() {
		return
	}
	p.status = http.StatusOK
	if p.view.Preview.State != domain.InvitationSent {
		p.showState(http.StatusOK)
	}
}

// load looks up the invitation of the link. If it fails, it writes the response and returns false.
func (p *invitePage) load() bool {
	var err error
	if p.id == "" || p.key == "" {
		err = problem.New(problem.NoSuchInvitation)
	} else {
		p.view.Preview, err = p.o.Service.InvitationPreview(p.r.Context(), p.id, p.key)
	}
	switch {
	case err == nil:
		p.view.Institution = p.view.Preview.Institution
		p.view.Form = p.view.Preview.State == domain.InvitationSent
		return true
	case problem.Has(err, problem.NoSuchInvitation):
		p.say(
			http.StatusNotFound,
			"info",
			"Use the link in the latest e-mail",
			"This link does not open an invitation. Only the link in the latest e-mail works; links in earlier e-mails are no longer valid. Check also that the link is complete.",
		)
	default:
		p.fail(err)
	}
	return false
}

// showState displays the state of an invitation that is no longer open.
func (p *invitePage) showState(status int) {
	v := p.view.Preview
	switch v.State {
	case domain.InvitationAccepted, domain.InvitationCompleted:
		p.say(status, "info", "This invitation is already accepted", "You do not need to do anything else on this page.")
	case domain.InvitationFailed:
		p.say(status, "error", "This invitation is locked",
			"The wrong secret was entered too often. Ask "+v.InviterFullName+" for a new invitation.")
	case domain.InvitationRevoked:
		p.say(status, "error", "This invitation was revoked",
			"It can no longer be accepted. If you think this is a mistake, ask "+v.InviterFullName+".")
	case domain.InvitationExpired:
		p.say(status, "error", "This invitation has expired",
			"It could be accepted until "+inWords(v.ExpiresAt)+". Ask "+v.InviterFullName+" for a new one.")
	case domain.InvitationSent:
	}
}

func (p *invitePage) post(w http.ResponseWriter) {
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
	p.r.Body = http.MaxBytesReader(w, p.r.Body, maxForm)
	if err := p.r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		p.say(status, "error", "The form could not be read", "Open the link in your e-mail and try again.")
		return
	}
	if p.id == "" || p.key == "" {
		p.load()
		return
	}
	secret := p.r.PostForm.Get("sharedSecret")
	_, err := p.o.Service.VerifyInvitation(
		p.r.Context(), domain.VerifyInvitationInput{InvitationID: p.id, SharedSecret: secret, MailKey: &p.key},
	)
	if problem.Has(err, problem.InvalidInput) && utf8.RuneCountInString(secret) >= minSecret {
		err = problem.New(problem.InvitationVerificationFailed) // long enough, but with characters that no secret contains
	}
	p.answer(err)
}

// answer displays the result of submitting the secret.
func (p *invitePage) answer(err error) {
	refusal := problem.Of(err)
	switch {
	case err != nil && (refusal.Kind == problem.Internal || refusal.Kind == problem.Unavailable):
		p.fail(err)
		return
	case err != nil && refusal.Kind == problem.Limited:
		p.limited(refusal)
		return
	}
	if !p.load() {
		if err == nil { // accepted, but the database became unavailable afterwards
			p.view.Reference, p.until = "", time.Time{}
			p.say(
				http.StatusOK, "done", "You have accepted the invitation",
				"You will receive a message from "+p.o.Institution+" when everything is set up.",
			)
		}
		return
	}
	v := p.view.Preview
	switch {
	case err == nil:
		p.view.Form = false
		p.say(http.StatusOK, "done", "You have accepted the invitation",
			v.Institution+" now sets up your access and notifies you and "+v.InviterFullName+" when it is ready. You can close this page.")
	case v.State != domain.InvitationSent:
		status := http.StatusConflict
		if problem.Has(err, problem.InvitationVerificationFailed) {
			status = http.StatusBadRequest // the wrong secret that locked the invitation
		}
		p.showState(status)
	case problem.Has(err, problem.InvitationVerificationFailed):
		p.view.FieldError = true
		p.say(
			http.StatusBadRequest,
			"error",
			"The secret is not correct",
			"Check it with "+v.InviterFullName+" and try again. Upper and lower case letters differ. After too many wrong secrets the invitation is locked.",
		)
	case problem.Has(err, problem.InvalidInput):
		p.view.FieldError = true
		p.say(
			http.StatusBadRequest, "error", "The secret is too short",
			"It must have at least "+strconv.Itoa(minSecret)+" characters. Enter it exactly as you received it from "+v.InviterFullName+".",
		)
	default:
		p.fail(err)
	}
}

func (p *invitePage) limited(refusal *problem.Problem) {
	p.until = refusal.AvailableAt
	p.say(
		http.StatusTooManyRequests, "error", "Too many attempts",
		"There were too many attempts from your network. "+retryHint(p.o.Now(), p.until),
	)
}

// fail displays an internal error and logs it under the reference on the page.
func (p *invitePage) fail(err error) {
	refusal := problem.Of(err)
	p.view.Preview, p.view.Form = nil, false
	p.view.Reference = domain.NewID("err", p.o.Now())
	if p.r.Context().Err() == nil {
		p.o.Log.Error("invitation page", "reference", p.view.Reference, "code", refusal.Code, "error", err)
	}
	status := http.StatusServiceUnavailable
	p.until = p.o.Now().Add(5 * time.Second)
	if refusal.Kind != problem.Unavailable && refusal.Kind != problem.Internal {
		status, p.until = http.StatusInternalServerError, time.Time{}
	}
	p.say(status, "error", "The service is temporarily unavailable", "Try again in a few minutes with the link in your e-mail.")
}

func (p *invitePage) write(w http.ResponseWriter) {
	var b bytes.Buffer
	if err := inviteTemplate.Execute(&b, p.view); err != nil {
		p.o.Log.Error("invitation page", "error", err)
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

// retryHint describes when the link can be used again, as a duration, because most clocks do not show UTC.
func retryHint(now, t time.Time) string {
	if t.IsZero() {
		return "Wait some time, then open the link in your e-mail again."
	}
	wait := "a minute"
	if n := int(math.Ceil(t.Sub(now).Minutes())); n > 120 {
		wait = strconv.Itoa((n+59)/60) + " hours"
	} else if n > 1 {
		wait = strconv.Itoa(n) + " minutes"
	}
	return "You can try again in " + wait + " (from " + inWords(t) + ") with the link in your e-mail."
}

func inWords(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }
