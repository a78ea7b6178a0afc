package auth_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/auth"
)

// isOnly reports whether err is the given reason and neither of the other two.
func isOnly(err, why error) bool {
	for _, reason := range []error{auth.ErrInvalid, auth.ErrExpired, auth.ErrUnavailable} {
		if errors.Is(err, reason) != errors.Is(why, reason) {
			return false
		}
	}
	return true
}

// Every supported algorithm is accepted, whether or not the JWKS names it.
func TestExternalIssuerAlgorithms(t *testing.T) {
	t.Parallel()
	c := newClock()
	signers := []signer{
		newRSA("r", "RS256", 0), newRSA("r", "RS384", 0), newRSA("r", "RS512", 0),
		newRSA("r", "PS256", 0), newRSA("r", "PS384", 0), newRSA("r", "PS512", 0),
		newEC(t, "e256", "ES256", elliptic.P256()), newEC(t, "e384", "ES384", elliptic.P384()), newEC(t, "e521", "ES512", elliptic.P521()),
		newEd25519(t, "o"),
	}
	for _, s := range signers {
		for _, named := range []bool{true, false} {
			members := map[string]any{}
			if named {
				members["alg"] = s.alg
				members["use"] = "sig"
			}
			i := newIssuer(t, s.public(t, members))
			requireValid(t, i.verifier(t, c), s.sign(t, nil, i.claims(c, nil)))
		}
	}
}

func TestExternalIssuerClaims(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newEC(t, "k", "ES256", elliptic.P256())
	i := newIssuer(t, s.public(t, nil))
	v := i.verifier(t, c)
	got, err := v.Verify(context.Background(), s.sign(t, nil, i.claims(c, map[string]any{
		"sub": "ü1", "preferred_username": "ada", "email": "ada@example.com", "customerId": "c1", "customerGroup": "g1",
		"azp": "app", "sid": "s1", "scope": []string{"admin/read", "signup"}, "aud": "gatehouse", "typ": "Bearer", "token_use": "access",
		"nbf": nil, "email_verified": true, "realm_access": map[string]any{"roles": []string{"x"}},
	})))
	if err != nil {
		t.Fatal(err)
	}
	want := auth.Claims{
		Subject: "ü1", Username: "ada", Email: "ada@example.com", CustomerID: "c1", CustomerGroup: "g1",
		ClientID: "app", SessionID: "s1", Scopes: []string{"admin/read", "signup"},
		ExpiresAt: c.now().Add(time.Hour), NotBefore: c.now(),
	}
	if !got.ExpiresAt.Equal(want.ExpiresAt) || !got.NotBefore.Equal(want.NotBefore) {
		t.Errorf("times %v, %v", got.ExpiresAt, got.NotBefore)
	}
	got.ExpiresAt, got.NotBefore = want.ExpiresAt, want.NotBefore
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	both, err := v.Verify(context.Background(), s.sign(t, nil, i.claims(c, map[string]any{
		"username": "first", "preferred_username": "second", "client_id": "third", "azp": "fourth", "scope": nil,
	})))
	if err != nil || both.Username != "first" || both.ClientID != "third" || len(both.Scopes) != 0 {
		t.Errorf("got %+v, %v", both, err)
	}
	// JSON names are case-sensitive: none of these is the subject.
	requireInvalid(t, v, s.sign(t, nil, i.claims(c, map[string]any{"sub": nil, "SUB": "u1", "Sub": "u1"})), auth.ErrInvalid)
}

