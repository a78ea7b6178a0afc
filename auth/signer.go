package auth

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
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"

	"github.com/gatehouse/gatehouse/domain"
)

// The algorithms for session and template tokens. RS256 is the one that all of the vendor's verifiers accept (client
// session API, verifiers to satisfy).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// KeyRole is the role of a signing key. At most one key is current, and at most one is next.
type KeyRole string

// The roles in the order of a key's life cycle.
const (
	// KeyNext is published but does not sign yet, so that verifiers have it before its first token.
	KeyNext KeyRole = "next"
	// KeyCurrent signs tokens.
	KeyCurrent KeyRole = "current"
	// KeyOld no longer signs. Its private key is destroyed; the public key is published until its last token has
	// expired.
	KeyOld KeyRole = "old"
)

// StoredKey is a signing key as stored in the KeyStore.
type StoredKey struct {
	// ID is the kid.
	ID string
	// Algorithm is RS256, ES256 or EdDSA.
	Algorithm string
	Role      string
	// Public is the public key as a JWK.
	Public []byte
	// Private is the private key as a JWK; nil for an old key.
	Private   []byte
	CreatedAt time.Time
	// SignsFrom is when the key became current, and RetiredAt when it became old; zero before that.
	SignsFrom, RetiredAt time.Time
	// LastExpiry is a time by which all of its tokens have expired; zero if it has not signed any.
	LastExpiry time.Time
}

// KeyChange moves keys to their next role in one transaction.
type KeyChange struct {
	// Drop is the id of a next key to delete: it has not signed anything.
	Drop string
	// Retire is the id of the current key that becomes old.
	Retire string
	// Promote is the id of the next key that becomes current.
	Promote string
	// Add holds new keys, next or current.
	Add []StoredKey
	// At is the current time.
	At time.Time
	// Forget deletes the old keys that were retired, and whose tokens had expired, by this time.
	Forget time.Time
}

// KeyStore stores the signing keys that all instances share.
type KeyStore interface {
	// SigningKeys returns all keys.
	SigningKeys(ctx context.Context) ([]StoredKey, error)
	// ChangeSigningKeys returns domain.ErrStale, and changes nothing, if a key is not in the role that the change
	// expects, or if the role of an added key is taken.
	ChangeSigningKeys(ctx context.Context, change KeyChange) error
	// ExtendSigningKey raises the LastExpiry of a key to at least lastExpiry. It returns domain.ErrMissing if the key
	// does not exist.
	ExtendSigningKey(ctx context.Context, id string, lastExpiry time.Time) error
}

// SignerConfig configures a Signer.
type SignerConfig struct {
	Store KeyStore
	// KeyedHash returns a keyed hash that differs for each purpose. The key of client tokens is one.
	KeyedHash func(purpose string, parts ...string) []byte
	// Algorithm is the algorithm of new keys: RS256, ES256 or EdDSA.
	Algorithm string
	// Now returns the current time.
	Now func() time.Time
	// Log receives failures to reload the keys; if nil, they are discarded.
	Log *slog.Logger
}

// Signer issues the tokens of sessions, JWT templates and clients. It implements domain.Signer.
//
// The keys are stored in the database. A running server applies a change made by a command or another instance at its
// next use of the keys, after at most maxKeyAge. docs/decisions/0004-signing-keys.md describes the life cycle of the
// keys.
type Signer struct {
	store     KeyStore
	algorithm string
	now       func() time.Time
	log       *slog.Logger
	// clientKey returns the key that signs client tokens.
	clientKey func() []byte

	keys atomic.Pointer[keyState]
	// mu must be held to reload the keys.
	mu sync.Mutex
}

var _ domain.Signer = (*Signer)(nil)

const (
	// maxKeyAge is the maximum age of the keys in memory.
	maxKeyAge = 250 * time.Millisecond
	// reloadTimeout is how long a caller waits for newer keys, and reloadRetry the pause after a failed reload.
	reloadTimeout, reloadRetry = time.Second, time.Second
	// keyMargin is how long an old key remains published after its last token has expired: verifiers tolerate clock
	// differences of some seconds (client session API, verifiers to satisfy: 5 seconds).
	keyMargin = 10 * time.Second
	// maxExtension limits how far LastExpiry may exceed the expiry of the last token.
	maxExtension = time.Hour
	// maxKeyAttempts is how often a change of keys is attempted under concurrent changes.
	maxKeyAttempts = 8
)

