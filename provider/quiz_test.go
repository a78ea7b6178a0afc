package provider_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/testkit"
)

// town is a bank's records in memory, with the choices of its quizzes.
type town struct {
	memberNames
	seq     int64
	choices map[string]map[string][]string
	version map[string]int64
}

func newTown(records ...*domain.IdentityRecord) *town {
	t := &town{memberNames: memberNames{}, choices: map[string]map[string][]string{}, version: map[string]int64{}}
	t.settle(records...)
	return t
}

// settle adds records.
func (t *town) settle(records ...*domain.IdentityRecord) {
	t.seq++
	for _, r := range records {
		key := risk.FoldTaxID(*r.TaxID)
		t.memberNames[key] = append(t.memberNames[key], r)
	}
}

func (t *town) RecordSeq(context.Context) (int64, error) { return t.seq, nil }

func (t *town) SampleIdentityRecords(_ context.Context, _ int, each func(*domain.IdentityRecord)) error {
	for _, key := range slices.Sorted(maps.Keys(t.memberNames)) {
		for _, r := range t.memberNames[key] {
			each(r)
		}
	}
	return nil
}

func (t *town) QuizChoices(_ context.Context, person []byte) (map[string][]string, int64, error) {
	return t.choices[string(person)], t.version[string(person)], nil
}

func (t *town) SaveQuizChoices(_ context.Context, person []byte, version int64, choices map[string][]string) (bool, error) {
	if t.version[string(person)] != version {
		return false, nil
	}
	t.version[string(person)]++
	t.choices[string(person)] = maps.Clone(choices)
	return true, nil
}

func (t *town) local() *provider.Local {
	l := local(t.memberNames, nil)
	l.Population, l.Choices = provider.NewPopulation(t), t
	return l
}

func ask(l *provider.Local, id string, who domain.Identity) ([]domain.QuizQuestion, error) {
	return l.Questions(context.Background(), &domain.Quiz{Meta: domain.Meta{ID: id}, Inputs: who})
}

// urn draws values of which some are more frequent than others.
type urn struct {
	values []string
	ends   []float64
}

// newUrn makes one in which the nth value is as frequent as the power of n says.
func newUrn(values []string, power float64) *urn {
	u := &urn{values: values}
	sum := 0.0
	for i := range values {
		sum += math.Pow(float64(i+1), -power)
		u.ends = append(u.ends, sum)
	}
	return u
}

func (u *urn) draw(rng *rand.Rand) string {
	at := rng.Float64() * u.ends[len(u.ends)-1]
	return u.values[slices.IndexFunc(u.ends, func(end float64) bool { return end > at })]
}

