package risk

import "strings"

// TaxIDKind is the kind of a taxpayer number.
type TaxIDKind string

// The kinds.
const (
	SSN           TaxIDKind = "ssn"
	ImpossibleSSN TaxIDKind = "impossibleSsn"
	ITIN          TaxIDKind = "itin"
	EIN           TaxIDKind = "ein"
	OtherTaxID    TaxIDKind = "other"
)

// KindOfTaxID determines the kind of a taxpayer number, written with hyphens, spaces or digits only. Nine digits
// without a hyphen are a social security number, because that is what a person is asked for.
//
// Sources: SSA, "Meaning of the Social Security Number" and the randomization of 2011 (no area 000, 666 or 900-999, no
// group 00, no serial 0000), and the numbers SSA has voided after advertisements; IRS, Topic 857 and IRM 3.21.263
// (ITIN: 9xx with the groups 50-65, 70-88, 90-92 and 94-99; 93 is an adoption number); IRS, "How EINs are assigned"
// (prefixes).
func KindOfTaxID(text string) TaxIDKind {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212', '.', '/':
			return '-'
		case ' ', '\t', '\u00a0':
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	d := digits(text)
	if len(d) != 9 || strings.Trim(text, "0123456789-") != "" {
		return OtherTaxID
	}
	if len(text) == 10 && text[2] == '-' {
		if strings.Contains(einPrefixes, " "+d[:2]+" ") {
			return EIN
		}
		return OtherTaxID
	}
	area, group, serial := d[:3], d[3:5], d[5:]
	switch {
	case area[0] == '9' && itinGroup(group):
		return ITIN
	case area[0] == '9' && group == "93":
		return OtherTaxID
	case area == "000", area == "666", area[0] == '9', group == "00", serial == "0000":
		return ImpossibleSSN
	case d == "078051120", d == "219099999", d == "457555462":
		return ImpossibleSSN
	}
	return SSN
}

func itinGroup(g string) bool {
	return g >= "50" && g <= "65" || g >= "70" && g <= "88" || g >= "90" && g <= "92" || g >= "94" && g <= "99"
}

const einPrefixes = " 01 02 03 04 05 06 10 11 12 13 14 15 16 20 21 22 23 24 25 26 27 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 " +
	"46 47 48 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 71 72 73 74 75 76 77 80 81 82 83 84 85 86 87 88 90 91 92 93 94 95 98 99 "

// FoldTaxID returns a tax id without separators, for looking up a record by it.
func FoldTaxID(text string) string { return strings.ReplaceAll(Fold(text), " ", "") }