func TestExternalIssuerRefuses(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newRSA("k", "RS256", 0)
	elliptical := newEC(t, "e", "ES256", elliptic.P256())
	i := newIssuer(t, s.public(t, map[string]any{"alg": "RS256"}), elliptical.public(t, nil))
	v := i.verifier(t, c)
	in := func(d time.Duration) int64 { return c.now().Add(d).Unix() }
	good := s.sign(t, nil, i.claims(c, nil))
	requireValid(t, v, good)

	cases := []struct {
		claim  string
		header map[string]any
		claims map[string]any
		why    error
	}{
		{"expired", nil, map[string]any{"exp": in(-time.Minute)}, auth.ErrExpired},
		{"expired beyond the leeway", nil, map[string]any{"exp": in(-30 * time.Second)}, auth.ErrExpired},
		{"not yet valid", nil, map[string]any{"nbf": in(time.Minute)}, auth.ErrInvalid},
		{"issued in the future", nil, map[string]any{"iat": in(time.Hour)}, auth.ErrInvalid},
		{"without exp", nil, map[string]any{"exp": nil}, auth.ErrInvalid},
		{"exp is a text", nil, map[string]any{"exp": "2030-01-01"}, auth.ErrInvalid},
		{"exp is never", nil, map[string]any{"exp": 1e300}, auth.ErrInvalid},
		{"exp is before time", nil, map[string]any{"exp": -1}, auth.ErrInvalid},
		{"foreign issuer", nil, map[string]any{"iss": "https://evil.example"}, auth.ErrInvalid},
		{"issuer with a slash more", nil, map[string]any{"iss": i.url + "/"}, auth.ErrInvalid},
		{"without issuer", nil, map[string]any{"iss": nil}, auth.ErrInvalid},
		{"another audience", nil, map[string]any{"aud": []string{"other"}}, auth.ErrInvalid},
		{"audience in another case", nil, map[string]any{"aud": "Gatehouse"}, auth.ErrInvalid},
		{"without audience", nil, map[string]any{"aud": nil}, auth.ErrInvalid},
		{"without subject", nil, map[string]any{"sub": nil}, auth.ErrInvalid},
		{"empty subject", nil, map[string]any{"sub": ""}, auth.ErrInvalid},
		{"subject is a number", nil, map[string]any{"sub": 1}, auth.ErrInvalid},
		{"subject with a line end", nil, map[string]any{"sub": "u1\nadmin"}, auth.ErrInvalid},
		{"subject too long", nil, map[string]any{"sub": strings.Repeat("x", 256)}, auth.ErrInvalid},
		{"sid is no text", nil, map[string]any{"sid": []string{"s"}}, auth.ErrInvalid},
		{"scope is no text", nil, map[string]any{"scope": map[string]any{}}, auth.ErrInvalid},
		{"scope array with a number", nil, map[string]any{"scope": []any{"a", 1}}, auth.ErrInvalid},
		{"ID token of Keycloak", nil, map[string]any{"typ": "ID"}, auth.ErrInvalid},
		{"refresh token", nil, map[string]any{"typ": "Refresh"}, auth.ErrInvalid},
		{"offline token", nil, map[string]any{"typ": "Offline"}, auth.ErrInvalid},
		{"logout token", nil, map[string]any{"typ": "Logout"}, auth.ErrInvalid},
		{"ID token of Cognito", nil, map[string]any{"token_use": "id"}, auth.ErrInvalid},
		{"ID token by its nonce", nil, map[string]any{"nonce": "n"}, auth.ErrInvalid},
		{"ID token by at_hash", nil, map[string]any{"at_hash": "h"}, auth.ErrInvalid},
		{"ID token by c_hash", nil, map[string]any{"c_hash": "h"}, auth.ErrInvalid},
		{"ID token by s_hash", nil, map[string]any{"s_hash": "h"}, auth.ErrInvalid},
		{"security event", nil, map[string]any{"events": map[string]any{}}, auth.ErrInvalid},
		{"logout token by its header", map[string]any{"typ": "logout+jwt"}, nil, auth.ErrInvalid},
		{"ID token by its header", map[string]any{"typ": "id+jwt"}, nil, auth.ErrInvalid},
		{"critical header", map[string]any{"crit": []string{"exp"}}, nil, auth.ErrInvalid},
		{"payload not encoded", map[string]any{"b64": false}, nil, auth.ErrInvalid},
		{"nested", map[string]any{"cty": "JWT"}, nil, auth.ErrInvalid},
		{"kid is a number", map[string]any{"kid": 1}, nil, auth.ErrInvalid},
		{"algorithm of the same key that the set does not name", map[string]any{"alg": "PS256"}, nil, auth.ErrInvalid},
		{"key of another algorithm", map[string]any{"kid": "e"}, nil, auth.ErrInvalid},
		{"its own key in the header", map[string]any{"kid": nil, "jwk": newRSA("x", "RS256", 1).public(t, nil)}, nil, nil},
	}
	for _, c2 := range cases {
		t.Run(c2.claim, func(t *testing.T) {
			t.Parallel()
			raw := s.sign(t, c2.header, i.claims(c, c2.claims))
			if c2.why == nil {
				// Signed by a key of the issuer: a key in the header has no effect.
				requireValid(t, v, raw)
				return
			}
			requireInvalid(t, v, raw, c2.why)
		})
	}

	t.Run("good types and times at the edge are believed", func(t *testing.T) {
		t.Parallel()
		for _, typ := range []any{"at+jwt", "AT+JWT", "application/at+jwt", "JWT", nil} {
			requireValid(t, v, s.sign(t, map[string]any{"typ": typ}, i.claims(c, nil)))
		}
		requireValid(t, v, s.sign(t, nil, i.claims(c, map[string]any{"exp": in(-29 * time.Second), "nbf": in(30 * time.Second)})))
		requireValid(t, v, s.sign(t, nil, i.claims(c, map[string]any{"exp": float64(in(time.Hour)) + 0.5})))
	})
	t.Run("alg none is refused", func(t *testing.T) {
		t.Parallel()
		for _, alg := range []string{"none", "None", "NONE", ""} {
			unsigned := part(t, map[string]any{"alg": alg, "kid": "k"}) + "." + part(t, i.claims(c, nil)) + "."
			requireInvalid(t, v, unsigned, auth.ErrInvalid)
			requireInvalid(t, v, unsigned+"AAAA", auth.ErrInvalid)
		}
		requireInvalid(t, v, part(t, map[string]any{"kid": "k"})+"."+part(t, i.claims(c, nil))+".AAAA", auth.ErrInvalid)
	})
	t.Run("the public key as a shared secret is refused", func(t *testing.T) {
		t.Parallel()
		for _, kid := range []any{"k", nil} {
			signed := part(t, map[string]any{"alg": "HS256", "kid": kid}) + "." + part(t, i.claims(c, nil))
			for _, secret := range [][]byte{s.pem(t), bytes.TrimSpace(s.pem(t)), s.private.Public().(*rsa.PublicKey).N.Bytes()} {
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(signed))
				requireInvalid(t, v, signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), auth.ErrInvalid)
			}
		}
	})
	t.Run("a changed token is refused", func(t *testing.T) {
		t.Parallel()
		parts := strings.Split(good, ".")
		forged := part(t, i.claims(c, map[string]any{"sub": "admin"}))
		for _, raw := range []string{
			"", ".", "..", "a.b.c", "x", good + ".", "." + good, good + "A", good + "=", good[:len(good)-4],
			parts[0] + "." + forged + "." + parts[2],
			parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".",
			parts[0] + "." + parts[1] + "." + parts[2] + ".a.b", // encrypted tokens have five parts
			parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte("null")) + "." + parts[2],
			parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte("[]")) + "." + parts[2],
			strings.Repeat("a", 20000) + "." + parts[1] + "." + parts[2],
		} {
			requireInvalid(t, v, raw, auth.ErrInvalid)
		}
	})
	t.Run("a token of another key with a known kid is refused", func(t *testing.T) {
		t.Parallel()
		requireInvalid(t, v, newRSA("k", "RS256", 1).sign(t, nil, i.claims(c, nil)), auth.ErrInvalid)
		// An expired and forged token is forged: a caller that cannot sign does not learn that a session has ended.
		requireInvalid(t, v, newRSA("k", "RS256", 1).sign(t, nil, i.claims(c, map[string]any{"exp": in(-time.Hour)})), auth.ErrInvalid)
	})
}

