package risk

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// NameMatch is an entry that a name resembles.
type NameMatch struct {
	Entry string
	// Score is 1 for the same name and the same date of birth.
	Score float64
}

func better(a, b NameMatch) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(a.Entry, b.Entry)
}

// names is an index of people by the words of their names.
//
// A search compares each word of the query with each distinct word of the index once, by Jaro-Winkler similarity, and
// scores only the entries that have at least one similar word. The score of an entry is the share of the query's
// letters that have a match in it, minus a little for words that the query does not have, because lists have more names
// than people use.
type names struct {
	words   map[string]int32
	lexicon []word
	all     []listed
	// of holds the indexes in all of each entry's names.
	of map[string][]int32
}

type word struct {
	text   string
	mask   uint64
	weight float64
	// in lists the names that contain the word.
	in []int32
}

type listed struct {
	entry   string
	words   []int32
	births  []string
	removed bool
}

func newNames() *names { return &names{words: map[string]int32{}, of: map[string][]int32{}} }

// particles are common parts of names that are often omitted.
var particles = map[string]bool{
	"al":   true,
	"el":   true,
	"ul":   true,
	"ud":   true,
	"bin":  true,
	"ibn":  true,
	"bint": true,
	"abd":  true,
	"abu":  true,
	"de":   true,
	"del":  true,
	"la":   true,
	"las":  true,
	"los":  true,
	"da":   true,
	"das":  true,
	"do":   true,
	"dos":  true,
	"di":   true,
	"van":  true,
	"von":  true,
	"der":  true,
	"den":  true,
	"y":    true,
	"e":    true,
	"st":   true,
	"san":  true,
	"jr":   true,
	"sr":   true,
	"ii":   true,
	"iii":  true,
}

// weightOf returns how much a word contributes to a name: its letters, those of a particle only in part.
func weightOf(w string) float64 {
	if particles[w] {
		return 0.3 * float64(len(w))
	}
	return float64(len(w))
}

// maskOf returns a bit set of the letters and digits in the word.
func maskOf(w string) uint64 {
	var m uint64
	for i := range len(w) {
		m |= 1 << (w[i] & 63)
	}
	return m
}

func (n *names) insert(e Entry) {
	for _, name := range append([]string{e.Value}, e.Others...) {
		for _, folded := range foldings(name) {
			n.add(e.ID, folded, e.Births)
		}
	}
}

func (n *names) add(entry, folded string, births []string) {
	at := int32(len(n.all)) //nolint:gosec // no list has two thousand million names
	added := listed{entry: entry, births: births}
	for _, text := range strings.Fields(folded) {
		id, ok := n.words[text]
		if !ok {
			id = int32(len(n.lexicon)) //nolint:gosec // nor that many words
			n.words[text] = id
			n.lexicon = append(n.lexicon, word{text: text, mask: maskOf(text), weight: weightOf(text)})
		}
		added.words = append(added.words, id)
		if in := n.lexicon[id].in; len(in) == 0 || in[len(in)-1] != at {
			n.lexicon[id].in = append(in, at)
		}
	}
	if len(added.words) == 0 {
		return
	}
	n.all = append(n.all, added)
	n.of[entry] = append(n.of[entry], at)
}

func (n *names) remove(entry string) {
	for _, at := range n.of[entry] {
		n.all[at].removed = true
	}
	delete(n.of, entry)
}

// similarityThreshold returns the similarity from which two words are spellings of the same name. It is higher for
// short words, because one letter more or less makes a different name.
func similarityThreshold(a, b string) float64 {
	s := similarity(a, b)
	switch least := min(len(a), len(b)); {
	case least <= 2 && s < 1, least <= 4 && s < 0.90, s < 0.84:
		return 0
	}
	// An inexact match counts half again as much against the name: two near misses are another person.
	return 1.5*s - 0.5
}

const (
	// extra is the penalty for a letter of the entry that the query does not have.
	extra = 0.15
	// sameBirth, nearBirth and otherBirth adjust the score by the dates of birth.
	sameBirth, nearBirth, otherBirth = 0.05, -0.05, -0.15
)

// search scores every entry that has a word similar to one of the name.
func (n *names) search(name, birthdate string, floor float64) []NameMatch {
	best := map[string]float64{}
	for _, folded := range foldings(name) {
		n.searchFolded(folded, birthdate, floor, best)
	}
	out := make([]NameMatch, 0, len(best))
	for entry, score := range best {
		out = append(out, NameMatch{Entry: entry, Score: score})
	}
	slices.SortFunc(out, better)
	return out
}

