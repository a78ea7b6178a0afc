package auth_test

import (
	"context"
	"crypto"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/gatehouse/gatehouse/auth"
)

func openDevelopmentIssuer(t *testing.T, dir, audience string, c *clock) *auth.DevelopmentIssuer {
	t.Helper()
	d, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: dir, Audience: audience, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func issue(t *testing.T, d *auth.DevelopmentIssuer, r auth.TokenRequest) string {
	t.Helper()
	raw, err := d.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Two servers and a command start concurrently in one data directory: each accepts the tokens of the others.
func TestDevelopmentIssuerIsShared(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	issuers := make([]*auth.DevelopmentIssuer, 8)
	var wg sync.WaitGroup
	for n := range issuers {
		wg.Go(func() {
			var err error
			if issuers[n], err = auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: dir, Now: c.now}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, from := range issuers {
		raw := issue(t, from, auth.TokenRequest{Subject: "u1", TTL: time.Hour})
		for _, to := range issuers {
			requireValid(t, to, raw)
		}
	}
	path := filepath.Join(dir, "dev-issuer.jwk")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	foreign := openDevelopmentIssuer(t, t.TempDir(), "", c)
	requireInvalid(t, foreign, issue(t, issuers[0], auth.TokenRequest{Subject: "u1", TTL: time.Hour}), auth.ErrInvalid)

	for claim, text := range map[string]string{"damaged": "{", "empty": "", "public": `{"kty":"EC","crv":"P-256","x":"a","y":"b"}`, "symmetric": `{"kty":"oct","k":"AAAA","kid":"x"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: dir, Now: c.now}); err == nil {
			t.Errorf("a %s key file was accepted", claim)
		}
	}
	if _, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: filepath.Join(dir, "missing"), Now: c.now}); err == nil {
		t.Error("the data directory was created")
	}
}

func TestDevelopmentIssuerClaims(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	got, err := d.Verify(context.Background(), issue(t, d, auth.TokenRequest{
		Subject: "u1", Scope: " banking/read  admin/full ", ClientID: "app", TTL: time.Hour,
		Claims: map[string]string{"email": "ada@example.com", "username": "ada", "customerId": "42", "customerGroup": "g", "sid": "sess_1", "department": "x"},
	}))
	want := auth.Claims{
		Subject: "u1", Username: "ada", Email: "ada@example.com", CustomerID: "42", CustomerGroup: "g", ClientID: "app",
		SessionID: "sess_1", Scopes: []string{"banking/read", "admin/full"}, ExpiresAt: got.ExpiresAt, NotBefore: got.NotBefore,
	}
	if err != nil || !reflect.DeepEqual(got, want) || !got.ExpiresAt.Equal(c.now().Add(time.Hour)) {
		t.Errorf("got %+v, %v", got, err)
	}
	one := auth.TokenRequest{Subject: "u1", TTL: time.Hour}
	if first := issue(t, d, one); first == issue(t, d, one) {
		t.Error("two tokens are equal")
	}
}

func TestDevelopmentIssuerRefuses(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	for claim, r := range map[string]auth.TokenRequest{
		"no subject":                   {TTL: time.Hour},
		"a subject of two lines":       {Subject: "a\nb", TTL: time.Hour},
		"a subject too long":           {Subject: strings.Repeat("x", 256), TTL: time.Hour},
		"no time to live":              {Subject: "u1"},
		"a negative time to live":      {Subject: "u1", TTL: -time.Hour},
		"iss":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"iss": "x"}},
		"exp":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"exp": "9999999999"}},
		"iat":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"iat": "1"}},
		"nbf":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"nbf": "1"}},
		"jti":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"jti": "1"}},
		"sub":                          {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"sub": "admin"}},
		"scope":                        {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"scope": "admin/full"}},
		"a second client ID":           {Subject: "u1", TTL: time.Hour, ClientID: "a", Claims: map[string]string{"client_id": "b"}},
		"a claim without a name":       {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"": "b"}},
		"a claim with a control":       {Subject: "u1", TTL: time.Hour, Claims: map[string]string{"email": "a\x00"}},
		"a client ID with a line feed": {Subject: "u1", TTL: time.Hour, ClientID: "a\n"},
	} {
		t.Run(claim+" is refused", func(t *testing.T) {
			t.Parallel()
			if raw, err := d.Issue(r); err == nil || raw != "" {
				t.Error("issued")
			}
		})
	}
	t.Run("a token that is over is refused at once", func(t *testing.T) {
		t.Parallel()
		own := newClock()
		d := openDevelopmentIssuer(t, t.TempDir(), "", own)
		raw := issue(t, d, auth.TokenRequest{Subject: "u1", TTL: time.Second})
		requireValid(t, d, raw)
		own.advance(time.Second)
		requireInvalid(t, d, raw, auth.ErrExpired)
	})
	t.Run("a token that says it is an ID token is refused", func(t *testing.T) {
		t.Parallel()
		requireInvalid(t, d, issue(t, d, auth.TokenRequest{Subject: "u1", TTL: time.Hour, Claims: map[string]string{"nonce": "n"}}), auth.ErrInvalid)
	})
	t.Run("the audience is set and required", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		strict, lax := openDevelopmentIssuer(t, dir, "gatehouse", c), openDevelopmentIssuer(t, dir, "", c)
		requireValid(t, strict, issue(t, strict, auth.TokenRequest{Subject: "u1", TTL: time.Hour}))
		requireInvalid(t, strict, issue(t, lax, auth.TokenRequest{Subject: "u1", TTL: time.Hour}), auth.ErrInvalid)
		requireInvalid(t, strict, issue(t, strict, auth.TokenRequest{Subject: "u1", TTL: time.Hour, Claims: map[string]string{"aud": "x"}}), auth.ErrInvalid)
		requireValid(t, strict, issue(t, lax, auth.TokenRequest{Subject: "u1", TTL: time.Hour, Claims: map[string]string{"aud": "gatehouse"}}))
	})
	t.Run("the key signs nothing but access tokens of the issuer", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		d := openDevelopmentIssuer(t, dir, "", c)
		s := developmentSigner(t, dir)
		claims := func(iss string) map[string]any {
			return map[string]any{"iss": iss, "sub": "u1", "exp": c.now().Add(time.Hour).Unix()}
		}
		requireValid(t, d, s.sign(t, nil, claims(auth.DevelopmentURN)))
		requireInvalid(t, d, s.sign(t, map[string]any{"typ": "JWT"}, claims(auth.DevelopmentURN)), auth.ErrInvalid)
		requireInvalid(t, d, s.sign(t, map[string]any{"typ": nil}, claims(auth.DevelopmentURN)), auth.ErrInvalid)
		requireInvalid(t, d, s.sign(t, map[string]any{"kid": nil}, claims(auth.DevelopmentURN)), auth.ErrInvalid)
		requireInvalid(t, d, s.sign(t, map[string]any{"kid": "other"}, claims(auth.DevelopmentURN)), auth.ErrInvalid)
		requireInvalid(t, d, s.sign(t, nil, claims("http://127.0.0.1:8080")), auth.ErrInvalid)
	})
}

// developmentSigner returns the key in the data directory, to sign other tokens with it.
func developmentSigner(t *testing.T, dir string) signer {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "dev-issuer.jwk"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	var private any
	if err := jwk.Export(key, &private); err != nil {
		t.Fatal(err)
	}
	kid, _ := key.KeyID()
	return signer{kid, "ES256", private.(crypto.Signer)}
}
