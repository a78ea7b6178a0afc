package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/domain"
)

// keyTable is an in-memory KeyStore.
type keyTable struct {
	mu   sync.Mutex
	keys []auth.StoredKey
	// reads, changes and extensions count the calls.
	reads, changes, extensions int
	down                       bool
}

var errDown = errors.New("no connection")

func (k *keyTable) SigningKeys(context.Context) ([]auth.StoredKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	if k.down {
		return nil, errDown
	}
	return slices.Clone(k.keys), nil
}

func (k *keyTable) ChangeSigningKeys(_ context.Context, c auth.KeyChange) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := slices.DeleteFunc(slices.Clone(k.keys), func(s auth.StoredKey) bool {
		return s.Role == "old" && !s.RetiredAt.After(c.Forget) && !s.LastExpiry.After(c.Forget)
	})
	move := func(id, from string, do func(*auth.StoredKey)) bool {
		for i := range keys {
			if keys[i].ID == id && keys[i].Role == from {
				do(&keys[i])
				return true
			}
		}
		return id == ""
	}
	ok := move(c.Drop, "next", func(s *auth.StoredKey) { s.Role = "dropped" })
	ok = move(c.Retire, "current", func(s *auth.StoredKey) { s.Role, s.Private, s.RetiredAt = "old", nil, c.At }) && ok
	ok = move(c.Promote, "next", func(s *auth.StoredKey) { s.Role, s.SignsFrom = "current", c.At }) && ok
	keys = slices.DeleteFunc(keys, func(s auth.StoredKey) bool { return s.Role == "dropped" })
	for _, added := range c.Add {
		ok = ok && !slices.ContainsFunc(keys, func(s auth.StoredKey) bool { return s.Role == added.Role })
		keys = append(keys, added)
	}
	if !ok {
		return domain.ErrStale
	}
	k.keys = keys
	k.changes++
	return nil
}

func (k *keyTable) ExtendSigningKey(_ context.Context, id string, lastExpiry time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keys {
		if k.keys[i].ID == id {
			k.extensions++
			if lastExpiry.After(k.keys[i].LastExpiry) {
				k.keys[i].LastExpiry = lastExpiry
			}
			return nil
		}
	}
	return domain.ErrMissing
}

// keyedHash returns a keyed hash with a key derived from the secret.
func keyedHash(secret string) func(string, ...string) []byte {
	return func(purpose string, parts ...string) []byte {
		h := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(h, "%q %q", purpose, parts)
		return h.Sum(nil)
	}
}

func newTokenSigner(t testing.TB, table *keyTable, alg string, c *clock) *auth.Signer {
	t.Helper()
	s := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: alg, Now: c.now})
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// sessionClaims returns the claims of a session token.
func sessionClaims(c *clock, life time.Duration) map[string]any {
	return map[string]any{
		"iss": "https://bank.example", "sub": "alice", "sid": "sess_1", "iat": c.now().Unix(), "nbf": c.now().Unix() - 10,
		"exp": c.now().Add(life).Unix(), "jti": rand.Text(), "v": 2, "sts": "active", "fva": []int{1, -1},
	}
}

