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
// scores only the entries that share two similar words with it, or all they have. If the family name and one given name
// agree, other words that only one side has weigh little: lists have more names than people use, and people have more
// names than lists know.
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
	// bones are the consonants of the word, for names in a script that does not write vowels.
	bones string
	// in lists the names that contain the word.
	in []int32
}

type listed struct {
	entry string
	words []int32
	// family has a bit for each word of the family name; 0 if it is not known which words these are.
	family  uint64
	initial bool
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
}

// joiners are the words that are written joined with the following word or apart: O'Brannagh, al-Harbi, Abd el-Rahman, bin
// Ladin, MacDonald, de la Cruz, van der Berg.
var joiners = wordSet("o al el ul ad as ash ar az an at abd abdul abdel abdal abu aboul ibn bin ben bint mac mc d l de da di du del " +
	"della dos das la le los las van von der den ter te st san santa")

// ignored are titles and suffixes, which are no part of a name.
var ignored = wordSet("mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend hon jr sr junior senior ii iii iv " +
	"phd md esq dds")

func wordSet(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(text) {
		out[w] = true
	}
	return out
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

// form is one way to write a name.
type form struct {
	words []string
	// family has a bit for each word of the family name; 0 if it is not known which words these are.
	family uint64
	// bare is set if the words have no vowels.
	bare bool
}

// maxWords is the number of words of a name that are compared. Those of the family name come first.
const maxWords = 16

// formsOf returns the ways to write a name: with umlauts and without, and with particles and hyphens joined and apart. A
// comma separates a family name from given names.
func formsOf(name string) []form {
	family, given, known := strings.Cut(name, ",")
	given = strings.ReplaceAll(given, ",", " ")
	var out []form
	add := func(family, given []string) {
		words := append(withoutTitles(family), withoutTitles(given)...)
		if len(words) == 0 {
			words = append(family, given...)
		}
		f := form{words: usual(words[:min(len(words), maxWords)]), bare: bare(name)}
		if known {
			f.family = 1<<len(withoutTitles(family)) - 1
		}
		for _, o := range out {
			if slices.Equal(o.words, f.words) {
				return
			}
		}
		if len(f.words) > 0 {
			out = append(out, f)
		}
	}
	for _, spell := range []func(string) string{func(text string) string { return text }, withoutUmlauts} {
		add(strings.Fields(Fold(spell(family))), strings.Fields(Fold(spell(given))))
		add(joined(spell(family)), joined(spell(given)))
	}
	return out
}

// spellings are transliterations of one name, each line of them. Other spellings agree by their letters.
var spellings = func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(`mohammed muhammad mohamed mohammad mohamad muhammed muhamad mohamud mahomed mohd
ahmed ahmad
hussein husayn hossein hussain husain hosein
hassan hasan
yusuf yousef youssef yousuf yusef
abdullah abdallah abdulla
ibrahim ebrahim
omar umar
osman uthman othman
khalid khaled
saeed said sayeed
sergei sergey serguei
aleksandr alexander alexandr
aleksei alexei aleksey alexey
dmitri dmitry dmitriy dimitri
yuri yury iouri
evgeni evgeny evgeniy yevgeny yevgeni yevgeniy
nikolai nikolay
andrei andrey
mikhail michail
anatoly anatoli anatoliy
valery valeri valeriy
`) {
		all := strings.Fields(line)
		for _, w := range all {
			out[w] = all[0]
		}
	}
	return out
}()

// usual replaces transliterations of a name by the first one of their line.
func usual(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		if first, ok := spellings[w]; ok {
			out[i] = first
		}
	}
	return out
}

// joined returns the words that spaces separate, without other separators, and joiners with the word that follows them.
func joined(text string) []string {
	var out []string
	prefix := ""
	for _, part := range strings.Fields(Visible(text)) {
		w := strings.ReplaceAll(Fold(part), " ", "")
		if joiners[w] {
			prefix += w
			continue
		}
		if w != "" {
			out = append(out, prefix+w)
			prefix = ""
		}
	}
	if prefix != "" {
		out = append(out, prefix)
	}
	return out
}

