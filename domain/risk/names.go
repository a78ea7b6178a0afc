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
	// Score is 1 for the same name and the same birth date.
	Score float64
}

func better(a, b NameMatch) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(a.Entry, b.Entry)
}

// names is a list of people, found by the words of their names.
//
// A search compares each word of the name it is given with each different word of the list once, by Jaro and Winkler,
// and scores only the entries that have at least one word like it. An entry scores the share of the name's letters
// that have their like in it, less a little for words the name does not have: lists give more names than people use.
type names struct {
	words   map[string]int32
	lexicon []word
	all     []listed
	// of says which of all belong to an entry.
	of map[string][]int32
}

type word struct {
	text   string
	mask   uint64
	weight float64
	// in are the names with the word.
	in []int32
}

type listed struct {
	entry  string
	words  []int32
	births []string
	gone   bool
}

func newNames() *names { return &names{words: map[string]int32{}, of: map[string][]int32{}} }

// particles are words of names that many share, and that others leave out.
var particles = map[string]bool{
	"al": true, "el": true, "ul": true, "ud": true, "bin": true, "ibn": true, "bint": true, "abd": true, "abu": true, "de": true, "del": true, "la": true, "las": true, "los": true, "da": true,
	"das": true, "do": true, "dos": true, "di": true, "van": true, "von": true, "der": true, "den": true, "y": true, "e": true, "st": true, "san": true, "jr": true, "sr": true, "ii": true, "iii": true,
}

// weightOf is how much a word says of who is meant: its letters, a particle's only in part.
func weightOf(w string) float64 {
	if particles[w] {
		return 0.3 * float64(len(w))
	}
	return float64(len(w))
}

// maskOf has a bit for each letter and digit that is in the word.
func maskOf(w string) uint64 {
	var m uint64
	for i := range len(w) {
		m |= 1 << (w[i] & 63)
	}
	return m
}

func (n *names) put(e Entry) {
	for _, name := range append([]string{e.Value}, e.Others...) {
		for _, folded := range foldings(name) {
			n.add(e.ID, folded, e.Births)
		}
	}
}

func (n *names) add(entry, folded string, births []string) {
	at := int32(len(n.all)) //nolint:gosec // no list has two thousand million names
	one := listed{entry: entry, births: births}
	for _, text := range strings.Fields(folded) {
		id, ok := n.words[text]
		if !ok {
			id = int32(len(n.lexicon)) //nolint:gosec // nor that many words
			n.words[text] = id
			n.lexicon = append(n.lexicon, word{text: text, mask: maskOf(text), weight: weightOf(text)})
		}
		one.words = append(one.words, id)
		if in := n.lexicon[id].in; len(in) == 0 || in[len(in)-1] != at {
			n.lexicon[id].in = append(in, at)
		}
	}
	if len(one.words) == 0 {
		return
	}
	n.all = append(n.all, one)
	n.of[entry] = append(n.of[entry], at)
}

func (n *names) take(entry string) {
	for _, at := range n.of[entry] {
		n.all[at].gone = true
	}
	delete(n.of, entry)
}

// alike is the similarity from which a word is taken for another spelling: a short one has to be nearer, for one
// letter more or less makes another name of it.
func alike(a, b string) float64 {
	s := similarity(a, b)
	switch least := min(len(a), len(b)); {
	case least <= 2 && s < 1, least <= 4 && s < 0.90, s < 0.84:
		return 0
	}
	// What is not quite alike counts half again as much against the name: two near misses make another person.
	return 1.5*s - 0.5
}

const (
	// extra is what a letter of the entry that the name does not have counts.
	extra = 0.15
	// sameBirth, nearBirth and otherBirth change the score by what is known of the births.
	sameBirth, nearBirth, otherBirth = 0.05, -0.05, -0.15
)

// search scores every entry that has a word like one of the name.
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
	like := make([]map[int32]float64, len(query)) // words of the lexicon like each of the query
	bound := map[int32]float64{}                  // of each name, the most it can have of the query's letters
	for i, q := range query {
		weight, mask := weightOf(q), maskOf(q)
		total += weight
		like[i] = map[int32]float64{}
		reached := map[int32]float64{}
		for id := range n.lexicon {
			w := &n.lexicon[id]
			if len(w.text) > 2*len(q) || len(q) > 2*len(w.text) || apart(mask, w.mask) > 1+len(q)/3 {
				continue
			}
			s := alike(q, w.text)
			if s == 0 {
				continue
			}
			like[i][int32(id)] = s //nolint:gosec // see add
			for _, at := range w.in {
				reached[at] = max(reached[at], s)
			}
		}
		for at, s := range reached {
			bound[at] += weight * s
		}
	}
	for at, most := range bound {
		one := &n.all[at]
		if one.gone || most/total+sameBirth < floor {
			continue
		}
		score := n.score(query, like, one, total)
		score = math.Min(1, score+births(one.births, birthdate))
		score = math.Round(score*100) / 100
		if score >= floor && score > best[one.entry] {
			best[one.entry] = score
		}
	}
}

// apart counts the letters of a that b does not have.
func apart(a, b uint64) int {
	count := 0
	for x := a &^ b; x != 0; x &= x - 1 {
		count++
	}
	return count
}

// score pairs each word of the query with the likest free word of the entry, the best pairs first.
func (n *names) score(query []string, like []map[int32]float64, one *listed, total float64) float64 {
	type pair struct {
		q, w int
		s    float64
	}
	var pairs []pair
	for q := range query {
		for w, id := range one.words {
			if s := like[q][id]; s > 0 {
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
	for w, id := range one.words {
		if w < 64 && usedW&(1<<w) == 0 {
			more += n.lexicon[id].weight
		}
	}
	return got / (total + extra*more)
}

// births compares a birth date with what a list knows; the best agreement counts.
func births(known []string, birthdate string) float64 {
	born, err := time.Parse(time.DateOnly, birthdate)
	if len(known) == 0 || err != nil {
		return 0
	}
	best := otherBirth
	for _, k := range known {
		best = max(best, birth(k, born))
	}
	return best
}

func birth(known string, born time.Time) float64 {
	if from, to, span := strings.Cut(known, "/"); span {
		a, errA := time.Parse("2006", from)
		b, errB := time.Parse("2006", to)
		if errA == nil && errB == nil && born.Year() >= a.Year() && born.Year() <= b.Year() {
			return 0
		}
		return otherBirth
	}
	if day, err := time.Parse(time.DateOnly, known); err == nil {
		switch {
		case day.Equal(born):
			return sameBirth
		case day.Year() == born.Year():
			return nearBirth // the same year, or a day and a month in each other's place
		}
		return otherBirth
	}
	if month, err := time.Parse("2006-01", known); err == nil {
		if month.Year() == born.Year() && month.Month() == born.Month() {
			return 0
		}
		if month.Year() == born.Year() {
			return nearBirth
		}
		return otherBirth
	}
	if year, err := time.Parse("2006", known); err == nil && year.Year() == born.Year() {
		return 0
	}
	return otherBirth
}