func sign(t testing.TB, s *auth.Signer, kind domain.TokenKind, claims map[string]any) string {
	t.Helper()
	raw, err := s.Sign(context.Background(), kind, claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func clientToken(t testing.TB, s *auth.Signer, c *clock) string {
	t.Helper()
	return sign(t, s, domain.TokenClient, map[string]any{"id": "client_1", "rotating_token": rand.Text(), "iat": c.now().Unix()})
}

// jwks returns the published keys, and their key ids in order.
func jwks(t testing.TB, s *auth.Signer) (set jwk.Set, kids []string) {
	t.Helper()
	document, err := s.JWKS(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if set, err = jwk.Parse(document); err != nil {
		t.Fatal(err)
	}
	for i := range set.Len() {
		key, _ := set.Key(i)
		kid, _ := key.KeyID()
		kids = append(kids, kid)
	}
	return set, kids
}

// verifies checks a token as a client does: with the published keys only.
func verifies(t testing.TB, s *auth.Signer, raw string) bool {
	t.Helper()
	set, _ := jwks(t, s)
	_, err := jws.Verify([]byte(raw), jws.WithKeySet(set))
	return err == nil
}

func head(t testing.TB, raw string) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignerTokens(t *testing.T) {
	t.Parallel()
	for alg, members := range map[string][]string{
		auth.RS256: {"alg", "e", "kid", "kty", "n", "use"},
		auth.ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		auth.EdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := newTokenSigner(t, &keyTable{}, alg, c)
			for kind, class := range map[domain.TokenKind]string{domain.TokenSession: "cl_B7d4PD111AAA", domain.TokenTemplate: "cl_B7d4PD222AAA"} {
				raw := sign(t, s, kind, sessionClaims(c, time.Minute))
				if !verifies(t, s, raw) {
					t.Errorf("the published keys do not verify a %s token", kind)
				}
				h := head(t, raw)
				kid, _ := h["kid"].(string)
				if h["alg"] != alg || h["typ"] != "JWT" || h["cat"] != class || h["oiat"] != float64(c.now().Unix()) || !strings.HasPrefix(kid, "ins_") || len(h) != 5 {
					t.Errorf("header of a %s token: %v", kind, h)
				}
				if changed := raw[:len(raw)-6] + "AAAAAA"; verifies(t, s, changed) {
					t.Error("a modified token is accepted")
				}
			}
			document, err := s.JWKS(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var set struct{ Keys []map[string]any }
			if err := json.Unmarshal(document, &set); err != nil || len(set.Keys) != 2 {
				t.Fatalf("the current and the next key must be published: %v %s", err, document)
			}
			for _, key := range set.Keys {
				var names []string
				for name := range key {
					names = append(names, name)
				}
				slices.Sort(names)
				if !slices.Equal(names, members) || key["alg"] != alg || key["use"] != "sig" {
					t.Errorf("members of a key: %v", key)
				}
			}
			if kid := head(t, sign(t, s, domain.TokenSession, sessionClaims(c, time.Minute)))["kid"]; kid != set.Keys[0]["kid"] {
				t.Error("the first published key is not the current one")
			}
		})
	}
	t.Run("RSA keys have 2048 bits and the exponent 65537", func(t *testing.T) {
		t.Parallel()
		set, _ := jwks(t, newTokenSigner(t, &keyTable{}, auth.RS256, newClock()))
		key, _ := set.Key(0)
		var public rsa.PublicKey
		if err := jwk.Export(key, &public); err != nil || public.N.BitLen() != 2048 || public.E != 65537 {
			t.Errorf("%v, %d bits, e %d", err, public.N.BitLen(), public.E)
		}
	})
	t.Run("a token without its times is not made", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		s := newTokenSigner(t, &keyTable{}, auth.EdDSA, c)
		for _, claims := range []map[string]any{{"iat": c.now().Unix()}, {"exp": c.now().Unix()}, {"iat": "now", "exp": c.now().Unix()}} {
			if raw, err := s.Sign(context.Background(), domain.TokenSession, claims); err == nil || raw != "" {
				t.Errorf("signed %v", claims)
			}
		}
		if _, err := s.Sign(context.Background(), "other", sessionClaims(c, time.Minute)); err == nil {
			t.Error("a token of an unknown kind was issued")
		}
	})
	t.Run("an algorithm that nobody knows is refused", func(t *testing.T) {
		t.Parallel()
		s := auth.NewSigner(auth.SignerConfig{Store: &keyTable{}, KeyedHash: keyedHash("one"), Algorithm: "HS256", Now: newClock().now})
		if s.Start(context.Background()) == nil {
			t.Error("started")
		}
	})
}

func TestClientTokens(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	s := newTokenSigner(t, table, auth.RS256, c)
	ctx := context.Background()
	raw := clientToken(t, s, c)
	if id, err := s.OpenClientToken(ctx, raw); err != nil || id != "client_1" {
		t.Fatalf("%q, %v", id, err)
	}
	other := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.RS256, Now: c.now})
	if _, err := other.OpenClientToken(ctx, raw); err != nil {
		t.Errorf("another instance does not accept it: %v", err)
	}
	c.advance(10 * 365 * 24 * time.Hour)
	if _, err := s.OpenClientToken(ctx, raw); err != nil {
		t.Errorf("it must not expire: %v", err)
	}
	fresh := clientToken(t, s, c)
	parts := strings.Split(fresh, ".")
	enc := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	mac := func(header, payload string) string {
		h := hmac.New(sha256.New, keyedHash("one")("client token key"))
		signed := enc(header) + "." + enc(payload)
		h.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	const header = `{"alg":"HS256","typ":"client+jwt"}`
	good := fmt.Sprintf(`{"id":"x","rotating_token":"y","iat":%d}`, c.now().Unix())
	if id, err := s.OpenClientToken(ctx, mac(header, good)); err != nil || id != "x" {
		t.Fatalf("the key differs from the key of the test: %v", err)
	}
	stranger := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("two"), Algorithm: auth.RS256, Now: c.now})
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	set, _ := jwks(t, s)
	first, _ := set.Key(0)
	var public rsa.PublicKey
	if err := jwk.Export(first, &public); err != nil {
		t.Fatal(err)
	}
	for claim, token := range map[string]string{
		"nothing":                         "",
		"nonsense":                        "nonsense",
		"one of another installation":     clientToken(t, stranger, c),
		"one with another id":             parts[0] + "." + enc(strings.Replace(good, `"x"`, `"client_2"`, 1)) + "." + parts[2],
		"one without a signature":         parts[0] + "." + parts[1] + ".",
		"an unsigned one":                 enc(`{"alg":"none","typ":"client+jwt"}`) + "." + parts[1] + "." + parts[2],
		"a padded signature":              fresh + "=",
		"a session token":                 sign(t, s, domain.TokenSession, sessionClaims(c, time.Hour)),
		"a template token":                sign(t, s, domain.TokenTemplate, map[string]any{"id": "client_1", "rotating_token": "x", "iat": c.now().Unix(), "exp": c.now().Unix() + 60}),
		"an access token":                 issue(t, d, auth.TokenRequest{Subject: "client_1", TTL: time.Hour, Claims: map[string]string{"id": "client_1"}}),
		"another type":                    mac(`{"alg":"HS256","typ":"JWT"}`, good),
		"another algorithm":               mac(`{"alg":"HS512","typ":"client+jwt"}`, good),
		"a key id":                        mac(`{"alg":"HS256","typ":"client+jwt","kid":"k"}`, good),
		"a critical header":               mac(`{"alg":"HS256","typ":"client+jwt","crit":["x"]}`, good),
		"no id":                           mac(header, strings.Replace(good, `"id":"x",`, "", 1)),
		"an id that is no text":           mac(header, strings.Replace(good, `"x"`, `["x"]`, 1)),
		"no rotating token":               mac(header, strings.Replace(good, `"rotating_token":"y",`, "", 1)),
		"no time":                         mac(header, `{"id":"x","rotating_token":"y"}`),
		"one of tomorrow":                 mac(header, fmt.Sprintf(`{"id":"x","rotating_token":"y","iat":%d}`, c.now().Add(24*time.Hour).Unix())),
		"one signed with a published key": publicKeyAsSecret(t, &public, header, good),
	} {
		t.Run(claim+" is refused", func(t *testing.T) {
			t.Parallel()
			if id, err := s.OpenClientToken(ctx, token); !errors.Is(err, domain.ErrMissing) || id != "" {
				t.Errorf("%q, %v", id, err)
			}
		})
	}
}

