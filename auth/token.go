package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/gatehouse/gatehouse/domain/recent"
)

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// tokenLimit is far above any access token that fits into request headers.
const tokenLimit = 16 << 10

// token is a parsed JWT that has not been verified.
type token struct {
	alg, kid, typ string
	claims        claimSet
	signingInput  []byte
	signature     []byte
}

// parse parses a JWT: three parts, signed, not encrypted or nested, no header parameter that changes its meaning.
func parse(raw string) (token, error) {
	if len(raw) > tokenLimit {
		return token{}, invalid("too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token{}, invalid("not three parts")
	}
	header, err := parseObject(parts[0])
	if err != nil {
		return token{}, err
	}
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		if _, present := header[name]; present {
			return token{}, invalid("a header parameter that changes the meaning of the token")
		}
	}
	t := token{signingInput: []byte(raw[:len(parts[0])+1+len(parts[1])])}
	for name, to := range map[string]*string{"alg": &t.alg, "kid": &t.kid, "typ": &t.typ} {
		var ok bool
		if *to, ok = header.text(name); !ok {
			return token{}, invalid("a header parameter is not a valid string")
		}
	}
	if t.claims, err = parseObject(parts[1]); err != nil {
		return token{}, err
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil || len(t.signature) == 0 {
		return token{}, invalid("no signature")
	}
	return t, nil
}

func parseObject(part string) (claimSet, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, invalid("not Base64")
	}
	var out claimSet
	if json.Unmarshal(text, &out) != nil || out == nil {
		return nil, invalid("not a JSON object")
	}
	return out, nil
}

// publicKey is a verification key and the algorithms that it may be used with.
type publicKey struct {
	id   string
	algs []string
	key  any
}

// The algorithms for a key that does not specify one. Symmetric algorithms are excluded: accepting a public key as a
// shared secret would make tokens forgeable.
var (
	rsaAlgorithms     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ed25519Algorithms = []string{"EdDSA", "Ed25519"} // RFC 8037, RFC 9864
	curveAlgorithms   = map[elliptic.Curve][]string{
		elliptic.P256(): {"ES256"}, elliptic.P384(): {"ES384"}, elliptic.P521(): {"ES512"}, // RFC 7518, section 3.4
	}
)

// minRSABits is the minimum in RFC 7518, section 3.3; maxRSABits is the largest size that is fast to verify.
const minRSABits, maxRSABits = 2048, 8192

// readKey parses a JWK for verifying signatures. It returns an error if the key is malformed or intended for another
// use.
func readKey(raw []byte) (publicKey, error) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return publicKey{}, errors.New("malformed key")
	}
	if use, present := parsed.KeyUsage(); present && use != "sig" {
		return publicKey{}, errors.New("key is not for signatures")
	}
	if ops, present := parsed.KeyOps(); present && !slices.Contains(ops, jwk.KeyOpVerify) {
		return publicKey{}, errors.New("key is not for verification")
	}
	var out publicKey
	public, err := parsed.PublicKey()
	if err == nil {
		err = jwk.Export(public, &out.key)
	}
	if err != nil {
		return publicKey{}, errors.New("malformed key")
	}
	switch key := out.key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return publicKey{}, errors.New("key size not supported")
		}
		out.algs = rsaAlgorithms
	case *ecdsa.PublicKey:
		out.algs = curveAlgorithms[key.Curve]
	case ed25519.PublicKey:
		out.algs = ed25519Algorithms
	}
	if alg, present := parsed.Algorithm(); present {
		if !slices.Contains(out.algs, alg.String()) {
			return publicKey{}, errors.New("alg does not match the key")
		}
		out.algs = []string{alg.String()}
	}
	if len(out.algs) == 0 {
		return publicKey{}, errors.New("key type not supported")
	}
	out.id, _ = parsed.KeyID()
	return out, nil
}

// keySet is an immutable set of an issuer's keys, with a cache of the tokens verified with them.
type keySet struct {
	document []byte
	keys     []publicKey
	verified verifiedTokens
}

// verifies reports whether one of the keys signed the token. A key without an id may match any token.
func (s *keySet) verifies(t token) bool {
	for _, k := range s.keys {
		if t.kid != "" && k.id != "" && k.id != t.kid || !slices.Contains(k.algs, t.alg) {
			continue
		}
		if jwsbb.Verify(k.key, t.alg, t.signingInput, t.signature) == nil {
			return true
		}
	}
	return false
}

// hasKeyID reports whether the kid of the token is the id of one of the keys.
func (s *keySet) hasKeyID(t token) bool {
	return t.kid != "" && slices.ContainsFunc(s.keys, func(k publicKey) bool { return k.id == t.kid })
}

// verifiedTokens caches tokens with a valid signature, because verifying it is the most expensive step.
type verifiedTokens = recent.Cache[fingerprint, Claims]

// fingerprint identifies a token, so that the cache does not hold usable tokens.
type fingerprint [sha256.Size]byte

// asymmetric reports whether the algorithm is accepted for any kind of key.
func asymmetric(alg string) bool {
	if slices.Contains(rsaAlgorithms, alg) || slices.Contains(ed25519Algorithms, alg) {
		return true
	}
	for _, algs := range curveAlgorithms {
		if slices.Contains(algs, alg) {
			return true
		}
	}
	return false
}
