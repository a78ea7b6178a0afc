package seal

import (
	"encoding/base64"
)

// Token returns a random token of at least the given number of bits, in unpadded URL-safe Base64.
func Token(bits int) string {
	return base64.RawURLEncoding.EncodeToString(randomBytes((bits + 7) / 8))
}