// NewSigner returns a signer. It does not read or create keys until Start is called.
func NewSigner(c SignerConfig) *Signer {
	s := &Signer{store: c.Store, algorithm: c.Algorithm, now: c.Now, log: c.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.clientKey = sync.OnceValue(func() []byte { return c.KeyedHash("client token key") })
	return s
}

// keyState is an immutable snapshot of the keys in the database.
type keyState struct {
	current   *signingKey
	published []publishedKey
	// refreshAt is when the snapshot must be reloaded.
	refreshAt time.Time
}

// publishedKey is an entry of the JWKS.
type publishedKey struct {
	document json.RawMessage
	// until is when the key leaves the JWKS; zero for a key that is not old.
	until time.Time
}

// signingKey is the current key, ready to sign.
type signingKey struct {
	id, alg string
	private crypto.Signer
	// lastExpiry is a lower bound, in Unix seconds, of LastExpiry in the database.
	lastExpiry atomic.Int64
	// extendMu must be held to extend LastExpiry in the database.
	extendMu sync.Mutex
}

// Start creates missing keys: the first ones, or those of a newly configured algorithm. If several instances start
// without keys, one creates them and all use the same ones.
func (s *Signer) Start(ctx context.Context) error {
	spare := map[KeyRole]StoredKey{}
	for range maxKeyAttempts {
		stored, err := s.store.SigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("signing keys: %w", err)
		}
		change, roles := s.missing(stored)
		if len(roles) == 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.use(stored)
		}
		if change.Add, err = s.newKeys(roles, s.algorithm, spare); err != nil {
			return fmt.Errorf("signing keys: %w", err)
		}
		if err := s.store.ChangeSigningKeys(ctx, change); err != nil && !errors.Is(err, domain.ErrStale) {
			return fmt.Errorf("signing keys: %w", err)
		}
	}
	return errors.New("signing keys: other instances keep changing them; do all have the same GATEHOUSE_SESSION_TOKEN_ALG?")
}

// missing returns the roles for which a key must be created, and the change to the existing keys.
func (s *Signer) missing(stored []StoredKey) (change KeyChange, roles []KeyRole) {
	current, next := inRole(stored, KeyCurrent), inRole(stored, KeyNext)
	change = s.change()
	usable := func(k *StoredKey) bool { return k != nil && k.Algorithm == s.algorithm }
	switch {
	case usable(current) && usable(next):
		return KeyChange{}, nil
	case usable(current):
		roles = []KeyRole{KeyNext}
	case usable(next):
		// Verifiers already have this key.
		change.Promote = next.ID
		roles = []KeyRole{KeyNext}
	default:
		roles = []KeyRole{KeyCurrent, KeyNext}
	}
	if current != nil && !usable(current) {
		change.Retire = current.ID
	}
	if next != nil && !usable(next) {
		change.Drop = next.ID
	}
	return change, roles
}

func (s *Signer) change() KeyChange {
	now := s.now()
	return KeyChange{At: now, Forget: now.Add(-keyMargin)}
}

func inRole(stored []StoredKey, role KeyRole) *StoredKey {
	for i := range stored {
		if stored[i].Role == string(role) {
			return &stored[i]
		}
	}
	return nil
}

// newKeys returns a key for each role, from spare if it holds one, and otherwise newly generated. It generates them
// concurrently, because generating an RSA key is slow.
func (s *Signer) newKeys(roles []KeyRole, algorithm string, spare map[KeyRole]StoredKey) ([]StoredKey, error) {
	out, errs := make([]StoredKey, len(roles)), make([]error, len(roles))
	var wg sync.WaitGroup
	for i, role := range roles {
		if k, ok := spare[role]; ok {
			out[i] = k
			continue
		}
		wg.Go(func() { out[i], errs[i] = newSigningKey(algorithm, role, s.now()) })
	}
	wg.Wait()
	for i, role := range roles {
		spare[role] = out[i]
	}
	return out, errors.Join(errs...)
}

