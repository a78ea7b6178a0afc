package app

import (
	"crypto/tls"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/notify"
)

// Warnings returns the settings that leave something unprotected, each in one sentence with the setting that protects
// it. All of them are permitted, because the program cannot know what the network protects. The server logs them at
// startup.
func (c *Config) Warnings() []string {
	var out []string
	warn := func(when bool, text string) {
		if when {
			out = append(out, text)
		}
	}
	warn(notify.SMTPInClear(c.SMTPURL), "GATEHOUSE_SMTP_URL: e-mails are sent unencrypted if the mail server does not offer STARTTLS; "+
		"add tls=required, or use smtps://")
	warn(twilioInClear(c.SMSURL), "GATEHOUSE_SMS_URL: text messages are sent unencrypted; use an https base")
	warn(
		databaseInClear(c.DatabaseURL), "GATEHOUSE_DATABASE_URL: the connection may be unencrypted or unauthenticated; add sslmode=verify-full",
	)
	warn(collectorInClear(), "OTEL_EXPORTER_OTLP_ENDPOINT: traces are sent unencrypted; use an https address")
	if c.Development() { // reachable from this machine only
		return out
	}
	warn(c.Audience == "", "GATEHOUSE_AUDIENCE is not set: tokens that the issuer issued for other services are accepted")
	warn(
		!strings.HasPrefix(c.PublicURL, "https://"),
		"GATEHOUSE_PUBLIC_URL is not https: the client cookie has no Secure attribute, and HSTS is not sent",
	)
	warn(c.Demonstrate(), "GATEHOUSE_DEMO: an empty database is filled with demonstration data, whose secrets are public")
	return out
}

// twilioInClear reports whether text messages leave this machine without TLS.
func twilioInClear(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && plainHTTP(u.Query().Get("base"))
}

// collectorInClear reports whether traces leave this machine without TLS.
func collectorInClear() bool {
	return plainHTTP(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) || plainHTTP(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

// plainHTTP reports whether an address is http to another machine.
func plainHTTP(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http" && !loopback(u.Hostname())
}

// databaseInClear reports whether a connection to a database on another machine is not encrypted, may fall back to no
// encryption, or does not verify the host. It examines the driver's interpretation of the URL and the standard
// variables: alternative ways to connect to one host (sslmode=allow, prefer) are in Fallbacks.
func databaseInClear(raw string) bool {
	if !strings.HasPrefix(raw, "postgres") {
		return false
	}
	c, err := pgx.ParseConfig(raw)
	if err != nil {
		return false // reported by Check
	}
	open := func(host string, how *tls.Config) bool {
		// With verify-ca the driver verifies the certificate itself.
		checked := how != nil && (!how.InsecureSkipVerify || how.VerifyPeerCertificate != nil)
		return !checked && !strings.HasPrefix(host, "/") && !loopback(host)
	}
	unsafe := open(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		unsafe = unsafe || open(f.Host, f.TLSConfig)
	}
	return unsafe
}
