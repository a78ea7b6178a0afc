package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/gatehouse/gatehouse/auth"
)

// clock is a clock that only the test advances.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// signer is a key of an issuer.
type signer struct {
	kid, alg string
	private  crypto.Signer
}

// rsaKeys are generated once, because that is slow, and a test only needs to distinguish them.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func newRSA(kid, alg string, n int) signer { return signer{kid, alg, rsaKeys()[n]} }

func newEC(t *testing.T, kid, alg string, curve elliptic.Curve) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, alg, key}
}

func newEd25519(t *testing.T, kid string) signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, "EdDSA", key}
}

// public returns the key as a JWK without alg, changed by members.
func (s signer) public(t *testing.T, members map[string]any) map[string]any {
	t.Helper()
	key, err := jwk.Import(s.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if s.kid != "" {
		out["kid"] = s.kid
	}
	maps.Copy(out, members)
	return out
}

// sign returns a token. A header or a claim that is nil is omitted.
func (s signer) sign(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"alg": s.alg, "typ": "at+jwt"}
	if s.kid != "" {
		all["kid"] = s.kid
	}
	maps.Copy(all, header)
	signed := part(t, all) + "." + part(t, claims)
	signature, err := jwsbb.Sign(s.private, s.alg, []byte(signed), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(t *testing.T, members map[string]any) string {
	t.Helper()
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (s signer) pem(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// issuer is an OpenID Connect issuer, as a handler.
type issuer struct {
	url     string
	fetches atomic.Int32 // of the keys
	mu      sync.Mutex
	// down makes the issuer answer every request with status 503.
	down bool
	// discovery and keys are the two documents.
	discovery map[string]any
	keys      []byte
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(i.discovery)
	case r.URL.Path == "/keys":
		i.fetches.Add(1)
		_, _ = w.Write(i.keys)
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/keys", http.StatusFound)
	case r.URL.Path == "/open":
		http.Redirect(w, r, "http://192.0.2.1/keys", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

// newIssuer starts an issuer with the given keys.
func newIssuer(t *testing.T, keys ...map[string]any) *issuer {
	t.Helper()
	i := &issuer{}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	i.discovery = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"}
	i.publish(t, keys...)
	return i
}

func (i *issuer) publish(t *testing.T, keys ...map[string]any) {
	t.Helper()
	if keys == nil {
		keys = []map[string]any{}
	}
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.keys = document })
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// claims returns the claims of a valid token, changed by members.
func (i *issuer) claims(c *clock, members map[string]any) map[string]any {
	out := map[string]any{
		"iss": i.url, "sub": "u1", "aud": []string{"other", "gatehouse"}, "scope": "banking/read banking/write",
		"iat": c.now().Unix(), "exp": c.now().Add(time.Hour).Unix(), "jti": rand.Text(),
	}
	maps.Copy(out, members)
	return out
}

// verifier returns a verifier of the issuer's tokens that has not fetched anything yet.
func (i *issuer) verifier(t *testing.T, c *clock) *auth.ExternalIssuer {
	t.Helper()
	e, err := auth.NewExternalIssuer(auth.ExternalConfig{Issuer: i.url, Audience: "gatehouse", Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func requireValid(t *testing.T, v auth.Verifier, raw string) {
	t.Helper()
	if _, err := v.Verify(context.Background(), raw); err != nil {
		t.Errorf("a valid token: %v", err)
	}
}

func requireInvalid(t *testing.T, v auth.Verifier, raw string, why error) {
	t.Helper()
	claims, err := v.Verify(context.Background(), raw)
	if !isOnly(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if claims.Subject != "" || claims.Scopes != nil {
		t.Error("claims were returned for a refused token")
	}
	if err != nil && slices.ContainsFunc(bytes.Split([]byte(raw), []byte(".")), func(p []byte) bool {
		return len(p) > 8 && bytes.Contains([]byte(err.Error()), p)
	}) {
		t.Errorf("the error contains the token: %v", err)
	}
}
