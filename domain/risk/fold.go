package risk

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters maps letters that Unicode decomposition does not change, and Cyrillic letters in the transliteration that
// lists use.
var letters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ħ': "h", 'ı': "i", 'ŋ': "n", 'ə': "e",
	'а': "a", 'б': "b", 'в': "v", 'г': "g", 'ґ': "g", 'д': "d", 'е': "e", 'є': "ye", 'ж': "zh", 'з': "z", 'и': "i", 'і': "i",
	'к': "k", 'л': "l", 'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t", 'у': "u", 'ф': "f", 'х': "kh",
	'ц': "ts", 'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "", 'ы': "y", 'ь': "", 'э': "e", 'ю': "yu", 'я': "ya", 'ј': "j",
	'љ': "lj", 'њ': "nj", 'ћ': "c", 'ђ': "dj", 'џ': "dz",
	// Greek (ELOT 743, letter by letter). Accents are removed before.
	'α': "a", 'β': "v", 'γ': "g", 'δ': "d", 'ε': "e", 'ζ': "z", 'η': "i", 'θ': "th", 'ι': "i", 'κ': "k", 'λ': "l", 'μ': "m",
	'ν': "n", 'ξ': "x", 'ο': "o", 'π': "p", 'ρ': "r", 'σ': "s", 'ς': "s", 'τ': "t", 'υ': "y", 'φ': "f", 'χ': "ch", 'ψ': "ps", 'ω': "o",
	// Arabic and Persian (ALA-LC without diacritics). Vowels are not written; see bare.
	'ا': "a", 'ب': "b", 'پ': "p", 'ت': "t", 'ث': "th", 'ج': "j", 'چ': "ch", 'ح': "h", 'خ': "kh", 'د': "d", 'ذ': "dh", 'ر': "r", 'ز': "z",
	'ژ': "zh", 'س': "s", 'ش': "sh", 'ص': "s", 'ض': "d", 'ط': "t", 'ظ': "z", 'ع': "", 'غ': "gh", 'ف': "f", 'ق': "q", 'ک': "k", 'ك': "k",
	'گ': "g", 'ل': "l", 'م': "m", 'ن': "n", 'ه': "h", 'ة': "a", 'و': "w", 'ي': "y", 'ی': "y", 'ى': "a", 'ء': "", 'ـ': "",
}

// digraphs are pairs of Greek letters that are one sound.
var digraphs = strings.NewReplacer(
	"ου", "ou", "Ου", "ou", "ού", "ou", "ευ", "ef", "εύ", "ef", "αυ", "af", "αύ", "af", "ΟΥ", "ou", "ΕΥ", "ef", "ΑΥ", "af",
)

// umlauts maps umlauts to their spelling on keyboards without them.
var umlauts = strings.NewReplacer(
	"ä", "ae", "ö", "oe", "ü", "ue", "Ä", "ae", "Ö", "oe", "Ü", "ue", "å", "aa", "Å", "aa", "ø", "oe", "Ø", "oe", "ñ", "n",
)

// Visible removes the characters that nobody sees: those that Unicode ignores by default, and control characters other
// than spaces.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.In(r, unicode.Cf, unicode.Cc, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, text)
}

// Fold returns the words of a text in lower case without accents: letters and digits only, separated by single spaces.
// An apostrophe joins, every other character separates; characters that nobody sees do neither.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	for _, r := range norm.NFKD.String(digraphs.Replace(norm.NFC.String(Visible(text)))) {
		r = unicode.ToLower(r)
		latin, ok := letters[r]
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', r == 'ʼ', r == '`', r == '´':
			continue
		case !ok && !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		gap = false
		if ok {
			b.WriteString(latin)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// foldings returns the ways to write a name without accents.
func foldings(text string) []string {
	a := Fold(text)
	if b := Fold(withoutUmlauts(text)); b != a {
		return []string{a, b}
	}
	return []string{a}
}

// withoutUmlauts writes umlauts as on keyboards without them.
func withoutUmlauts(text string) string { return umlauts.Replace(norm.NFC.String(text)) }

// Comparable reports whether all letters of a name can be compared with Latin ones.
func Comparable(name string) bool {
	for _, r := range Fold(name) {
		if r > unicode.MaxASCII && unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// bare reports whether a name is in a script that does not write vowels.
func bare(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Arabic, r) })
}

// bonesOf returns the consonants of a Latin word, each once in a row, in the spelling of the Arabic table.
func bonesOf(word string) string {
	var b strings.Builder
	var before byte
	for i := range len(word) {
		c := word[i]
		switch c {
		case 'a', 'e', 'i', 'o', 'u', 'w', 'y':
			continue
		case 'c':
			c = 'k'
		case 'p':
			c = 'b'
		case 'v':
			c = 'f'
		}
		if c != before {
			b.WriteByte(c)
		}
		before = c
	}
	return b.String()
}

// sameBones compares a word of a script without vowels with the consonants of another. Fewer than two say nothing.
func sameBones(word, bones string) float64 {
	if own := bonesOf(word); len(own) < 2 || own != bones {
		return 0
	}
	return 0.98
}

// digits returns the digits of a text.
func digits(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKC.String(text) {
		if r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// similarity returns the Jaro-Winkler similarity: 1 for equal words, with a bonus for a common prefix of up to four
// letters.
func similarity(a, b string) float64 {
	if a == b {
		return 1
	}
	la, lb := len(a), len(b)
	if la == 0 || lb == 0 || la > 64 || lb > 64 {
		return 0
	}
	window := max(la, lb)/2 - 1
	if window < 0 {
		window = 0
	}
	var inA, inB uint64
	matches := 0
	for i := range la {
		for j := max(0, i-window); j <= min(lb-1, i+window); j++ {
			if inB&(1<<j) == 0 && a[i] == b[j] {
				inA |= 1 << i
				inB |= 1 << j
				matches++
				break
			}
		}
	}
	if matches == 0 {
		return 0
	}
	crossed, j := 0, 0
	for i := range la {
		if inA&(1<<i) == 0 {
			continue
		}
		for inB&(1<<j) == 0 {
			j++
		}
		if a[i] != b[j] {
			crossed++
		}
		j++
	}
	m := float64(matches)
	jaro := (m/float64(la) + m/float64(lb) + (m-float64(crossed/2))/m) / 3
	prefix := 0
	for prefix < min(4, la, lb) && a[prefix] == b[prefix] {
		prefix++
	}
	return jaro + float64(prefix)*0.1*(1-jaro)
}