// Invalid, foreign and unusable keys do not affect a valid key, and are not used.
func TestExternalIssuerSkipsBadKeys(t *testing.T) {
	t.Parallel()
	c, good := newClock(), newRSA("good", "RS256", 0)
	encrypting, other := newRSA("enc", "RS256", 1), newRSA("other", "RS256", 2)
	point := newEC(t, "e", "ES256", elliptic.P256()).public(t, map[string]any{"kid": "off-curve", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
	i := newIssuer(
		t,
		map[string]any{"kty": "RSA", "kid": "malformed", "n": "!", "e": "AQAB"},
		map[string]any{"kty": "RSA", "kid": "small", "n": "AQAB", "e": "AQAB"},
		map[string]any{"kty": "unheard-of", "kid": "new"},
		map[string]any{"kid": "nothing"},
		map[string]any{"kty": "oct", "kid": "secret", "alg": "HS256", "k": base64.RawURLEncoding.EncodeToString([]byte("a shared secret of 32 bytes, yes"))},
		point,
		encrypting.public(t, map[string]any{"use": "enc", "alg": "RSA-OAEP"}),
		other.public(t, map[string]any{"key_ops": []string{"encrypt"}}),
		good.public(t, nil),
	)
	v := i.verifier(t, c)
	requireValid(t, v, good.sign(t, nil, i.claims(c, nil)))
	requireInvalid(t, v, encrypting.sign(t, nil, i.claims(c, nil)), auth.ErrInvalid)
	requireInvalid(t, v, other.sign(t, nil, i.claims(c, nil)), auth.ErrInvalid)
	signed := part(t, map[string]any{"alg": "HS256", "kid": "secret"}) + "." + part(t, i.claims(c, nil))
	mac := hmac.New(sha256.New, []byte("a shared secret of 32 bytes, yes"))
	mac.Write([]byte(signed))
	requireInvalid(t, v, signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), auth.ErrInvalid)
}

// An issuer without key ids is accepted, before and after a rotation.
func TestExternalIssuerWithoutKeyIDs(t *testing.T) {
	t.Parallel()
	c, first, second := newClock(), newRSA("", "RS256", 0), newRSA("", "RS256", 1)
	i := newIssuer(t, first.public(t, nil))
	v := i.verifier(t, c)
	requireValid(t, v, first.sign(t, nil, i.claims(c, nil)))
	i.publish(t, second.public(t, nil), first.public(t, nil))
	c.advance(time.Minute)
	requireValid(t, v, second.sign(t, nil, i.claims(c, nil)))
	requireValid(t, v, first.sign(t, nil, i.claims(c, nil)))
}

// The issuer signs with a new key: its first token fetches the keys, without a wait.
func TestExternalIssuerRotation(t *testing.T) {
	t.Parallel()
	c, first, second := newClock(), newRSA("1", "RS256", 0), newRSA("2", "RS256", 1)
	i := newIssuer(t, first.public(t, nil))
	v := i.verifier(t, c)
	old := first.sign(t, nil, i.claims(c, nil))
	requireValid(t, v, old)
	i.publish(t, first.public(t, nil), second.public(t, nil))
	requireValid(t, v, second.sign(t, nil, i.claims(c, nil)))
	requireValid(t, v, old)
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}

	// Withdrawn: the next refresh removes the key, and the tokens that were cached with it.
	i.publish(t, second.public(t, nil))
	if err := v.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	requireInvalid(t, v, old, auth.ErrInvalid)
	requireValid(t, v, second.sign(t, nil, i.claims(c, nil)))

	// All withdrawn: an empty set is valid.
	i.publish(t)
	if err := v.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	requireInvalid(t, v, second.sign(t, nil, i.claims(c, nil)), auth.ErrInvalid)
}

