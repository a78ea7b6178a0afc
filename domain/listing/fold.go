package listing

import (
	"strings"
	"unicode"
)

// Fold makes texts that differ only in case equal. It is Unicode simple case folding, and the only one: blind
// indexes, comparisons, sorting and search all use it, so they agree. Accents stay.
func Fold(text string) string { return strings.Map(foldRune, text) }

// foldRune gives the same rune for all runes of one folding orbit: the lower case of the smallest.
func foldRune(r rune) rune {
	if r < unicode.MaxASCII {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	smallest := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		smallest = min(smallest, next)
	}
	if smallest == r && unicode.SimpleFold(r) == r {
		return r // alone in its orbit; its lower case may belong to another one (U+0130)
	}
	return unicode.ToLower(smallest)
}
