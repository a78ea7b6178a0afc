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

// Key is a key-encryption key. However it is printed, it shows no key.
type Key struct{ bytes [32]byte }

// IsZero reports whether the key was never set.
func (k Key) IsZero() bool { return k == Key{} }

// Format prints a mask, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

// MarshalText gives a mask, so that no log line and no JSON holds the key.
func (k Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// keyTextLimit is far above a key's 44 characters and a line end.
const keyTextLimit = 4096

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k.bytes[:]) // never fails: crypto/rand ends the program instead
	return k
}

// ParseKey reads a key: 32 bytes in standard Base64, or file:/path of such a text. Its errors hold no key text.
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

// KeyFile loads the key in the file, and makes it where there is none. Of several processes that make it at once,
// all get the same key.
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
		return Key{}, errors.New("an encryption key is 32 bytes in standard Base64")
	}
	copy(k.bytes[:], raw)
	if k.IsZero() {
		return Key{}, errors.New("an encryption key of zeros protects nothing")
	}
	return k, nil
}

// CreateOnce gives the content of the file, and makes the file, mode 0600, where there is none. Its folder must exist.
//
// The file appears under its name complete and on the disk, or not at all: a process that is killed leaves no half
// of a key, and of several that race one wins and the others read what it wrote.
func CreateOnce(path string, content func() ([]byte, error)) ([]byte, error) {
	raw, err := readLimited(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	made, err := content()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	draft, err := writeDraft(dir, made)
	if err != nil {
		return nil, err
	}
	// A link, unlike a renaming, never replaces what another process has made meanwhile.
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

// writeDraft puts the content on the disk under a name of its own (O_EXCL, 0600).
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
	// Some systems cannot sync a folder; the file itself is on the disk already.
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
		return nil, fmt.Errorf("%s: more than %d bytes are no key", path, keyTextLimit)
	}
	return raw, nil
}