// publicKeyAsSecret is the classic forgery: it uses the public key as a shared secret.
func publicKeyAsSecret(t *testing.T, key *rsa.PublicKey, header, payload string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(header)) + "." + enc([]byte(payload))
	h := hmac.New(sha256.New, key.N.Bytes())
	h.Write([]byte(signed))
	return signed + "." + enc(h.Sum(nil))
}

// The service's own tokens are not access tokens, neither for the development issuer nor for an external one.
func TestOurTokensAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newTokenSigner(t, &keyTable{}, auth.ES256, c)
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	external := newIssuer(t, newEC(t, "k", "ES256", elliptic.P256()).public(t, nil)).verifier(t, c)
	claims := sessionClaims(c, time.Hour)
	claims["iss"], claims["scope"] = auth.DevelopmentURN, "admin/full"
	for kind, raw := range map[domain.TokenKind]string{
		domain.TokenSession:  sign(t, s, domain.TokenSession, claims),
		domain.TokenTemplate: sign(t, s, domain.TokenTemplate, claims),
		domain.TokenClient:   clientToken(t, s, c),
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			requireInvalid(t, d, raw, auth.ErrInvalid)
			requireInvalid(t, external, raw, auth.ErrInvalid)
		})
	}
}

func TestFirstStarts(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	signers := make([]*auth.Signer, 4)
	var wg sync.WaitGroup
	for i := range signers {
		wg.Go(func() {
			signers[i] = auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.ES256, Now: c.now})
			if err := signers[i].Start(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if table.changes != 1 || len(table.keys) != 2 {
		t.Errorf("exactly one instance must create the keys: %d changes, %d keys", table.changes, len(table.keys))
	}
	for _, from := range signers {
		raw := sign(t, from, domain.TokenSession, sessionClaims(c, time.Minute))
		for _, to := range signers {
			if !verifies(t, to, raw) {
				t.Error("the keys of one instance do not verify a token of another")
			}
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	one, two := newTokenSigner(t, table, auth.ES256, c), newTokenSigner(t, table, auth.ES256, c)
	ctx := context.Background()
	_, before := jwks(t, one)
	short := sign(t, one, domain.TokenSession, sessionClaims(c, time.Minute))
	long := sign(t, two, domain.TokenTemplate, sessionClaims(c, 24*time.Hour))

	promoted, err := one.Rotate(ctx)
	if err != nil || promoted.ID != before[1] || promoted.Private != nil {
		t.Fatalf("the key published before must sign: %v %v", promoted.ID, err)
	}
	// The other instance may still sign with the old key for a moment, and those tokens verify too.
	late := sign(t, two, domain.TokenTemplate, sessionClaims(c, 48*time.Hour))
	if head(t, late)["kid"] != before[0] {
		t.Error("the other instance has the key before its reload")
	}
	c.advance(time.Second)
	for _, s := range []*auth.Signer{one, two} {
		raw := sign(t, s, domain.TokenSession, sessionClaims(c, time.Minute))
		if head(t, raw)["kid"] != before[1] {
			t.Error("after one second an instance still signs with the old key")
		}
		for _, token := range []string{raw, short, long, late} {
			if !verifies(t, one, token) || !verifies(t, two, token) {
				t.Error("a token is not verified after the rotation")
			}
		}
		_, kids := jwks(t, s)
		if len(kids) != 3 || kids[0] != before[1] || kids[2] != before[0] {
			t.Errorf("the current, the next and the old key must be published: %v, before: %v", kids, before)
		}
	}
	for _, k := range table.keys {
		if (k.Role == "old") != (k.Private == nil) {
			t.Errorf("the private key in the role %s: %d bytes", k.Role, len(k.Private))
		}
	}
	list, err := one.Keys(ctx)
	if err != nil || len(list) != 3 || list[0].Role != "next" || list[1].Role != "current" || list[2].Role != "old" {
		t.Fatalf("%v %v", list, err)
	}
	for _, k := range list {
		if k.Private != nil || k.PublishedUntil().IsZero() == (k.Role == "old") {
			t.Errorf("%s: private %t, until %v", k.Role, k.Private != nil, k.PublishedUntil())
		}
	}
	end := c.now().Add(-time.Second).Add(48 * time.Hour)
	if until := list[2].PublishedUntil(); until.Before(end) || until.After(end.Add(2*time.Hour)) {
		t.Errorf("the old key is published until %v, its last token expires at %v", until, end)
	}
	c.advance(48*time.Hour - 2*time.Second)
	if !verifies(t, two, late) {
		t.Error("the old key is unpublished before its last token has expired")
	}
	c.advance(2 * time.Hour)
	if _, kids := jwks(t, one); len(kids) != 2 || slices.Contains(kids, before[0]) {
		t.Errorf("the old key is still published: %v", kids)
	}
	if _, err := two.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	if len(table.keys) != 3 || slices.ContainsFunc(table.keys, func(k auth.StoredKey) bool { return k.ID == before[0] }) {
		t.Error("the next rotation must delete expired keys")
	}
}

// The stored expiry of a key covers a token before the token exists, with few writes.
func TestKeyLivesAsLongAsItsTokens(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	s := newTokenSigner(t, table, auth.EdDSA, c)
	for range 600 { // ten minutes of tokens with a lifetime of one minute
		raw := sign(t, s, domain.TokenSession, sessionClaims(c, time.Minute))
		if last := inTable(table, head(t, raw)["kid"]).LastExpiry; last.Before(c.now().Add(time.Minute)) {
			t.Fatalf("the token expires at %v, its key at %v", c.now().Add(time.Minute), last)
		}
		c.advance(time.Second)
	}
	if table.extensions > 11 {
		t.Errorf("%d writes in ten minutes", table.extensions)
	}
	t.Run("a key that is gone does not sign", func(t *testing.T) {
		old := table.keys
		table.mu.Lock()
		table.keys = nil
		table.mu.Unlock()
		other := newTokenSigner(t, table, auth.EdDSA, c)
		raw := sign(t, s, domain.TokenTemplate, sessionClaims(c, time.Hour))
		if head(t, raw)["kid"] == old[0].ID || !verifies(t, other, raw) {
			t.Error("signed with a deleted key")
		}
	})
}

func inTable(k *keyTable, kid any) auth.StoredKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.keys {
		if s.ID == kid {
			return s
		}
	}
	return auth.StoredKey{}
}

func TestAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	s := newTokenSigner(t, table, auth.ES256, c)
	_, before := jwks(t, s)
	old := sign(t, s, domain.TokenSession, sessionClaims(c, time.Minute))
	c.advance(time.Second)
	again := newTokenSigner(t, table, auth.EdDSA, c)
	raw := sign(t, again, domain.TokenSession, sessionClaims(c, time.Minute))
	if head(t, raw)["alg"] != auth.EdDSA {
		t.Errorf("signed with %v", head(t, raw)["alg"])
	}
	c.advance(time.Second)
	for _, of := range []*auth.Signer{s, again} { // the instance that has not been restarted follows
		if !verifies(t, of, old) || !verifies(t, of, raw) || head(t, sign(t, of, domain.TokenSession, sessionClaims(c, time.Minute)))["alg"] != auth.EdDSA {
			t.Error("an instance does not use the new key")
		}
		if _, kids := jwks(t, of); len(kids) != 3 || kids[2] != before[0] || slices.Contains(kids, before[1]) {
			t.Errorf("published: %v, before: %v", kids, before)
		}
	}
	// A command with other settings than the server keeps the server's algorithm.
	command := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.RS256, Now: c.now})
	if k, err := command.Rotate(context.Background()); err != nil || k.Algorithm != auth.EdDSA {
		t.Fatalf("%v, %v", k.Algorithm, err)
	}
	for _, k := range table.keys {
		if k.Role == "next" && k.Algorithm != auth.EdDSA {
			t.Errorf("the next key is for %s", k.Algorithm)
		}
	}
	// A start that finds a next key of its algorithm uses it, because verifiers already have it.
	table.mu.Lock()
	var next string
	for i := range table.keys {
		if table.keys[i].Role == "current" {
			table.keys[i].Algorithm = auth.ES256
		}
		if table.keys[i].Role == "next" {
			next = table.keys[i].ID
		}
	}
	table.mu.Unlock()
	if kid := head(t, sign(t, newTokenSigner(t, table, auth.EdDSA, c), domain.TokenSession, sessionClaims(c, time.Minute)))["kid"]; kid != next {
		t.Errorf("%v signs, not %v", kid, next)
	}
}

