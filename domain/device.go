package domain

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Device is a registered public key of a customer. The customer's device holds the private key, and its signatures
// authenticate the device.
type Device struct {
	Meta
	State      DeviceState
	CustomerID string
	// Name is the customer's name for the device; personal data. Nil: no name.
	Name *string
	// PublicKey is the DER form of the SubjectPublicKeyInfo.
	PublicKey []byte
	// Fingerprint is the lower-case hexadecimal SHA-256 of PublicKey: the deviceId of the documented API.
	Fingerprint string
	Algorithm   KeyAlgorithm
	// RevokedAt is nil while the device is registered.
	RevokedAt *time.Time
}

// Head returns the part that all records share.
func (r *Device) Head() *Meta { return &r.Meta }

// KindDevice is the kind.
const KindDevice Kind = "device"

// Kind names the machine.
func (*Device) Kind() Kind { return KindDevice }

// KeyAlgorithm is the signature algorithm of a device.
type KeyAlgorithm string

// The algorithms.
const (
	// KeyRSA signs with RSASSA-PKCS1-v1_5 and SHA-256.
	KeyRSA KeyAlgorithm = "rsa"
	// KeyECDSA signs with ECDSA on P-256 and SHA-256; the signature is DER, or the two numbers of 32 bytes each.
	KeyECDSA KeyAlgorithm = "ecdsaP256"
	// KeyEd25519 signs with Ed25519.
	KeyEd25519 KeyAlgorithm = "ed25519"
)

// DeviceState is the state of a device.
type DeviceState string

// The states; deviceMachine describes how each is reached.
const (
	DeviceRegistered DeviceState = "registered"
	DeviceRevoked    DeviceState = "revoked"
)

// DeviceTransition is a verb of the machine.
type DeviceTransition string

// DeviceRevoke is the only transition.
const DeviceRevoke DeviceTransition = "revoke"

type deviceRow = lifecycle.Row[DeviceState, DeviceTransition, Role]

var deviceMachine = &lifecycle.Machine[DeviceState, DeviceTransition, Role]{
	Name: string(KindDevice), Start: DeviceRegistered, Clock: RoleClock,
	Create: "registerDevice", CreateBy: list(RoleOwner),
	States: []lifecycle.State[DeviceState]{
		{Name: DeviceRegistered, Help: "Its key is registered: it may receive challenges and decide for its customer."},
		{Name: DeviceRevoked, Help: "Its key is no longer accepted. The same key may be registered again, as another device."},
	},
	Transitions: []deviceRow{
		{
			On:   DeviceRevoke,
			From: list(DeviceRegistered),
			To:   list(DeviceRevoked),
			By:   list(RoleOwner, RoleAdmin),
			Else: func(DeviceState) *problem.Definition { return problem.DeviceIsRevoked },
		},
	},
}

var devices = &life[Device, DeviceState, DeviceTransition]{
	kind: KindDevice, machine: deviceMachine,
	shelf: func(s Store) Shelf[Device] { return s.Devices() },
	head:  func(r *Device) *Meta { return &r.Meta },
	state: func(r *Device) *DeviceState { return &r.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *Device) ([]Role, bool, error) {
		return customerRoles(a, r.CustomerID)
	},
	dummy:    func() *Device { return &Device{} },
	due:      never[Device, DeviceState, DeviceTransition],
	concerns: func(r *Device) []string { return list(r.CustomerID) },
	missing:  problem.DeviceNotFound, denied: problem.AccessDenied,
}

// DeviceSchema has the fields by which devices can be selected and ordered.
var DeviceSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: deviceMachine.StateNames()},
	{Name: "customerId", Type: listing.ID},
	{Name: "fingerprint", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
}}

// DeviceValue reads a field of a device.
func DeviceValue(r *Device, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "customerId":
		return r.CustomerID
	case "fingerprint":
		return r.Fingerprint
	case "createdAt":
		return r.CreatedAt
	}
	return nil
}

