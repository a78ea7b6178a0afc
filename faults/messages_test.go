package faults

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gatehouse/gatehouse/testkit"
)

// post is a mail server, and a provider of text messages, that misbehaves on demand. It remembers what reached it, and
// whether it said that it has it.
type post struct {
	mu   sync.Mutex
	mode string
	slow time.Duration
	// got is what came whole, by its id, in order; taken is set where the sender was told so.
	got map[string][]receipt
}

type receipt struct {
	content []byte
	taken   bool
	// cut is set where the conversation ended before the answer.
	cut bool
}

func (p *post) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

func (p *post) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

func (p *post) note(id string, r receipt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got[id] = append(p.got[id], r)
}

// check finds a message that is missing, that was taken twice, that came again although nobody was cut off, or that
// came again as another one. It gives how many must not occur more than once.
func (p *post) check(t *testing.T, ids []string) (repeats int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		taken := 0
		for i, r := range p.got[id] {
			if r.taken {
				taken++
			}
			if i > 0 && !p.got[id][i-1].cut {
				t.Errorf("message %s came again although the sender had its answer", id)
			}
			if !bytes.Equal(r.content, p.got[id][0].content) {
				t.Errorf("message %s came again with another content", id)
			}
		}
		if taken != 1 {
			t.Errorf("message %s was taken %d times", id, taken)
		}
		if len(p.got[id]) > 1 {
			repeats++
		}
	}
	if len(p.got) > len(ids) {
		t.Errorf("%d messages came, and %d were asked for", len(p.got), len(ids))
	}
	return repeats
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: <(msg_[^@>]+)@`)

// The mail server, by github.com/emersion/go-smtp.
func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) {
	switch p.now() {
	case "drop":
		_ = c.Conn().Close()
		return nil, errors.New("dropped")
	case "slow":
		time.Sleep(p.slow)
	}
	return &conversation{p: p, c: c}, nil
}

type conversation struct {
	p *post
	c *smtp.Conn
}

func (*conversation) Reset()                               {}
func (*conversation) Logout() error                        { return nil }
func (*conversation) Mail(string, *smtp.MailOptions) error { return nil }

func (c *conversation) Rcpt(string, *smtp.RcptOptions) error {
	if c.p.now() == "refuse" {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "not now"}
	}
	return nil
}

func (c *conversation) Data(r io.Reader) error {
	if c.p.now() == "drop in the middle" {
		_, _ = io.ReadFull(r, make([]byte, 100))
		_ = c.c.Conn().Close()
		return errors.New("dropped")
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	id := ""
	if m := messageID.FindSubmatch(raw); m != nil {
		id = string(m[1])
	}
	switch c.p.now() {
	case "drop before the answer":
		c.p.note(id, receipt{content: raw, cut: true})
		_ = c.c.Conn().Close()
		return errors.New("dropped")
	case "refuse the content":
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "not now"}
	}
	c.p.note(id, receipt{content: raw, taken: true})
	return nil
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// mailServer starts one behind a proxy.
func mailServer(t *testing.T) (*post, *proxy) {
	p := &post{got: map[string][]receipt{}, slow: 3 * time.Second}
	b := smtp.NewServer(p)
	b.Domain, b.ErrorLog = "mail.example", silent{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close() })
	return p, newProxy(t, l.Addr().String())
}

// ServeHTTP is the provider of text messages.
func (p *post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	id := r.Header.Get("Idempotency-Key")
	switch p.now() {
	case "slow":
		time.Sleep(p.slow)
	case "refuse":
		http.Error(w, `{"code": 20429}`, http.StatusTooManyRequests)
		return
	case "refuse the content":
		http.Error(w, "<html>oops", http.StatusBadGateway)
		return
	case "drop", "drop in the middle":
		panic(http.ErrAbortHandler)
	case "drop before the answer":
		p.note(id, receipt{content: raw, cut: true})
		panic(http.ErrAbortHandler)
	}
	p.note(id, receipt{content: raw, taken: true})
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"sid": "SM1", "status": "queued"}`)
}

// sending requests one message after the other and returns the time that each call took.
func sending(t *testing.T, one func(n int) answer, from, many int) (times []time.Duration) {
	t.Helper()
	for n := range many {
		a := one(from + n)
		if a.err != nil || a.status != http.StatusOK || a.at("errors") != nil || !strings.Contains(a.body, `"problems":[]`) {
			t.Fatalf("a message cannot be asked for: %v", a)
		}
		times = append(times, a.took)
	}
	return times
}

