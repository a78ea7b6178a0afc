package risk

import (
	"regexp"
	"strings"
)

// Differences returns the members in which a person differs from the record. Members that the record does not have are
// not compared, nor are e-mail and IP address, because people have several. Accents, case, initials, the order of
// several names and the spelling of an address make no difference, and a previous address or phone number matches too.
func Differences(p Person, r *Record) []string {
	var out []string
	differs := func(name string, recorded string, same bool) {
		if recorded != "" && !same {
			out = append(out, name)
		}
	}
	differs("firstName", r.FirstName, sameName(p.FirstName, r.FirstName, true))
	differs("lastName", r.LastName, sameName(p.LastName, r.LastName, false))
	differs("birthdate", r.Birthdate, p.Birthdate == r.Birthdate)
	differs("address1", r.Address1, sameHome(p, r))
	differs("phone", r.Phone, samePhone(p.Phone, append([]string{r.Phone}, r.PreviousPhones...)))
	return out
}

// sameName compares names: all words of the shorter one occur in the longer one, for first names also as initials.
func sameName(a, b string, initials bool) bool {
	for _, x := range foldings(a) {
		for _, y := range foldings(b) {
			if strings.ReplaceAll(x, " ", "") == strings.ReplaceAll(y, " ", "") || covers(strings.Fields(x), strings.Fields(y), initials) {
				return true
			}
		}
	}
	return false
}

func covers(a, b []string, initials bool) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 {
		return false
	}
	used := make([]bool, len(b))
next:
	for _, w := range a {
		for i, v := range b {
			if used[i] {
				continue
			}
			if w == v || initials && (len(w) == 1 || len(v) == 1) && w[0] == v[0] {
				used[i] = true
				continue next
			}
		}
		return false
	}
	return true
}

func sameHome(p Person, r *Record) bool {
	at := p.Place()
	if at.Same(r.Place()) {
		return true
	}
	for _, before := range r.PreviousAddresses {
		if at.Same(before) {
			return true
		}
	}
	return false
}

// extension matches the number of an extension at the end of a phone number.
var extension = regexp.MustCompile(`(?i)\s*(;ext=|\bext(ension)?\b\.?|\bx|#)\s*:?\s*\d{1,7}\s*$`)

// FoldPhone returns the digits that all spellings of a phone number share: without the American country code, an
// international prefix (00, and 011 in North America) and an extension.
func FoldPhone(text string) string {
	d := digits(extension.ReplaceAllString(text, ""))
	if len(d) > 11 {
		d = strings.TrimPrefix(d, "011")
	}
	d = strings.TrimPrefix(d, "00")
	if len(d) == 11 && d[0] == '1' {
		d = d[1:]
	}
	return d
}

func samePhone(phone string, recorded []string) bool {
	d := FoldPhone(phone)
	for _, k := range recorded {
		if k != "" && FoldPhone(k) == d {
			return true
		}
	}
	return false
}
