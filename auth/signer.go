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

// The algorithms that session and template tokens can be signed with. RS256 is the one that the vendor's verifiers
// all accept (client session API, verifiers to satisfy).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// KeyRole is what a signing key does. At most one is current, and at most one is next.
type KeyRole string

// The roles of keys, in the order of their lives.
const (
	// KeyNext is published and does not sign yet, so that verifiers know it before its first token.
	KeyNext KeyRole = "next"
	// KeyCurrent signs.
	KeyCurrent KeyRole = "current"
	// KeyOld signs no more. Its private half is gone; it is published until its last token is over.
	KeyOld KeyRole = "old"
)

// StoredKey is a signing key as the KeyStore keeps it.
type StoredKey struct {
	// ID is the kid.
	ID string
	// Algorithm is RS256, ES256 or EdDSA.
	Algorithm string
	Role      string
	// Public is the key as it stands in the JWKS.
	Public []byte
	// Private is a JWK; nil for an old key.
	Private   []byte
	CreatedAt time.Time
	// SignsFrom and RetiredAt are when it became the current key, and an old one; zero while it has not.
	SignsFrom, RetiredAt time.Time
	// LastExpiry is a time at which all its tokens are over; zero while it has signed none.
	LastExpiry time.Time
}

// KeyChange moves keys from one role to the next, in one transaction.
type KeyChange struct {
	// Drop is a next key that is given up: it has signed nothing.
	Drop string
	// Retire is the current key that becomes an old one.
	Retire string
	// Promote is the next key that becomes the current one.
	Promote string
	// Add are new keys, next or current.
	Add []StoredKey
	// At is now.
	At time.Time
	// Forget removes the old keys whose tokens were over, and which were retired, at this time.
	Forget time.Time
}

// KeyStore keeps the signing keys that all instances share.
type KeyStore interface {
	// SigningKeys gives all keys.
	SigningKeys(ctx context.Context) ([]StoredKey, error)
	// ChangeSigningKeys fails with domain.ErrStale, and changes nothing, where a key is not in the role that the
	// change expects, or where the role of an added key is taken.
	ChangeSigningKeys(ctx context.Context, change KeyChange) error
	// ExtendSigningKey makes LastExpiry of a key at least this; domain.ErrMissing where the key is gone.
	ExtendSigningKey(ctx context.Context, id string, lastExpiry time.Time) error
}

// SignerConfig is what a Signer works with.
type SignerConfig struct {
	Store KeyStore
	// KeyedHash is a keyed hash, different for each purpose. The key of client tokens is one.
	KeyedHash func(purpose string, parts ...string) []byte
	// Algorithm is that of new keys: RS256, ES256 or EdDSA.
	Algorithm string
	// Now is the clock.
	Now func() time.Time
	// Log hears when the keys could not be read again; nil: nobody does.
	Log *slog.Logger
}

// Signer makes the tokens of sessions, JWT templates and clients. It implements domain.Signer.
//
// The keys are in the database, and each instance follows it: what is told by a command or by another instance is
// known to a running server at its next use of the keys, followEvery later at most. docs/decisions/0004-signing-keys.md
// says how keys come and go.
type Signer struct {
	store     KeyStore
	algorithm string
	now       func() time.Time
	log       *slog.Logger
	// clientKey signs client tokens.
	clientKey func() []byte

	keys atomic.Pointer[keyState]
	// mu is held by the one who reads the keys again.
	mu sync.Mutex
}

var _ domain.Signer = (*Signer)(nil)

const (
	// followEvery is how old the keys in memory may be.
	followEvery = 250 * time.Millisecond
	// followDeadline is how long a caller waits for newer keys, followPause when the next one does after a failure.
	followDeadline, followPause = time.Second, time.Second
	// keyMargin is how long an old key is published after its last token is over: verifiers allow for clocks that
	// differ by some seconds (client session API, verifiers to satisfy: 5 seconds).
	keyMargin = 10 * time.Second
	// slackLimit bounds by how much LastExpiry may lie after the last token.
	slackLimit = time.Hour
	// keyTries is how often a change of keys is tried that others got in the way of.
	keyTries = 8
)

