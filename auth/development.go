package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/seal"
)

const (
	// DevelopmentURN is iss in the tokens of the development issuer.
	DevelopmentURN = "urn:gatehouse:development-issuer"
	// developmentFile holds its key, in the data directory.
	developmentFile = "dev-issuer.jwk"
	// accessTokenType is the header typ of an access token: RFC 9068, section 2.1.
	accessTokenType = "at+jwt"
)

// DevelopmentConfig is what a development issuer works with.
type DevelopmentConfig struct {
	// Dir is the data directory. All who share it share the issuer.
	Dir string
	// Audience is the aud that tokens get and must have; empty: none.
	Audience string
	// Now is the clock.
	Now func() time.Time
}

// DevelopmentIssuer makes and believes the access tokens of a developer's own server. Its key lies in a file of the
// data directory, is made once, and signs nothing else.
type DevelopmentIssuer struct {
	rules  rules
	signer jwk.Key
	keys   *keySet
}

// OpenDevelopmentIssuer loads the issuer's key, and makes it where there is none.
func OpenDevelopmentIssuer(c DevelopmentConfig) (*DevelopmentIssuer, error) {
	path := filepath.Join(c.Dir, developmentFile)
	raw, err := seal.CreateOnce(path, newDevelopmentKey)
	if err != nil {
		return nil, fmt.Errorf("development issuer: %w", err)
	}
	signer, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("development issuer: %s is no key", path)
	}
	var key any
	err = jwk.Export(signer, &key)
	if private, ok := key.(*ecdsa.PrivateKey); err != nil || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("development issuer: %s is no private key for ES256", path)
	}
	public, err := readKey(raw)
	if err != nil || public.id == "" {
		return nil, fmt.Errorf("development issuer: %s is no signing key with a kid", path)
	}
	return &DevelopmentIssuer{
		// No leeway: who issues and who verifies share a data directory, and a developer who asks for a token of one
		// second wants to see it end.
		rules:  rules{issuer: DevelopmentURN, audience: c.Audience, types: []string{accessTokenType}, now: c.Now},
		signer: signer,
		keys:   &keySet{keys: []publicKey{public}},
	}, nil
}

func newDevelopmentKey() ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := jwk.Import(private)
	if err != nil {
		return nil, err
	}
	mark, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey:     base64.RawURLEncoding.EncodeToString(mark),
		jwk.AlgorithmKey: jwa.ES256(),
		jwk.KeyUsageKey:  "sig",
	} {
		if err := key.Set(name, value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(key)
}

// Verify believes the tokens of Issue, and no others.
func (d *DevelopmentIssuer) Verify(_ context.Context, raw string) (Claims, error) {
	mark := fingerprint(sha256.Sum256([]byte(raw)))
	if claims, ok := d.keys.believed.Get(mark); ok {
		return recheck(d.rules, d.keys, mark, claims)
	}
	t, err := parse(raw)
	if err != nil {
		return Claims{}, err
	}
	claims, err := d.rules.read(t)
	if err != nil {
		return Claims{}, err
	}
	if !d.keys.knows(t) || !d.keys.signed(t) {
		return Claims{}, invalid("not signed by the issuer")
	}
	if err := d.rules.current(claims); err != nil {
		return Claims{}, err
	}
	d.keys.believed.Add(mark, claims)
	return claims, nil
}

// recheck asks the time for a token whose signature was good before.
func recheck(r rules, keys *keySet, mark fingerprint, claims Claims) (Claims, error) {
	if err := r.current(claims); err != nil {
		keys.believed.Forget(mark)
		return Claims{}, err
	}
	return claims, nil
}

// TokenRequest says which token Issue makes.
type TokenRequest struct {
	// Subject is sub.
	Subject string
	// Scope is scope, with spaces between the scopes.
	Scope string
	// ClientID is client_id.
	ClientID string
	// TTL is how long the token is good.
	TTL time.Duration
	// Claims are further claims, as texts.
	Claims map[string]string
}

// ownClaims are those that the issuer or another member of the request sets.
var ownClaims = map[string]string{
	"iss": "the issuer sets it", "iat": "the issuer sets it", "nbf": "the issuer sets it", "jti": "the issuer sets it",
	"exp": "it follows from the time to live", "sub": "it is the subject", "scope": "it is the scope",
}

// Issue signs an access token. What it signs it also believes, unless a claim says that the token is none.
func (d *DevelopmentIssuer) Issue(r TokenRequest) (string, error) {
	if r.Subject == "" || len(r.Subject) > subjectLimit || !sane(r.Subject) {
		return "", fmt.Errorf("the subject must be a text of 1 to %d bytes without control characters", subjectLimit)
	}
	if r.TTL < time.Second {
		return "", errors.New("the time to live must be at least 1s")
	}
	// Whole seconds, as a NumericDate usually is; the token lives no longer than asked for.
	now := d.rules.now().Truncate(time.Second)
	claims := map[string]string{"iss": DevelopmentURN, "sub": r.Subject, "jti": seal.Token(128)}
	if d.rules.audience != "" {
		claims["aud"] = d.rules.audience
	}
	if scopes := strings.Fields(r.Scope); len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	if r.ClientID != "" {
		claims["client_id"] = r.ClientID
	}
	for name, value := range r.Claims {
		switch why, own := ownClaims[name]; {
		case name == "":
			return "", errors.New("a claim needs a name")
		case own:
			return "", fmt.Errorf("the claim %s cannot be set: %s", name, why)
		case name == "client_id" && r.ClientID != "":
			return "", errors.New("the claim client_id cannot be set: it is the client ID")
		case !sane(value):
			return "", fmt.Errorf("the claim %s must be a text of at most %d bytes without control characters", name, textLimit)
		}
		claims[name] = value
	}
	if !sane(claims["client_id"]) {
		return "", fmt.Errorf("the client ID must be a text of at most %d bytes without control characters", textLimit)
	}
	payload := map[string]any{"iat": now.Unix(), "exp": now.Add(r.TTL).Unix()}
	for name, value := range claims {
		payload[name] = value
	}
	return d.sign(payload)
}

func (d *DevelopmentIssuer) sign(payload map[string]any) (string, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, accessTokenType); err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	// The kid of the key comes into the header by itself.
	signed, err := jws.Sign(text, jws.WithKey(jwa.ES256(), d.signer, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	return string(signed), nil
}
