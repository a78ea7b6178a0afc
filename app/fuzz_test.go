package app

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/examples"
)

// FuzzImportLine: a line is decoded or refused; the error names members and never contains a value.
func FuzzImportLine(f *testing.F) {
	for line := range strings.Lines(string(examples.Demo)) {
		f.Add(line)
	}
	for _, line := range []string{
		`{"kind":"device","id":"d","customerId":"c","publicKey":"AAAA"}`, `{"kind":"application","id":"a","secondFactors":["PIN"]}`, `{"kind":"jurisdiction","id":"j","secondFactors":["X"]}`,
		`{"kind":null}`, `{"kind":"account"} {}`, `[]`, "\xff", `{"kind":"customer","id":"x","pin":"planted-pin-4711","password":5}`, `{"kind":"contact","id":"x","taxId":"planted-tax"}`,
	} {
		f.Add(line)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	importer := &Importer{Rules: &domain.Service{Now: func() time.Time { return at }, KeyedHash: func(string, ...string) []byte { return []byte("keyed") }}}
	f.Fuzz(func(t *testing.T, line string) {
		for _, strict := range []bool{true, false} {
			record, err := importer.record([]byte(line), strict)
			if err == nil && record == nil {
				t.Fatalf("%q is nothing, and no refusal", line)
			}
			if err != nil && strings.Contains(err.Error(), "planted-") && !strings.Contains(err.Error(), "there is no member") && !strings.Contains(err.Error(), "is not known") {
				t.Fatalf("the error for %q contains a value: %v", line, err)
			}
		}
	})
}

func FuzzRate(f *testing.F) {
	for _, seed := range []string{"20/60s", "1/1h", "0/1s", "5/-1s", "/", "5/0s", "5/1h/2", "9999999999999999999/1s", "+5/1s", "5/1.5h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Rate
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		if r.Limit < 1 || r.Per <= 0 {
			t.Fatalf("%q is %v", text, r)
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Fatalf("%q is %v, and that is %v %v", text, r, again, err)
		}
	})
}

// FuzzSettings: all texts are accepted or refused at startup, and errors never contain passwords of URLs.
func FuzzSettings(f *testing.F) {
	f.Add("127.0.0.1:0", "", "postgres://u:hunter2@h/db", "10.0.0.0/8,192.168.0.1", "https://bank.example|http://localhost:1", "smtp://u:hunter2@mail:25", "twilio://AC:hunter2@+1", "https://p.example")
	f.Add("0.0.0.0:0", "http://user:hunter2@h", "mysql://u:hunter2@h", "10.0.0.0/99", "null", "smtp://", "twilio://", "http://u:hunter2@p")
	f.Add(":x", "%", "sqlite://x", "::1", "*", "x", "y", "ftp://hunter2")
	f.Fuzz(func(t *testing.T, listen, public, database, proxies, origins, smtp, sms, risk string) {
		c := Config{
			Listen: listen, PublicURL: public, DatabaseURL: database, TrustedProxies: proxies, AllowedOrigins: origins, SMTPURL: smtp, SMSURL: sms, RiskURL: risk,
			DataDir: "data", Demo: "auto", LogLevel: "info", LogFormat: "auto", HashCost: "default", SessionTokenAlg: "RS256", InstitutionName: "Bank", MailFrom: "a@b",
			InvitationTTL: time.Hour, EmailTokenTTL: time.Hour, PhoneCodeTTL: time.Hour, ChallengeTTL: time.Hour, TwoFactorTTL: time.Hour,
			SessionIdleTimeout: time.Hour, SessionMaxLifetime: time.Hour, SessionTokenTTL: time.Minute, QuizTTL: time.Hour, QuizPassShare: 1, QuizMinQuestions: 4, NameMatch: 0.9,
			QuizLimit: Rate{Limit: 3, Per: 24 * time.Hour},
		}
		if err := c.Check(); err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the error contains a password: %v", err)
			}
			return
		}
		trusted, err := c.Proxies()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range trusted {
			if again, err := netip.ParsePrefix(p.String()); err != nil || again != p {
				t.Fatalf("%q has the network %v", proxies, p)
			}
		}
	})
}
