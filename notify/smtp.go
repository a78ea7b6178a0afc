package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/gatehouse/gatehouse/domain"
)

// sendDeadline limits one send, from the first packet to the last reply. The deliverer's lease is longer.
const sendDeadline = 30 * time.Second

// SMTP sends mails to a mail server, with one connection per mail.
//
// Its URL is smtp://user:pass@host:port or smtps://… (implicit TLS); the default ports are 587 and 465. With smtp, the
// connection is upgraded to TLS if the server offers STARTTLS. The query holds the options:
//
//	tls=required   send neither mail nor password without TLS
//	tls=none       never use TLS; send user and password to a loopback address only
//	ca=FILE        PEM file of the authority that signed the server's certificate
//	helo=NAME      the name sent with EHLO; the default is localhost
//
// A certificate that is not valid for the host is an error; the connection never falls back to plain text. A password
// is sent over TLS or to a loopback address only.
type SMTP struct {
	host, address  string
	user, password string
	implicit       bool
	policy, helo   string
	tls            *tls.Config
	compose        *Composer
	deadline       time.Duration
}

// NewSMTP parses the URL. Its errors name the invalid part and never contain the URL, which holds a password.
func NewSMTP(rawURL string, c *Composer) (*SMTP, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errors.New("not a URL of the form smtp://user:pass@host:port")
	}
	s := &SMTP{host: u.Hostname(), helo: "localhost", policy: "opportunistic", compose: c, deadline: sendDeadline}
	port := u.Port()
	switch u.Scheme {
	case "smtp":
		if port == "" {
			port = "587"
		}
	case "smtps":
		s.implicit = true
		if port == "" {
			port = "465"
		}
	default:
		return nil, errors.New("the scheme is neither smtp nor smtps")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return nil, errors.New("the port is not a number from 1 to 65535")
	}
	s.address = net.JoinHostPort(s.host, port)
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
	}
	s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the options of the URL are malformed")
	}
	for name := range query {
		if err := s.option(name, query.Get(name)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SMTPInClear reports whether the URL allows mails to leave this machine unencrypted: the scheme is smtp, the host is
// not a loopback address, and TLS is not required.
func SMTPInClear(rawURL string) bool {
	s, err := NewSMTP(rawURL, nil)
	if err != nil || s.implicit || s.policy == "required" || strings.EqualFold(s.host, "localhost") {
		return false
	}
	ip := net.ParseIP(s.host)
	return ip == nil || !ip.IsLoopback()
}

func (s *SMTP) option(name, value string) error {
	switch name {
	case "tls":
		if value != "opportunistic" && value != "required" && value != "none" {
			return errors.New("option tls must be required, opportunistic or none")
		}
		if s.implicit && value == "none" {
			return errors.New("option tls=none contradicts smtps")
		}
		s.policy = value
	case "ca":
		pem, err := os.ReadFile(value)
		if err != nil {
			return errors.New("option ca: the file cannot be read")
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("option ca: the file contains no PEM certificate")
		}
	case "helo":
		if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("option helo is not a host name")
		}
		s.helo = value
	default:
		return errors.New("unknown option; the options are tls, ca and helo")
	}
	return nil
}

// Send transfers a mail. A 5xx reply to the recipient or the content is a permanent failure. A 4xx reply, a failed
// connection, and a server that rejects this client are temporary: an operator can repair them.
func (s *SMTP) Send(ctx context.Context, m *domain.Message) error {
	if m.Channel != domain.ChannelEmail {
		return &Failure{Stage: "smtp", Reason: "unsupported channel"}
	}
	mail, err := s.compose.mail(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return temporaryFailure("connect", err)
	}
	defer func() { _ = conn.Close() }()
	// The deadline and a cancellation both interrupt the connection at any stage of the session.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return temporaryFailure("greeting", err)
	}
	client.SkipSMTPUTF8(mail.ascii)
	if err := client.Hello(s.helo); err != nil {
		return temporaryFailure("hello", err)
	}
	if err := s.encrypt(client); err != nil {
		return err
	}
	if err := s.authenticate(client); err != nil {
		return err
	}
	if err := client.Mail("<" + mail.from + ">"); err != nil {
		return temporaryFailure("mail", err)
	}
	if err := client.Rcpt("<" + mail.to + ">"); err != nil {
		return replyFailure("rcpt", err)
	}
	w, err := client.Data()
	if err != nil {
		return replyFailure("data", err)
	}
	if _, err := w.Write(mail.bytes); err != nil {
		return temporaryFailure("data", err)
	}
	if err := w.Close(); err != nil {
		return replyFailure("data", err)
	}
	_ = client.Quit() // the mail has been accepted, whatever the reply to QUIT
	return nil
}

func (s *SMTP) dial(ctx context.Context) (net.Conn, error) {
	if s.implicit {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
}

func (s *SMTP) encrypt(client *smtp.Client) error {
	if s.implicit || s.policy == "none" {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); !offered {
		if s.policy == "required" {
			return &Failure{Stage: "starttls", Reason: "not offered"}
		}
		return nil
	}
	if err := client.StartTLS(s.tls); err != nil {
		return temporaryFailure("starttls", err)
	}
	return nil
}

func (s *SMTP) authenticate(client *smtp.Client) error {
	if s.user == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", s.user, s.password, s.host, false)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(s.user, s.password, s.host, false)
	default:
		return &Failure{Stage: "auth", Reason: "neither PLAIN nor LOGIN is offered"}
	}
	if err := client.Auth(auth); err != nil {
		if errors.Is(err, smtp.ErrUnencrypted) {
			return &Failure{Stage: "auth", Reason: "password not sent without TLS"}
		}
		return temporaryFailure("auth", err)
	}
	return nil
}

var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// temporaryFailure returns a failure that may be retried.
func temporaryFailure(stage string, err error) error {
	f := &Failure{Stage: stage}
	var reply *textproto.Error
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &reply):
		f.Code = reply.Code
		f.Enhanced = enhancedCode.FindString(reply.Msg)
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		f.Reason = "certificate not trusted for the host"
	default:
		f.Reason = reasonOf(err)
	}
	return f
}

// replyFailure returns a failure that is permanent if the reply code is 5xx.
func replyFailure(stage string, err error) error {
	err = temporaryFailure(stage, err)
	var f *Failure
	if errors.As(err, &f) && f.Code >= 500 && f.Code < 600 {
		f.Permanent = true
	}
	return err
}
