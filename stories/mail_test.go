package stories

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/gatehouse/gatehouse/testkit"
)

// postOffice is a real SMTP server that does as the test says with each mail.
type postOffice struct {
	url string
	// answer decides about the nth mail that is handed over, from 0.
	answer func(n int) error

	n     atomic.Int64
	mails chan string
}

// errDrop makes the server cut the connection after the mail was sent and before it is acknowledged.
var errDrop = errors.New("drop")

type postSession struct {
	p    *postOffice
	conn *smtp.Conn
}

func (*postSession) Reset()                               {}
func (*postSession) Logout() error                        { return nil }
func (*postSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*postSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *postSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.p.mails <- string(raw)
	err = s.p.answer(int(s.p.n.Add(1)) - 1)
	if errors.Is(err, errDrop) {
		_ = s.conn.Conn().Close()
	}
	return err
}

func newPostOffice(t *testing.T, answer func(int) error) *postOffice {
	t.Helper()
	p := &postOffice{answer: answer, mails: make(chan string, 100)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &postSession{p, c}, nil }))
	s.Domain = "post.test"
	s.AllowInsecureAuth = true
	s.ErrorLog = log.New(io.Discard, "", 0) // a killed client is part of the story
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	p.url = "smtp://" + l.Addr().String()
	return p
}

