package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
)

// twilioBase is the default base URL of the API.
const twilioBase = "https://api.twilio.com"

// maxReplySize is the maximum number of bytes read of the provider's reply.
const maxReplySize = 64 << 10

// Twilio sends text messages through Twilio's Messages API.
//
// Its URL is twilio://SID:TOKEN@from?base=…: the account, its token, the sender (a number, a name, or a messaging
// service MG…), and optionally the base URL of another provider with the same API.
type Twilio struct {
	endpoint   string
	sid, token string
	from       string
	client     *http.Client
	compose    *Composer
}

// NewTwilio parses the URL. Pass a nil composer to validate the URL only. Its errors name the invalid part and never
// contain the URL, which holds a token.
func NewTwilio(rawURL string, c *Composer) (*Twilio, error) {
	errForm := errors.New("not a URL of the form twilio://SID:TOKEN@from?base=…")
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "twilio" || u.User == nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errForm
	}
	t := &Twilio{sid: u.User.Username(), from: u.Host, compose: c}
	t.token, _ = u.User.Password()
	if t.sid == "" || t.token == "" || strings.ContainsAny(t.sid, "/?#") {
		return nil, errForm
	}
	query := u.Query()
	base := twilioBase
	for name := range query {
		if name != "base" {
			return nil, errors.New("unknown option; the only option is base")
		}
		base = query.Get("base")
	}
	b, err := url.Parse(base)
	if err != nil || b.Scheme != "https" && b.Scheme != "http" || b.Host == "" || b.User != nil || b.RawQuery != "" || b.Fragment != "" {
		return nil, errors.New("base is not an http or https URL")
	}
	t.endpoint = strings.TrimSuffix(b.String(), "/") + "/2010-04-01/Accounts/" + url.PathEscape(t.sid) + "/Messages.json"
	t.client = &http.Client{
		Timeout: sendDeadline,
		// Following a redirect would send the token to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// Send transfers one text message.
func (t *Twilio) Send(ctx context.Context, m *domain.Message) error {
	text, err := t.compose.templates.sms(m)
	if err != nil {
		return err
	}
	form := url.Values{"To": {e164(m.To)}, "Body": {text}}
	if strings.HasPrefix(t.from, "MG") && len(t.from) == 34 {
		form.Set("MessagingServiceSid", t.from)
	} else {
		form.Set("From", t.from)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return &Failure{Stage: "sms", Reason: "invalid request", Permanent: true}
	}
	r.SetBasicAuth(t.sid, t.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	// With a provider that supports it, sending a message again does not deliver it twice.
	r.Header.Set("Idempotency-Key", m.ID)
	r.Header.Set("I-Twilio-Idempotency-Token", m.ID)
	reply, err := t.client.Do(r)
	if err != nil {
		return &Failure{Stage: "sms", Reason: reasonOf(err)}
	}
	defer reply.Body.Close() //nolint:errcheck // nothing is lost
	body, _ := io.ReadAll(io.LimitReader(reply.Body, maxReplySize))
	if reply.StatusCode >= 200 && reply.StatusCode < 300 {
		return nil
	}
	return t.failure(reply.StatusCode, body)
}

// failure keeps the numeric codes of the provider's reply and drops its text, which may contain the phone number.
func (t *Twilio) failure(status int, body []byte) error {
	var reply struct {
		Code int `json:"code"`
	}
	f := &Failure{Stage: "sms", Code: status}
	if json.Unmarshal(body, &reply) == nil && reply.Code > 0 {
		f.Enhanced = strconv.Itoa(reply.Code)
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		f.Reason = "the provider rejected the account or the URL" // an operator can repair this; the message is valid
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests:
	case status >= 400 && status < 500:
		f.Permanent = true
	}
	return f
}

// e164 removes the separators that people write into a phone number, because the provider requires E.164.
func e164(number string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().\u00a0/", r) {
			return -1
		}
		return r
	}, number)
}
