package notify_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/notify"
)

func TestTwilio(t *testing.T) {
	t.Parallel()
	compose, err := notify.NewComposer("bank@example.com", "example.com")
	if err != nil {
		t.Fatal(err)
	}
	message := &domain.Message{
		ID: "msg_1", Channel: domain.ChannelSMS, Template: "code", To: "+1 (910) 555-0177", CreatedAt: time.Now(),
		Values: map[string]string{"code": "123456", "institution": "First Bank", "expires": "2026-03-01T09:10:00Z"},
	}
	for name, c := range map[string]struct {
		status    int
		body      string
		permanent bool
		failure   string
	}{
		"taken":                {201, `{"sid":"SM1"}`, false, ""},
		"no number":            {400, `{"code":21211,"message":"+19105550177 is no number"}`, true, "sms 400 21211"},
		"a wrong account":      {401, `{"code":20003}`, false, "sms 401 20003: the provider rejected the account or the URL"},
		"too many":             {429, `{}`, false, "sms 429"},
		"out of order":         {503, `out of order`, false, "sms 503"},
		"a redirection":        {302, ``, false, "sms 302"},
		"not a number, either": {422, `[]`, true, "sms 422"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/base/2010-04-01/Accounts/AC1/Messages.json" {
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				if r.FormValue("To") != "+19105550177" || r.FormValue("From") != "+15005550006" || !strings.HasPrefix(r.FormValue("Body"), "First Bank: 123456 ") {
					t.Errorf("%v", r.PostForm)
				}
				if r.Header.Get("Idempotency-Key") != "msg_1" {
					t.Errorf("%v", r.Header)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(provider.Close)
			sender, err := notify.NewTwilio("twilio://AC1:token@+15005550006?base="+url.QueryEscape(provider.URL+"/base/"), compose)
			if err != nil {
				t.Fatal(err)
			}
			err = sender.Send(context.Background(), message)
			if c.failure == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || err.Error() != c.failure || notify.IsPermanent(err) != c.permanent {
				t.Errorf("%v, permanent %t", err, notify.IsPermanent(err))
			}
		})
	}
	sender, err := notify.NewTwilio("twilio://AC1:token@+15005550006?base=http://127.0.0.1:1", compose)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(context.Background(), message); err == nil || notify.IsPermanent(err) || strings.Contains(err.Error(), "AC1") {
		t.Errorf("unavailable: %v", err)
	}
	for _, bad := range []string{
		"", "http://AC1:t@+1", "twilio://+1500", "twilio://AC1@+1500", "twilio://:t@+1500", "twilio://AC1:t@", "twilio://AC1:t@+1500/path",
		"twilio://AC1:t@+1500?other=1", "twilio://AC1:t@+1500?base=ftp://x",
	} {
		if _, err := notify.NewTwilio(bad, compose); err == nil || strings.Contains(err.Error(), "AC1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