func withoutTitles(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return ignored[w] })
}

func (n *names) insert(e Entry) {
	for _, name := range append([]string{e.Value}, e.Others...) {
		for _, f := range formsOf(name) {
			n.add(e.ID, f, e.Births)
		}
	}
}

func (n *names) add(entry string, f form, births []string) {
	at := int32(len(n.all)) //nolint:gosec // no list has two thousand million names
	added := listed{entry: entry, births: births, family: f.family}
	for _, text := range f.words {
		id, ok := n.words[text]
		if !ok {
			id = int32(len(n.lexicon)) //nolint:gosec // nor that many words
			n.words[text] = id
			n.lexicon = append(n.lexicon, word{text: text, mask: maskOf(text), weight: weightOf(text), bones: bonesOf(text)})
		}
		added.words = append(added.words, id)
		added.initial = added.initial || len(text) == 1
		if in := n.lexicon[id].in; len(in) == 0 || in[len(in)-1] != at {
			n.lexicon[id].in = append(in, at)
		}
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

// spelling returns how much two words agree as spellings of one name: 1 for the same word, 0 for different ones. The
// required similarity is higher for short words, because one letter more or less makes a different name.
func spelling(a, b string) float64 {
	s := similarity(a, b)
	switch least := min(len(a), len(b)); {
	case least <= 2 && s < 1, least <= 4 && s < 0.90, s < 0.84:
		return 0
	}
	if bones := bonesOf(a); len(bones) >= 3 && bones == bonesOf(b) { // Mohammed, Muhammad: only vowels differ
		return max(otherVowels, 1-inexact*(1-s))
	}
	return 1 - inexact*(1-s)
}

// The weights of a score. The tests of this package and the screening benchmark hold what they are chosen for: a variant
// of a name with the listed birth date is found, and a name that everybody may have is not, unless the date agrees.
const (
	// inexact is how much a difference in spelling counts against a word.
	inexact = 3.0
	// otherVowels is the agreement of words that differ in vowels only.
	otherVowels = 0.82
	// extra is the penalty for a letter of the entry that the query does not have, where no family and given name agree.
	extra = 0.15
	// firstMissing, nextMissing and mostMissing are the penalties for words that only one side has, where a family name and
	// a given name agree; rareMissing is the first one where the list has the family name once.
	firstMissing, rareMissing, nextMissing, mostMissing = 0.12, 0.10, 0.02, 0.15
	// familyMissing is the additional penalty if one of these words is of the family name, unless the list has it once.
	familyMissing = 0.04
	// onlyInitial is the penalty for a given name of which one side has the initial.
	onlyInitial = 0.12
	// sameDay, sameSpan, sameYear and otherYear adjust the score by the dates of birth. sameSpan is for a date that the
	// list does not know to the day. A year before or after has no effect. otherYear never drops the same name.
	sameDay, sameSpan, sameYear, otherYear = 0.12, 0.06, 0.01, -0.06
)

// search scores every entry that has words similar to those of the name.
func (n *names) search(name, birthdate string, floor float64) []NameMatch {
	best := map[string]float64{}
	known := map[string]map[int32]float64{} // the forms of a name share words
	for _, f := range formsOf(name) {
		n.searchForm(f, birthdate, floor, best, known)
	}
	out := make([]NameMatch, 0, len(best))
	for entry, score := range best {
		out = append(out, NameMatch{Entry: entry, Score: score})
	}
	slices.SortFunc(out, better)
	return out
}

// similarWords returns the words of the index that may be spellings of a word.
func (n *names) similarWords(q string, bare bool) map[int32]float64 {
	out := map[int32]float64{}
	mask := maskOf(q)
	for id := range n.lexicon {
		w := &n.lexicon[id]
		if bare {
			if s := sameBones(q, w.bones); s > 0 {
				out[int32(id)] = s //nolint:gosec // see add
			}
			continue
		}
		if len(w.text) > 2*len(q) || len(q) > 2*len(w.text) || missingLetters(mask, w.mask) > 1+len(q)/3 ||
			missingLetters(w.mask, mask) > 1+len(w.text)/3 {
			continue
		}
		if s := spelling(q, w.text); s > 0 {
			out[int32(id)] = s //nolint:gosec // see add
		}
	}
	return out
}

func (n *names) searchForm(f form, birthdate string, floor float64, best map[string]float64, known map[string]map[int32]float64) {
	similar := make([]map[int32]float64, len(f.words))
	reached, lately := make([]uint8, len(n.all)), make([]uint8, len(n.all)) // for each name, how many query words it may have
	var candidates []int32
	needed, initial := 0, false
	for i, q := range f.words {
		if known[q] == nil {
			known[q] = n.similarWords(q, f.bare)
		}
		similar[i] = known[q]
		if initial = initial || len(q) == 1; particles[q] || len(q) == 1 {
			continue
		}
		needed++
		for id := range similar[i] {
			for _, at := range n.lexicon[id].in {
				if lately[at] == uint8(needed) { //nolint:gosec // there are at most maxWords
					continue
				}
				lately[at] = uint8(needed) //nolint:gosec // likewise
				if reached[at]++; reached[at] == 1 {
					candidates = append(candidates, at)
				}
			}
		}
	}
	for _, at := range candidates {
		candidate := &n.all[at]
		if count := int(reached[at]); candidate.removed || count < min(2, needed, len(candidate.words)) && !initial && !candidate.initial {
			continue
		}
		score := n.score(f, similar, candidate) + births(candidate.births, birthdate)
		score = math.Round(math.Min(1, score)*100) / 100
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

// pair is a word of the query with the word of the entry that it agrees with.
type pair struct {
	q, w    int
	s       float64
	initial bool
}

// pairs assigns each word of the query the most similar unused word of the entry, the best pairs first.
func (n *names) pairs(f form, similar []map[int32]float64, candidate *listed) []pair {
	var all []pair
	for q, text := range f.words {
		for w, id := range candidate.words {
			other := n.lexicon[id].text
			switch s := similar[q][id]; {
			case s > 0:
				all = append(all, pair{q, w, s, false})
			case (len(text) == 1 || len(other) == 1) && text[0] == other[0]:
				all = append(all, pair{q, w, 0, true})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b pair) int { return cmp.Compare(b.s*weightOf(f.words[b.q]), a.s*weightOf(f.words[a.q])) })
	var usedQ, usedW uint64
	return slices.DeleteFunc(all, func(p pair) bool {
		if usedQ&(1<<p.q) != 0 || usedW&(1<<p.w) != 0 {
			return true
		}
		usedQ |= 1 << p.q
		usedW |= 1 << p.w
		return false
	})
}

// score returns how much the name agrees with an entry, from 0 to 1, without the dates of birth.
func (n *names) score(f form, similar []map[int32]float64, candidate *listed) float64 {
	pairs := n.pairs(f, similar, candidate)
	var usedQ, usedW uint64
	weight, got := 0.0, 0.0
	for _, p := range pairs {
		usedQ |= 1 << p.q
		usedW |= 1 << p.w
		if !p.initial {
			w := weightOf(f.words[p.q])
			weight, got = weight+w, got+w*p.s
		}
	}
	if agrees(n, f, candidate, pairs) {
		return got/weight - n.missing(f, candidate, pairs, usedQ, usedW)
	}
	total, more := 0.0, 0.0
	for _, w := range f.words {
		total += weightOf(w)
	}
	for w, id := range candidate.words {
		if usedW&(1<<w) == 0 {
			more += n.lexicon[id].weight
		}
	}
	return got / (total + extra*more)
}

// agrees reports whether a word of the family name and one of the given names agree, also if they are exchanged. Where it
// is not known which words are the family name, any two words are sufficient.
func agrees(n *names, f form, candidate *listed, pairs []pair) bool {
	family, given, familyAsGiven, givenAsFamily := 0, 0, 0, 0
	for _, p := range pairs {
		if particles[f.words[p.q]] || particles[n.lexicon[candidate.words[p.w]].text] {
			continue
		}
		ofQ, ofW := f.family&(1<<p.q) != 0, candidate.family&(1<<p.w) != 0
		switch {
		case f.family == 0 || candidate.family == 0:
			if p.initial {
				given++
			} else {
				family++
			}
		case ofQ && ofW && !p.initial:
			family++
		case !ofQ && !ofW:
			given++
		case ofQ:
			familyAsGiven++
		default:
			givenAsFamily++
		}
	}
	if f.family == 0 || candidate.family == 0 {
		return family >= 2 || family == 1 && given > 0
	}
	return family > 0 && given > 0 || familyAsGiven > 0 && givenAsFamily > 0
}

// missing returns the penalty for words that only one side has, and for initials.
func (n *names) missing(f form, candidate *listed, pairs []pair, usedQ, usedW uint64) float64 {
	first, initials, rare := firstMissing, 0.0, false
	for _, p := range pairs {
		if p.initial {
			initials = onlyInitial
		}
		if f.family == 0 || f.family&(1<<p.q) != 0 {
			rare = rare || len(n.lexicon[candidate.words[p.w]].in) <= 2
		}
	}
	ofFamily := familyMissing
	if rare {
		first, ofFamily = rareMissing, 0
	}
	count, family := 0, 0.0
	for q, w := range f.words {
		if usedQ&(1<<q) == 0 && !particles[w] {
			count++
			if f.family&(1<<q) != 0 {
				family = ofFamily
			}
		}
	}
	for w, id := range candidate.words {
		if usedW&(1<<w) == 0 && !particles[n.lexicon[id].text] {
			count++
			if candidate.family&(1<<w) != 0 {
				family = ofFamily
			}
		}
	}
	if count == 0 {
		return initials
	}
	return math.Min(mostMissing, max(first, initials)+nextMissing*float64(count-1)) + family
}

// births compares a date of birth with the recorded ones; the best match counts.
func births(recorded []string, birthdate string) float64 {
	born, err := time.Parse(time.DateOnly, birthdate)
	if len(recorded) == 0 || err != nil {
		return 0
	}
	best := otherYear
	for _, k := range recorded {
		best = max(best, birth(k, born))
	}
	return best
}

func birth(recorded string, born time.Time) float64 {
	if from, to, span := strings.Cut(recorded, "/"); span {
		a, errA := time.Parse("2006", from)
		b, errB := time.Parse("2006", to)
		if errA != nil || errB != nil {
			return 0
		}
		return inYears(born, a.Year(), b.Year(), sameSpan)
	}
	if day, err := time.Parse(time.DateOnly, recorded); err == nil {
		if day.Equal(born) {
			return sameDay
		}
		return inYears(born, day.Year(), day.Year(), sameYear)
	}
	if month, err := time.Parse("2006-01", recorded); err == nil {
		if month.Month() == born.Month() {
			return inYears(born, month.Year(), month.Year(), sameSpan)
		}
		return inYears(born, month.Year(), month.Year(), sameYear)
	}
	if year, err := time.Parse("2006", recorded); err == nil {
		return inYears(born, year.Year(), year.Year(), sameSpan)
	}
	return 0
}

// inYears returns within for a date in a span of years, 0 for one in the year before or after it, and otherwise otherYear.
func inYears(born time.Time, from, to int, within float64) float64 {
	switch year := born.Year(); {
	case year >= from && year <= to:
		return within
	case year >= from-1 && year <= to+1:
		return 0
	}
	return otherYear
}