// NewSigner gives a signer. Nothing is read or made yet: Start does that.
func NewSigner(c SignerConfig) *Signer {
	s := &Signer{store: c.Store, algorithm: c.Algorithm, now: c.Now, log: c.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.clientKey = sync.OnceValue(func() []byte { return c.KeyedHash("client token key") })
	return s
}

// keyState are the keys as the database had them. It does not change.
type keyState struct {
	current   *signingKey
	published []publishedKey
	// again is when they are read again.
	again time.Time
}

// publishedKey is an entry of the JWKS.
type publishedKey struct {
	document json.RawMessage
	// until is zero for a key that is not old.
	until time.Time
}

// signingKey is the current key, ready to sign.
type signingKey struct {
	id, alg string
	private crypto.Signer
	// lastExpiry is what the database has at least, in seconds.
	lastExpiry atomic.Int64
	// extending is held by the one who moves it.
	extending sync.Mutex
}

// Start makes the keys that are missing: the first ones, and those of another algorithm than was configured before.
// Of several instances that find none, one makes them and all use the same.
func (s *Signer) Start(ctx context.Context) error {
	spare := map[KeyRole]StoredKey{}
	for range keyTries {
		stored, err := s.store.SigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("signing keys: %w", err)
		}
		change, wanted := s.missing(stored)
		if len(wanted) == 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.take(stored)
		}
		if change.Add, err = s.draw(wanted, s.algorithm, spare); err != nil {
			return fmt.Errorf("signing keys: %w", err)
		}
		if err := s.store.ChangeSigningKeys(ctx, change); err != nil && !errors.Is(err, domain.ErrStale) {
			return fmt.Errorf("signing keys: %w", err)
		}
	}
	return errors.New("signing keys: other instances keep changing them; do all have the same GATEHOUSE_SESSION_TOKEN_ALG?")
}

// missing says which keys are to be made, and what becomes of those that are there.
func (s *Signer) missing(stored []StoredKey) (change KeyChange, wanted []KeyRole) {
	current, next := inRole(stored, KeyCurrent), inRole(stored, KeyNext)
	change = s.change()
	good := func(k *StoredKey) bool { return k != nil && k.Algorithm == s.algorithm }
	switch {
	case good(current) && good(next):
		return KeyChange{}, nil
	case good(current):
		wanted = []KeyRole{KeyNext}
	case good(next):
		// Verifiers know this one already.
		change.Promote = next.ID
		wanted = []KeyRole{KeyNext}
	default:
		wanted = []KeyRole{KeyCurrent, KeyNext}
	}
	if current != nil && !good(current) {
		change.Retire = current.ID
	}
	if next != nil && !good(next) {
		change.Drop = next.ID
	}
	return change, wanted
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

// draw takes keys for the roles from the spare ones, and makes those that are not there, side by side: an RSA key
// takes its time.
func (s *Signer) draw(roles []KeyRole, algorithm string, spare map[KeyRole]StoredKey) ([]StoredKey, error) {
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

// newSigningKey makes a key. The vendor's verifiers read RSA keys of 2048 bits from PEM, and no others.
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
		err = fmt.Errorf("%q is no algorithm for session tokens", algorithm)
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

// take makes the stored keys the ones in use. The caller holds mu.
func (s *Signer) take(stored []StoredKey) error {
	current := inRole(stored, KeyCurrent)
	if current == nil {
		return errors.New("auth: there is no signing key")
	}
	state := &keyState{again: s.now().Add(followEvery)}
	if had := s.keys.Load(); had != nil && had.current.id == current.ID {
		state.current = had.current
	} else {
		private, err := readPrivate(current)
		if err != nil {
			return err
		}
		state.current = &signingKey{id: current.ID, alg: current.Algorithm, private: private}
	}
	if !current.LastExpiry.IsZero() {
		state.current.known(current.LastExpiry.Unix())
	}
	// Whoever takes the first key gets the one that signs.
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

// known notes what the database has at least.
func (k *signingKey) known(lastExpiry int64) {
	for {
		had := k.lastExpiry.Load()
		if lastExpiry <= had || k.lastExpiry.CompareAndSwap(had, lastExpiry) {
			return
		}
	}
}

// PublishedUntil is when an old key leaves the JWKS; zero for the others.
func (k StoredKey) PublishedUntil() time.Time {
	if k.Role != string(KeyOld) {
		return time.Time{}
	}
	// An instance that has not heard of the change yet may still sign a first token with it.
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
		return nil, fmt.Errorf("auth: the signing key %s is damaged", k.ID) // the error of the parser may hold a part of it
	}
	if key, ok := raw.(*rsa.PrivateKey); ok {
		key.Precompute()
	}
	return private, nil
}

// state gives the keys, not older than followEvery. While the database is out of reach, those it had last stay in use.
func (s *Signer) state(ctx context.Context) (*keyState, error) {
	have := s.keys.Load()
	if have != nil && s.now().Before(have.again) {
		return have, nil
	}
	if have == nil {
		s.mu.Lock()
	} else if !s.mu.TryLock() {
		return have, nil // somebody is at it
	}
	defer s.mu.Unlock()
	if now := s.keys.Load(); now != have {
		return now, nil
	}
	err := s.follow(ctx)
	if err != nil && have != nil {
		s.log.WarnContext(ctx, "the signing keys could not be read again; those in memory stay in use", "error", err)
		later := *have
		later.again = s.now().Add(followPause)
		s.keys.Store(&later)
		return &later, nil
	}
	return s.keys.Load(), err
}

// follow reads the keys again. The caller holds mu.
func (s *Signer) follow(ctx context.Context) error {
	// A caller who goes is no reason to call the database out of reach.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followDeadline)
	defer cancel()
	stored, err := s.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	return s.take(stored)
}

// cat tells the kinds of tokens apart (client session API, session token header).
var cat = map[domain.TokenKind]string{
	domain.TokenSession:  "cl_B7d4PD111AAA",
	domain.TokenTemplate: "cl_B7d4PD222AAA",
}

// Sign makes a token. Session and template tokens need the claims iat and exp.
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
		return "", fmt.Errorf("auth: sign %s token: no such kind, or no iat and exp", kind)
	}
	for range keyTries {
		state, err := s.state(ctx)
		if err != nil {
			return "", err
		}
		key := state.current
		if err := s.outlive(ctx, key, iat, exp); errors.Is(err, domain.ErrMissing) {
			s.stale(state) // retired so long ago that it is gone
			continue
		} else if err != nil {
			return "", err
		}
		// The words have nothing that JSON would write otherwise.
		header := `{"alg":"` + key.alg + `","cat":"` + class + `","kid":"` + key.id + `","oiat":` + strconv.FormatInt(iat, 10) + `,"typ":"JWT"}`
		return seal64(header, payload, func(signed []byte) ([]byte, error) {
			return jwsbb.Sign(key.private, key.alg, signed, rand.Reader)
		})
	}
	return "", errors.New("auth: the signing keys are changing too often")
}

