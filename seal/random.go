package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"math/big"
)

// Token gives a random token with at least so many bits, in Base64 for URLs without padding.
func Token(bits int) string {
	return base64.RawURLEncoding.EncodeToString(random((bits + 7) / 8))
}

// HexToken gives a random token with at least so many bits, in lower-case hexadecimal.
func HexToken(bits int) string {
	return hex.EncodeToString(random((bits + 7) / 8))
}

// Digits gives a random code of so many decimal digits, each code as likely as any other.
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
