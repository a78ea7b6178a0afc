// Package seal protects data at rest: authenticated encryption bound to the location of a value, blind indexes, keyed
// hashes, slow hashes for secrets that people choose, random tokens, and key files.
//
// It knows bytes and texts, and locates a value by table, id and column. It must not know records, SQL, HTTP or
// configuration: the caller chooses the key and stores the wrapped keysets.
package seal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrWrongKey is returned by Open and Rotate if the key-encryption key cannot unwrap the keysets.
var ErrWrongKey = errors.New("seal: the encryption key does not decrypt the stored keysets")

// ErrUnreadable is returned by Keyring.Open if a value cannot be decrypted: it was modified, moved to another location,
// or sealed with a key that the keyring does not hold.
var ErrUnreadable = errors.New("seal: the sealed value cannot be decrypted")

const (
	// indexSize is the size of a blind index in bytes: with 2^32 values in one column, a new value collides with a
	// probability of about 2^-96, and a column contains a collision with a probability of about 2^-65.
	indexSize = 16
	// keyedSize is the size of a keyed hash in bytes: the full output of HMAC-SHA256.
	keyedSize = 32
	// keysetsVersion is the version of the layout of wrappedKeysets.
	keysetsVersion = 1
)

// wrappedKeysets is the result of NewKeysets: two encrypted Tink keysets in Tink's own JSON format.
type wrappedKeysets struct {
	Version int             `json:"version"`
	Data    json.RawMessage `json:"data"`
	Index   json.RawMessage `json:"index"`
}

// The purpose of a keyset is authenticated with it when it is wrapped, so that the two cannot be exchanged.
var (
	dataPurpose  = []byte("gatehouse data keyset 1")
	indexPurpose = []byte("gatehouse index keyset 1")
)

// NewKeysets creates a data keyset and an index keyset, both wrapped with the key-encryption key. The result may be
// stored next to the data.
func NewKeysets(kek Key) (wrapped []byte, err error) {
	wrap, err := wrapper(kek)
	if err != nil {
		return nil, err
	}
	data, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: create data keyset: %w", err)
	}
	index, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: create index keyset: %w", err)
	}
	return writeKeysets(wrap, data, index)
}

// Keyring seals and opens values and computes blind indexes and keyed hashes. It is safe for concurrent use.
type Keyring struct {
	data  tink.AEAD
	index *prf.Set
}

// Open unwraps the keysets. It returns ErrWrongKey if they were wrapped with another key-encryption key.
func Open(kek Key, wrapped []byte) (*Keyring, error) {
	wrap, err := wrapper(kek)
	if err != nil {
		return nil, err
	}
	data, index, err := readKeysets(wrap, wrapped)
	if err != nil {
		return nil, err
	}
	k := &Keyring{}
	if k.data, err = aead.New(data); err != nil {
		return nil, fmt.Errorf("seal: use data keyset: %w", err)
	}
	if k.index, err = prf.NewPRFSet(index); err != nil {
		return nil, fmt.Errorf("seal: use index keyset: %w", err)
	}
	// Computed once here, where an error can be returned: mac cannot return one.
	if _, err = k.index.ComputePrimaryPRF(nil, keyedSize); err != nil {
		return nil, fmt.Errorf("seal: use index keyset: %w", err)
	}
	return k, nil
}

// Seal encrypts a value and binds it to a location. The result can only be opened with the same table, id and column.
func (k *Keyring) Seal(plain []byte, table, id, column string) ([]byte, error) {
	sealed, err := k.data.Encrypt(plain, place(table, id, column))
	if err != nil {
		return nil, fmt.Errorf("seal: encrypt %s.%s: %w", table, column, err)
	}
	return sealed, nil
}

// Open decrypts a value that was sealed for this location. Otherwise it returns ErrUnreadable.
func (k *Keyring) Open(sealed []byte, table, id, column string) ([]byte, error) {
	plain, err := k.data.Decrypt(sealed, place(table, id, column))
	if err != nil {
		return nil, fmt.Errorf("%w: %s.%s", ErrUnreadable, table, column)
	}
	return plain, nil
}