// newSigningKey generates a key. The vendor's verifiers read only RSA keys of 2048 bits from PEM.
func newSigningKey(algorithm string, role KeyRole, now time.Time) (StoredKey, error) {
	var private any
	var err error
	switch algorithm {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("%q is not an algorithm for session tokens", algorithm)
	}
	if err != nil {
		return StoredKey{}, err
	}
	key, err := jwk.Import(private)
	if err != nil {
		return StoredKey{}, err
	}
	out := StoredKey{ID: domain.NewID("ins", now), Algorithm: algorithm, Role: string(role), CreatedAt: now}
	if role == KeyCurrent {
		out.SignsFrom = now
	}
	alg, _ := jwa.LookupSignatureAlgorithm(algorithm)
	for name, value := range map[string]any{jwk.KeyIDKey: out.ID, jwk.AlgorithmKey: alg, jwk.KeyUsageKey: "sig"} {
		if err := key.Set(name, value); err != nil {
			return StoredKey{}, err
		}
	}
	public, err := key.PublicKey()
	if err != nil {
		return StoredKey{}, err
	}
	if out.Public, err = json.Marshal(public); err != nil {
		return StoredKey{}, err
	}
	out.Private, err = json.Marshal(key)
	return out, err
}

// use replaces the keys in use by the stored keys. The caller must hold mu.
func (s *Signer) use(stored []StoredKey) error {
	current := inRole(stored, KeyCurrent)
	if current == nil {
		return errors.New("auth: there is no signing key")
	}
	state := &keyState{refreshAt: s.now().Add(maxKeyAge)}
	if previous := s.keys.Load(); previous != nil && previous.current.id == current.ID {
		state.current = previous.current
	} else {
		private, err := readPrivate(current)
		if err != nil {
			return err
		}
		state.current = &signingKey{id: current.ID, alg: current.Algorithm, private: private}
	}
	if !current.LastExpiry.IsZero() {
		state.current.raiseLastExpiry(current.LastExpiry.Unix())
	}
	// The current key comes first, for clients that use the first key of a set.
	for _, role := range []KeyRole{KeyCurrent, KeyNext, KeyOld} {
		for _, k := range stored {
			if k.Role == string(role) {
				state.published = append(state.published, publishedKey{json.RawMessage(k.Public), k.PublishedUntil()})
			}
		}
	}
	s.keys.Store(state)
	return nil
}

// raiseLastExpiry raises the lower bound of LastExpiry in the database.
func (k *signingKey) raiseLastExpiry(lastExpiry int64) {
	for {
		current := k.lastExpiry.Load()
		if lastExpiry <= current || k.lastExpiry.CompareAndSwap(current, lastExpiry) {
			return
		}
	}
}

// PublishedUntil returns when an old key leaves the JWKS; zero for the others.
func (k StoredKey) PublishedUntil() time.Time {
	if k.Role != string(KeyOld) {
		return time.Time{}
	}
	// An instance that has not reloaded yet may still sign its first token with this key.
	last := k.RetiredAt
	if k.LastExpiry.After(last) {
		last = k.LastExpiry
	}
	return last.Add(keyMargin)
}

func readPrivate(k *StoredKey) (crypto.Signer, error) {
	parsed, err := jwk.ParseKey(k.Private)
	var raw any
	if err == nil {
		err = jwk.Export(parsed, &raw)
	}
	private, ok := raw.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("auth: the signing key %s is damaged", k.ID) // the parser's error may contain a part of the key
	}
	if key, ok := raw.(*rsa.PrivateKey); ok {
		key.Precompute()
	}
	return private, nil
}

