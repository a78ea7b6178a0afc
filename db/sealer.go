package db

import (
	"encoding/json"

	"github.com/gatehouse/gatehouse/seal"
)

// sealer seals and opens the columns of one row, and keeps the first error.
type sealer struct {
	keys      *seal.Keyring
	table, id string
	err       error
}

func (s *sealer) seal(column string, v *string) []byte {
	if v == nil || s.err != nil {
		return nil
	}
	var out []byte
	out, s.err = s.keys.SealText(*v, s.table, s.id, column)
	return out
}

func (s *sealer) open(column string, v []byte) *string {
	if v == nil || s.err != nil {
		return nil
	}
	var out string
	out, s.err = s.keys.OpenText(v, s.table, s.id, column)
	return &out
}

func (s *sealer) text(column string, v []byte) string { return orEmpty(s.open(column, v)) }

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// sealJSON seals a value as JSON.
func (s *sealer) sealJSON(column string, v any) []byte {
	if s.err != nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return nil
	}
	out := string(text)
	return s.seal(column, &out)
}

// openJSON opens a value that was sealed as JSON; a missing value leaves the target unchanged.
func (s *sealer) openJSON(column string, v []byte, into any) {
	text := s.open(column, v)
	if text == nil || s.err != nil {
		return
	}
	s.err = json.Unmarshal([]byte(*text), into)
}

func indexOf(index func(*seal.Keyring, string) []byte, keys *seal.Keyring, v *string) []byte {
	if v == nil {
		return nil
	}
	return index(keys, *v)
}

// fingerprint returns a keyed hash of values.
func fingerprint(keys *seal.Keyring, purpose string, v ...any) ([]byte, error) {
	text, err := json.Marshal(v)
	return keys.KeyedHash(purpose, text), err
}
