package provider

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// fact is something about a person that other people share: a town, not an address; a family name, not a full name.
type fact struct {
	// group is the population from which the decoys of the fact are drawn; for towns it is the state.
	group string
	// key is the same for all spellings, text is one of them.
	key, text string
}

// name identifies a fact among all facts of a person.
func (f fact) name(kind string) string { return kind + "|" + f.group + "|" + f.key }

// questionKind is a kind of fact that a question asks for.
type questionKind struct {
	name string
	// text is the question. It mentions nothing about the person.
	text string
	// facts returns what a record says beyond the person's current data.
	facts func(*domain.IdentityRecord) []fact
	// current returns the person's current data of this kind. It is never the answer, and would be a second correct
	// answer if it was a decoy.
	current func(domain.Identity) []fact
	// words has the values, by group, that are used while the records have too few. The nth has about the frequency of
	// the first divided by n to the power of decline.
	words   map[string][]string
	decline float64
	// keyOf returns the key of a value.
	keyOf func(text string) string
}

var questionKinds = []*questionKind{
	{"town", "Which of these towns have you lived in?", previousTowns, currentTown, townWords, 0.9, townKey},
	{"employer", "Which of these employers have you worked for?", employersOf, nothing, employerWords, 0.8, employerKey},
	{"make", "Which of these makes of vehicle have you had?", makesOf, nothing, makeWords, 0.8, makeKey},
	{"familyName", "Which of these is the family name of a relative of yours?", relativesOf, ownName, familyNameWords, 0.45, risk.Fold},
}

// factsOf returns the facts of a kind that a record has and the person's current data do not tell.
func (k *questionKind) factsOf(r *domain.IdentityRecord) []fact {
	known := k.current(r.Identity)
	var out []fact
	for _, f := range k.facts(r) {
		if f.key != "" && len([]rune(f.text)) <= 128 && !slices.ContainsFunc(known, f.same) && !slices.ContainsFunc(out, f.same) {
			out = append(out, f)
		}
	}
	return out
}

func (f fact) same(g fact) bool { return f.group == g.group && f.key == g.key }

func nothing(domain.Identity) []fact { return nil }

func townOf(p risk.Place) fact {
	town, state := p.Town()
	return fact{group: state, key: town, text: strings.TrimSpace(p.City)}
}

func townKey(text string) string {
	town, _ := risk.Place{City: text}.Town()
	return town
}

func previousTowns(r *domain.IdentityRecord) []fact {
	out := make([]fact, 0, len(r.PreviousAddresses))
	for _, a := range r.PreviousAddresses {
		out = append(out, townOf(risk.Place{City: a.City, Region: a.Region}))
	}
	return out
}

func currentTown(i domain.Identity) []fact { return []fact{townOf(i.Person().Place())} }

// legalForms end the names of companies, and are left out because only some records have them.
var legalForms = []string{"inc", "llc", "corp", "corporation", "ltd", "limited", "company", "co", "lp", "llp", "plc"}

func employerWordsOf(text string) []string {
	words := strings.Fields(text)
	for len(words) > 1 && slices.Contains(legalForms, risk.Fold(words[len(words)-1])) {
		words = words[:len(words)-1]
	}
	return words
}

func employerKey(text string) string { return risk.Fold(strings.Join(employerWordsOf(text), " ")) }

func employersOf(r *domain.IdentityRecord) []fact {
	out := make([]fact, 0, len(r.Employers))
	for _, e := range r.Employers {
		text := strings.TrimRight(strings.Join(employerWordsOf(e), " "), ", ")
		out = append(out, fact{key: risk.Fold(text), text: text})
	}
	return out
}

var (
	// longMakes are the makes of two words, by the first.
	longMakes = map[string]string{"land": "rover", "alfa": "romeo", "aston": "martin", "rolls": "royce"}
	// shortMakes are other names of makes.
	shortMakes = map[string]string{"chevy": "Chevrolet", "vw": "Volkswagen", "mercedes": "Mercedes-Benz"}
)

// makeOf returns the make in the description of a vehicle, without year and model.
func makeOf(vehicle string) fact {
	words := strings.Fields(strings.ReplaceAll(vehicle, "-", " "))
	for len(words) > 0 {
		if _, err := strconv.Atoi(words[0]); err != nil {
			break
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return fact{}
	}
	text, first := words[0], risk.Fold(words[0])
	switch second := longMakes[first]; {
	case second != "" && len(words) > 1 && risk.Fold(words[1]) == second:
		text = words[0] + " " + words[1]
	case shortMakes[first] != "":
		text = shortMakes[first]
	}
	return fact{key: risk.Fold(text), text: text}
}

func makeKey(text string) string { return makeOf(text).key }

func makesOf(r *domain.IdentityRecord) []fact {
	out := make([]fact, 0, len(r.Vehicles))
	for _, v := range r.Vehicles {
		out = append(out, makeOf(v))
	}
	return out
}

// nameSuffixes follow the family name.
var nameSuffixes = []string{"jr", "sr", "ii", "iii", "iv"}

// familyNameOf returns the last word of a name, or what stands before a comma.
func familyNameOf(name string) fact {
	if family, _, ok := strings.Cut(name, ","); ok && !slices.Contains(nameSuffixes, risk.Fold(name[len(family)+1:])) {
		family = strings.TrimSpace(family)
		return fact{key: risk.Fold(family), text: family}
	}
	words := strings.Fields(strings.ReplaceAll(name, ",", " "))
	for len(words) > 0 && slices.Contains(nameSuffixes, risk.Fold(words[len(words)-1])) {
		words = words[:len(words)-1]
	}
	if len(words) < 2 {
		return fact{} // a first name only
	}
	text := words[len(words)-1]
	return fact{key: risk.Fold(text), text: text}
}

func relativesOf(r *domain.IdentityRecord) []fact {
	out := make([]fact, 0, len(r.Relatives))
	for _, name := range r.Relatives {
		out = append(out, familyNameOf(name))
	}
	return out
}

// ownName returns the person's family name, as a whole and each word of it.
func ownName(i domain.Identity) []fact {
	name := risk.Fold(i.Person().LastName)
	out := []fact{{key: name}}
	for _, word := range strings.Fields(name) {
		out = append(out, fact{key: word})
	}
	return out
}