// outlive makes sure that the key stays published until the token is over, before there is a token. One in so many
// tokens costs a write, since the time that is noted lies somewhat ahead: by the lifetime of the token, an hour at most.
func (s *Signer) outlive(ctx context.Context, key *signingKey, iat, exp int64) error {
	if exp <= key.lastExpiry.Load() {
		return nil
	}
	key.extending.Lock()
	defer key.extending.Unlock()
	if exp <= key.lastExpiry.Load() {
		return nil
	}
	ahead := exp + min(max(exp-iat, 1), int64(slackLimit/time.Second))
	if err := s.store.ExtendSigningKey(ctx, key.id, time.Unix(ahead, 0).UTC()); err != nil {
		return err
	}
	key.known(ahead)
	return nil
}

// stale makes the keys be read again at their next use.
func (s *Signer) stale(state *keyState) {
	old := *state
	old.again = time.Time{}
	s.keys.CompareAndSwap(state, &old)
}

// seal64 puts a JWS in its compact form together.
func seal64(header string, payload []byte, sign func([]byte) ([]byte, error)) (string, error) {
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

// clientTokenType is the header typ of a client token. No verifier of other tokens takes one for its own: it is signed
// with a key that is in no JWKS, and an algorithm that none of them accepts.
const clientTokenType = "client+jwt"

const clientTokenHeader = `{"alg":"HS256","typ":"` + clientTokenType + `"}`

func (s *Signer) signClient(payload []byte) string {
	token, _ := seal64(clientTokenHeader, payload, func(signed []byte) ([]byte, error) { return s.mac(signed), nil })
	return token
}

func (s *Signer) mac(signed []byte) []byte {
	h := hmac.New(sha256.New, s.clientKey())
	h.Write(signed)
	return h.Sum(nil)
}

// OpenClientToken gives the id of the client that a client token of Sign speaks for; domain.ErrMissing where it is none.
func (s *Signer) OpenClientToken(_ context.Context, raw string) (string, error) {
	t, err := parse(raw)
	if err != nil || t.alg != "HS256" || t.typ != clientTokenType || t.kid != "" || !hmac.Equal(t.signature, s.mac(t.signed)) {
		return "", domain.ErrMissing
	}
	// Only we have the key. What is checked still is that this is a token that says all it should.
	id, ok := t.claims.text("id")
	rotating, ok2 := t.claims.text("rotating_token")
	issued, ok3 := t.claims.time("iat")
	if !ok || !ok2 || !ok3 || id == "" || rotating == "" || issued.IsZero() || issued.After(s.now().Add(startLeeway)) {
		return "", domain.ErrMissing
	}
	return id, nil
}

// JWKS gives the public keys: the current one, the next one, and old ones whose tokens are not all over.
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

// Keys lists the keys that are published, the next one first.
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

// ErrRotated says that somebody else changed the keys at the same moment.
var ErrRotated = errors.New("the keys were changed by somebody else at the same moment; look at them before you try again")

// Rotate makes the next key, which verifiers know already, the current one, publishes a new next one, and destroys the
// private half of the old one. Where there are no keys yet it makes the first ones. It gives the current key.
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
	// The algorithm is that of the servers, which a command need not know.
	if change.Add, err = s.draw([]KeyRole{KeyNext}, next.Algorithm, map[KeyRole]StoredKey{}); err != nil {
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
