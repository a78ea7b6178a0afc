package provider

import "github.com/gatehouse/gatehouse/domain"

// PublishedWords returns all values of the word lists.
func PublishedWords() []string {
	var out []string
	for _, kind := range questionKinds {
		for _, values := range kind.words {
			out = append(out, values...)
		}
	}
	return out
}

// FactTexts returns the facts of a record as a text.
func FactTexts(r *domain.IdentityRecord) []string {
	var out []string
	for _, kind := range questionKinds {
		for _, f := range kind.factsOf(r) {
			out = append(out, f.text)
		}
	}
	return out
}