// NewDevice parses a public key, the Base64 of a DER SubjectPublicKeyInfo. It returns a registered device without id,
// customer and times.
// Refuses with InvalidInput.
func NewDevice(publicKey string) (*Device, error) {
	bad := func(text string) error { return problem.New(problem.InvalidInput).Because("%s", text).At("publicKey") }
	der, err := base64.StdEncoding.Strict().DecodeString(publicKey)
	if err != nil {
		return nil, bad("publicKey must be standard Base64 with padding.")
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, bad("publicKey must be a SubjectPublicKeyInfo in DER form.")
	}
	// Each key has exactly one accepted encoding, and therefore one fingerprint.
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || string(again) != string(der) {
		return nil, bad("publicKey must be a SubjectPublicKeyInfo in DER form.")
	}
	sum := sha256.Sum256(der)
	r := &Device{State: DeviceRegistered, PublicKey: der, Fingerprint: hex.EncodeToString(sum[:])}
	const leastRSA, mostRSA = 2048, 8192 // User Sessions, device challenge; longer keys only cost time
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < leastRSA || bits > mostRSA {
			return nil, bad("An RSA key must have 2048 to 8192 bits.")
		}
		if key.E < 3 || key.E%2 == 0 {
			return nil, bad("The exponent of the RSA key is not permitted.")
		}
		r.Algorithm = KeyRSA
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, bad("An ECDSA key must be on the curve P-256.")
		}
		r.Algorithm = KeyECDSA
	case ed25519.PublicKey:
		r.Algorithm = KeyEd25519
	default:
		return nil, bad("publicKey must be an RSA, ECDSA P-256 or Ed25519 key.")
	}
	return r, nil
}

// signed reports whether the device signed the data.
func (r *Device) signed(data string, signature []byte) bool {
	key, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(data))
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		if len(signature) == 64 { // the format of browsers; no DER signature has this length
			x, y := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, sum[:], x, y)
		}
		return ecdsa.VerifyASN1(key, sum[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(data), signature)
	}
	return false
}

// ImportedDevice returns the device to store, for the operator at the command line, who needs no permission.
// Refuses with InvalidInput.
func (s *Service) ImportedDevice(id, customerID, publicKey string) (*Device, error) {
	r, err := NewDevice(publicKey)
	if err != nil {
		return nil, err
	}
	now := s.now()
	r.Meta, r.CustomerID = Meta{ID: id, Version: 1, CreatedAt: now, UpdatedAt: now}, customerID
	return r, nil
}

