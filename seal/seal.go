// Package seal keeps data secret at rest: authenticated encryption bound to the place a value lies in, blind
// indexes, keyed hashes, slow hashes for what people choose, random tokens, and the files that hold keys.
//
// It knows bytes and texts, and where a value belongs by table, id and column. It must not know records, SQL,
// HTTP or configuration: whoever calls it says which key to use and keeps the wrapped keysets.
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

// ErrWrongKey says that the key-encryption key does not open the keysets.
var ErrWrongKey = errors.New("seal: the encryption key does not open the stored keysets")

// ErrUnreadable says that a sealed value does not open: it was changed, moved to another place, or sealed with a
// key that the keyring does not hold.
var ErrUnreadable = errors.New("seal: the sealed value does not open")

const (
	// indexSize is 16 bytes: at 2^32 values of one column a false match has a chance of about 2^-65.
	indexSize = 16
	// keyedSize is the whole output of HMAC-SHA256.
	keyedSize = 32
	// keysetsVersion is the layout of the wrapped keysets.
	keysetsVersion = 1
)

// wrappedKeysets is what NewKeysets gives: two encrypted Tink keysets in Tink's own JSON form.
type wrappedKeysets struct {
	Version int             `json:"version"`
	Data    json.RawMessage `json:"data"`
	Index   json.RawMessage `json:"index"`
}

// What each keyset is for is part of what its wrapping authenticates, so that one never stands in for the other.
var (
	dataPurpose  = []byte("gatehouse data keyset 1")
	indexPurpose = []byte("gatehouse index keyset 1")
)

// NewKeysets makes a data keyset and an index keyset, wrapped by the key-encryption key. The result may be stored
// beside the data.
func NewKeysets(kek Key) (wrapped []byte, err error) {
	wrap, err := wrapper(kek)
	if err != nil {
		return nil, err
	}
	data, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: make data keyset: %w", err)
	}
	index, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: make index keyset: %w", err)
	}
	return writeKeysets(wrap, data, index)
}

// Rotate gives wrapped keysets with a new data key, with which everything is sealed from then on; what the old keys
// sealed stays readable. A Keyring opened before does not know the new key. The index key stays: another one would
// make every stored index unfindable.
func Rotate(kek Key, wrapped []byte) ([]byte, error) {
	wrap, err := wrapper(kek)
	if err != nil {
		return nil, err
	}
	data, index, err := readKeysets(wrap, wrapped)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(data)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: add data key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("seal: choose data key: %w", err)
	}
	if data, err = manager.Handle(); err != nil {
		return nil, fmt.Errorf("seal: rotate data keyset: %w", err)
	}
	return writeKeysets(wrap, data, index)
}

// Keyring seals and opens values and computes keyed hashes. It is safe for concurrent use.
type Keyring struct {
	data  tink.AEAD
	index *prf.Set
}

// Open unwraps the keysets. The error is ErrWrongKey where the key-encryption key is not the one that wrapped them.
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
	// Computed once here, where it can be reported, so that mac can rely on it.
	if _, err = k.index.ComputePrimaryPRF(nil, keyedSize); err != nil {
		return nil, fmt.Errorf("seal: use index keyset: %w", err)
	}
	return k, nil
}

// Seal encrypts a value for one place. The result opens for the same table, id and column only.
func (k *Keyring) Seal(plain []byte, table, id, column string) ([]byte, error) {
	sealed, err := k.data.Encrypt(plain, place(table, id, column))
	if err != nil {
		return nil, fmt.Errorf("seal: encrypt %s.%s: %w", table, column, err)
	}
	return sealed, nil
}

// Open decrypts a value that was sealed for this place; ErrUnreadable otherwise.
func (k *Keyring) Open(sealed []byte, table, id, column string) ([]byte, error) {
	plain, err := k.data.Decrypt(sealed, place(table, id, column))
	if err != nil {
		return nil, fmt.Errorf("%w: %s.%s", ErrUnreadable, table, column)
	}
	return plain, nil
}

// SealText is Seal for a text.
func (k *Keyring) SealText(plain, table, id, column string) ([]byte, error) {
	return k.Seal([]byte(plain), table, id, column)
}

// OpenText is Open for a text.
func (k *Keyring) OpenText(sealed []byte, table, id, column string) (string, error) {
	plain, err := k.Open(sealed, table, id, column)
	return string(plain), err
}

// Index is the blind index of a value: 16 bytes that are equal for equal values of one column and say nothing
// without the key. The caller normalises the value, for two spellings of one value give two indexes.
func (k *Keyring) Index(table, column, normalised string) []byte {
	return k.mac(indexSize, []byte("index"), []byte(table), []byte(column), []byte(normalised))
}

// KeyedHash is the keyed hash, 32 bytes, of a list of data for one purpose: fingerprints of inputs, names of rate limits,
// tokens with high entropy. Another purpose, and the same bytes split otherwise, give another hash. What people
// choose goes through a Hasher instead.
func (k *Keyring) KeyedHash(purpose string, data ...[]byte) []byte {
	return k.mac(keyedSize, append([][]byte{[]byte("keyed"), []byte(purpose)}, data...)...)
}

func (k *Keyring) mac(size uint32, parts ...[]byte) []byte {
	out, err := k.index.ComputePrimaryPRF(join(parts...), size)
	if err != nil {
		// Open has computed one: the only other reason, a size above that of the hash, is ours.
		panic("seal: keyed hash: " + err.Error())
	}
	return out
}

func place(table, id, column string) []byte {
	return join([]byte("sealed"), []byte(table), []byte(id), []byte(column))
}

// join writes parts so that no two lists of parts give the same bytes: each has its length before it.
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
		return nil, nil, fmt.Errorf("seal: the stored keysets have layout %d, this program knows %d", in.Version, keysetsVersion)
	}
	// Authenticated encryption cannot tell a wrong key from changed bytes; the wrong key is what happens.
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