func TestExternalIssuerForgedKeyIDs(t *testing.T) {
	t.Parallel()
	c, good, forger := newClock(), newRSA("good", "RS256", 0), newRSA("", "RS256", 1)
	i := newIssuer(t, good.public(t, nil))
	v := i.verifier(t, c)
	if err := v.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	forge := func() {
		var wg sync.WaitGroup
		for n := range 30 {
			wg.Go(func() {
				kid := rand.Text()
				header := map[string]any{"kid": kid}
				if n%3 == 0 {
					header = nil // no key id
				}
				requireInvalid(t, v, forger.sign(t, header, i.claims(c, nil)), auth.ErrInvalid)
			})
		}
		wg.Wait()
		for range 30 {
			requireInvalid(t, v, forger.sign(t, map[string]any{"kid": rand.Text()}, i.claims(c, nil)), auth.ErrInvalid)
		}
	}
	forge()
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("forged tokens caused %d fetches more than one", n-2)
	}
	c.advance(29 * time.Second)
	forge()
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches within 30 s", n)
	}
	c.advance(2 * time.Second)
	forge()
	if n := i.fetches.Load(); n != 3 {
		t.Errorf("%d fetches after 30 s", n)
	}
	// Tokens of other issuers, and those that no key can have signed, are rejected without a request.
	c.advance(time.Minute)
	requireInvalid(t, v, forger.sign(t, map[string]any{"kid": "x"}, i.claims(c, map[string]any{"iss": "https://other.example"})), auth.ErrInvalid)
	requireInvalid(t, v, part(t, map[string]any{"alg": "HS256", "kid": "x"})+"."+part(t, i.claims(c, nil))+".AAAA", auth.ErrInvalid)
	if n := i.fetches.Load(); n != 3 {
		t.Errorf("%d fetches for tokens of others", n)
	}
}

