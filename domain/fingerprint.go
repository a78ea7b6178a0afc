package domain

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Fingerprint identifies the identity that a result is about, by keyed hashes of its normalized members. A part is nil
// where the identity lacks one of its members.
type Fingerprint struct {
	// Person covers tax id, names and birth date.
	Person []byte
	// Address covers all members of the address, Phone and Email one each.
	Address, Phone, Email []byte
}

// fingerprintSize is the length of each part in bytes: 128 bits of a keyed hash.
const fingerprintSize = 16

// IsZero reports whether nothing is known of the identity.
func (f Fingerprint) IsZero() bool {
	return f.Person == nil && f.Address == nil && f.Phone == nil && f.Email == nil
}

// Bytes returns the parts in a row, each of fingerprintSize bytes; zeros for a missing one.
func (f Fingerprint) Bytes() []byte {
	out := make([]byte, 0, 4*fingerprintSize)
	for _, part := range [][]byte{f.Person, f.Address, f.Phone, f.Email} {
		if part == nil {
			part = make([]byte, fingerprintSize)
		}
		out = append(out, part...)
	}
	return out
}

// FingerprintFrom reads what Bytes returns. Any other length is the zero value.
func FingerprintFrom(stored []byte) Fingerprint {
	if len(stored) != 4*fingerprintSize {
		return Fingerprint{}
	}
	part := func(n int) []byte {
		p := stored[n*fingerprintSize : (n+1)*fingerprintSize]
		if bytes.Count(p, []byte{0}) == fingerprintSize {
			return nil
		}
		return bytes.Clone(p)
	}
	return Fingerprint{Person: part(0), Address: part(1), Phone: part(2), Email: part(3)}
}

// normalizers compare two spellings of a member (verification, section 1). IP addresses are not compared: an address is
// where a request came from, and not a property of a person.
var normalizers = map[string]func(string) string{
	"taxId":      risk.FoldTaxID,
	"firstName":  joinedName,
	"lastName":   joinedName,
	"address1":   risk.Fold,
	"address2":   risk.Fold,
	"city":       risk.Fold,
	"region":     risk.Fold,
	"postalCode": risk.Fold,
	"phone":      risk.FoldPhone,
	"birthdate":  strings.TrimSpace,
	"email":      listing.Fold,
}

// joinedName ignores case, accents and spaces, and leaves nothing out.
func joinedName(text string) string { return strings.ReplaceAll(risk.Fold(text), " ", "") }

// normalized returns the normalized members by name; those that are missing are left out.
func (i Identity) normalized() map[string]string {
	out := map[string]string{}
	for _, m := range identityMembers {
		fold := normalizers[m.name]
		if v := *m.of(&i); v != nil && fold != nil {
			out[m.name] = fold(*v)
		}
	}
	return out
}

// identityFingerprint computes the fingerprint of an identity.
func (s *Service) identityFingerprint(i Identity) Fingerprint {
	n := i.normalized()
	hash := func(purpose string, required []string, optional ...string) []byte {
		var parts []string
		for _, name := range required {
			if n[name] == "" {
				return nil
			}
			parts = append(parts, n[name])
		}
		for _, name := range optional {
			parts = append(parts, n[name])
		}
		return s.KeyedHash("identity "+purpose, parts...)[:fingerprintSize]
	}
	return Fingerprint{
		Person:  hash("person", personMembers),
		Address: hash("address", list("address1", "city"), "address2", "region", "postalCode"),
		Phone:   hash("phone", list("phone")),
		Email:   hash("email", list("email")),
	}
}

// personMembers are the members that identify a person.
var personMembers = list("taxId", "firstName", "lastName", "birthdate")

// addable are the members that a request may add to a contact that lacks them without making somebody else of it.
var addable = list("address2", "phone", "email", "ipAddress")

// overrides reports whether the identity given with a request contradicts the contact's own, or adds a member that
// identifies a person.
func (i Identity) overrides(own Identity) bool {
	given, has := i.normalized(), own.normalized()
	for name, value := range given {
		known, there := has[name]
		if there && known != value || !there && !slices.Contains(addable, name) {
			return true
		}
	}
	return false
}

// samePerson reports whether two identities have the same tax id, name and birth date.
func (i Identity) samePerson(o Identity) bool {
	a, b := i.normalized(), o.normalized()
	for _, name := range personMembers {
		if a[name] != b[name] {
			return false
		}
	}
	return true
}
