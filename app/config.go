// Package app assembles Gatehouse from its packages and runs it.
//
// It knows all packages; only the commands may import it. It is the only package that reads the real clock.
package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/notify"
	"github.com/gatehouse/gatehouse/seal"
)

// Config holds every setting. A flag overrides the environment, and the environment overrides the file. The struct tags
// define the flags and docs/config.md; a field tagged secret is masked wherever it is displayed.
type Config struct {
	Listen                          string        `default:"127.0.0.1:8080" env:"GATEHOUSE_LISTEN" help:"Address to listen on; port 0 picks a free one. Without an external issuer it must be a loopback address."`
	PublicURL                       string        `name:"public-url" env:"GATEHOUSE_PUBLIC_URL" help:"Scheme and host of absolute links. Default: http:// and the listen address."`
	DataDir                         string        `default:"gatehouse-data" env:"GATEHOUSE_DATA_DIR" help:"Folder of the embedded database, the development keys and the development outbox."`
	DatabaseURL                     string        `name:"database-url" env:"GATEHOUSE_DATABASE_URL" secret:"url" help:"sqlite:///abs/file.db or postgres://… (several hosts allowed). Default: a file in the data directory."`
	AutoMigrate                     bool          `default:"true" negatable:"" env:"GATEHOUSE_AUTO_MIGRATE" help:"Migrate the database schema at startup."`
	Issuer                          string        `env:"GATEHOUSE_ISSUER" help:"OpenID Connect issuer whose access tokens are accepted. Default: the development issuer."`
	Audience                        string        `env:"GATEHOUSE_AUDIENCE" help:"Audience that access tokens must have. Default: any."`
	Demo                            string        `default:"auto" env:"GATEHOUSE_DEMO" help:"Load a small demonstration directory into an empty database: true, false, or auto (true without an external issuer)."`
	SMTPURL                         string        `name:"smtp-url" env:"GATEHOUSE_SMTP_URL" secret:"url" help:"Mail server: smtp://user:pass@host:port or smtps://…. With ?tls=required, mail is sent over TLS only. Default: the development outbox."`
	MailFrom                        string        `default:"gatehouse@localhost" env:"GATEHOUSE_MAIL_FROM" help:"Sender address of e-mails."`
	TrustedProxies                  string        `env:"GATEHOUSE_TRUSTED_PROXIES" help:"Trusted proxies: networks (CIDR, comma-separated) whose forwarding headers are used."`
	EncryptionKey                   string        `env:"GATEHOUSE_ENCRYPTION_KEY" secret:"all" help:"Key-encryption key for personal data at rest: 32 bytes in Base64, or file:/path of a file with the same. Default: generated once, in a file in the data directory."`
	AdminListen                     string        `env:"GATEHOUSE_ADMIN_LISTEN" help:"Address of a second listener for /metrics and /debug/pprof. Default: none."`
	DrainDelay                      time.Duration `default:"3s" env:"GATEHOUSE_DRAIN_DELAY" help:"How long the server keeps serving after a stop signal while /readyz returns 503, so that load balancers can react; at most 25s. If /readyz was not requested in the last minute, half a second."`
	LogLevel                        string        `default:"info" env:"GATEHOUSE_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat                       string        `default:"auto" env:"GATEHOUSE_LOG_FORMAT" help:"text, json, or auto (text on a terminal)."`
	InvitationTTL                   time.Duration `name:"invitation-ttl" default:"720h" env:"GATEHOUSE_INVITATION_TTL" help:"How long an invitation can be accepted."`
	InvitationResendLimit           int           `default:"5" env:"GATEHOUSE_INVITATION_RESEND_LIMIT" help:"How often the e-mail of an invitation can be sent again."`
	InvitationMaxFailedVerification int           `name:"invitation-max-failed-verifications" default:"5" env:"GATEHOUSE_INVITATION_MAX_FAILED_VERIFICATIONS" help:"Number of wrong secrets that lock an invitation; 0 means never."`
	VerifyRate                      Rate          `default:"20/60s" env:"GATEHOUSE_VERIFY_RATE" help:"Limit of verifications per client address, as N/duration."`
	VerifyBlock                     time.Duration `default:"10m" env:"GATEHOUSE_VERIFY_BLOCK" help:"How long a client address that exceeds the limit is blocked."`
	RequireIfMatch                  bool          `default:"false" env:"GATEHOUSE_REQUIRE_IF_MATCH" negatable:"" help:"Require If-Match for REST actions."`
	SessionIdleTimeout              time.Duration `default:"15m" env:"GATEHOUSE_SESSION_IDLE_TIMEOUT" help:"Time without activity after which a session is abandoned."`
	SessionMaxLifetime              time.Duration `default:"12h" env:"GATEHOUSE_SESSION_MAX_LIFETIME" help:"Maximum lifetime of a session."`
	SessionTokenTTL                 time.Duration `name:"session-token-ttl" default:"60s" env:"GATEHOUSE_SESSION_TOKEN_TTL" help:"Lifetime of a session token; at least 1s."`
	SessionTokenAlg                 string        `default:"RS256" env:"GATEHOUSE_SESSION_TOKEN_ALG" help:"Signature algorithm of session and template tokens: RS256, ES256 or EdDSA. A change creates a new key at startup."`
	AllowedOrigins                  string        `env:"GATEHOUSE_ALLOWED_ORIGINS" help:"Permitted browser origins, separated by |. Default: the origin of the public URL."`
	InstitutionName                 string        `default:"Gatehouse" env:"GATEHOUSE_INSTITUTION_NAME" help:"Name of the institution in e-mails and on pages."`
	AcceptURL                       string        `name:"accept-url" env:"GATEHOUSE_ACCEPT_URL" help:"Link in the invitation e-mail, with {invitationId} and {key}. Default: the public URL followed by /invite?invitationId={invitationId}&key={key}."`
	CompleteRequiresVerification    bool          `default:"false" env:"GATEHOUSE_COMPLETE_REQUIRES_VERIFICATION" negatable:"" help:"Require that the accepting user has passed identity verification before an invitation is completed."`
	TrustedDocuments                string        `env:"GATEHOUSE_TRUSTED_DOCUMENTS" help:"JSON file with GraphQL documents by id. If set, the server accepts only these documents."`
	GraphQLMaxBody                  int           `name:"graphql-max-body" default:"65536" env:"GATEHOUSE_GRAPHQL_MAX_BODY" help:"Maximum size of a GraphQL request body, in bytes."`
	EmailTokenTTL                   time.Duration `name:"email-token-ttl" default:"24h" env:"GATEHOUSE_EMAIL_TOKEN_TTL" help:"Lifetime of the token in a verification e-mail."`
	PhoneCodeTTL                    time.Duration `name:"phone-code-ttl" default:"10m" env:"GATEHOUSE_PHONE_CODE_TTL" help:"Lifetime of the code in a text message."`
	ChallengeTTL                    time.Duration `name:"challenge-ttl" default:"5m" env:"GATEHOUSE_CHALLENGE_TTL" help:"Lifetime of a device challenge."`
	TwoFactorTTL                    time.Duration `name:"two-factor-ttl" default:"5m" env:"GATEHOUSE_TWO_FACTOR_TTL" help:"Time within which a two-factor request must be decided."`
	CodeSendLimit                   Rate          `default:"5/1h" env:"GATEHOUSE_CODE_SEND_LIMIT" help:"Limit of e-mails or text messages with a code, per customer and per address or number, as N/duration."`
	CodeTryLimit                    Rate          `default:"20/24h" env:"GATEHOUSE_CODE_TRY_LIMIT" help:"Limit of wrong phone codes per customer, across resent codes, as N/duration."`
	CodeRate                        Rate          `default:"100/10m" env:"GATEHOUSE_CODE_RATE" help:"Limit of wrong e-mail tokens and phone codes per client address, as N/duration."`
	SMSURL                          string        `name:"sms-url" env:"GATEHOUSE_SMS_URL" secret:"url" help:"Provider of text messages: twilio://SID:TOKEN@from?base=…. Default: the development outbox."`
	HashCost                        string        `default:"default" env:"GATEHOUSE_HASH_COST" help:"Cost of password hashing: default, or low (for tests, not with an external issuer)."`
	TestClock                       time.Duration `name:"test-clock" default:"0s" env:"GATEHOUSE_TEST_CLOCK" help:"Offset added to the system clock, such as +8760h (for tests, not with an external issuer)."`
	QuizTTL                         time.Duration `name:"quiz-ttl" default:"15m" env:"GATEHOUSE_QUIZ_TTL" help:"Time within which a quiz must be answered."`
	VerificationPolicy              string        `env:"GATEHOUSE_VERIFICATION_POLICY" help:"YAML file with the policy that decides when a contact is verified. Default: built in; the command config shows it."`
	Verifiers                       string        `env:"GATEHOUSE_VERIFIERS" help:"Applications that order verifications for the institution, separated by |: a clientId (the sub of its tokens must be equal), or clientId=sub."`
	ReportLimit                     Rate          `default:"20/1h" env:"GATEHOUSE_REPORT_LIMIT" help:"Limit of reports, quizzes and requests for questions per caller, as N/duration. The institution is not limited."`
	ReportPersonLimit               Rate          `default:"10/24h" env:"GATEHOUSE_REPORT_PERSON_LIMIT" help:"Limit of reports, quizzes and requests for questions per tax id, for all callers together, as N/duration."`
	QuizLimit                       Rate          `default:"3/24h" env:"GATEHOUSE_QUIZ_LIMIT" help:"Limit of quizzes per person that were started and not passed, as N/duration; beyond it, no questions are generated. Refused if quizzes of the local provider could then be passed by guessing."`
	QuizPassShare                   float64       `default:"1.0" env:"GATEHOUSE_QUIZ_PASS_SHARE" help:"Share of correct answers required to pass a quiz of the local provider. Below 1, a quiz has more questions and choices; a share that permits guessing is refused."`
	QuizMinQuestions                int           `default:"4" env:"GATEHOUSE_QUIZ_MIN_QUESTIONS" help:"Minimum number of questions of a quiz of the local provider, 4 to 10; without as many facts about a person, no questions are generated."`
	OFACDir                         string        `name:"ofac-dir" env:"GATEHOUSE_OFAC_DIR" help:"Folder with the published SDN files (SDN.CSV, ADD.CSV, ALT.CSV, SDN_COMMENTS.CSV), loaded when they change. Default: none."`
	NameMatch                       float64       `default:"0.90" env:"GATEHOUSE_NAME_MATCH" help:"Minimum similarity at which a name matches a list entry, 0 to 1."`
	RiskURL                         string        `name:"risk-url" env:"GATEHOUSE_RISK_URL" secret:"url" help:"HTTP provider of fraud-risk reports. Default: the local one."`
	QuizURL                         string        `name:"quiz-url" env:"GATEHOUSE_QUIZ_URL" secret:"url" help:"HTTP provider of quizzes. Default: the local one."`

	// policy is the verification policy; Check loads it.
	policy domain.VerificationPolicy
}

// Rate is a limit of the form N/duration.
type Rate domain.Rate

// UnmarshalText parses N/duration.
func (r *Rate) UnmarshalText(text []byte) error {
	n, per, ok := strings.Cut(string(text), "/")
	limit, err := strconv.Atoi(n)
	if !ok || err != nil || limit < 1 {
		return errors.New("expected N/duration, for example 20/60s")
	}
	d, err := time.ParseDuration(per)
	if err != nil || d <= 0 {
		return errors.New("expected N/duration, for example 20/60s")
	}
	*r = Rate{Limit: limit, Per: d}
	return nil
}

// String returns N/duration.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Limit, r.Per) }

// Development reports whether this is a developer's own server: one without an external issuer.
func (c *Config) Development() bool { return c.Issuer == "" }

// Demonstrate reports whether the demonstration directory is loaded into an empty database.
func (c *Config) Demonstrate() bool { return c.Demo == "true" || c.Demo == "auto" && c.Development() }

// Check refuses values that would fail later or weaken the server silently. Its error names the variable.
func (c *Config) Check() error {
	bad := func(name, format string, args ...any) error {
		return fmt.Errorf("GATEHOUSE_%s: %s", name, fmt.Sprintf(format, args...))
	}
	var err error
	if c.policy, err = LoadPolicy(c.VerificationPolicy); err != nil {
		return bad("VERIFICATION_POLICY", "%v", err)
	}
	if _, err := domain.ParseVerifiers(c.Verifiers); err != nil {
		return bad("VERIFIERS", "%v", err)
	}
	for _, l := range []struct{ name, address string }{{"LISTEN", c.Listen}, {"ADMIN_LISTEN", c.AdminListen}} {
		if l.address == "" && l.name == "ADMIN_LISTEN" {
			continue
		}
		host, port, err := net.SplitHostPort(l.address)
		if err != nil {
			return bad(l.name, "expected host:port")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return bad(l.name, "%q is not a port", port)
		}
		if c.Development() && !loopback(host) {
			return bad(l.name, "without an external issuer (GATEHOUSE_ISSUER) the address must be a loopback address, and %q is not", host)
		}
	}
	for _, u := range []struct{ name, value string }{{"PUBLIC_URL", c.PublicURL}, {"ISSUER", c.Issuer}} {
		if u.value == "" {
			continue
		}
		parsed, err := url.Parse(u.value)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil {
			return bad(u.name, "expected an http or https URL")
		}
		if u.name == "PUBLIC_URL" && (parsed.RawQuery != "" || parsed.Fragment != "" || strings.Trim(parsed.Path, "/") != "") {
			return bad(u.name, "expected scheme and host only")
		}
	}
	if c.DataDir == "" {
		return bad("DATA_DIR", "is empty")
	}
	if c.DatabaseURL != "" {
		if err := db.CheckURL(c.DatabaseURL); err != nil {
			return bad("DATABASE_URL", "%v", err)
		}
	}
	if c.SMTPURL != "" {
		if _, err := notify.NewSMTP(c.SMTPURL, nil); err != nil {
			return bad("SMTP_URL", "%v", err)
		}
	}
	if c.SMSURL != "" {
		if _, err := notify.NewTwilio(c.SMSURL, nil); err != nil {
			return bad("SMS_URL", "%v", err)
		}
	}
	if !oneOf(c.Demo, "true", "false", "auto") {
		return bad("DEMO", "expected true, false or auto")
	}
	if !oneOf(c.LogLevel, "debug", "info", "warn", "error") {
		return bad("LOG_LEVEL", "expected debug, info, warn or error")
	}
	if !oneOf(c.LogFormat, "text", "json", "auto") {
		return bad("LOG_FORMAT", "expected text, json or auto")
	}
	if !oneOf(c.HashCost, "default", "low") {
		return bad("HASH_COST", "expected default or low")
	}
	if c.HashCost == "low" && !c.Development() {
		return bad("HASH_COST", "low is for tests and is not permitted with an external issuer")
	}
	if c.TestClock != 0 && !c.Development() {
		return bad("TEST_CLOCK", "is for tests and is not permitted with an external issuer")
	}
	if _, err := c.Proxies(); err != nil {
		return bad("TRUSTED_PROXIES", "%v", err)
	}
	if c.EncryptionKey != "" {
		if _, err := seal.ParseKey(c.EncryptionKey); err != nil {
			return bad("ENCRYPTION_KEY", "%v", err)
		}
	}
	switch {
	case c.InvitationTTL <= 0:
		return bad("INVITATION_TTL", "must be positive")
	case c.InvitationResendLimit < 0:
		return bad("INVITATION_RESEND_LIMIT", "must not be negative")
	case c.InvitationMaxFailedVerification < 0:
		return bad("INVITATION_MAX_FAILED_VERIFICATIONS", "must not be negative")
	case c.EmailTokenTTL <= 0:
		return bad("EMAIL_TOKEN_TTL", "must be positive")
	case c.PhoneCodeTTL <= 0:
		return bad("PHONE_CODE_TTL", "must be positive")
	case c.ChallengeTTL <= 0:
		return bad("CHALLENGE_TTL", "must be positive")
	case c.TwoFactorTTL <= 0:
		return bad("TWO_FACTOR_TTL", "must be positive")
	case c.DrainDelay < 0 || c.DrainDelay > 25*time.Second:
		return bad("DRAIN_DELAY", "expected 0 to 25s, because a stop takes at most 30s in total")
	case c.VerifyBlock < 0:
		return bad("VERIFY_BLOCK", "must not be negative")
	case c.SessionIdleTimeout <= 0:
		return bad("SESSION_IDLE_TIMEOUT", "must be positive")
	case c.SessionMaxLifetime <= 0:
		return bad("SESSION_MAX_LIFETIME", "must be positive")
	case c.SessionTokenTTL < time.Second:
		return bad("SESSION_TOKEN_TTL", "must be at least one second")
	case !oneOf(c.SessionTokenAlg, auth.RS256, auth.ES256, auth.EdDSA):
		return bad("SESSION_TOKEN_ALG", "expected RS256, ES256 or EdDSA")
	case strings.TrimSpace(c.InstitutionName) == "" || strings.ContainsFunc(c.InstitutionName, unicode.IsControl):
		return bad("INSTITUTION_NAME", "expected one line of text")
	case c.GraphQLMaxBody < 1<<10 || c.GraphQLMaxBody > 16<<20:
		return bad("GRAPHQL_MAX_BODY", "expected 1024 (1 KiB) to 16777216 (16 MiB)")
	case !strings.Contains(c.MailFrom, "@"):
		return bad("MAIL_FROM", "expected an e-mail address")
	}
	if err := c.checkIdentity(bad); err != nil {
		return err
	}
	for _, origin := range c.Origins("") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" {
			return bad("ALLOWED_ORIGINS", "%q is not an origin: expected scheme://host[:port]", origin)
		}
	}
	if c.AcceptURL != "" && (!strings.Contains(c.AcceptURL, "{invitationId}") || !strings.Contains(c.AcceptURL, "{key}")) {
		return bad("ACCEPT_URL", "must contain the variables {invitationId} and {key}")
	}
	if c.TrustedDocuments != "" {
		if _, err := os.Stat(c.TrustedDocuments); err != nil {
			return bad("TRUSTED_DOCUMENTS", "the file cannot be read")
		}
	}
	return nil
}

func oneOf(value string, allowed ...string) bool {
	for _, a := range allowed {
		if value == a {
			return true
		}
	}
	return false
}

// loopback reports whether only this machine can reach the host.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Proxies returns the networks whose forwarding headers are trusted.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range strings.FieldsFunc(c.TrustedProxies, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is not a network in CIDR notation", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// Origins returns the browser origins that may call; by default that of the public URL.
func (c *Config) Origins(publicURL string) []string {
	var out []string
	for _, o := range strings.Split(c.AllowedOrigins, "|") {
		if o = strings.TrimSuffix(strings.TrimSpace(o), "/"); o != "" {
			out = append(out, o)
		}
	}
	if len(out) == 0 && publicURL != "" {
		out = append(out, publicURL)
	}
	return out
}

// databaseURL returns the URL of the database, by default that of the embedded file in the data directory.
func (c *Config) databaseURL() (string, error) {
	if c.DatabaseURL != "" {
		return c.DatabaseURL, nil
	}
	dir, err := filepath.Abs(c.DataDir)
	return "sqlite://" + filepath.ToSlash(filepath.Join(dir, "gatehouse.db")), err
}

// keyFile returns the path of the key-encryption key if none is configured.
func (c *Config) keyFile() string { return filepath.Join(c.DataDir, "encryption.key") }

// key returns the key-encryption key: the configured one, or that of the data directory, which it creates if it does
// not exist; created is then true.
func (c *Config) key() (key seal.Key, created bool, err error) {
	if c.EncryptionKey != "" {
		key, err = seal.ParseKey(c.EncryptionKey)
		return key, false, err
	}
	_, err = os.Stat(c.keyFile())
	created = errors.Is(err, fs.ErrNotExist)
	key, err = seal.KeyFile(c.keyFile())
	return key, created, err
}
