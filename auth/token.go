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

// tokenLimit is far above any access token that fits into a request's headers.
const tokenLimit = 16 << 10

// token is a JWT taken apart. Nothing in it is believed yet.
type token struct {
	alg, kid, typ string
	claims        claimSet
	signed        []byte
	signature     []byte
}

// parse takes a JWT apart: three parts, signed, not encrypted, not nested, with no header that changes its meaning.
func parse(raw string) (token, error) {
	if len(raw) > tokenLimit {
		return token{}, invalid("too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token{}, invalid("not three parts")
	}
	header, err := object(parts[0])
	if err != nil {
		return token{}, err
	}
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		if _, there := header[name]; there {
			return token{}, invalid("a header that changes what the token means")
		}
	}
	t := token{signed: []byte(raw[:len(parts[0])+1+len(parts[1])])}
	for name, to := range map[string]*string{"alg": &t.alg, "kid": &t.kid, "typ": &t.typ} {
		var ok bool
		if *to, ok = header.text(name); !ok {
			return token{}, invalid("a header is no usable text")
		}
	}
	if t.claims, err = object(parts[1]); err != nil {
		return token{}, err
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil || len(t.signature) == 0 {
		return token{}, invalid("no signature")
	}
	return t, nil
}

func object(part string) (claimSet, error) {
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

// publicKey is a key that verifies tokens, and the algorithms it may be used with.
type publicKey struct {
	id   string
	algs []string
	key  any
}

// What a key can be used with where it does not say. Symmetric algorithms are in none of them: a public key taken for
// a shared secret is how tokens are forged.
var (
	rsaAlgorithms     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ed25519Algorithms = []string{"EdDSA", "Ed25519"} // RFC 8037, RFC 9864
	curveAlgorithms   = map[elliptic.Curve][]string{
		elliptic.P256(): {"ES256"}, elliptic.P384(): {"ES384"}, elliptic.P521(): {"ES512"}, // RFC 7518, section 3.4
	}
)

// rsaBits is the least that RFC 7518, section 3.3, allows, rsaBitsLimit the most that is quick to verify.
const rsaBits, rsaBitsLimit = 2048, 8192

// readKey reads a JWK that verifies signatures; an error where it is malformed or meant for something else.
func readKey(raw []byte) (publicKey, error) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return publicKey{}, errors.New("malformed key")
	}
	if use, there := parsed.KeyUsage(); there && use != "sig" {
		return publicKey{}, errors.New("key for another use")
	}
	if ops, there := parsed.KeyOps(); there && !slices.Contains(ops, jwk.KeyOpVerify) {
		return publicKey{}, errors.New("key for another operation")
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
		if bits := key.N.BitLen(); bits < rsaBits || bits > rsaBitsLimit {
			return publicKey{}, errors.New("key of a wrong size")
		}
		out.algs = rsaAlgorithms
	case *ecdsa.PublicKey:
		out.algs = curveAlgorithms[key.Curve]
	case ed25519.PublicKey:
		out.algs = ed25519Algorithms
	}
	if alg, there := parsed.Algorithm(); there {
		if !slices.Contains(out.algs, alg.String()) {
			return publicKey{}, errors.New("key with another algorithm")
		}
		out.algs = []string{alg.String()}
	}
	if len(out.algs) == 0 {
		return publicKey{}, errors.New("key of another kind")
	}
	out.id, _ = parsed.KeyID()
	return out, nil
}

// keySet is an issuer's keys at one time, and the tokens that were believed with them. It does not change.
type keySet struct {
	document []byte
	keys     []publicKey
	believed believed
}

// signed reports whether one of the keys has signed the token. A key that has no id can be that of any token.
func (s *keySet) signed(t token) bool {
	for _, k := range s.keys {
		if t.kid != "" && k.id != "" && k.id != t.kid || !slices.Contains(k.algs, t.alg) {
			continue
		}
		if jwsbb.Verify(k.key, t.alg, t.signed, t.signature) == nil {
			return true
		}
	}
	return false
}

// knows reports whether the token names one of the keys.
func (s *keySet) knows(t token) bool {
	return t.kid != "" && slices.ContainsFunc(s.keys, func(k publicKey) bool { return k.id == t.kid })
}

// believed remembers tokens whose signature was good, for that check costs the most.
type believed = recent.Cache[fingerprint, Claims]

// fingerprint stands for a token, so that no memory holds tokens that could be used.
type fingerprint [sha256.Size]byte

// asymmetric reports whether an algorithm is one of those that are accepted at all.
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