// The keys remain in use while the issuer is unavailable or returns invalid documents.
func TestExternalIssuerOutage(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newRSA("k", "RS256", 0)
	i := newIssuer(t, s.public(t, nil))
	v := i.verifier(t, c)
	requireValid(t, v, s.sign(t, nil, i.claims(c, nil)))
	sound := i.keys
	discovery := i.discovery
	for claim, breakIt := range map[string]func(){
		"down":                          func() { i.down = true },
		"no JSON":                       func() { i.keys = []byte("<html>") },
		"no key set":                    func() { i.keys = []byte("{}") },
		"null":                          func() { i.keys = []byte("null") },
		"only malformed keys":           func() { i.keys = []byte(`{"keys":[{"kty":"RSA"}]}`) },
		"a key set too large":           func() { i.keys = append(bytes.Repeat([]byte(" "), 1<<20), sound...) },
		"too many keys":                 func() { i.keys = []byte(`{"keys":[` + strings.Repeat("{},", 100) + `{}]}`) },
		"another issuer's document":     func() { i.discovery = map[string]any{"issuer": "https://other.example", "jwks_uri": i.url + "/keys"} },
		"no jwks_uri":                   func() { i.discovery = map[string]any{"issuer": i.url} },
		"jwks_uri in an open network":   func() { i.discovery = map[string]any{"issuer": i.url, "jwks_uri": "http://192.0.2.1/keys"} },
		"a redirect to an open network": func() { i.discovery = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/open"} },
	} {
		i.set(breakIt)
		if err := v.Refresh(context.Background()); err == nil {
			t.Errorf("%s: no error", claim)
		}
		requireValid(t, v, s.sign(t, nil, i.claims(c, nil)))
		i.set(func() { i.down, i.keys, i.discovery = false, sound, discovery })
	}
	i.set(func() { i.discovery = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/moved"} })
	if err := v.Refresh(context.Background()); err != nil {
		t.Errorf("a redirect on the same scheme: %v", err)
	}
}

// Before the first keys arrive, no token can be verified; once the issuer is available, tokens are accepted.
func TestExternalIssuerDownAtStart(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newRSA("k", "RS256", 0)
	i := newIssuer(t, s.public(t, nil))
	i.set(func() { i.down = true })
	v := i.verifier(t, c)
	raw := s.sign(t, nil, i.claims(c, nil))
	requireInvalid(t, v, raw, auth.ErrUnavailable)
	requireInvalid(t, v, "nonsense", auth.ErrInvalid)
	requireInvalid(t, v, s.sign(t, nil, i.claims(c, map[string]any{"iss": "https://other.example"})), auth.ErrInvalid)
	i.set(func() { i.down = false })
	requireInvalid(t, v, raw, auth.ErrUnavailable) // a refresh has just failed
	c.advance(3 * time.Second)
	requireValid(t, v, raw)
}

// inProcess calls a handler without a network, because a synctest bubble cannot use one.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// The issuer is unavailable when the server starts, becomes available, and later withdraws a key.
func TestExternalIssuerRun(t *testing.T) {
	t.Parallel()
	first, second := newRSA("1", "RS256", 0), newRSA("2", "RS256", 1)
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		i := &issuer{url: "https://issuer.example", down: true}
		i.discovery = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"}
		i.publish(t, first.public(t, nil))
		v, err := auth.NewExternalIssuer(auth.ExternalConfig{Issuer: i.url, Now: c.now, Transport: inProcess{i}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { v.Run(ctx); close(ended) }()
		raw := first.sign(t, nil, i.claims(c, nil))
		time.Sleep(5 * time.Minute)
		requireInvalid(t, v, raw, auth.ErrUnavailable)
		i.set(func() { i.down = false })
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := i.fetches.Load(); n != 1 {
			t.Errorf("%d fetches after the issuer came up", n)
		}
		requireValid(t, v, raw)
		i.publish(t, second.public(t, nil))
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		requireInvalid(t, v, raw, auth.ErrInvalid)
		stop()
		<-ended
	})
}

// While the issuer does not respond, a cancelled caller returns at once, and the others still get a result.
func TestExternalIssuerSlow(t *testing.T) {
	t.Parallel()
	s := newRSA("k", "RS256", 0)
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		i := &issuer{url: "https://issuer.example"}
		i.discovery = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"}
		i.publish(t, s.public(t, nil))
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			i.ServeHTTP(w, r)
		})
		v, err := auth.NewExternalIssuer(auth.ExternalConfig{Issuer: i.url, Now: c.now, Transport: inProcess{slow}})
		if err != nil {
			t.Fatal(err)
		}
		raw := s.sign(t, nil, i.claims(c, nil))
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, stop := context.WithTimeout(context.Background(), time.Second)
			defer stop()
			if _, err := v.Verify(ctx, raw); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the cancelled caller: %v", err)
			}
		})
		wg.Go(func() {
			time.Sleep(time.Millisecond)
			requireValid(t, v, raw)
		})
		wg.Wait()
		if n := i.fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestExternalIssuerRemembersTokens(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newRSA("k", "RS256", 0)
	i := newIssuer(t, s.public(t, nil))
	v := i.verifier(t, c)
	raw := s.sign(t, nil, i.claims(c, map[string]any{"exp": c.now().Add(time.Minute).Unix()}))
	first, err := v.Verify(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.Verify(context.Background(), raw)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("got %+v, %v", second, err)
	}
	c.advance(2 * time.Minute)
	requireInvalid(t, v, raw, auth.ErrExpired)
	requireInvalid(t, v, raw, auth.ErrExpired)
}

func TestNewExternalIssuer(t *testing.T) {
	t.Parallel()
	for claim, c := range map[string]struct {
		url  string
		good bool
	}{
		"https":                        {"https://issuer.example/realms/bank", true},
		"http on a loopback address":   {"http://127.0.0.1:8081", true},
		"http on a loopback address 6": {"http://[::1]:8081/", true},
		"http on a loopback name":      {"http://localhost:8081", true},
		"http elsewhere":               {"http://issuer.example", false},
		"http on a name like loopback": {"http://127.0.0.1.example", false},
		"http on a network":            {"http://10.0.0.1", false},
		"no URL":                       {"issuer", false},
		"another scheme":               {"file:///etc/issuer", false},
		"with a password":              {"https://u:p@issuer.example", false},
		"with a query":                 {"https://issuer.example?x=1", false},
		"nothing":                      {"", false},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			_, err := auth.NewExternalIssuer(auth.ExternalConfig{Issuer: c.url, Now: newClock().now})
			if (err == nil) != c.good {
				t.Errorf("got %v", err)
			}
		})
	}
}
