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

// Cost holds the parameters of one argon2id hash (RFC 9106, section 3.1).
type Cost struct {
	// Memory is the memory size in KiB.
	Memory uint32
	// Passes is the number of passes over the memory.
	Passes uint32
	// Lanes is the degree of parallelism.
	Lanes uint8
}

// The costs that ParseCost accepts.
var (
	// CostDefault is the first choice of the OWASP Password Storage Cheat Sheet for Argon2id, with one lane.
	CostDefault = Cost{Memory: 19456, Passes: 2, Lanes: 1}
	// CostLow is for tests only: it does not protect anything.
	CostLow = Cost{Memory: 64, Passes: 1, Lanes: 1}
)

// ParseCost returns the cost with the given name: "default" or "low".
func ParseCost(name string) (Cost, error) {
	switch name {
	case "default":
		return CostDefault, nil
	case "low":
		return CostLow, nil
	default:
		return Cost{}, errors.New("the hash cost must be default or low")
	}
}

// ErrBadHash is returned by Verify if the stored text is not an argon2id hash in the form that Hash writes.
var ErrBadHash = errors.New("seal: not an argon2id hash")

const (
	saltSize = 16 // RFC 9106, section 4: 128 bits
	hashSize = 32 // RFC 9106, section 4: 256 bits
	// Upper bounds, so that a damaged row cannot request more memory or time than the machine has.
	maxMemory, maxPasses, maxLanes = 1 << 18, 16, 16
)

// Hasher computes and verifies slow hashes (argon2id) of secrets that are short or chosen by people. It runs at most as
// many hashes at once as there are processors, because each hash occupies one processor and its memory; other callers
// wait.
//
// A secret is normalized to Unicode form NFC before it is hashed, so that the same letters typed on two systems are the
// same secret. It is not changed in any other way: case and spaces are significant.
type Hasher struct {
	cost  Cost
	slots chan struct{}
	// decoyHash is a hash of the current cost that does not match any secret; see Burn.
	decoyHash string
}

// maxConcurrent is GOMAXPROCS at start-up, before the program raises it for goroutines that wait. A hash never waits,
// and every hash above the number of processors evicts the others' memory from the processor caches.
var maxConcurrent = runtime.GOMAXPROCS(0)

// NewHasher returns a hasher that computes hashes of the given cost. It verifies hashes of any cost.
func NewHasher(cost Cost) *Hasher {
	return &Hasher{
		cost:      cost,
		slots:     make(chan struct{}, maxConcurrent),
		decoyHash: phc{cost: cost, salt: randomBytes(saltSize), hash: randomBytes(hashSize)}.String(),
	}
}

// Hash returns the hash of secret as a PHC string.
func (h *Hasher) Hash(ctx context.Context, secret string) (string, error) {
	out := phc{cost: h.cost, salt: randomBytes(saltSize), hash: make([]byte, hashSize)}
	if err := h.derive(ctx, secret, &out); err != nil {
		return "", err
	}
	return out.String(), nil
}

// Verify reports whether hash is a hash of secret. The comparison takes the same time for any two hashes.
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

// Burn does the work of Verify for a hash of the current cost and never matches. Call it if the record does not exist,
// so that the response time does not reveal whether it does.
func (h *Hasher) Burn(ctx context.Context, secret string) error {
	_, err := h.Verify(ctx, secret, h.decoyHash)
	return err
}

// derive sets p.hash to the hash of secret with the cost and the salt of p.
func (h *Hasher) derive(ctx context.Context, secret string, p *phc) error {
	// If a slot is free and the context is done, select chooses either; a cancelled call must not start a hash.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	text := []byte(norm.NFC.String(secret))
	p.hash = argon2.IDKey(text, p.salt, p.cost.Passes, p.cost.Memory, p.cost.Lanes, uint32(len(p.hash)))
	return nil
}

// phc is a hash in the string format of the Password Hashing Competition.
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
	// The canonical form only: this rejects spaces, signs, leading zeros and trailing parameters.
	if p.String() != text {
		return phc{}, ErrBadHash
	}
	return p, nil
}

func randomBytes(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.Read(out) // never fails: crypto/rand aborts the program instead
	return out
}
