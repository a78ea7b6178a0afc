package listing

import (
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// ParseSearch parses the text of q. The schema determines the fields that are searched; an empty text matches every
// record. It refuses malformed text with InvalidQuery.
func ParseSearch(_ Schema, text string) (Predicate, error) {
	if _, ok := storable(text); !ok {
		return nil, problem.New(problem.InvalidQuery).Because("The search text has a character that is not allowed.")
	}
	if utf8.RuneCountInString(text) > MaxText {
		return nil, problem.New(problem.InvalidQuery).Because("The search text is longer than %d characters.", MaxText)
	}
	alternatives, wrong := parseTerms(text)
	if wrong != "" {
		return nil, problem.New(problem.InvalidQuery).Because("%s", wrong)
	}
	if len(alternatives) == 0 {
		return True, nil
	}
	return Search{Any: alternatives}, nil
}

// parseTerms parses a search text into a disjunction of conjunctions, or returns an error message. It ignores empty
// phrases.
func parseTerms(text string) (alternatives [][]string, wrong string) {
	const dangling = "The word 'and' requires a term on both sides."
	joined := false // the last word was "and"
	add := func(term string) {
		if joined {
			last := len(alternatives) - 1
			alternatives[last] = append(alternatives[last], term)
		} else {
			alternatives = append(alternatives, []string{term})
		}
		joined = false
	}
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			break
		}
		if text[0] == '"' {
			phrase, rest, closed := strings.Cut(text[1:], `"`)
			if !closed {
				return nil, "The search text has an unbalanced quote."
			}
			if text = rest; phrase != "" {
				add(phrase)
			}
			continue
		}
		end := strings.IndexAny(text, " \t\r\n\"")
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		text = text[end:]
		switch {
		case word != "and":
			add(word)
		case joined || len(alternatives) == 0:
			return nil, dangling
		default:
			joined = true
		}
	}
	if joined {
		return nil, dangling
	}
	return alternatives, ""
}
