package wire

import (
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// maxIdempotencyKey is the length of the longest key, in characters.
const maxIdempotencyKey = 255

// IdempotencyKey reads the header Idempotency-Key: 1 to 255 printable characters; nil if it is absent. It
// refuses any other value, and a repeated header, with InvalidParameter.
func IdempotencyKey(r *http.Request) (*string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil, nil
	}
	key := values[0]
	valid := len(values) == 1 && key != "" && utf8.ValidString(key) && utf8.RuneCountInString(key) <= maxIdempotencyKey
	for _, c := range key {
		valid = valid && unicode.IsPrint(c)
	}
	if !valid {
		return nil, problem.New(problem.InvalidParameter).
			Because("The header Idempotency-Key must be one value of 1 to %d printable characters.", maxIdempotencyKey).
			With("name", "Idempotency-Key")
	}
	return &key, nil
}
