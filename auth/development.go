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
	// DevelopmentURN is the iss of tokens from the development issuer.
	DevelopmentURN = "urn:gatehouse:development-issuer"
	// developmentFile is the name of the key file in the data directory.
	developmentFile = "dev-issuer.jwk"
	// accessTokenType is the header typ of an access token (RFC 9068, section 2.1).
	accessTokenType = "at+jwt"
)

// DevelopmentConfig configures a development issuer.
type DevelopmentConfig struct {
	// Dir is the data directory. All processes that share it share the issuer.
	Dir string
	// Audience is the aud of issued tokens, and the one required of verified tokens; empty for no audience.
	Audience string
	// Now returns the current time.
	Now func() time.Time
}

// DevelopmentIssuer issues and verifies access tokens for a developer's own server. Its key is created once, stored in
// a file in the data directory, and not used for anything else.
type DevelopmentIssuer struct {
	rules  rules
	signer jwk.Key
	keys   *keySet
}

// OpenDevelopmentIssuer loads the issuer's key and creates it if it does not exist.
func OpenDevelopmentIssuer(c DevelopmentConfig) (*DevelopmentIssuer, error) {
	path := filepath.Join(c.Dir, developmentFile)
	raw, err := seal.CreateOnce(path, newDevelopmentKey)
	if err != nil {
		return nil, fmt.Errorf("development issuer: %w", err)
	}
	signer, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("development issuer: %s is not a key", path)
	}
	var key any
	err = jwk.Export(signer, &key)
	if private, ok := key.(*ecdsa.PrivateKey); err != nil || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("development issuer: %s is not an ES256 private key", path)
	}
	public, err := readKey(raw)
	if err != nil || public.id == "" {
		return nil, fmt.Errorf("development issuer: %s is not a signing key with a kid", path)
	}
	return &DevelopmentIssuer{
		// No leeway: issuer and verifier run on the same data directory, and a token issued for one second must expire
		// after one second.
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
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey:     base64.RawURLEncoding.EncodeToString(thumbprint),
		jwk.AlgorithmKey: jwa.ES256(),
		jwk.KeyUsageKey:  "sig",
	} {
		if err := key.Set(name, value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(key)
}

// Verify accepts the tokens of Issue and no others.
func (d *DevelopmentIssuer) Verify(_ context.Context, raw string) (Claims, error) {
	digest := fingerprint(sha256.Sum256([]byte(raw)))
	if claims, ok := d.keys.verified.Get(digest); ok {
		return checkCached(d.rules, d.keys, digest, claims)
	}
	t, err := parse(raw)
	if err != nil {
		return Claims{}, err
	}
	claims, err := d.rules.read(t)
	if err != nil {
		return Claims{}, err
	}
	if !d.keys.hasKeyID(t) || !d.keys.verifies(t) {
		return Claims{}, invalid("not signed by the issuer")
	}
	if err := d.rules.checkTime(claims); err != nil {
		return Claims{}, err
	}
	d.keys.verified.Add(digest, claims)
	return claims, nil
}

// checkCached checks the time of a token whose signature was verified before.
func checkCached(r rules, keys *keySet, digest fingerprint, claims Claims) (Claims, error) {
	if err := r.checkTime(claims); err != nil {
		keys.verified.Forget(digest)
		return Claims{}, err
	}
	return claims, nil
}

// TokenRequest describes the token to issue.
type TokenRequest struct {
	// Subject is sub.
	Subject string
	// Scope is scope: space-separated scopes.
	Scope string
	// ClientID is client_id.
	ClientID string
	// TTL is the lifetime of the token.
	TTL time.Duration
	// Claims holds additional string claims.
	Claims map[string]string
}

// reservedClaims lists the claims that cannot be set through TokenRequest.Claims, with the reason.
var reservedClaims = map[string]string{
	"iss": "the issuer sets it", "iat": "the issuer sets it", "nbf": "the issuer sets it", "jti": "the issuer sets it",
	"exp": "it follows from the time to live", "sub": "it is the subject", "scope": "it is the scope",
}

// Issue signs an access token. Verify accepts it, unless an additional claim marks it as a token of another kind.
func (d *DevelopmentIssuer) Issue(r TokenRequest) (string, error) {
	if r.Subject == "" || len(r.Subject) > subjectLimit || !validText(r.Subject) {
		return "", fmt.Errorf("the subject must be a string of 1 to %d bytes without control characters", subjectLimit)
	}
	if r.TTL < time.Second {
		return "", errors.New("the time to live must be at least 1s")
	}
	// Whole seconds, as is usual for a NumericDate; rounding down keeps the lifetime within TTL.
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
		switch why, reserved := reservedClaims[name]; {
		case name == "":
			return "", errors.New("the name of a claim must not be empty")
		case reserved:
			return "", fmt.Errorf("the claim %s cannot be set: %s", name, why)
		case name == "client_id" && r.ClientID != "":
			return "", errors.New("the claim client_id cannot be set: it is the client ID")
		case !validText(value):
			return "", fmt.Errorf("the claim %s must be a string of at most %d bytes without control characters", name, textLimit)
		}
		claims[name] = value
	}
	if !validText(claims["client_id"]) {
		return "", fmt.Errorf("the client ID must be a string of at most %d bytes without control characters", textLimit)
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
	// jws.Sign sets the header kid from the key.
	signed, err := jws.Sign(text, jws.WithKey(jwa.ES256(), d.signer, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	return string(signed), nil
}
