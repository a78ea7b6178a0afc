package notify

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/gatehouse/gatehouse/domain"
)

// server is a real mail server in this process. Its replies are scripted with one function per command.
type server struct {
	address string
	rcpt    func(to string) error
	data    func(raw []byte) error
	auth    bool // requires alice and s3cret

	mu    sync.Mutex
	mails [][]byte
	to    []string
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{s: s}, nil }

type session struct {
	s      *server
	proven bool
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

func (c *session) AuthMechanisms() []string {
	if !c.s.auth {
		return nil
	}
	return []string{sasl.Plain}
}

func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "alice" || password != "s3cret" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "go away alice"}
		}
		c.proven = true
		return nil
	}), nil
}

func (c *session) Mail(string, *smtp.MailOptions) error {
	if c.s.auth && !c.proven {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if c.s.rcpt != nil {
		if err := c.s.rcpt(to); err != nil {
			return err
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.to = append(c.s.to, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if c.s.data != nil {
		if err := c.s.data(raw); err != nil {
			return err
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.mails = append(c.s.mails, raw)
	return nil
}

// serve starts the server; change may set TLS.
func serve(t *testing.T, s *server, change func(*smtp.Server)) *server {
	t.Helper()
	b := smtp.NewServer(s)
	b.Domain = "mail.example"
	b.AllowInsecureAuth = true
	b.ErrorLog = nolog{}
	if change != nil {
		change(b)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	go func() { _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close() })
	return s
}

type nolog struct{}

func (nolog) Printf(string, ...any) {}
func (nolog) Println(...any)        {}

func dialer(t *testing.T, url string) *SMTP {
	t.Helper()
	s, err := NewSMTP(url, composer(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSMTP(t *testing.T) {
	t.Parallel()

	t.Run("a mail arrives", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, &server{}, nil)
		if err := dialer(t, "smtp://"+srv.address).Send(t.Context(), invitation("msg_1")); err != nil {
			t.Fatal(err)
		}
		if len(srv.mails) != 1 || srv.to[0] != "bob@example.com" {
			t.Fatalf("%d mails to %v", len(srv.mails), srv.to)
		}
		if o := open(t, srv.mails[0]); o.header.Get("Message-Id") != "<msg_1@bank.example>" {
			t.Errorf("header %v", o.header)
		}
	})

	t.Run("refusals are told apart, and their text is only stage and codes", func(t *testing.T) {
		t.Parallel()
		answer := func(code int, enhanced smtp.EnhancedCode) error {
			return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: "bob@example.com is not wanted"}
		}
		for _, story := range []struct {
			claim     string
			server    *server
			permanent bool
			text      string
		}{
			{"451 for the recipient is temporary", &server{rcpt: func(string) error { return answer(451, smtp.EnhancedCode{4, 3, 0}) }}, false, "rcpt 451 4.3.0"},
			{"550 for the recipient is permanent", &server{rcpt: func(string) error { return answer(550, smtp.EnhancedCode{5, 1, 1}) }}, true, "rcpt 550 5.1.1"},
			{"452 for the content is temporary", &server{data: func([]byte) error { return answer(452, smtp.EnhancedCode{4, 2, 2}) }}, false, "data 452 4.2.2"},
			{"554 for the content is permanent", &server{data: func([]byte) error { return answer(554, smtp.EnhancedCode{5, 7, 1}) }}, true, "data 554 5.7.1"},
			{"a missing password is temporary", &server{auth: true}, false, "mail 502 5.7.0"},
		} {
			srv := serve(t, story.server, nil)
			err := dialer(t, "smtp://"+srv.address).Send(t.Context(), invitation("msg_1"))
			if err == nil || err.Error() != story.text || IsPermanent(err) != story.permanent {
				t.Errorf("%s: %v, permanent %v", story.claim, err, IsPermanent(err))
			}
			if len(srv.mails) != 0 {
				t.Errorf("%s: a mail was accepted", story.claim)
			}
		}
	})

	t.Run("a refused connection may pass", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		err = dialer(t, "smtp://"+l.Addr().String()).Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || err.Error() != "connect: connection refused" {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a connection cut after the content is tried again as the same mail", func(t *testing.T) {
		t.Parallel()
		mails := make(chan string, 3)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for n := 0; ; n++ {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				mails <- converse(conn, n > 0) // the first session ends before its last reply
				_ = conn.Close()
			}
		}()
		box := newOutbox(invitation("msg_1"))
		deliver(t, box, dialer(t, "smtp://"+l.Addr().String()), nil)
		want(t, box.ended, "retry msg_1")
		if f := box.get("msg_1").Failure; f != "data: no response" && f != "data: connection reset by peer" {
			t.Errorf("stored failure %q", f)
		}
		box.pass(10 * time.Second)
		want(t, box.ended, "sent msg_1")
		first, second := <-mails, <-mails
		if first != second || !strings.Contains(first, "Message-ID: <msg_1@bank.example>") {
			t.Errorf("two mails:\n%s\n%s", first, second)
		}
	})

	t.Run("a server that does not answer in time may later", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		srv := serve(t, &server{data: func([]byte) error { <-release; return nil }}, nil)
		t.Cleanup(func() { close(release) })
		s := dialer(t, "smtp://"+srv.address)
		s.deadline = 300 * time.Millisecond
		err := s.Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || !strings.HasSuffix(err.Error(), ": timed out") { // on a busy machine the timeout may occur before the content
			t.Errorf("got %v", err)
		}
	})

	t.Run("an ended context ends the conversation", func(t *testing.T) {
		t.Parallel()
		entered, release := make(chan struct{}), make(chan struct{})
		srv := serve(t, &server{data: func([]byte) error { close(entered); <-release; return nil }}, nil)
		t.Cleanup(func() { close(release) })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		if err := dialer(t, "smtp://"+srv.address).Send(ctx, invitation("msg_1")); err == nil || IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("TLS is used where it is offered, and proves the host", func(t *testing.T) {
		t.Parallel()
		config, ca := certificate(t)
		srv := serve(t, &server{auth: true}, func(b *smtp.Server) { b.TLSConfig, b.AllowInsecureAuth = config, false })
		if err := dialer(t, "smtp://alice:s3cret@"+srv.address+"?tls=required&ca="+ca).Send(t.Context(), invitation("msg_1")); err != nil {
			t.Fatal(err)
		}
		err := dialer(t, "smtp://alice:s3cret@"+srv.address).Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || err.Error() != "starttls: certificate not trusted for the host" {
			t.Errorf("a certificate of an unknown authority: %v", err)
		}
		if len(srv.mails) != 1 {
			t.Errorf("%d mails", len(srv.mails))
		}
	})

	t.Run("TLS from the first byte", func(t *testing.T) {
		t.Parallel()
		config, ca := certificate(t)
		l, err := tls.Listen("tcp", "127.0.0.1:0", config)
		if err != nil {
			t.Fatal(err)
		}
		srv := &server{auth: true}
		b := smtp.NewServer(srv)
		b.ErrorLog = nolog{}
		go func() { _ = b.Serve(l) }()
		t.Cleanup(func() { _ = b.Close() })
		if err := dialer(t, "smtps://alice:s3cret@"+l.Addr().String()+"?ca="+ca).Send(t.Context(), invitation("msg_1")); err != nil {
			t.Fatal(err)
		}
		if len(srv.mails) != 1 {
			t.Errorf("%d mails", len(srv.mails))
		}
	})

	t.Run("where TLS is required and not offered nothing is said", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, &server{}, nil)
		err := dialer(t, "smtp://"+srv.address+"?tls=required").Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || err.Error() != "starttls: not offered" || len(srv.to) != 0 {
			t.Errorf("got %v, recipients %v", err, srv.to)
		}
	})

	t.Run("a wrong password may be mended", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, &server{auth: true}, nil)
		err := dialer(t, "smtp://alice:wrong@"+srv.address).Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || err.Error() != "auth 535 5.7.8" {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a password does not leave for another host without TLS", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, &server{auth: true}, nil)
		s := dialer(t, "smtp://alice:s3cret@"+srv.address)
		s.host = "mail.example"
		err := s.Send(t.Context(), invitation("msg_1"))
		if err == nil || IsPermanent(err) || err.Error() != "auth: password not sent without TLS" {
			t.Errorf("got %v", err)
		}
	})
}

// converse is a minimal mail server that can misbehave: it closes the connection before the last reply. It returns the
// content that it read.
func converse(conn net.Conn, toTheEnd bool) string {
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 mail.example")
	var content strings.Builder
	inContent := false
	for in := bufio.NewScanner(conn); in.Scan(); {
		line := in.Text()
		switch {
		case inContent && line == ".":
			if !toTheEnd {
				return content.String()
			}
			inContent = false
			say("250 taken")
		case inContent:
			content.WriteString(line + "\n")
		case line == "DATA":
			inContent = true
			say("354 go on")
		case line == "QUIT":
			say("221 bye")
			return content.String()
		default:
			say("250 fine")
		}
	}
	return content.String()
}

// certificate creates a server certificate for 127.0.0.1 and the file of its authority.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shape := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, shape, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, name
}

func TestNewSMTP(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"mail.example:25", "http://u:hunter2@mail.example", "smtp://", "smtp://u:hunter2@mail.example/box", "smtp://u:hunter2@mail.example:0",
		"smtp://u:hunter2@mail.example?tls=maybe", "smtp://u:hunter2@mail.example?insecure=1", "smtps://u:hunter2@mail.example?tls=none",
		"smtp://u:hunter2@mail.example?ca=/nowhere", "smtp://u:hunter2@mail.example?helo=a%0d%0ab", "smtp://u:hunter2@mail.exa mple",
	} {
		_, err := NewSMTP(bad, composer(t))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for url, address := range map[string]string{"smtp://mail.example": "mail.example:587", "smtps://mail.example": "mail.example:465", "smtp://[::1]:25": "[::1]:25"} {
		if s := dialer(t, url); s.address != address {
			t.Errorf("%s resolves to %s", url, s.address)
		}
	}
	var f *Failure
	if err := dialer(t, "smtp://mail.example").Send(t.Context(), &domain.Message{Channel: domain.ChannelSMS}); !errors.As(err, &f) {
		t.Errorf("got %v", err)
	}
}