// people makes records of people. Half of the values are also in the published lists. Some employers are written in
// several ways, and the most frequent town is that of a third of the people.
func people(n int, seed uint64) []*domain.IdentityRecord {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	made := func(count int, name func(int) string, listed ...string) []string {
		all := slices.Clone(listed)
		for i := range count {
			all = append(all, name(i))
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all
	}
	syllables := []string{"bar", "del", "fen", "gor", "hal", "kin", "lor", "mar", "nor", "pel", "ros", "sil", "tor", "ven"}
	invented := func(i int) string {
		name := syllables[i%14] + syllables[i/14%14] + []string{"", "ton", "field"}[i%3]
		return strings.ToUpper(name[:1]) + name[1:]
	}
	towns := map[string]*urn{
		"NC": newUrn(made(12, invented, "Charlotte", "Burlington", "Durham", "Cary", "Wilmington", "Boone", "Hickory", "Concord", "Wilson"), 1),
		"SC": newUrn(made(15, invented, "Charleston", "Columbia", "Greenville", "Sumter", "Florence"), 0.5),
	}
	employers := newUrn(made(60, func(i int) string { return invented(i+40) + " Works" }, "Walmart", "FedEx", "Target", "Kroger", "Food Lion", "Publix"), 0.8)
	makes := newUrn([]string{"Toyota", "Ford", "Honda", "Chevrolet", "Trabant", "Wartburg", "Nissan", "Jeep", "Kia", "Lada", "Simca", "Subaru", "DeSoto", "BMW", "Mazda"}, 0.7)
	names := newUrn(made(150, func(i int) string { return invented(i + 20) }, "Smith", "Jones", "Brown", "Garcia", "Miller", "Davis", "Lee", "Lopez"), 0.9)
	several := func(most int, draw func() string) []string {
		var out []string
		for range rng.IntN(most + 1) {
			text := draw()
			for slices.Contains(out, text) {
				text = draw()
			}
			out = append(out, text)
		}
		return out
	}
	out := make([]*domain.IdentityRecord, 0, n)
	for i := range n {
		state := []string{"NC", "NC", "SC"}[rng.IntN(3)]
		who := testkit.Pike()
		who.TaxID, who.LastName = new(fmt.Sprintf("219-%02d-%04d", i/10000, i%10000)), new(names.draw(rng))
		who.City, who.Region = new(towns[state].draw(rng)), new(state)
		r := &domain.IdentityRecord{ID: fmt.Sprint("r", i), Identity: who}
		for _, city := range several(3, func() string { return towns[state].draw(rng) }) {
			r.PreviousAddresses = append(r.PreviousAddresses, domain.PreviousAddress{Address1: "7 Elm Street", City: city, Region: state})
		}
		r.Employers = several(2, func() string {
			return employers.draw(rng) + []string{"", "", " Inc.", ", LLC"}[rng.IntN(4)]
		})
		r.Vehicles = several(2, func() string { return fmt.Sprint(2000+rng.IntN(20), " ") + makes.draw(rng) + " Model" })
		r.Relatives = several(3, func() string { return "Ada " + names.draw(rng) })
		if rng.IntN(10) == 0 {
			for i, e := range r.Employers {
				r.Employers[i] = strings.ToUpper(e)
			}
		}
		out = append(out, r)
	}
	return out
}

// critical are the values of chi-square that chance exceeds once in a hundred times, by degrees of freedom.
var critical = map[int]float64{1: 6.635, 4: 13.277, 7: 18.475}

// ranks counts how often the correct choice has each rank of an order.
type ranks struct{ counts []int }

func (r *ranks) add(choices int, rank int) {
	if r.counts == nil {
		r.counts = make([]int, choices)
	}
	r.counts[rank]++
}

func (r *ranks) chiSquare() (x float64, degrees int) {
	sum := 0
	for _, n := range r.counts {
		sum += n
	}
	expected := float64(sum) / float64(len(r.counts))
	for _, n := range r.counts {
		x += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return x, len(r.counts) - 1
}

// published are all values of the lists in the program.
func published() map[string]bool {
	out := map[string]bool{}
	for _, text := range provider.PublishedWords() {
		out[text] = true
	}
	return out
}

// TestChoicesTellNothing: over 2,000 quizzes of made-up people, neither position, spelling, membership in a published
// list nor frequency picks the correct choice better than chance.
func TestChoicesTellNothing(t *testing.T) {
	t.Parallel()
	records := people(8000, 7)
	frequency := map[string]int{}
	for _, r := range records {
		for _, text := range provider.FactTexts(r) {
			frequency[text]++
		}
	}
	bank, listed := newTown(records...), published()
	l := bank.local()
	// Each order is a guess: it puts the choices in an order, and the guesser chooses a rank of it.
	orders := map[string]func(a, b string) int{
		"position":  func(string, string) int { return 0 },
		"alphabet":  strings.Compare,
		"length":    func(a, b string) int { return len(a) - len(b) },
		"frequency": func(a, b string) int { return frequency[a] - frequency[b] },
		"words":     func(a, b string) int { return strings.Count(a, " ") - strings.Count(b, " ") },
	}
	// Ties are broken by position, and all questions of one kind are also counted apart.
	found := map[string]*ranks{}
	quizzes, asked := 0, 0
	// Membership: how often the correct choice is in a list, and how often it would be by chance.
	in := map[string][3]float64{}
	for i, r := range records {
		questions, err := ask(l, fmt.Sprint("quiz", i), r.Identity)
		if problem.Has(err, problem.QuizQuestionsUnavailable) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if quizzes++; quizzes > 2000 {
			break
		}
		for _, q := range questions {
			asked++
			for name, order := range orders {
				sorted := slices.Clone(q.Choices)
				slices.SortStableFunc(sorted, order)
				for _, of := range []string{"all", q.Question} {
					key := fmt.Sprintf("%s of %d, %s", name, len(q.Choices), of)
					if found[key] == nil {
						found[key] = &ranks{}
					}
					found[key].add(len(q.Choices), slices.Index(sorted, q.Right))
				}
			}
			for name, member := range map[string]func(string) bool{
				"a published list": func(c string) bool { return listed[c] },
				"capitals":         func(c string) bool { return strings.ToUpper(c) == c },
			} {
				n := 0
				for _, c := range q.Choices {
					if member(c) {
						n++
					}
				}
				share := float64(n) / float64(len(q.Choices))
				sum := in[name]
				if member(q.Right) {
					sum[0]++
				}
				sum[1] += share
				sum[2] += share * (1 - share)
				in[name] = sum
			}
		}
	}
	if quizzes < 2000 {
		t.Fatalf("only %d people have enough facts", quizzes)
	}
	for name, r := range found {
		if x, degrees := r.chiSquare(); x > critical[degrees] {
			t.Errorf("%s: chi-square is %.1f with %d degrees of freedom: %v", name, x, degrees, r.counts)
		}
	}
	for name, sum := range in {
		if sum[2] == 0 {
			continue
		}
		if x := (sum[0] - sum[1]) * (sum[0] - sum[1]) / sum[2]; x > critical[1] {
			t.Errorf("%s: %.0f correct ones are in it, by chance it would be %.0f: chi-square is %.1f", name, sum[0], sum[1], x)
		}
	}
	t.Logf("%d questions", asked)
}

// TestDecoysAreNeverRight uses people with many facts of a kind, in a small bank and in a large one.
func TestDecoysAreNeverRight(t *testing.T) {
	t.Parallel()
	records := people(800, 3)
	large := newTown(records...)
	counted := large.local()
	rapid.Check(t, func(t *rapid.T) {
		who := testkit.Pike()
		who.LastName = new(rapid.SampledFrom([]string{"Pike", "Carter", "Smith Jones"}).Draw(t, "name"))
		who.City = new(rapid.SampledFrom([]string{"Wilmington", "Raleigh", "Mount Nowhere"}).Draw(t, "city"))
		r := &domain.IdentityRecord{ID: "r", Identity: who}
		for range rapid.IntRange(0, 6).Draw(t, "facts") {
			r.PreviousAddresses = append(r.PreviousAddresses, domain.PreviousAddress{
				Address1: "9 Elm Avenue", City: rapid.SampledFrom([]string{"Raleigh", "DURHAM", "Boone", "St. Nowhere", "Cary"}).Draw(t, "town"), Region: "NC",
			})
			r.Relatives = append(r.Relatives, rapid.SampledFrom([]string{"Ada Carter", "JAMES SMITH", "Mary Jones, Jr.", "Luis J. Garcia", "Cher", "Nowhere, Ann"}).Draw(t, "relative"))
			r.Vehicles = append(r.Vehicles, rapid.SampledFrom([]string{"2014 Honda Civic", "Toyota Camry 2009", "FORD F-150", "Trabant", "1999", "Chevy Malibu"}).Draw(t, "vehicle"))
			r.Employers = append(r.Employers, rapid.SampledFrom([]string{"Walmart, Inc.", "WALMART INC", "FedEx", "Target Corp", "IBM"}).Draw(t, "employer"))
		}
		l := local(memberNames{"219550142": {r}}, nil)
		if rapid.Bool().Draw(t, "large") {
			l.Population = counted.Population
		}
		right := map[string]bool{}
		for _, text := range provider.FactTexts(r) {
			right[risk.Fold(text)] = true
		}
		choicesOf := map[string][]string{}
		for id := range 4 {
			questions, err := ask(l, fmt.Sprint(id), who)
			if problem.Has(err, problem.QuizQuestionsUnavailable) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if size := fmt.Sprint(len(questions), len(questions[0].Choices)); size != "5 5" && size != "4 8" {
				t.Fatalf("a quiz of %s", size)
			}
			shown := map[string]bool{}
			for i, q := range questions {
				if q.ID != fmt.Sprint(i+1) || !slices.Contains(q.Choices, q.Right) || !right[risk.Fold(q.Right)] {
					t.Fatalf("got %+v", q)
				}
				if before := choicesOf[q.Question+q.Right]; before != nil && !slices.Equal(before, q.Choices) {
					t.Fatalf("one fact has other decoys: %v and %v", before, q.Choices)
				}
				choicesOf[q.Question+q.Right] = q.Choices
				for _, c := range q.Choices {
					key := q.Question + risk.Fold(c)
					if c != q.Right && right[risk.Fold(c)] || shown[key] {
						t.Fatalf("the choice %q is another right one, or shown twice", c)
					}
					shown[key] = true
					if strings.EqualFold(c, *who.City) || strings.Contains(*who.LastName, c) || strings.Contains(c, "Nowhere") {
						t.Fatalf("the choice %q is current, or too rare", c)
					}
				}
			}
		}
	})
}

// TestAFactKeepsItsDecoys: also when the population has changed, when there is another quiz size, and when a decoy has
// become a fact.
func TestAFactKeepsItsDecoys(t *testing.T) {
	t.Parallel()
	who := testkit.Pike()
	r := &domain.IdentityRecord{
		ID: "r", Identity: who, Employers: []string{"Hilton"}, Vehicles: []string{"2014 Mazda 3"}, Relatives: []string{"Ada Carter"},
		PreviousAddresses: []domain.PreviousAddress{{Address1: "9 Elm Avenue", City: "Burlington", Region: "NC"}},
	}
	bank := newTown(r)
	of := func(id string) map[string]domain.QuizQuestion {
		t.Helper()
		questions, err := ask(bank.local(), id, who)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]domain.QuizQuestion{}
		for _, q := range questions {
			out[q.Right] = q
		}
		return out
	}
	four := of("1")
	if len(four) != 4 || len(four["Mazda"].Choices) != 8 {
		t.Fatalf("got %v", four)
	}
	bank.settle(people(3000, 5)...)
	for right, q := range of("2") {
		if !slices.Equal(q.Choices, four[right].Choices) {
			t.Errorf("%s had %v, and after an import %v", right, four[right].Choices, q.Choices)
		}
	}
	r.Relatives = append(r.Relatives, "Luis Smith", "Bea Jones", "Max Brown", "Ann Garcia", "Joe Davis")
	r.Employers = append(r.Employers, "FedEx", "Target", "Kroger", "Publix")
	five := of("3")
	for right, q := range five {
		for _, c := range q.Choices {
			if had := four[right].Choices; had != nil && !slices.Contains(had, c) {
				t.Errorf("%s had %v, and in a larger quiz %v", right, had, q.Choices)
			}
		}
	}
	decoy := four["Mazda"].Choices[0]
	if decoy == "Mazda" {
		decoy = four["Mazda"].Choices[1]
	}
	r.Vehicles = append(r.Vehicles, decoy)
	for right := range of("4") {
		if right == "Mazda" || right == decoy {
			t.Errorf("%s is asked, and two choices are right", right)
		}
	}
}

func TestOnlyThePersonOfTheRecordIsAsked(t *testing.T) {
	t.Parallel()
	who := testkit.Pike()
	r := &domain.IdentityRecord{
		ID: "r", Identity: who, Employers: []string{"Hilton"}, Vehicles: []string{"2014 Mazda 3"}, Relatives: []string{"Ada Carter"},
		PreviousAddresses: []domain.PreviousAddress{{Address1: "9 Elm Avenue", City: "Burlington", Region: "NC"}},
	}
	bank := newTown(r)
	for claim, c := range map[string]struct {
		change func(in, record *domain.Identity)
		asked  bool
	}{
		"the person":            {func(_, _ *domain.Identity) {}, true},
		"with an initial":       {func(in, _ *domain.Identity) { in.FirstName = new("M.") }, true},
		"at another address":    {func(in, _ *domain.Identity) { in.Address1, in.City = new("1 Other Road"), new("Little Village") }, true},
		"with another phone":    {func(in, _ *domain.Identity) { in.Phone = new("+1 202 555 0100") }, true},
		"an unknown tax id":     {func(in, _ *domain.Identity) { in.TaxID = new("219-55-0999") }, false},
		"another birth date":    {func(in, _ *domain.Identity) { in.Birthdate = new("1985-06-16") }, false},
		"another first name":    {func(in, _ *domain.Identity) { in.FirstName = new("Moritz") }, false},
		"another family name":   {func(in, _ *domain.Identity) { in.LastName = new("Carp") }, false},
		"no recorded birthdate": {func(_, record *domain.Identity) { record.Birthdate = nil }, false},
		"no recorded name":      {func(_, record *domain.Identity) { record.FirstName, record.LastName = nil, nil }, false},
	} {
		in := who
		r.Identity = who
		c.change(&in, &r.Identity)
		questions, err := ask(bank.local(), "1", in)
		if c.asked && (err != nil || len(questions) != 4) || !c.asked && !problem.Has(err, problem.QuizQuestionsUnavailable) {
			t.Errorf("%s: %d questions, %v", claim, len(questions), err)
		}
	}
	r.Identity = who
	in := who
	in.City = new("Burlington")
	if _, err := ask(bank.local(), "1", in); !problem.Has(err, problem.QuizQuestionsUnavailable) {
		t.Errorf("a town that the input tells is asked for: %v", err)
	}
}

// TestRareValuesAreNotShown: a value that fewer than five records have is neither asked for nor a decoy.
func TestRareValuesAreNotShown(t *testing.T) {
	t.Parallel()
	records := people(2000, 11)
	counts := map[string]int{}
	for _, r := range records {
		seen := map[string]bool{}
		for _, text := range provider.FactTexts(r) {
			if key := risk.Fold(text); !seen[key] {
				counts[key]++
				seen[key] = true
			}
		}
	}
	l := newTown(records...).local()
	asked := 0
	for i, r := range records {
		questions, err := ask(l, fmt.Sprint(i), r.Identity)
		if err != nil {
			continue
		}
		asked++
		for _, q := range questions {
			for _, c := range q.Choices {
				if counts[risk.Fold(c)] < 5 {
					t.Fatalf("%q is shown, and %d records have it", c, counts[risk.Fold(c)])
				}
			}
		}
	}
	t.Logf("%d of %d people are asked", asked, len(records))
}

func TestTheShareThatPasses(t *testing.T) {
	t.Parallel()
	l := local(nil, nil)
	l.Rules.PassShare = 0.5
	q := &domain.Quiz{Questions: []domain.QuizQuestion{{ID: "1", Right: "a"}, {ID: "2", Right: "b"}, {ID: "3", Right: "c"}}}
	for right, want := range map[int]domain.QuizVerdict{0: domain.VerdictFailed, 1: domain.VerdictFailed, 2: domain.VerdictPassed, 3: domain.VerdictPassed} {
		var answers []domain.QuizAnswer
		for i, question := range q.Questions {
			a := domain.QuizAnswer{QuestionID: question.ID, Answer: "wrong"}
			if i < right {
				a.Answer = question.Right
			}
			answers = append(answers, a)
		}
		if got, ok := l.Mark(q, answers); got != want || !ok {
			t.Errorf("%d right: %s", right, got)
		}
	}
}