// TestMessages breaks the mail server and the provider of text messages in every way. Callers do not notice; when it is
// well again, all that was asked for arrives, once, and more than once only where the other side was cut off before it
// answered, and then as the same message.
func TestMessages(t *testing.T) {
	t.Parallel()
	mails, mailNet := mailServer(t)
	texts := &post{got: map[string][]receipt{}, slow: 3 * time.Second}
	provider := httptest.NewServer(texts)
	defer provider.Close()
	textNet := newProxy(t, strings.TrimPrefix(provider.URL, "http://"))
	w := newWorld(t, "", "GATEHOUSE_SMTP_URL=smtp://"+mailNet.address(), "GATEHOUSE_SMS_URL=twilio://AC1:token@+15550100?base=http://"+textNet.address())
	people := filepath.Join(w.dir, "people.ndjson")
	var lines strings.Builder
	const customers = 400
	for n := range customers {
		fmt.Fprintf(&lines, `{"kind":"customer","id":"c%d","username":"c%d","email":"c%d@example.net","phone":"+1202555%04d"}`+"\n", n, n, n, n)
	}
	if err := os.WriteFile(people, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	w.must("import", people)
	d := w.open()
	patient := client(30 * time.Second)
	defer patient.CloseIdleConnections()
	invite := func(int) answer {
		return graphql(patient, s.url, w.alice, `mutation($s: String!) { createInvitation(input: {type: JOINT, accountUri: "/accounts/accounts/acc-alice",
			emailAddress: "dora@example.net", inviterFullName: "Alice Doe", sharedSecret: $s}) { invitation { id } problems { code } } }`, map[string]any{"s": secret})
	}
	text := func(n int) answer {
		return graphql(patient, s.url, w.root, `mutation($id: ID!) { requestPhoneVerification(input: {customerId: $id}) { phoneVerification { id } problems { code } } }`,
			map[string]any{"id": fmt.Sprintf("c%d", n%customers)})
	}
	each := often(25, 8, 3)
	sent := 0
	well := map[string]time.Duration{}
	healthy := func() {
		well["mails"], well["texts"] = median(sending(t, invite, sent, each)), median(sending(t, text, sent, each))
		sent += each
	}
	healthy()
	drained(t, d)
	troubles := []string{"down", "refuse", "refuse the content", "drop", "drop in the middle", "drop before the answer", "slow", "silence"}
	if !long {
		troubles = []string{"down", "drop in the middle", "drop before the answer", "slow"}
	}
	if raceDetector && !long {
		troubles = []string{"drop before the answer"}
	}
	for round := range often(2, 1, 1) {
		for _, trouble := range troubles {
			switch trouble {
			case "down":
				mailNet.set(func() { mailNet.cut = true })
				textNet.set(func() { textNet.cut = true })
			case "silence":
				mailNet.set(func() { mailNet.silent = true })
				textNet.set(func() { textNet.silent = true })
			default:
				mails.set(trouble)
				texts.set(trouble)
			}
			m, x := median(sending(t, invite, sent, each)), median(sending(t, text, sent, each))
			sent += each
			// Each message has met the trouble; a second try would come after five seconds at the soonest.
			if trouble != "silence" {
				testkit.Eventually(t, "every message is tried: "+trouble, func() bool {
					return trouble == "slow" || rows(t, d, "SELECT count(*) FROM messages WHERE state = 'pending' AND attempts = 0")[0][0] == "0"
				})
			}
			start := time.Now()
			mails.set("")
			texts.set("")
			for _, net := range []*proxy{mailNet, textNet} {
				net.set(func() { net.cut, net.silent = false, false })
			}
			empty := drained(t, d)
			t.Logf("round %d, %s: calls with a mail %s (%.2f of well), with a text %s (%.2f); all handed over %s after it was well again", round+1, trouble,
				m.Round(time.Millisecond/10), float64(m)/float64(well["mails"]), x.Round(time.Millisecond/10), float64(x)/float64(well["texts"]), empty.Sub(start).Round(time.Millisecond))
		}
	}
	var mailIDs, textIDs []string
	for _, row := range rows(t, d, "SELECT id, channel, state FROM messages") {
		if row[2] != "sent" {
			t.Errorf("message %s is %s", row[0], row[2])
		}
		if row[1] == "email" {
			mailIDs = append(mailIDs, row[0])
		} else {
			textIDs = append(textIDs, row[0])
		}
	}
	if len(mailIDs) != sent || len(textIDs) != sent {
		t.Errorf("%d mails and %d texts are known, %d of each were asked for", len(mailIDs), len(textIDs), sent)
	}
	t.Logf("%d mails, %d of them came more than once; %d texts, %d of them", sent, mails.check(t, mailIDs), sent, texts.check(t, textIDs))
	s.Stop()
}

// drained waits until no message is on its way and says when that was.
func drained(t *testing.T, d *sql.DB) time.Time {
	t.Helper()
	testkit.Eventually(t, "the outbox is empty", func() bool {
		time.Sleep(20 * time.Millisecond)
		return rows(t, d, "SELECT count(*) FROM messages WHERE state IN ('pending', 'sending')")[0][0] == "0"
	})
	return time.Now()
}

// TestMessagesRefused: what the other side refuses for good is tried once, kept, and handed over when an operator asks.
func TestMessagesRefused(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bad := true
	tries := 0
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tries++
		if bad {
			http.Error(w, `{"code": 21211}`, http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer provider.Close()
	w := newWorld(t, "", "GATEHOUSE_SMS_URL=twilio://AC1:token@+15550100?base="+provider.URL)
	s := w.serve()
	d := w.open()
	a := graphql(quick, s.url, w.root, `mutation { requestPhoneVerification(input: {customerId: "bob"}) { phoneVerification { id } problems { code } } }`, nil)
	if !strings.Contains(a.body, `"problems":[]`) {
		t.Fatal(a)
	}
	var id string
	testkit.Eventually(t, "the message is given up", func() bool {
		found := rows(t, d, "SELECT id FROM messages WHERE state = 'dead'")
		if len(found) == 1 {
			id = found[0][0]
		}
		return id != ""
	})
	mu.Lock()
	if tries != 1 {
		t.Errorf("it was tried %d times", tries)
	}
	bad = false
	mu.Unlock()
	if list := w.must("messages", "list", "--state", "dead"); !strings.Contains(list, id) || !strings.Contains(list, "21211") {
		t.Errorf("the list of dead messages: %s", list)
	}
	w.must("messages", "retry", id)
	drained(t, d)
	s.Stop()
}
