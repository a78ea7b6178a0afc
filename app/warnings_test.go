package app

import (
	"strings"
	"testing"
)

// TestWarnings: an insecure setting causes a warning that names the setting that protects it. Settings that are secure,
// or that concern only this machine, cause none.
func TestWarnings(t *testing.T) {
	closed := Config{
		Issuer: "https://login.bank.example", Audience: "gatehouse", PublicURL: "https://id.bank.example", Demo: "auto",
		SMTPURL: "smtps://u:p@mail.bank.example", SMSURL: "twilio://SID:TOKEN@+15005550006", DatabaseURL: "postgres://db1,db2/gatehouse?sslmode=verify-full",
	}
	for _, c := range []struct {
		claim  string
		change func(*Config)
		want   string
	}{
		{"everything closed", func(*Config) {}, ""},
		{"a developer's", func(c *Config) { *c = Config{Demo: "auto"} }, ""},
		{"mail that may go in the clear", func(c *Config) { c.SMTPURL = "smtp://u:p@mail.bank.example:587" }, "GATEHOUSE_SMTP_URL"},
		{"mail that does", func(c *Config) { c.SMTPURL = "smtp://mail.bank.example?tls=none" }, "GATEHOUSE_SMTP_URL"},
		{"mail that must not", func(c *Config) { c.SMTPURL = "smtp://u:p@mail.bank.example?tls=required" }, ""},
		{"a mail server on this machine", func(c *Config) { c.SMTPURL = "smtp://127.0.0.1:25" }, ""},
		{"texts in the clear", func(c *Config) { c.SMSURL = "twilio://SID:TOKEN@+15005550006?base=http://sms.bank.example" }, "GATEHOUSE_SMS_URL"},
		{"texts by this machine", func(c *Config) { c.SMSURL = "twilio://SID:TOKEN@+15005550006?base=http://127.0.0.1:1" }, ""},
		{"a database as the driver likes", func(c *Config) { c.DatabaseURL = "postgres://db1/gatehouse" }, "GATEHOUSE_DATABASE_URL"},
		{"a database that is anybody", func(c *Config) { c.DatabaseURL = "postgres://db1/gatehouse?sslmode=require" }, "GATEHOUSE_DATABASE_URL"},
		{"one of two hosts in the clear", func(c *Config) { c.DatabaseURL = "postgres://localhost,db2/gatehouse?sslmode=disable" }, "GATEHOUSE_DATABASE_URL"},
		{"a database whose authority is checked", func(c *Config) { c.DatabaseURL = "postgres://db1/gatehouse?sslmode=verify-ca" }, ""},
		{"a database on this machine", func(c *Config) { c.DatabaseURL = "postgres://localhost/gatehouse?sslmode=disable" }, ""},
		{"a socket", func(c *Config) { c.DatabaseURL = "postgres:///gatehouse?host=/run/postgresql" }, ""},
		{"tokens for others", func(c *Config) { c.Audience = "" }, "GATEHOUSE_AUDIENCE"},
		{"callers by http", func(c *Config) { c.PublicURL = "http://id.bank.example" }, "GATEHOUSE_PUBLIC_URL"},
		{"people whom everybody knows", func(c *Config) { c.Demo = "true" }, "GATEHOUSE_DEMO"},
	} {
		settings := closed
		c.change(&settings)
		told := settings.Warnings()
		if c.want == "" && len(told) != 0 || c.want != "" && (len(told) != 1 || !strings.HasPrefix(told[0], c.want)) {
			t.Errorf("%s: %q", c.claim, told)
		}
		if strings.Contains(strings.Join(told, " "), "TOKEN") || strings.Contains(strings.Join(told, " "), "u:p") {
			t.Errorf("%s: a password is disclosed: %q", c.claim, told)
		}
	}
	t.Run("traces", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.bank.example:4318")
		if told := closed.Warnings(); len(told) != 1 || !strings.HasPrefix(told[0], "OTEL_EXPORTER_OTLP_ENDPOINT") {
			t.Errorf("%q", told)
		}
	})
}
