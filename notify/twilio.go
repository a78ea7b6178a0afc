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

// twilioBase is where the provider's API is, unless the URL names another one with the same API.
const twilioBase = "https://api.twilio.com"

// maxAnswer bounds what is read of the provider's answer.
const maxAnswer = 64 << 10

// Twilio hands text messages to a provider with Twilio's API "Messages".
//
// Its URL is twilio://SID:TOKEN@from?base=…: the account, its token, the sender (a number, a name, or a messaging
// service MG…), and perhaps the base address of another provider with the same API.
type Twilio struct {
	endpoint   string
	sid, token string
	from       string
	client     *http.Client
	compose    *Composer
}

// NewTwilio reads the URL; without a composer it only checks it. Its errors name what is wrong and never repeat the URL, which holds a token.
func NewTwilio(rawURL string, c *Composer) (*Twilio, error) {
	wrong := errors.New("not a URL of the form twilio://SID:TOKEN@from?base=…")
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "twilio" || u.User == nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, wrong
	}
	t := &Twilio{sid: u.User.Username(), from: u.Host, compose: c}
	t.token, _ = u.User.Password()
	if t.sid == "" || t.token == "" || strings.ContainsAny(t.sid, "/?#") {
		return nil, wrong
	}
	query := u.Query()
	base := twilioBase
	for name := range query {
		if name != "base" {
			return nil, errors.New("has an option that is not known; there is base")
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
		// A redirection would send the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// Send hands over one text message.
func (t *Twilio) Send(ctx context.Context, m *domain.Message) error {
	text, err := t.compose.words.sms(m)
	if err != nil {
		return err
	}
	form := url.Values{"To": {dialled(m.To)}, "Body": {text}}
	if strings.HasPrefix(t.from, "MG") && len(t.from) == 34 {
		form.Set("MessagingServiceSid", t.from)
	} else {
		form.Set("From", t.from)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return &Failure{Stage: "sms", Reason: "no request", Permanent: true}
	}
	r.SetBasicAuth(t.sid, t.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	// Where the provider knows it, a message that is handed over again is no second message.
	r.Header.Set("Idempotency-Key", m.ID)
	r.Header.Set("I-Twilio-Idempotency-Token", m.ID)
	reply, err := t.client.Do(r)
	if err != nil {
		return &Failure{Stage: "sms", Reason: reasonOf(err)}
	}
	defer reply.Body.Close() //nolint:errcheck // nothing is lost
	body, _ := io.ReadAll(io.LimitReader(reply.Body, maxAnswer))
	if reply.StatusCode >= 200 && reply.StatusCode < 300 {
		return nil
	}
	return t.failure(reply.StatusCode, body)
}

// failure keeps the numbers of the provider's answer and none of its words, which may repeat the number.
func (t *Twilio) failure(status int, body []byte) error {
	var said struct {
		Code int `json:"code"`
	}
	f := &Failure{Stage: "sms", Code: status}
	if json.Unmarshal(body, &said) == nil && said.Code > 0 {
		f.Enhanced = strconv.Itoa(said.Code)
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		f.Reason = "account or address of the provider refused" // an operator repairs it, and the message is still good
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests:
	case status >= 400 && status < 500:
		f.Permanent = true
	}
	return f
}

// dialled is a number as the provider wants it (E.164), where a person wrote it with spaces and signs between.
func dialled(number string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -().\u00a0/", r) {
			return -1
		}
		return r
	}, number)
}
