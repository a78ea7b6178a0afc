package domain

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

// idAlphabet is Crockford's base 32 in lower case: it preserves the order of the bits and has no similar characters.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns an opaque id: a prefix, an underscore and 26 characters that hold 48 bits of time in milliseconds
// and 80 random bits, so that ids sort by time and cannot be guessed (GraphQL contract, ids).
func NewID(prefix string, now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16) //nolint:gosec // times before 1970 do not occur
	_, _ = rand.Read(raw[6:])                                        // crypto/rand.Read never fails since Go 1.24
	out := make([]byte, 0, len(prefix)+27)
	out = append(out, prefix...)
	out = append(out, '_')
	// 128 bits in 26 groups of 5, the first group with 3 bits.
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	for shift := 125; shift >= 0; shift -= 5 {
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = hi<<(64-shift) | lo>>shift
		default:
			v = lo >> shift
		}
		out = append(out, idAlphabet[v&31])
	}
	return string(out)
}

// isLocalID reports whether a text has the form of the ids that NewID returns.
func isLocalID(prefix, text string) bool {
	rest, ok := strings.CutPrefix(text, prefix+"_")
	return ok && len(rest) == 26 && strings.Trim(rest, idAlphabet) == ""
}

// NewSecretKey returns 128 random bits as text, for links in e-mails.
func NewSecretKey() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	out := make([]byte, 0, 32)
	const hex = "0123456789abcdef"
	for _, b := range raw {
		out = append(out, hex[b>>4], hex[b&15])
	}
	return string(out)
}

// plausibleID reports whether a text can be the id of a record. Other texts are not looked up in the database.
func plausibleID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
