package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Key is a 256-bit key-encryption key. Formatting and marshalling it yields a mask.
type Key struct{ bytes [32]byte }

// IsZero reports whether the key is unset.
func (k Key) IsZero() bool { return k == Key{} }

// Format writes a mask for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

// MarshalText returns a mask, so that the key does not appear in log lines or JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// keyTextLimit is the maximum size of a key file in bytes, far above the 44 characters of a key.
const keyTextLimit = 4096

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k.bytes[:]) // never fails: crypto/rand aborts the program instead
	return k
}

// ParseKey parses a key: 32 bytes in standard Base64, or file:/path to a file that contains such a text. Its errors do
// not contain any part of the key.
func ParseKey(text string) (Key, error) {
	path, inFile := strings.CutPrefix(text, "file:")
	if !inFile {
		return decodeKey(text)
	}
	raw, err := readLimited(path)
	if err != nil {
		return Key{}, fmt.Errorf("read encryption key: %w", err)
	}
	key, err := decodeKey(string(raw))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// KeyFile returns the key in the file, and creates the file with a random key if it does not exist. If several
// processes create it concurrently, all return the same key.
func KeyFile(path string) (Key, error) {
	raw, err := CreateOnce(path, func() ([]byte, error) {
		k := NewKey()
		return []byte(base64.StdEncoding.EncodeToString(k.bytes[:]) + "\n"), nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("encryption key file: %w", err)
	}
	key, err := decodeKey(string(raw))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func decodeKey(text string) (Key, error) {
	var k Key
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != len(k.bytes) {
		return Key{}, errors.New("the encryption key must be 32 bytes in standard Base64")
	}
	copy(k.bytes[:], raw)
	if k.IsZero() {
		return Key{}, errors.New("the encryption key must not be all zeros")
	}
	return k, nil
}

// CreateOnce returns the content of the file, and creates the file with mode 0600 if it does not exist. The parent
// directory must exist.
//
// The file appears under its name complete and synced to disk, or not at all: a killed process does not leave a partial
// key, and if several processes create the file concurrently, one wins and the others read its file.
func CreateOnce(path string, content func() ([]byte, error)) ([]byte, error) {
	raw, err := readLimited(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	data, err := content()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	draft, err := writeDraft(dir, data)
	if err != nil {
		return nil, err
	}
	// Unlike a rename, a link never replaces a file that another process has created in the meantime.
	err = os.Link(draft, path)
	_ = os.Remove(draft)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return readLimited(path)
}

// writeDraft writes and syncs content to a new temporary file (O_EXCL, mode 0600) and returns its path.
func writeDraft(dir string, content []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, ".draft-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some systems cannot sync a directory; the file itself is already synced.
	_ = d.Sync()
	return d.Close()
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, keyTextLimit+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > keyTextLimit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, keyTextLimit)
	}
	return raw, nil
}