// SealText is like Seal for a string.
func (k *Keyring) SealText(plain, table, id, column string) ([]byte, error) {
	return k.Seal([]byte(plain), table, id, column)
}

// OpenText is like Open for a string.
func (k *Keyring) OpenText(sealed []byte, table, id, column string) (string, error) {
	plain, err := k.Open(sealed, table, id, column)
	return string(plain), err
}

// Index returns the blind index of a value: 16 bytes that are equal for equal values of one column and reveal nothing
// without the key. The caller must normalize the value, because two spellings of a value have two indexes.
func (k *Keyring) Index(table, column, normalised string) []byte {
	return k.mac(indexSize, []byte("index"), []byte(table), []byte(column), []byte(normalised))
}

// KeyedHash returns the keyed hash, 32 bytes, of a list of byte strings for one purpose: input fingerprints, names of
// rate limits, tokens with high entropy. A different purpose, or the same bytes split differently, yields a different
// hash. Secrets that people choose go through a Hasher instead.
func (k *Keyring) KeyedHash(purpose string, data ...[]byte) []byte {
	return k.mac(keyedSize, append([][]byte{[]byte("keyed"), []byte(purpose)}, data...)...)
}

func (k *Keyring) mac(size uint32, parts ...[]byte) []byte {
	out, err := k.index.ComputePrimaryPRF(join(parts...), size)
	if err != nil {
		// Open has computed a hash. The only other cause is a size above that of the hash, which is a programming error.
		panic("seal: keyed hash: " + err.Error())
	}
	return out
}

func place(table, id, column string) []byte {
	return join([]byte("sealed"), []byte(table), []byte(id), []byte(column))
}

// join encodes a list of parts injectively: each part is preceded by its length.
func join(parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += binary.MaxVarintLen64 + len(p)
	}
	out := make([]byte, 0, size)
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

func wrapper(kek Key) (tink.AEAD, error) {
	if kek.IsZero() {
		return nil, errors.New("seal: the encryption key is not set")
	}
	wrap, err := subtle.NewAESGCM(kek.bytes[:])
	if err != nil {
		return nil, fmt.Errorf("seal: use encryption key: %w", err)
	}
	return wrap, nil
}

func writeKeysets(wrap tink.AEAD, data, index *keyset.Handle) ([]byte, error) {
	out := wrappedKeysets{Version: keysetsVersion}
	for _, part := range []struct {
		handle  *keyset.Handle
		purpose []byte
		to      *json.RawMessage
	}{{data, dataPurpose, &out.Data}, {index, indexPurpose, &out.Index}} {
		var buf bytes.Buffer
		if err := part.handle.WriteWithAssociatedData(keyset.NewJSONWriter(&buf), wrap, part.purpose); err != nil {
			return nil, fmt.Errorf("seal: wrap keyset: %w", err)
		}
		*part.to = buf.Bytes()
	}
	wrapped, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("seal: wrap keysets: %w", err)
	}
	return wrapped, nil
}

func readKeysets(wrap tink.AEAD, wrapped []byte) (data, index *keyset.Handle, err error) {
	var in wrappedKeysets
	if err := json.Unmarshal(wrapped, &in); err != nil {
		return nil, nil, fmt.Errorf("seal: the stored keysets are damaged: %w", err)
	}
	if in.Version != keysetsVersion {
		return nil, nil, fmt.Errorf("seal: the stored keysets have layout version %d, but this program supports version %d",
			in.Version, keysetsVersion)
	}
	// Authenticated encryption cannot distinguish a wrong key from modified bytes; a wrong key is the likely cause.
	data, err = keyset.ReadWithAssociatedData(keyset.NewJSONReader(bytes.NewReader(in.Data)), wrap, dataPurpose)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (data)", ErrWrongKey)
	}
	index, err = keyset.ReadWithAssociatedData(keyset.NewJSONReader(bytes.NewReader(in.Index)), wrap, indexPurpose)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (index)", ErrWrongKey)
	}
	return data, index, nil
}
