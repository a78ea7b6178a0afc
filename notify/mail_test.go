package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

func composer(t *testing.T) *Composer {
	t.Helper()
	c, err := NewComposer("First Bank <gatehouse@bank.example>", "bank.example")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// parsedMail is a mail as a mail program displays it.
type parsedMail struct {
	header     mail.Header
	text, html string
}

func open(t *testing.T, raw []byte) parsedMail {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	out := parsedMail{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var content io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			content = quotedprintable.NewReader(p)
		}
		body, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			out.text = string(body)
		case "text/html":
			out.html = string(body)
		}
	}
}

func (o parsedMail) subject(t *testing.T) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(o.header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInvitationMail(t *testing.T) {
	t.Parallel()
	made := func(t *testing.T, change func(*domain.Message)) parsedMail {
		t.Helper()
		m := invitation("msg_1")
		m.Values = maps.Clone(m.Values)
		if change != nil {
			change(m)
		}
		c, err := composer(t).mail(m)
		if err != nil {
			t.Fatal(err)
		}
		return open(t, c.bytes)
	}

	t.Run("it says who invites, for whom, to what, until when and where", func(t *testing.T) {
		t.Parallel()
		o := made(t, nil)
		if s := o.subject(t); s != "Alice Moreau invites you to a joint account at First Bank" {
			t.Errorf("subject %q", s)
		}
		link := invitation("").Values["link"]
		for _, part := range []string{o.text, strings.ReplaceAll(o.html, "&amp;", "&")} {
			for _, word := range []string{"Alice Moreau", "on behalf of First Bank", "joint owner of an account", "25 December 2026 at 09:30 UTC", link, "another way"} {
				if !strings.Contains(part, word) {
					t.Errorf("%q is missing in:\n%s", word, part)
				}
			}
			if n := strings.Count(part, "http"); n != 1 {
				t.Errorf("%d links in:\n%s", n, part)
			}
		}
		for name, value := range map[string]string{
			"Message-Id": "<msg_1@bank.example>", "Date": "Wed, 25 Nov 2026 09:30:00 +0000", "To": "<bob@example.com>",
			"From": `"First Bank" <gatehouse@bank.example>`, "Auto-Submitted": "auto-generated", "User-Agent": "", "X-Mailer": "",
		} {
			if got := o.header.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
	})

	t.Run("a signer is told of an organization", func(t *testing.T) {
		t.Parallel()
		o := made(t, func(m *domain.Message) { m.Values["type"] = "authorizedSigner" })
		if !strings.Contains(o.text, "authorized signer of an organization") || strings.Contains(o.text+o.html, "joint") {
			t.Error(o.text)
		}
	})

	t.Run("a name cannot add a header, a line, markup or a link", func(t *testing.T) {
		t.Parallel()
		o := made(t, func(m *domain.Message) {
			m.Values["inviter"] = "Eve\r\nBcc: all@example.com\r\n\r\n\u202e<b>Win</b> https://evil.example/x www.evil.example <script>alert(1)</script>"
			m.Values["institution"] = "First\r\nBank"
		})
		if o.header.Get("Bcc") != "" || strings.ContainsAny(o.subject(t), "\r\n\u202e") {
			t.Errorf("header %v", o.header)
		}
		if strings.Contains(o.html, "<script>") || strings.Contains(o.html, "<b>") {
			t.Error(o.html)
		}
		if strings.Contains(o.text, "\nBcc") || strings.Count(o.text, "://") != 1 || strings.Contains(o.text, "www.evil") || strings.Contains(o.text, "evil.example") {
			t.Error(o.text)
		}
	})

	t.Run("composed again it is the same mail", func(t *testing.T) {
		t.Parallel()
		c := composer(t)
		a, err1 := c.mail(invitation("msg_1"))
		b, err2 := c.mail(invitation("msg_1"))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(a.bytes, b.bytes) {
			t.Errorf("%v\n%s\n%s", err, a.bytes, b.bytes)
		}
	})

	t.Run("names outside ASCII arrive", func(t *testing.T) {
		t.Parallel()
		o := made(t, func(m *domain.Message) { m.Values["inviter"] = "Zoë Łukasiewicz 渡辺" })
		if !strings.HasPrefix(o.subject(t), "Zoë Łukasiewicz 渡辺 ") || !strings.Contains(o.text, "Zoë Łukasiewicz 渡辺") {
			t.Error(o.subject(t))
		}
	})

	t.Run("what cannot be made is refused with words that hold nothing of it", func(t *testing.T) {
		t.Parallel()
		for claim, change := range map[string]func(*domain.Message){
			"two addresses":     func(m *domain.Message) { m.To = "bob@example.com, eve@example.com" },
			"a smuggled header": func(m *domain.Message) { m.To = "bob@example.com\r\nBcc: eve@example.com" },
			"angle brackets":    func(m *domain.Message) { m.To = "bob@exam>ple.com" },
			"a script as link":  func(m *domain.Message) { m.Values["link"] = "javascript:alert(1)" },
			"a broken link":     func(m *domain.Message) { m.Values["link"] += "\r\nhttps://evil.example" },
			"no time":           func(m *domain.Message) { m.Values["expires"] = "soon" },
			"a missing value":   func(m *domain.Message) { delete(m.Values, "inviter") },
		} {
			m := invitation("msg_1")
			change(m)
			_, err := composer(t).mail(m)
			if !IsPermanent(err) || strings.Contains(failureText(err), "bob") || strings.Contains(failureText(err), "evil") {
				t.Errorf("%s: %v", claim, err)
			}
		}
		m := invitation("msg_1")
		m.Template = "newer"
		if _, err := composer(t).mail(m); err == nil || IsPermanent(err) {
			t.Errorf("a template of a newer instance: %v", err)
		}
	})

	t.Run("a local part that needs quotes gets them", func(t *testing.T) {
		t.Parallel()
		m := invitation("msg_1")
		m.To = "joe,x@example.com"
		c, err := composer(t).mail(m)
		if err != nil || c.to != `"joe,x"@example.com` {
			t.Errorf("%v %+v", err, c)
		}
	})
}

func TestNewComposer(t *testing.T) {
	t.Parallel()
	for _, bad := range [][2]string{{"nobody", "bank.example"}, {"a@b\r\nBcc: c@d", "bank.example"}, {"a@b", ""}, {"a@b", "ba nk"}, {"a@b", "bank>"}} {
		if _, err := NewComposer(bad[0], bad[1]); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if c, err := NewComposer("a@b", "::1"); err != nil || c.host != "IPv6---1" {
		t.Errorf("an IPv6 host: %v %+v", err, c)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()

	t.Run("a mail becomes one private file that the log names, and stays one when repeated", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "data", "outbox")
		var log journal
		f, err := NewFiles(dir, composer(t), log.logger())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := f.Send(t.Context(), invitation("msg_1")); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 || entries[0].Name() != "20261125T093000.123456Z-msg_1.eml" {
			t.Fatalf("%v %v", entries, err)
		}
		name := filepath.Join(dir, entries[0].Name())
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if o := open(t, raw); !strings.Contains(o.text, invitation("").Values["link"]) {
			t.Error(o.text)
		}
		if !bytes.Contains(raw, []byte("\r\n"+invitation("").Values["link"]+"\r\n")) {
			t.Errorf("the link cannot be copied from:\n%s", raw)
		}
		for path, mode := range map[string]os.FileMode{dir: 0o700, name: 0o600} {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %v %v", path, info.Mode(), err)
			}
		}
		if !strings.Contains(log.String(), name) || strings.Contains(log.String(), "bob@") {
			t.Error(log.String())
		}
	})

	t.Run("a text becomes a JSON file", func(t *testing.T) {
		t.Parallel()
		c := composer(t)
		words, err := parseTemplates(fstest.MapFS{
			"phone.sms.txt": {Data: []byte("Your code is {{.code}}.\n")},
			"phone.html":    {Data: []byte("")},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.templates = words
		dir := t.TempDir()
		f, err := NewFiles(dir, c, quiet())
		if err != nil {
			t.Fatal(err)
		}
		m := &domain.Message{
			ID: "msg_2", Channel: domain.ChannelSMS, Template: "phone", To: "+12025550123",
			Values: map[string]string{"code": "123456"}, CreatedAt: startTime.Add(time.Second),
		}
		if err := f.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "20261125T093001.123456Z-msg_2.sms.json"))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal(raw, &got); err != nil || got["to"] != "+12025550123" || got["text"] != "Your code is 123456." || len(got) != 2 {
			t.Errorf("%v in %s", err, raw)
		}
	})

	t.Run("an id that leads out of the folder is refused", func(t *testing.T) {
		t.Parallel()
		f, err := NewFiles(t.TempDir(), composer(t), quiet())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Send(t.Context(), invitation("../msg_1")); !IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a folder that is gone is a passing failure; what was half-written is cleared", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "outbox")
		f, err := NewFiles(dir, composer(t), quiet())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := f.Send(t.Context(), invitation("msg_1")); err == nil || IsPermanent(err) || err.Error() != "file: no such file or directory" {
			t.Errorf("got %v", err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		half := filepath.Join(dir, ".20261125-msg_1.eml.123.tmp")
		if err := os.WriteFile(half, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := NewFiles(dir, composer(t), quiet()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(half); !os.IsNotExist(err) {
			t.Errorf("got %v", err)
		}
	})
}
