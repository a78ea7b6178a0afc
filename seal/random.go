package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"math/big"
)

// Token returns a random token of at least the given number of bits, in unpadded URL-safe Base64.
func Token(bits int) string {
	return base64.RawURLEncoding.EncodeToString(randomBytes((bits + 7) / 8))
}

// HexToken returns a random token of at least the given number of bits, in lower-case hexadecimal.
func HexToken(bits int) string {
	return hex.EncodeToString(randomBytes((bits + 7) / 8))
}

// Digits returns a uniformly distributed random code of count decimal digits.
func Digits(count int) string {
	ten := big.NewInt(10)
	out := make([]byte, count)
	for i := range out {
		d, err := rand.Int(rand.Reader, ten)
		if err != nil {
			panic("seal: no random numbers: " + err.Error())
		}
		out[i] = '0' + byte(d.Int64())
	}
	return string(out)
}