// next waits for the next mail.
func (p *postOffice) next(t *testing.T) *mail.Message {
	t.Helper()
	select {
	case text := <-p.mails:
		m, err := mail.ReadMessage(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	case <-time.After(testkit.Patience):
		t.Fatal("no mail comes")
		return nil
	}
}

// TestMailByMail: one mail is put off and repeated, one is cut off and repeated under its own id, one is refused for
// good and stays where an operator sees it.
func TestMailByMail(t *testing.T) {
	t.Parallel()
	later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later please"}
	never := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such dora@example.net"}
	answers := []error{later, nil, errDrop, nil, never}
	post := newPostOffice(t, func(n int) error {
		if n < len(answers) {
			return answers[n]
		}
		return nil
	})
	w := newWorld(t, "GATEHOUSE_SMTP_URL="+post.url, "GATEHOUSE_INSTITUTION_NAME=First Test Bank", "GATEHOUSE_MAIL_FROM=bank@post.test")
	s := w.serve()
	alice := s.token("alice", "banking/full")

	for _, first := range []string{"451", "a cut connection"} {
		s.invite(alice)
		one, two := post.next(t), post.next(t)
		if id := one.Header.Get("Message-ID"); id == "" || id != two.Header.Get("Message-ID") {
			t.Errorf("after %s the mail is repeated under its own id: %q %q", first, id, two.Header.Get("Message-ID"))
		}
		if to := two.Header.Get("To"); !strings.Contains(to, "dora@example.net") {
			t.Errorf("it goes to %q", to)
		}
		raw, _ := io.ReadAll(two.Body)
		text := strings.ReplaceAll(string(raw), "=\r\n", "")
		if !strings.Contains(text, "First Test Bank") || !strings.Contains(text, "Alice Doe") || strings.Contains(text, testkit.Secret) {
			t.Errorf("the mail says:\n%s", text)
		}
	}
	s.invite(alice)
	post.next(t)
	var dead string
	testkit.Eventually(t, "the refused mail is among the dead", func() bool {
		dead = w.must("messages", "list", "--state", "dead")
		return strings.Contains(dead, "550")
	})
	if strings.Contains(dead, "dora") {
		t.Errorf("the list shows an address:\n%s", dead)
	}
	id := regexp.MustCompile(`msg_\w+`).FindString(dead)
	w.must("messages", "retry", id)
	if again := post.next(t); !strings.Contains(again.Header.Get("Message-ID"), id) {
		t.Errorf("the retried mail is %s, not %s", again.Header.Get("Message-ID"), id)
	}
	if log := s.Log.String(); strings.Contains(log, "dora") || strings.Contains(log, "no such") {
		t.Errorf("the log holds an address, or words of the mail server that may:\n%s", log)
	}
}

// TestKilledWhileAMailIsOnItsWay: the next process hands the mail over again, under the same id.
func TestKilledWhileAMailIsOnItsWay(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	post := newPostOffice(t, func(n int) error {
		if n == 0 {
			<-hold
			return errDrop
		}
		return nil
	})
	w := newWorld(t, "GATEHOUSE_SMTP_URL="+post.url)
	s := w.serve()
	id := s.invite(s.token("alice", "banking/full"))
	first := post.next(t).Header.Get("Message-ID")
	s.Kill()
	close(hold)
	s = w.serve()
	if second := post.next(t).Header.Get("Message-ID"); second != first {
		t.Errorf("%s was repeated as %s", first, second)
	}
	if r := s.gql(s.token("alice", "banking/full"), `query($id: ID!) { invitation(id: $id) { state version } }`, map[string]any{"id": id}); r.at(t, "data", "invitation", "state") != "SENT" {
		t.Errorf("what was acknowledged is there: %s", r.body)
	}
}

// TestTheInviteesPage goes from the mail in the outbox to an accepted invitation, without signing in.
func TestTheInviteesPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	alice := s.token("alice", "banking/full")
	id := s.invite(alice)
	var link string
	testkit.Eventually(t, "a mail with a link comes into the outbox", func() bool {
		mails, _ := filepath.Glob(filepath.Join(w.dir, "gatehouse-data", "outbox", "*.eml"))
		for _, name := range mails {
			raw, _ := os.ReadFile(name)
			text := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(string(raw), "=\r\n", ""), "=\n", ""), "=3D", "=")
			link = regexp.MustCompile(`/invite\?invitationId=[\w-]+&key=\w+`).FindString(strings.ReplaceAll(text, "&amp;", "&"))
		}
		return link != ""
	})
	for range 3 { // opening it spends nothing
		if r := s.send("GET", link, ""); r.status != 200 || !strings.Contains(r.body, "Alice Doe") || strings.Contains(r.body, "acc-alice") || strings.Contains(r.body, "dora") {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if r := s.send("GET", "/invite?invitationId="+id+"&key=0123", ""); strings.Contains(r.body, "Alice Doe") {
		t.Errorf("without the key nothing is shown: %s", r.body)
	}
	post := func(secret string) reply {
		res, err := http.PostForm(s.url+link, url.Values{"secret": {secret}, "sharedSecret": {secret}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, _ := io.ReadAll(res.Body)
		return reply{status: res.StatusCode, body: string(raw)}
	}
	if r := post("a wrong secret"); r.status == 200 || strings.Contains(r.body, "a wrong secret") {
		t.Errorf("a wrong secret: %d", r.status)
	}
	if r := post(testkit.Secret); r.status != 200 {
		t.Errorf("the right secret: %d %s", r.status, r.body)
	}
	r := s.gql(alice, `query($id: ID!) { invitation(id: $id) { state acceptedBy verificationCount } }`, map[string]any{"id": id})
	if r.at(t, "data", "invitation", "state") != "ACCEPTED" || r.at(t, "data", "invitation", "acceptedBy") != nil || r.at(t, "data", "invitation", "verificationCount") != 2.0 {
		t.Errorf("%s", r.body)
	}
	if log := s.Log.String(); strings.Contains(log, "key=") {
		t.Errorf("the log holds the key of a mail:\n%s", log)
	}
}

// issuer is an OpenID Connect provider in process.
type issuer struct {
	*httptest.Server
	mu   sync.Mutex
	key  jwk.Key
	down bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "key-1")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		public, _ := i.key.PublicKey()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{public}})
	})
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	i.Start() // not before the field is set: handlers read its URL
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate(t *testing.T, kid string) {
	t.Helper()
	raw, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	_ = key.Set(jwk.KeyIDKey, kid)
	_ = key.Set(jwk.AlgorithmKey, jwa.RS256())
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	b := jwt.NewBuilder().Issuer(i.URL).Subject("alice").Audience([]string{"gatehouse"}).IssuedAt(time.Now()).Expiration(time.Now().Add(time.Hour)).Claim("scope", "banking/full")
	for k, v := range claims {
		b = b.Claim(k, v)
	}
	token, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256(), i.key))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestExternalIssuer(t *testing.T) {
	t.Parallel()
	idp := newIssuer(t)
	w := newWorld(t, append(testkit.External(idp.URL), "GATEHOUSE_AUDIENCE=gatehouse")...)
	s := w.serve()
	if strings.TrimSpace(s.Out.String()) != "" {
		t.Errorf("nothing is printed to paste: %s", s.Out)
	}
	if r := s.send("GET", "/", ""); r.status != http.StatusNotFound {
		t.Errorf("there is no playground: %d", r.status)
	}
	code := func(token string) any {
		r := s.send("POST", "/graphql", `{"query":"{ viewer { id } }"}`, "Authorization: Bearer "+token)
		if r.at(t, "errors") == nil {
			return r.at(t, "data", "viewer", "id")
		}
		return r.at(t, "errors", 0, "extensions", "code")
	}
	for _, c := range []struct {
		claim  string
		claims map[string]any
		want   string
	}{
		{"an access token", nil, "alice"},
		{"a token for another audience", map[string]any{"aud": "other"}, "UNAUTHENTICATED"},
		{"an ID token", map[string]any{"nonce": "n"}, "UNAUTHENTICATED"},
		{"an expired token", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, "UNAUTHENTICATED"},
		{"a token of tomorrow", map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, "UNAUTHENTICATED"},
		{"a token of another issuer", map[string]any{"iss": "https://other.example"}, "UNAUTHENTICATED"},
	} {
		if got := code(idp.token(t, c.claims)); got != c.want {
			t.Errorf("%s: %v", c.claim, got)
		}
	}
	// Nor are there the people of the demonstration, with accounts of theirs.
	create, _ := json.Marshal(map[string]any{"query": createMutation, "variables": map[string]any{"secret": testkit.Secret}})
	s.send("POST", "/graphql", string(create), "X-Request-Id: nobodys-account", "Authorization: Bearer "+idp.token(t, map[string]any{"scope": "banking/full"}))
	s.Log.Await(t, `requestId=nobodys-account .*user=alice .*refusals=invitationAccessDenied`)
	idp.rotate(t, "key-2")
	if got := code(idp.token(t, nil)); got != "alice" {
		t.Errorf("after a rotation the new key is found: %v", got)
	}
	idp.mu.Lock()
	idp.down = true
	idp.mu.Unlock()
	if got := code(idp.token(t, map[string]any{"jti": "another"})); got != "alice" {
		t.Errorf("while the issuer is down, tokens go on being verified: %v", got)
	}
}