func (n *names) searchFolded(folded, birthdate string, floor float64, best map[string]float64) {
	query := strings.Fields(folded)
	if len(query) == 0 || len(query) > 16 {
		return
	}
	total := 0.0
	similar := make([]map[int32]float64, len(query)) // for each query word, the similar words of the lexicon
	bound := map[int32]float64{}                     // for each name, an upper bound of the matched letters
	for i, q := range query {
		weight, mask := weightOf(q), maskOf(q)
		total += weight
		similar[i] = map[int32]float64{}
		reached := map[int32]float64{}
		for id := range n.lexicon {
			w := &n.lexicon[id]
			if len(w.text) > 2*len(q) || len(q) > 2*len(w.text) || missingLetters(mask, w.mask) > 1+len(q)/3 {
				continue
			}
			s := similarityThreshold(q, w.text)
			if s == 0 {
				continue
			}
			similar[i][int32(id)] = s //nolint:gosec // see add
			for _, at := range w.in {
				reached[at] = max(reached[at], s)
			}
		}
		for at, s := range reached {
			bound[at] += weight * s
		}
	}
	for at, most := range bound {
		candidate := &n.all[at]
		if candidate.removed || most/total+sameBirth < floor {
			continue
		}
		score := n.score(query, similar, candidate, total)
		score = math.Min(1, score+births(candidate.births, birthdate))
		score = math.Round(score*100) / 100
		if score >= floor && score > best[candidate.entry] {
			best[candidate.entry] = score
		}
	}
}

// missingLetters counts the letters of a that b does not have.
func missingLetters(a, b uint64) int {
	count := 0
	for x := a &^ b; x != 0; x &= x - 1 {
		count++
	}
	return count
}

// score pairs each word of the query with the most similar unused word of the entry, the best pairs first.
func (n *names) score(query []string, similar []map[int32]float64, candidate *listed, total float64) float64 {
	type pair struct {
		q, w int
		s    float64
	}
	var pairs []pair
	for q := range query {
		for w, id := range candidate.words {
			if s := similar[q][id]; s > 0 {
				pairs = append(pairs, pair{q, w, s})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.s*weightOf(query[b.q]), a.s*weightOf(query[a.q])) })
	var usedQ, usedW uint64
	got := 0.0
	for _, p := range pairs {
		if usedQ&(1<<p.q) != 0 || p.w < 64 && usedW&(1<<p.w) != 0 {
			continue
		}
		usedQ |= 1 << p.q
		usedW |= 1 << p.w
		got += p.s * weightOf(query[p.q])
	}
	more := 0.0
	for w, id := range candidate.words {
		if w < 64 && usedW&(1<<w) == 0 {
			more += n.lexicon[id].weight
		}
	}
	return got / (total + extra*more)
}

// births compares a date of birth with the recorded ones; the best match counts.
func births(recorded []string, birthdate string) float64 {
	born, err := time.Parse(time.DateOnly, birthdate)
	if len(recorded) == 0 || err != nil {
		return 0
	}
	best := otherBirth
	for _, k := range recorded {
		best = max(best, birth(k, born))
	}
	return best
}

func birth(recorded string, born time.Time) float64 {
	if from, to, span := strings.Cut(recorded, "/"); span {
		a, errA := time.Parse("2006", from)
		b, errB := time.Parse("2006", to)
		if errA == nil && errB == nil && born.Year() >= a.Year() && born.Year() <= b.Year() {
			return 0
		}
		return otherBirth
	}
	if day, err := time.Parse(time.DateOnly, recorded); err == nil {
		switch {
		case day.Equal(born):
			return sameBirth
		case day.Year() == born.Year():
			return nearBirth // the same year, or day and month exchanged
		}
		return otherBirth
	}
	if month, err := time.Parse("2006-01", recorded); err == nil {
		if month.Year() == born.Year() && month.Month() == born.Month() {
			return 0
		}
		if month.Year() == born.Year() {
			return nearBirth
		}
		return otherBirth
	}
	if year, err := time.Parse("2006", recorded); err == nil && year.Year() == born.Year() {
		return 0
	}
	return otherBirth
}
