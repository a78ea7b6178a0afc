package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

// VerificationKeys stores the private key that all instances share.
type VerificationKeys interface {
	// VerificationKey returns the stored key. If there is none, it stores and returns fresh.
	VerificationKey(ctx context.Context, fresh []byte) ([]byte, error)
}

// Attester signs verification tokens: statements of the institution on whether a contact was verified. Its key is
// different from those of session tokens, and so is the type of the token, so that the two cannot be confused.
type Attester struct {
	keys VerificationKeys
	mu   sync.Mutex
	key  *ecdsa.PrivateKey
	id   string
}

// NewAttester returns an attester; the key is loaded at first use.
func NewAttester(keys VerificationKeys) *Attester { return &Attester{keys: keys} }

// coordinateSize is the size in bytes of a coordinate on the curve P-256.
const coordinateSize = 32

func (a *Attester) load(ctx context.Context) (*ecdsa.PrivateKey, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key != nil {
		return a.key, a.id, nil
	}
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(fresh)
	if err != nil {
		return nil, "", err
	}
	if raw, err = a.keys.VerificationKey(ctx, raw); err != nil {
		return nil, "", err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, "", errors.New("auth: the verification key cannot be parsed")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, "", errors.New("auth: the verification key is not an ES256 key")
	}
	x, y, err := point(&key.PublicKey)
	if err != nil {
		return nil, "", err
	}
	// RFC 7638: the required members of the key in lexicographic order.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))
	a.key, a.id = key, base64.RawURLEncoding.EncodeToString(sum[:])
	return a.key, a.id, nil
}

// point returns the coordinates of a public key in JWK encoding.
func point(key *ecdsa.PublicKey) (x, y string, err error) {
	raw, err := key.Bytes()
	if err != nil || len(raw) != 1+2*coordinateSize {
		return "", "", errors.New("auth: the verification key is not a valid point")
	}
	return base64.RawURLEncoding.EncodeToString(raw[1 : 1+coordinateSize]), base64.RawURLEncoding.EncodeToString(raw[1+coordinateSize:]), nil
}

// Attest signs claims. The same claims yield the same token, because an unchanged resource must have an unchanged
// representation.
func (a *Attester) Attest(ctx context.Context, claims map[string]any) (string, error) {
	key, id, err := a.load(ctx)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"`+id+`","typ":"verification+jwt"}`)) +
		"." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(text))
	// Without a source of randomness the signature is deterministic (RFC 6979).
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return "", err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return "", err
	}
	signature := make([]byte, 2*coordinateSize)
	pair.R.FillBytes(signature[:coordinateSize])
	pair.S.FillBytes(signature[coordinateSize:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// JWKS returns the public key as a JWK set.
func (a *Attester) JWKS(ctx context.Context) ([]byte, error) {
	key, id, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	x, y, err := point(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": x, "y": y},
	}})
}
