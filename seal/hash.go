package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Cost is how much work one slow hash is.
type Cost struct {
	// Memory is in KiB.
	Memory uint32
	// Passes is how often the memory is gone through.
	Passes uint32
	// Lanes is how many threads fill it.
	Lanes uint8
}

// The costs there are.
var (
	// CostDefault is OWASP's first choice with one lane: Password Storage Cheat Sheet, Argon2id.
	CostDefault = Cost{Memory: 19456, Passes: 2, Lanes: 1}
	// CostLow is for tests: it protects nothing.
	CostLow = Cost{Memory: 64, Passes: 1, Lanes: 1}
)

// ParseCost reads the name of a cost: default or low.
func ParseCost(name string) (Cost, error) {
	switch name {
	case "default":
		return CostDefault, nil
	case "low":
		return CostLow, nil
	default:
		return Cost{}, errors.New("a hash cost is default or low")
	}
}

// ErrBadHash says that a stored text is no hash of ours.
var ErrBadHash = errors.New("seal: not an argon2id hash")

const (
	saltSize = 16 // RFC 9106, section 4: 128 bits
	hashSize = 32 // RFC 9106, section 4: 256 bits
	// A damaged row must not ask for more than the machine has.
	maxMemory, maxPasses, maxLanes = 1 << 18, 16, 16
)

// Hasher makes and checks slow hashes (argon2id) of secrets that people choose or that are short. At most as many run
// at once as there are processors, since each takes one and its memory; others wait their turn.
//
// A secret is brought to Unicode form NFC before it is hashed, so that the same letters typed on two systems are the
// same secret. It is changed in no other way: case and spaces count.
type Hasher struct {
	cost  Cost
	turns chan struct{}
	// stranger is a hash that no secret has; see Burn.
	stranger string
}

// processors is how many the program may use, before it asked for places for threads that wait: a hash waits for nothing,
// and each more than there are processors takes memory out of the caches of the others.
var processors = runtime.GOMAXPROCS(0)

// NewHasher gives a hasher that makes hashes of this cost. It checks those of any other.
func NewHasher(cost Cost) *Hasher {
	return &Hasher{
		cost:     cost,
		turns:    make(chan struct{}, processors),
		stranger: phc{cost: cost, salt: random(saltSize), hash: random(hashSize)}.String(),
	}
}

// Hash gives the hash of a secret as a PHC string.
func (h *Hasher) Hash(ctx context.Context, secret string) (string, error) {
	out := phc{cost: h.cost, salt: random(saltSize), hash: make([]byte, hashSize)}
	if err := h.derive(ctx, secret, &out); err != nil {
		return "", err
	}
	return out.String(), nil
}

// Verify reports whether the hash is that of the secret. The comparison takes the same time for any two hashes.
func (h *Hasher) Verify(ctx context.Context, secret, hash string) (bool, error) {
	want, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	got := want
	if err := h.derive(ctx, secret, &got); err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got.hash, want.hash) == 1, nil
}

// Burn does what Verify does for a hash of the current cost, and finds nothing: for a record that is not there, so
// that the time of an answer does not tell whether it is.
func (h *Hasher) Burn(ctx context.Context, secret string) error {
	_, err := h.Verify(ctx, secret, h.stranger)
	return err
}

// derive replaces the hash by that of the secret, with the cost and the salt given.
func (h *Hasher) derive(ctx context.Context, secret string, p *phc) error {
	// Asked first, for of a free turn and a caller who has gone select takes either.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	text := []byte(norm.NFC.String(secret))
	p.hash = argon2.IDKey(text, p.salt, p.cost.Passes, p.cost.Memory, p.cost.Lanes, uint32(len(p.hash)))
	return nil
}

// phc is a hash in the form of the Password Hashing Competition.
type phc struct {
	cost       Cost
	salt, hash []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.Memory, p.cost.Passes, p.cost.Lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.hash))
}

func parsePHC(text string) (phc, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, ErrBadHash
	}
	var p phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.cost.Memory, &p.cost.Passes, &p.cost.Lanes); err != nil {
		return phc{}, ErrBadHash
	}
	c := p.cost
	if c.Passes < 1 || c.Passes > maxPasses || c.Lanes < 1 || c.Lanes > maxLanes || c.Memory < 8*uint32(c.Lanes) || c.Memory > maxMemory {
		return phc{}, ErrBadHash
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return phc{}, ErrBadHash
	}
	if p.hash, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.hash) < 16 || len(p.hash) > 64 {
		return phc{}, ErrBadHash
	}
	// What is written again is what was read: no spaces, signs, leading zeros or trailing parameters.
	if p.String() != text {
		return phc{}, ErrBadHash
	}
	return p, nil
}

func random(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.Read(out) // never fails: crypto/rand ends the program instead
	return out
}
