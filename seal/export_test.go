package seal

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Rotate returns wrapped keysets with a new primary data key. Values sealed with the old keys remain readable. A
// Keyring that was opened before does not have the new key. The index key does not change: with another key no stored
// index would match.
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