func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	newTokenSigner(t, table, auth.ES256, c)
	var done, late atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.ES256, Now: c.now})
			switch _, err := s.Rotate(context.Background()); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, auth.ErrRotated):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done.Load() < 1 || done.Load()+late.Load() != 8 || len(table.keys) != 2+int(done.Load()) {
		t.Errorf("%d done, %d late, %d keys", done.Load(), late.Load(), len(table.keys))
	}
	table = &keyTable{}
	s := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.ES256, Now: c.now})
	if k, err := s.Rotate(context.Background()); err != nil || k.Role != "current" || len(table.keys) != 2 {
		t.Errorf("a rotation before the first start must create the first keys: %+v %v", k, err)
	}
}

// While the database is unavailable, the keys in memory remain in use.
func TestSignerWithoutDatabase(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := &keyTable{}
	s := newTokenSigner(t, table, auth.ES256, c)
	sign(t, s, domain.TokenSession, sessionClaims(c, time.Minute))
	for range 100 {
		sign(t, s, domain.TokenSession, sessionClaims(c, time.Second))
	}
	if table.reads > 3 {
		t.Errorf("%d reads of the keys without a change of the clock", table.reads)
	}
	table.mu.Lock()
	table.down = true
	table.mu.Unlock()
	for range 3 {
		c.advance(10 * time.Second)
		if _, kids := jwks(t, s); len(kids) != 2 {
			t.Errorf("published: %v", kids)
		}
	}
	reads := table.reads
	if jwks(t, s); table.reads != reads {
		t.Error("an unavailable database is read again without a pause")
	}
	blind := auth.NewSigner(auth.SignerConfig{Store: table, KeyedHash: keyedHash("one"), Algorithm: auth.ES256, Now: c.now})
	if err := blind.Start(context.Background()); !errors.Is(err, errDown) {
		t.Errorf("Start returns %v", err)
	}
	if _, err := blind.JWKS(context.Background()); !errors.Is(err, errDown) {
		t.Errorf("without any key: %v", err)
	}
	table.mu.Lock()
	table.down = false
	for i := range table.keys {
		table.keys[i].Private = []byte(`{"kty":"secret-part`)
	}
	table.mu.Unlock()
	if _, err := blind.JWKS(context.Background()); err == nil || strings.Contains(err.Error(), "secret-part") {
		t.Errorf("a damaged key: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	c := newClock()
	for _, alg := range []string{auth.RS256, auth.ES256, auth.EdDSA} {
		table := &keyTable{}
		s := newTokenSigner(b, table, alg, c)
		claims := sessionClaims(c, time.Minute)
		var private any
		i := slices.IndexFunc(table.keys, func(k auth.StoredKey) bool { return k.Role == "current" })
		key, err := jwk.ParseKey(table.keys[i].Private)
		if err == nil {
			err = jwk.Export(key, &private)
		}
		if err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256(bytes.Repeat([]byte("x"), 400))
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Sign(context.Background(), domain.TokenSession, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+" bare", func(b *testing.B) {
			for b.Loop() {
				var err error
				switch k := private.(type) {
				case *rsa.PrivateKey:
					_, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
				case *ecdsa.PrivateKey:
					_, _, err = ecdsa.Sign(rand.Reader, k, sum[:])
				case ed25519.PrivateKey:
					_ = ed25519.Sign(k, bytes.Repeat([]byte("x"), 400))
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
