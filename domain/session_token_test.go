package domain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

func TestTokensOfASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		k.Clock.Pass(5 * time.Minute)
		claims := func(in domain.CreateSessionTokenInput, kind domain.TokenKind) map[string]any {
			t.Helper()
			in.SessionID = r.ID
			_, jwt, err := k.CreateSessionToken(onClient("browser"), in)
			text, ok := strings.CutPrefix(jwt, string(kind)+":")
			if err != nil || !ok {
				t.Fatalf("%s: %v", jwt, err)
			}
			var out map[string]any
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		now := float64(k.Clock.Now().Unix())
		got := claims(domain.CreateSessionTokenInput{Origin: "https://bank.example"}, domain.TokenSession)
		for name, want := range map[string]any{
			"iss": "http://gatehouse.test", "sub": "alice", "sid": r.ID, "iat": now, "exp": now + 60, "nbf": now - 10, "v": 2.0, "sts": "active",
			"azp": "https://bank.example",
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if again := claims(domain.CreateSessionTokenInput{}, domain.TokenSession); again["jti"] == got["jti"] || again["azp"] != nil || again["o"] != nil {
			t.Errorf("got %v", again)
		}
		if after := seen(t, k, r.ID); after.LastActiveAt != k.Clock.Now() || after.Version != 1 {
			t.Errorf("a token call is activity: %+v", after)
		}
		// The organization is that of the session or of the call.
		_, err := k.TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: r.ID, OrganizationID: ptr("org-unknown")})
		wants(t, err, problem.UnknownOrganization)
		if _, err := k.TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: r.ID, OrganizationID: ptr("org-acme")}); err != nil {
			t.Fatal(err)
		}
		if o, _ := claims(domain.CreateSessionTokenInput{}, domain.TokenSession)["o"].(map[string]any); o["id"] != "org-acme" || o["rol"] != "owner" {
			t.Errorf("got %v", o)
		}
		if o := claims(domain.CreateSessionTokenInput{OrganizationID: ptr("")}, domain.TokenSession)["o"]; o != nil {
			t.Errorf("got %v", o)
		}

		_, _, err = k.CreateSessionToken(testkit.As("alice"), domain.CreateSessionTokenInput{SessionID: r.ID, Template: ptr("none")})
		wants(t, err, problem.NoSuchTemplate)
		_, err = k.SaveJwtTemplate(testkit.Admin(), domain.SaveJwtTemplateInput{Name: "backend", Lifetime: ptr(300), Claims: map[string]any{
			"org": "{{org.id}}", "text": "I am {{user.username || 'nobody'}} of {{org.role}}", "no": "{{user.nothing.at.all}}", "n": "{{user.nothing || 30}}",
			"in": []any{map[string]any{"id": "{{user.id}}", "all": "{{user.organizations}}"}}, "iss2": "{{session.id}}",
		}})
		if err != nil {
			t.Fatal(err)
		}
		got = claims(domain.CreateSessionTokenInput{Template: ptr("backend")}, domain.TokenTemplate)
		delete(got, "jti")
		text, _ := json.Marshal(got)
		want := fmt.Sprintf(`{"exp":%.0f,"iat":%.0f,"in":[{"all":{"org-acme":"owner"},"id":"alice"}],"iss":"http://gatehouse.test","iss2":"%s",`+
			`"n":30,"nbf":%.0f,"no":null,"org":"org-acme","sub":"alice","text":"I am nobody of owner"}`, now+300, now, r.ID, now-5)
		if string(text) != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
		if _, err := k.EndSession(testkit.As("alice"), named(r.ID)); err != nil {
			t.Fatal(err)
		}
		_, _, err = k.CreateSessionToken(testkit.As("alice"), domain.CreateSessionTokenInput{SessionID: r.ID})
		wants(t, err, problem.SignedOut)
	})
}
