package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gatehouse/gatehouse/seal"
)

// newKeyring returns a keyring with new keysets.
func newKeyring(t *testing.T) (*seal.Keyring, seal.Key, []byte) {
	t.Helper()
	kek := seal.NewKey()
	wrapped, err := seal.NewKeysets(kek)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.Open(kek, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	return ring, kek, wrapped
}

func TestSeal(t *testing.T) {
	t.Parallel()
	ring, _, _ := newKeyring(t)
	sealed, err := ring.SealText("Ada Lovelace", "people", "p1", "name")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ring.SealText("Ada Lovelace", "people", "p1", "name")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("Ada")) || bytes.Equal(sealed, again) {
		t.Error("the sealed value contains a part of the plain value")
	}
	if plain, err := ring.OpenText(sealed, "people", "p1", "name"); err != nil || plain != "Ada Lovelace" {
		t.Errorf("opened %q, %v", plain, err)
	}
	for claim, place := range map[string][3]string{
		"another table does not open it":       {"users", "p1", "name"},
		"another row does not open it":         {"people", "p2", "name"},
		"another column does not open it":      {"people", "p1", "email"},
		"the same letters, split otherwise":    {"people", "p1n", "ame"},
		"the same letters in another order":    {"p1", "people", "name"},
		"an empty place is a place of its own": {"", "", ""},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			if _, err := ring.Open(sealed, place[0], place[1], place[2]); !errors.Is(err, seal.ErrUnreadable) {
				t.Errorf("got %v", err)
			}
		})
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := ring.Open(bytes.Clone(sealed), "people", "p1", "name"); !errors.Is(err, seal.ErrUnreadable) {
		t.Errorf("a modified value: %v", err)
	}
	sealed[len(sealed)-1] ^= 1
}

func TestOpen(t *testing.T) {
	t.Parallel()
	_, kek, wrapped := newKeyring(t)
	if _, err := seal.Open(seal.NewKey(), wrapped); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := seal.Open(kek, []byte("{")); err == nil || errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("damaged keysets: %v", err)
	}
	if _, err := seal.Open(kek, []byte(`{"version":2}`)); err == nil || errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("keysets of a later version: %v", err)
	}
	if _, err := seal.NewKeysets(seal.Key{}); err == nil {
		t.Error("the zero key was accepted")
	}
}

// After a rotation an old value remains readable, a new one is sealed with the new key, and indexes do not change.
func TestRotate(t *testing.T) {
	t.Parallel()
	before, kek, wrapped := newKeyring(t)
	old, err := before.SealText("old", "t", "1", "c")
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := seal.Rotate(kek, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	after, err := seal.Open(kek, rotated)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := after.OpenText(old, "t", "1", "c"); err != nil || plain != "old" {
		t.Errorf("the old value: %q, %v", plain, err)
	}
	fresh, err := after.SealText("new", "t", "1", "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.OpenText(fresh, "t", "1", "c"); !errors.Is(err, seal.ErrUnreadable) {
		t.Errorf("the new value was sealed with the old key: %v", err)
	}
	if !bytes.Equal(before.Index("t", "c", "x"), after.Index("t", "c", "x")) {
		t.Error("the rotation changed an index")
	}
	if _, err := seal.Rotate(seal.NewKey(), wrapped); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("rotation with another key: %v", err)
	}
}

func TestKeyedHashes(t *testing.T) {
	t.Parallel()
	ring, kek, wrapped := newKeyring(t)
	b := func(s string) []byte { return []byte(s) }
	hashes := map[string][]byte{
		"index":                      ring.Index("t", "c", "x"),
		"index of another column":    ring.Index("t", "d", "x"),
		"index split otherwise":      ring.Index("tc", "", "x"),
		"keyed":                      ring.KeyedHash("p", b("ab"), b("c")),
		"keyed for another purpose":  ring.KeyedHash("q", b("ab"), b("c")),
		"keyed, split otherwise":     ring.KeyedHash("p", b("a"), b("bc")),
		"keyed, one part":            ring.KeyedHash("p", b("abc")),
		"keyed, an empty part more":  ring.KeyedHash("p", b("abc"), nil),
		"keyed, the purpose longer":  ring.KeyedHash("pabc"),
		"keyed like the index's own": ring.KeyedHash("t", b("c"), b("x")),
	}
	seen := map[string]string{}
	for name, hash := range hashes {
		short := string(hash[:16])
		if other, ok := seen[short]; ok {
			t.Errorf("%s equals %s", name, other)
		}
		seen[short] = name
	}
	if len(hashes["index"]) != 16 || len(hashes["keyed"]) != 32 {
		t.Error("unexpected sizes")
	}
	same, err := seal.Open(kek, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(same.Index("t", "c", "x"), hashes["index"]) || !bytes.Equal(same.KeyedHash("p", b("ab"), b("c")), hashes["keyed"]) {
		t.Error("the same keysets yield another hash")
	}
	other, _, _ := newKeyring(t)
	if bytes.Equal(other.Index("t", "c", "x"), hashes["index"]) {
		t.Error("other keysets yield the same hash")
	}
}