// state returns the keys, at most maxKeyAge old. While the database is unavailable, the last known keys remain in use.
func (s *Signer) state(ctx context.Context) (*keyState, error) {
	cached := s.keys.Load()
	if cached != nil && s.now().Before(cached.refreshAt) {
		return cached, nil
	}
	if cached == nil {
		s.mu.Lock()
	} else if !s.mu.TryLock() {
		return cached, nil // another goroutine is reloading
	}
	defer s.mu.Unlock()
	if now := s.keys.Load(); now != cached {
		return now, nil
	}
	err := s.reload(ctx)
	if err != nil && cached != nil {
		s.log.WarnContext(ctx, "the signing keys could not be read again; those in memory stay in use", "error", err)
		postponed := *cached
		postponed.refreshAt = s.now().Add(reloadRetry)
		s.keys.Store(&postponed)
		return &postponed, nil
	}
	return s.keys.Load(), err
}

// reload reads the keys from the database. The caller must hold mu.
func (s *Signer) reload(ctx context.Context) error {
	// Cancelled callers must not count as failures of the database.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	return s.use(stored)
}

// cat distinguishes the kinds of tokens (client session API, session token header).
var cat = map[domain.TokenKind]string{
	domain.TokenSession:  "cl_B7d4PD111AAA",
	domain.TokenTemplate: "cl_B7d4PD222AAA",
}

// Sign issues a token. Session and template tokens require the claims iat and exp.
func (s *Signer) Sign(ctx context.Context, kind domain.TokenKind, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("auth: sign %s token: %w", kind, err)
	}
	if kind == domain.TokenClient {
		return s.signClient(payload), nil
	}
	class, ok := cat[kind]
	iat, hasIat := claims["iat"].(int64)
	exp, hasExp := claims["exp"].(int64)
	if !ok || !hasIat || !hasExp {
		return "", fmt.Errorf("auth: sign %s token: unknown kind, or missing iat or exp", kind)
	}
	for range maxKeyAttempts {
		state, err := s.state(ctx)
		if err != nil {
			return "", err
		}
		key := state.current
		if err := s.extendExpiry(ctx, key, iat, exp); errors.Is(err, domain.ErrMissing) {
			s.invalidate(state) // the key was retired so long ago that it has been deleted
			continue
		} else if err != nil {
			return "", err
		}
		// None of the values contains a character that JSON must escape.
		header := `{"alg":"` + key.alg + `","cat":"` + class + `","kid":"` + key.id + `","oiat":` + strconv.FormatInt(iat, 10) + `,"typ":"JWT"}`
		return compactJWS(header, payload, func(signed []byte) ([]byte, error) {
			return jwsbb.Sign(key.private, key.alg, signed, rand.Reader)
		})
	}
	return "", errors.New("auth: the signing keys are changing too often")
}

// extendExpiry ensures, before the token exists, that the key remains published until the token has expired. It stores
// a time further ahead, by the lifetime of the token up to one hour, so that only few tokens cause a write.
func (s *Signer) extendExpiry(ctx context.Context, key *signingKey, iat, exp int64) error {
	if exp <= key.lastExpiry.Load() {
		return nil
	}
	key.extendMu.Lock()
	defer key.extendMu.Unlock()
	if exp <= key.lastExpiry.Load() {
		return nil
	}
	ahead := exp + min(max(exp-iat, 1), int64(maxExtension/time.Second))
	if err := s.store.ExtendSigningKey(ctx, key.id, time.Unix(ahead, 0).UTC()); err != nil {
		return err
	}
	key.raiseLastExpiry(ahead)
	return nil
}

// invalidate forces a reload at the next use of the keys.
func (s *Signer) invalidate(state *keyState) {
	expired := *state
	expired.refreshAt = time.Time{}
	s.keys.CompareAndSwap(state, &expired)
}

// compactJWS returns a JWS in compact serialization.
func compactJWS(header string, payload []byte, sign func([]byte) ([]byte, error)) (string, error) {
	enc := base64.RawURLEncoding
	out := make([]byte, 0, enc.EncodedLen(len(header))+enc.EncodedLen(len(payload))+350)
	out = append(enc.AppendEncode(out, []byte(header)), '.')
	out = enc.AppendEncode(out, payload)
	signature, err := sign(out)
	if err != nil {
		return "", fmt.Errorf("auth: sign: %w", err)
	}
	return string(enc.AppendEncode(append(out, '.'), signature)), nil
}

