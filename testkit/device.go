package testkit

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
	"encoding/hex"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// Device is a customer's device: it has a key pair and signs challenges.
type Device struct {
	key crypto.Signer
	der []byte
}

// rsaKeys generates the RSA keys that all tests of a process share, because generating a key is slow.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	out := make([]*rsa.PrivateKey, 3)
	for i := range out {
		var err error
		if out[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return out
})

// NewDevice returns a device with a key of an algorithm: rsa, ecdsa or ed25519. n selects one of three RSA keys.
func NewDevice(algorithm string, n int) *Device {
	d := &Device{}
	var err error
	switch algorithm {
	case "rsa":
		d.key = rsaKeys()[n%len(rsaKeys())]
	case "ecdsa":
		d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ed25519":
		_, d.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		panic("unknown algorithm: " + algorithm)
	}
	if err == nil {
		d.der, err = x509.MarshalPKIXPublicKey(d.key.Public())
	}
	if err != nil {
		panic(err)
	}
	return d
}

// PublicKey returns the public key in the form in which it is registered.
func (d *Device) PublicKey() string { return base64.StdEncoding.EncodeToString(d.der) }

// ID returns the deviceId of the documented API.
func (d *Device) ID() string {
	sum := sha256.Sum256(d.der)
	return hex.EncodeToString(sum[:])
}

// Sign signs a challenge, a username and, if given, a statement.
func (d *Device) Sign(challenge, username string, statement ...string) string {
	data := challenge + ":" + username
	for _, s := range statement {
		sum := sha256.Sum256([]byte(s))
		data += ":" + hex.EncodeToString(sum[:])
	}
	digest, hash := []byte(data), crypto.Hash(0)
	if _, plain := d.key.(ed25519.PrivateKey); !plain {
		sum := sha256.Sum256([]byte(data))
		digest, hash = sum[:], crypto.SHA256
	}
	signature, err := d.key.Sign(rand.Reader, digest, hash)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// Customers imports alice and bob with e-mail addresses, phone numbers, PINs and passwords.
func (k *Kit) Customers(t testing.TB) {
	t.Helper()
	var all []any
	for n, name := range []string{"alice", "bob"} {
		in := domain.ImportCustomerInput{
			ID: name, Username: &name, Email: new(name + "@example.com"), Phone: new("+1 910-555-01" + string(rune('0'+n)) + "0"),
			PIN: new("4711"), Password: new(name + "'s password"), Jurisdiction: new("DE"),
		}
		c, err := k.ImportedCustomer(context.Background(), in, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := k.DB.ImportBatch(context.Background(), all); err != nil {
		t.Fatal(err)
	}
}

// Posted returns the messages in the outbox, oldest first, and marks them as sent.
func (k *Kit) Posted(t testing.TB) []*domain.Message {
	t.Helper()
	all, err := k.DB.Claim(context.Background(), k.Clock.Now(), time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := k.DB.Sent(context.Background(), m, k.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// MailedToken requests a verification of the customer's e-mail address and returns the token in the mail.
func (k *Kit) MailedToken(t testing.TB, customer string) string {
	t.Helper()
	if _, err := k.RequestEmailVerification(As(customer), domain.RequestEmailVerificationInput{}); err != nil {
		t.Fatal(err)
	}
	all := k.Posted(t)
	link, err := url.Parse(all[len(all)-1].Values["link"])
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("token")
}

// TextedCode requests a verification of the customer's phone number and returns the code in the text message.
func (k *Kit) TextedCode(t testing.TB, customer string) string {
	t.Helper()
	if _, err := k.RequestPhoneVerification(As(customer), domain.RequestPhoneVerificationInput{}); err != nil {
		t.Fatal(err)
	}
	all := k.Posted(t)
	return all[len(all)-1].Values["code"]
}

// WrongCode returns a code that differs from code.
func WrongCode(code string) string {
	last := byte('0')
	if code[len(code)-1] == last {
		last = '1'
	}
	return code[:len(code)-1] + string(last)
}