// RegisterDeviceInput has a public key of the caller.
type RegisterDeviceInput struct {
	PublicKey      string  `json:"publicKey" validate:"required,max=4096"`
	Name           *string `json:"name" validate:"omitempty,max=128,line"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// RegisterDevice registers a key as a device of the caller.
// Refuses with InvalidInput, DeviceIsRegistered and IdempotencyKeyReused.
func (s *Service) RegisterDevice(ctx context.Context, in RegisterDeviceInput) (Outcome[Device], error) {
	const operation = "registerDevice"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[Device]{}, err
	}
	r, err := NewDevice(in.PublicKey)
	if err != nil {
		return Outcome[Device]{}, err
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: list(in.PublicKey, optional(in.Name))}
	return create(ctx, s, devices, c, func(ctx context.Context, n *creation) (*Device, error) {
		other, err := s.deviceOf(ctx, a.ID, r.Fingerprint)
		switch {
		case err == nil && other.State == DeviceRegistered:
			return nil, problem.New(problem.DeviceIsRegistered)
		case err != nil && !errors.Is(err, ErrMissing):
			return nil, err
		}
		r.Meta, r.CustomerID, r.Name = newMeta("dev", n.Now), a.ID, in.Name
		return r, nil
	})
}

// deviceOf returns a device of the customer by its id or its fingerprint, preferably a registered one, or ErrMissing.
func (s *Service) deviceOf(ctx context.Context, customerID, reference string) (*Device, error) {
	page, err := s.Store.Devices().List(ctx, listing.Query{Limit: 100, Where: listing.All(
		listing.Eq("customerId", customerID), listing.Any(listing.Eq("_id", reference), listing.Eq("fingerprint", reference)))})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, ErrMissing
	}
	at := slices.IndexFunc(page.Items, func(r *Device) bool { return r.State == DeviceRegistered })
	return page.Items[max(0, at)], nil
}

// RevokeDeviceInput names a device by its id or, for a device of the caller, by its fingerprint.
type RevokeDeviceInput struct {
	DeviceID string `json:"deviceId" validate:"required,max=128"`
	Guard
}

// RevokeDevice revokes a device: its key is no longer accepted.
// Refuses with DeviceNotFound, AccessDenied, StaleVersion, DeviceIsRevoked and IdempotencyKeyReused.
func (s *Service) RevokeDevice(ctx context.Context, in RevokeDeviceInput) (Outcome[Device], error) {
	const operation = "revokeDevice"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[Device]{}, err
	}
	id := in.DeviceID
	if isFingerprint(id) {
		switch r, err := s.deviceOf(ctx, a.ID, id); {
		case err == nil:
			id = r.ID
		case !errors.Is(err, ErrMissing):
			return Outcome[Device]{}, err
		}
	}
	return apply(ctx, s, devices, call{operation: operation, id: id, guard: in.Guard}, DeviceRevoke,
		func(_ context.Context, ch *change[Device]) (DeviceState, error) {
			ch.Record.RevokedAt = &ch.Now
			return DeviceRevoked, nil
		})
}

func isFingerprint(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// Device returns a device that the caller may see.
// Refuses with DeviceNotFound.
func (s *Service) Device(ctx context.Context, id string) (*Device, error) {
	if err := s.Permit(ctx, "device"); err != nil {
		return nil, err
	}
	return show(ctx, s, devices, id)
}

// Devices lists the caller's devices, or all devices if the caller may see all records.
// Refuses with InvalidInput and InvalidParameter.
func (s *Service) Devices(ctx context.Context, q listing.Query) (listing.Page[Device], error) {
	if err := s.Permit(ctx, "devices"); err != nil {
		return listing.Page[Device]{}, err
	}
	if a := ActorFrom(ctx); !a.SeesAll() {
		q.Where = listing.All(listing.Eq("customerId", a.ID), q.Where)
	}
	return s.Store.Devices().List(ctx, q)
}

// DeviceChallenge is a one-time challenge that a device must sign.
type DeviceChallenge struct {
	// ID is a UUID.
	ID         string
	CustomerID string
	DeviceID   string
	// UsernameHash is a keyed hash of the signed username.
	UsernameHash         []byte
	CreatedAt, ExpiresAt time.Time
	// UsedAt is nil until the challenge is used.
	UsedAt *time.Time
	// Username is the name to sign; it is not stored.
	Username string
}

// openChallenges is the maximum number of open challenges of a device (User Sessions, createChallenge).
const openChallenges = 5

// OpenChallenges returns the maximum number of open challenges of a device; the store deletes the oldest above it.
func (*DeviceChallenge) OpenChallenges() int { return openChallenges }

// ChallengeUse is an attempt to use a challenge.
type ChallengeUse struct {
	ID, CustomerID string
	UsernameHash   []byte
	At             time.Time
	// By is a keyed hash of idempotency key and input, so that a repeated call may use its challenge again. Nil: no key.
	By []byte
}

// The two counters of failed device checks (User Sessions, device challenge and signature).
var deviceFailures = Rate{Limit: 5, Per: 15 * time.Minute}

func (s *Service) failuresOfCustomer(id string) failures {
	return failures{s.KeyedHash("failed device checks of customer", id), deviceFailures}
}

func (s *Service) failuresOfDevice(id string) failures {
	return failures{s.KeyedHash("failed device checks of device", id), deviceFailures}
}

// username returns the caller's name from the token, otherwise from the directory, otherwise the subject.
func (s *Service) username(ctx context.Context, a Actor) (string, error) {
	if a.Username != "" {
		return a.Username, nil
	}
	customer, err := s.Directory.Customer(ctx, a.ID)
	switch {
	case errors.Is(err, ErrMissing), err == nil && customer.Username == "":
		return a.ID, nil
	case err != nil:
		return "", err
	}
	return customer.Username, nil
}

func (s *Service) usernameHash(name string) []byte { return s.KeyedHash("challenge username", name) }

// CreateDeviceChallengeInput names a device of the caller by its id or its fingerprint.
type CreateDeviceChallengeInput struct {
	DeviceID string `json:"deviceId" validate:"required,max=128"`
	// Username is the username in the request; nil: that of the caller.
	Username       *string `json:"-"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateDeviceChallenge creates a challenge for a device of the caller. A device has at most five open challenges; a
// further one replaces the oldest.
// Refuses with InvalidInput, TooManyAttempts (after failed device checks), UsernameMismatch, DeviceNotFound and
// IdempotencyKeyReused.
func (s *Service) CreateDeviceChallenge(ctx context.Context, in CreateDeviceChallengeInput) (_ Outcome[DeviceChallenge], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	const operation = "createDeviceChallenge"
	var none Outcome[DeviceChallenge]
	a := ActorFrom(ctx)
	if _, err := s.begin(ctx, operation, in); err != nil {
		return none, err
	}
	name, err := s.username(ctx, a)
	if err != nil {
		return none, err
	}
	c := call{operation: operation, id: in.DeviceID, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: list(optional(in.Username))}
	return retry(func() (Outcome[DeviceChallenge], error) {
		if out, done, err := s.recallChallenge(ctx, a, c, name); done {
			return out, err
		}
		if in.Username != nil && *in.Username != name {
			return none, problem.New(problem.UsernameMismatch)
		}
		if err := s.unlessFailed(ctx, s.failuresOfCustomer(a.ID)); err != nil {
			return none, err
		}
		device, err := s.deviceOf(ctx, a.ID, in.DeviceID)
		if err != nil {
			return none, missingAs(err, problem.DeviceNotFound)
		}
		if device.State != DeviceRegistered {
			return none, problem.New(problem.DeviceNotFound)
		}
		now := s.now()
		r := &DeviceChallenge{
			ID: newUUID(now), CustomerID: a.ID, DeviceID: device.ID, UsernameHash: s.usernameHash(name),
			CreatedAt: now, ExpiresAt: now.Add(s.Settings.ChallengeTTL), Username: name,
		}
		unit := &Unit{Changes: []Change{{Record: r}}, IdempotencyRecord: s.idempotencyRecord(a, c, r.ID, nil, now)}
		if err := s.commit(ctx, unit); err != nil {
			return none, err
		}
		return Outcome[DeviceChallenge]{Record: r, ID: r.ID}, nil
	})
}

// recallChallenge is recall for a challenge, which is not a record with a life.
func (s *Service) recallChallenge(ctx context.Context, a Actor, c call, name string) (Outcome[DeviceChallenge], bool, error) {
	m, err := s.lookUpKey(ctx, a, c)
	if m == nil {
		return Outcome[DeviceChallenge]{}, err != nil, err
	}
	r, err := s.Store.Challenge(ctx, m.SubjectID)
	if err != nil {
		return Outcome[DeviceChallenge]{ID: m.SubjectID, Replayed: true}, true, missingAs(err, problem.InvalidChallenge) // deleted since
	}
	r.Username = name
	return Outcome[DeviceChallenge]{Record: r, ID: r.ID, Replayed: true}, true, nil
}

// newUUID returns a UUID of version 7: 48 bits of time in milliseconds and 74 random bits (RFC 9562, 5.7).
func newUUID(now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16) //nolint:gosec // times before 1970 do not occur
	_, _ = rand.Read(raw[6:])                                        // crypto/rand.Read never fails since Go 1.24
	raw[6], raw[8] = raw[6]&0x0f|0x70, raw[8]&0x3f|0x80
	h := hex.EncodeToString(raw[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// isUUID reports whether the text has the form of a lower-case UUID, as newUUID returns.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
