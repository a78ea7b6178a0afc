package listing

import (
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// ParseSearch reads the text of q. The schema says which fields it looks into; an empty text asks for nothing.
// What is malformed is refused with InvalidQuery.
func ParseSearch(_ Schema, text string) (Predicate, error) {
	if _, ok := storable(text); !ok {
		return nil, problem.New(problem.InvalidQuery).Because("The search text has a character that is not allowed.")
	}
	if utf8.RuneCountInString(text) > MaxText {
		return nil, problem.New(problem.InvalidQuery).Because("The search text is longer than %d characters.", MaxText)
	}
	wanted, wrong := terms(text)
	if wrong != "" {
		return nil, problem.New(problem.InvalidQuery).Because("%s", wrong)
	}
	if len(wanted) == 0 {
		return True, nil
	}
	return Search{Any: wanted}, nil
}

// terms reads a search text into a disjunction of conjunctions, or says what is wrong with it. A phrase without
// a character is no term.
func terms(text string) (wanted [][]string, wrong string) {
	const dangling = "The word 'and' needs a term on each side."
	joined := false // the last word was "and"
	add := func(term string) {
		if joined {
			last := len(wanted) - 1
			wanted[last] = append(wanted[last], term)
		} else {
			wanted = append(wanted, []string{term})
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
				return nil, "The search text has a quote without its partner."
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
		case joined || len(wanted) == 0:
			return nil, dangling
		default:
			joined = true
		}
	}
	if joined {
		return nil, dangling
	}
	return wanted, ""
}
