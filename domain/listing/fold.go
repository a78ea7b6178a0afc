package listing

import (
	"strings"
	"unicode"
)

// Fold maps texts that differ only in case to the same text. It implements Unicode simple case folding. Blind indexes,
// comparisons, sorting and search must all use it, so that they agree. It keeps accents.
func Fold(text string) string { return strings.Map(foldRune, text) }

// foldRune maps all runes of one folding orbit to the same rune: the lower case of the smallest.
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
		return r // alone in its orbit; its lower case may belong to another orbit (U+0130)
	}
	return unicode.ToLower(smallest)
}