// clientTokenType is the header typ of a client token. Verifiers of other tokens reject it: it is signed with a key
// that is not in any JWKS, and with an algorithm that none of them accepts.
const clientTokenType = "client+jwt"

const clientTokenHeader = `{"alg":"HS256","typ":"` + clientTokenType + `"}`

func (s *Signer) signClient(payload []byte) string {
	token, _ := compactJWS(clientTokenHeader, payload, func(signed []byte) ([]byte, error) { return s.mac(signed), nil })
	return token
}

func (s *Signer) mac(signed []byte) []byte {
	h := hmac.New(sha256.New, s.clientKey())
	h.Write(signed)
	return h.Sum(nil)
}

// OpenClientToken returns the id of the client in a client token issued by Sign. It returns domain.ErrMissing for any
// other token.
func (s *Signer) OpenClientToken(_ context.Context, raw string) (string, error) {
	t, err := parse(raw)
	if err != nil || t.alg != "HS256" || t.typ != clientTokenType || t.kid != "" || !hmac.Equal(t.signature, s.mac(t.signingInput)) {
		return "", domain.ErrMissing
	}
	// The signature proves that Sign issued the token. The claims must still be complete and valid.
	id, ok := t.claims.text("id")
	rotating, ok2 := t.claims.text("rotating_token")
	issued, ok3 := t.claims.time("iat")
	if !ok || !ok2 || !ok3 || id == "" || rotating == "" || issued.IsZero() || issued.After(s.now().Add(startLeeway)) {
		return "", domain.ErrMissing
	}
	return id, nil
}

// JWKS returns the public keys: the current one, the next one, and the old ones that may still have valid tokens.
func (s *Signer) JWKS(ctx context.Context) ([]byte, error) {
	state, err := s.state(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	first := true
	for _, k := range state.published {
		if !k.until.IsZero() && !now.Before(k.until) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(k.document)
	}
	b.WriteString("]}\n")
	return b.Bytes(), nil
}

// Keys returns the published keys, the next one first, without their private keys.
func (s *Signer) Keys(ctx context.Context) ([]StoredKey, error) {
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	var out []StoredKey
	for _, role := range []KeyRole{KeyNext, KeyCurrent, KeyOld} {
		for _, k := range stored {
			if until := k.PublishedUntil(); k.Role == string(role) && (until.IsZero() || s.now().Before(until)) {
				k.Private = nil
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// ErrRotated is returned by Rotate if the keys were changed concurrently.
var ErrRotated = errors.New("the keys were changed concurrently; check them before you try again")

// Rotate makes the next key, which verifiers already have, the current one, publishes a new next key, and destroys the
// private key of the previous one. If there are no keys yet, it creates the first ones. It returns the current key.
func (s *Signer) Rotate(ctx context.Context) (StoredKey, error) {
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return StoredKey{}, fmt.Errorf("signing keys: %w", err)
	}
	current, next := inRole(stored, KeyCurrent), inRole(stored, KeyNext)
	if current == nil || next == nil {
		if err := s.Start(ctx); err != nil {
			return StoredKey{}, err
		}
		if stored, err = s.store.SigningKeys(ctx); err != nil {
			return StoredKey{}, err
		}
		if current = inRole(stored, KeyCurrent); current == nil {
			return StoredKey{}, ErrRotated
		}
		return *current, nil
	}
	change := s.change()
	change.Retire, change.Promote = current.ID, next.ID
	// The servers' algorithm, which the command does not need to have configured.
	if change.Add, err = s.newKeys([]KeyRole{KeyNext}, next.Algorithm, map[KeyRole]StoredKey{}); err != nil {
		return StoredKey{}, fmt.Errorf("signing keys: %w", err)
	}
	switch err := s.store.ChangeSigningKeys(ctx, change); {
	case errors.Is(err, domain.ErrStale):
		return StoredKey{}, ErrRotated
	case err != nil:
		return StoredKey{}, fmt.Errorf("signing keys: %w", err)
	}
	promoted := *next
	promoted.Role, promoted.SignsFrom, promoted.Private = string(KeyCurrent), change.At, nil
	return promoted, nil
}
