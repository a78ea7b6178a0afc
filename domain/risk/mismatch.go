package risk

import "strings"

// Differences names the members in which a person differs from the record. A member that the record does not have is
// not compared, and neither are e-mail and IP address, of which people have many. Accents, case, initials, the order
// of several names and the spelling of an address make no difference; nor does an address or a phone of before.
func Differences(p Person, r *Record) []string {
	var out []string
	differs := func(name string, known string, same bool) {
		if known != "" && !same {
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

// sameName compares names: all words of the shorter one stand in the longer one, for a first name also as initials.
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
	taken := make([]bool, len(b))
next:
	for _, w := range a {
		for i, v := range b {
			if taken[i] {
				continue
			}
			if w == v || initials && (len(w) == 1 || len(v) == 1) && w[0] == v[0] {
				taken[i] = true
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

// FoldPhone gives the digits of a phone number that two spellings share: without the American country code, and
// without what stands for an international call.
func FoldPhone(text string) string {
	d := strings.TrimPrefix(digits(text), "00")
	if len(d) == 11 && d[0] == '1' {
		d = d[1:]
	}
	return d
}

func samePhone(phone string, known []string) bool {
	d := FoldPhone(phone)
	for _, k := range known {
		if k != "" && FoldPhone(k) == d {
			return true
		}
	}
	return false
}
