package domain

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "{{user.id}}", "{{user.username || 'guest'}}", "{{a || b || 'x||y'}}", "{{", "}}", "{{}}", "a {{user.id}} b {{session.actor}}", "{{'it''s'}}", "{{1e999}}", "{{{{user.id}}}}",
		"{{user.organizations}}", "{{true || false}}", "{{user..id}}",
	} {
		f.Add(seed)
	}
	source := map[string]any{
		"user": map[string]any{"id": "user-1", "username": "alice", "email_verified": true, "organizations": map[string]any{"org": "owner"}, "nothing": nil},
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // not possible in JSON
		}
		before, _ := json.Marshal(source)
		out := fillText(text, source)
		if !strings.Contains(text, "{{") && !reflect.DeepEqual(out, text) {
			t.Fatalf("a text without shortcodes becomes %v", out)
		}
		if n, ok := out.(float64); ok && (math.IsInf(n, 0) || math.IsNaN(n)) {
			t.Fatalf("%q becomes a number that no token can hold", text)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Fatalf("%q becomes what no token can hold: %v", text, err)
		}
		if after, _ := json.Marshal(source); string(after) != string(before) {
			t.Fatal("the source was changed")
		}
	})
}

func FuzzTemplateClaims(f *testing.F) {
	for _, seed := range []string{`{}`, `{"aud":"x"}`, `{"iss":"x"}`, `{"a":{"b":[1,2,{"c":"{{user.id}}"}]}}`, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), `{"a":1e308}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var claims map[string]any
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		made, err := NewJwtTemplate(SaveJwtTemplateInput{Name: "t", Claims: claims}, time.Unix(0, 0))
		if err != nil {
			if problem.Of(err).Kind == problem.Internal {
				t.Fatal(err)
			}
			return
		}
		for _, reserved := range []string{"iss", "sub", "exp", "iat", "nbf", "jti", "azp"} {
			if _, there := made.Claims[reserved]; there {
				t.Fatalf("a template may set %s", reserved)
			}
		}
		if _, err := json.Marshal(fill(made.Claims, map[string]any{})); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDeviceKey: an accepted key has only one encoding, and forged signatures are refused.
func FuzzDeviceKey(f *testing.F) {
	for _, seed := range []string{
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", // Ed25519
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEa8AOXYqAzwwsQJZ3HNKBPLbQyU/2C0AF9L5GgZHLeUA3cfBnT3RHHb/8VnWLjYb7x3hW3m5kHjTQfN9RVkTBYw==", "", "AAAA", "MAA=",
	} {
		f.Add(seed, []byte{0x30, 6, 2, 1, 1, 2, 1, 1})
		f.Add(seed, make([]byte, 64))
	}
	f.Fuzz(func(t *testing.T, key string, signature []byte) {
		r, err := NewDevice(key)
		if err != nil {
			if problem.Of(err).Definition != problem.InvalidInput || len(key) > 40 && strings.Contains(err.Error(), key) {
				t.Fatalf("%q is refused with %v", key, err)
			}
			return
		}
		if base64.StdEncoding.EncodeToString(r.PublicKey) != key || len(r.Fingerprint) != 64 {
			t.Fatalf("the key %q has another form", key)
		}
		if r.signed("challenge:alice", signature) {
			t.Fatal("a signature was made up")
		}
	})
}

func FuzzUserAgent(f *testing.F) {
	for _, seed := range []string{"", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) Safari/604.1", "BankApp/3.1 (build 7)", "/", "(", strings.Repeat("x", 999), "\xff/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name := DeviceName(text); name == "" || len(name) > 64 {
			t.Fatalf("%q is called %q", text, name)
		}
	})
}

func FuzzFeedCursor(f *testing.F) {
	for _, seed := range []string{"0.1", "ff.10", "-1.2", "0.", ".", "0x1.2", "1.2.3", "00.1", "7fffffffffffffff.7fffffffffffffff", "8000000000000000.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseFeedPosition(text)
		if err != nil {
			if problem.Of(err).Definition != problem.InvalidInput {
				t.Fatal(err)
			}
			return
		}
		if p.Cursor() != text {
			t.Fatalf("%q is %q", text, p.Cursor())
		}
		if p.Tx < 0 || p.Seq < 0 {
			t.Fatalf("%q stands before the beginning", text)
		}
	})
}

// FuzzInputs: inputs that validated accepts satisfy the constraints in the schema.
func FuzzInputs(f *testing.F) {
	f.Add("dora@example.net", "a secret of mine", "Alice Doe", "one line", "123456", "1985-06-15", "template.name")
	f.Add("a@b", "\x00aaaaaaaa", " ", "a\nb", "12a4", "1985-02-30", "a/b")
	f.Add("@", strings.Repeat("ß", 100), "\u2028", "\u202e", "١٢٣٤", "0000-00-00", "")
	f.Fuzz(func(t *testing.T, mail, secret, name, statement, code, birthdate, template string) {
		if err := validated(CreateInvitationInput{EmailAddress: mail, SharedSecret: secret, Type: InvitationJoint, InviterFullName: name}); err == nil {
			if strings.Count(mail, "@") != 1 || strings.ContainsAny(mail, " \r\n\x00") || strings.ContainsAny(name, "\r\n\x00") || strings.TrimSpace(name) == "" ||
				utf8.RuneCountInString(secret) < 8 || utf8.RuneCountInString(secret) > 100 || strings.ContainsRune(secret, 0) || !utf8.ValidString(mail+secret+name) {
				t.Fatalf("let through: %q %q %q", mail, secret, name)
			}
		} else {
			tells(t, err, secret)
		}
		if err := validated(OpenTwoFactorRequestInput{CustomerID: "c", ClientID: "c", Statement: statement}); err == nil && strings.ContainsAny(statement, "\r\n\x00") {
			t.Fatalf("let through: %q", statement)
		}
		if err := validated(VerifyPhoneInput{Code: code}); err == nil {
			if len(code) < 4 || len(code) > 8 || strings.Trim(code, "0123456789") != "" {
				t.Fatalf("let through: %q", code)
			}
		} else {
			tells(t, err, code)
		}
		who := Identity{Birthdate: &birthdate}
		if err := who.Check(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); err == nil && birthdate != "" {
			if _, err := time.Parse(time.DateOnly, birthdate); err != nil {
				t.Fatalf("let through: %q", birthdate)
			}
		}
		_, _ = NewJwtTemplate(SaveJwtTemplateInput{Name: template, Claims: map[string]any{}}, time.Unix(0, 0))
	})
}

// tells fails if a refusal contains the refused secret.
func tells(t *testing.T, err error, secret string) {
	t.Helper()
	p := problem.Of(err)
	for _, cause := range append(p.Causes, p) {
		if len(secret) > 12 && strings.Contains(cause.Text(), secret) {
			t.Fatalf("the refusal repeats a secret: %q", cause.Text())
		}
	}
}
