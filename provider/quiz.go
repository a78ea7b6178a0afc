package provider

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

const (
	// choices is the number of choices of a question.
	choices = 5
	// maxQuestions is the maximum number of questions of a quiz: one of each kind.
	maxQuestions = 5
)

// questionKind is a kind of fact that a question asks for.
type questionKind struct {
	name string
	// text is the question.
	text string
	// facts returns the person's facts as displayed.
	facts func(*domain.IdentityRecord) []string
	// decoy returns a random value similar to the fact.
	decoy func(r *rand.Rand, fact string) string
	// same reports whether two values are the same fact.
	same func(a, b string) bool
}

var questionKinds = []questionKind{
	{"address", "Which of these addresses have you lived at?", previousAddresses, decoyAddress, sameAddress},
	{
		"phone",
		"Which of these phone numbers has been yours?",
		previousPhones,
		decoyPhone,
		func(a, b string) bool { return risk.FoldPhone(a) == risk.FoldPhone(b) },
	},
	{
		"relative",
		"Which of these people is a relative of yours?",
		func(r *domain.IdentityRecord) []string { return r.Relatives },
		decoyRelative,
		sameWords,
	},
	{
		"vehicle",
		"Which of these vehicles has been yours?",
		func(r *domain.IdentityRecord) []string { return r.Vehicles },
		decoyVehicle,
		sameWords,
	},
	{
		"employer",
		"Which of these employers have you worked for?",
		func(r *domain.IdentityRecord) []string { return r.Employers },
		decoyEmployer,
		sameWords,
	},
}

// Questions returns one question for each kind of fact in the record. The fact differs from quiz to quiz. The decoys of
// a fact are derived from a keyed hash and are the same in every quiz, because otherwise the choices that two quizzes
// have in common would reveal the correct answer.
func (l *Local) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	record, err := l.record(ctx, q.Inputs)
	if err != nil {
		return nil, problem.New(problem.ProviderUnavailable).From(err)
	}
	if record == nil {
		return nil, problem.New(problem.QuizQuestionsUnavailable)
	}
	var out []domain.QuizQuestion
	for _, t := range questionKinds {
		facts := usableChoices(t.facts(record))
		if len(facts) == 0 || len(out) == maxQuestions {
			continue
		}
		fact := facts[l.keyedRand("quiz fact", q.ID, t.name).IntN(len(facts))]
		options := l.choicesOf(t, record, fact)
		if len(options) < choices {
			continue // not enough decoys to hide the fact
		}
		out = append(out, domain.QuizQuestion{ID: strconv.Itoa(len(out) + 1), Question: t.text, Choices: options, Right: fact})
	}
	if len(out) == 0 {
		return nil, problem.New(problem.QuizQuestionsUnavailable)
	}
	return out, nil
}

// Mark scores the answers.
func (l *Local) Mark(q *domain.Quiz, answers []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	correct := 0
	for _, question := range q.Questions {
		if slices.ContainsFunc(answers, func(a domain.QuizAnswer) bool { return a.QuestionID == question.ID && a.Answer == question.Right }) {
			correct++
		}
	}
	// The share refers to all questions and is rounded up: half of three is two.
	if needed := int(math.Ceil(l.PassShare*float64(len(q.Questions)) - 1e-9)); correct >= max(1, needed) {
		return domain.VerdictPassed, true
	}
	return domain.VerdictFailed, true
}

// Score scores answers that were submitted to another provider before; Mark has scored all others.
func (l *Local) Score(_ context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	verdict, _ := l.Mark(q, q.Answers)
	return verdict, nil
}

// keyedRand returns a generator seeded by a keyed hash: the same parts yield the same sequence, which is unpredictable
// without the key.
func (l *Local) keyedRand(purpose string, parts ...string) *rand.Rand {
	h := l.KeyedHash(purpose, parts...)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h), binary.BigEndian.Uint64(h[8:]))) //nolint:gosec // seeded by a keyed hash
}

// choicesOf returns the fact and its decoys in a reproducible order that does not reveal the fact.
func (l *Local) choicesOf(t questionKind, record *domain.IdentityRecord, fact string) []string {
	person := record.ID
	if record.TaxID != nil {
		person = risk.FoldTaxID(*record.TaxID)
	}
	rng := l.keyedRand("quiz decoys", person, t.name, risk.Fold(fact))
	out := []string{fact}
	for range 400 {
		if len(out) == choices {
			break
		}
		d := t.decoy(rng, fact)
		if usableChoices([]string{d}) == nil || slices.ContainsFunc(out, func(have string) bool { return t.same(have, d) }) ||
			isCorrect(t, record, d) {
			continue
		}
		out = append(out, d)
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// isCorrect reports whether a decoy would be a correct answer too: another fact of the person, current or previous.
func isCorrect(t questionKind, r *domain.IdentityRecord, decoy string) bool {
	facts := slices.Clone(t.facts(r))
	switch t.name {
	case "phone":
		if r.Phone != nil {
			facts = append(facts, *r.Phone)
		}
	case "address":
		p := r.Identity.Person()
		facts = append(facts, p.Address1+", "+p.City)
	case "relative":
		p := r.Identity.Person()
		facts = append(facts, p.FirstName+" "+p.LastName)
	}
	return slices.ContainsFunc(facts, func(k string) bool { return t.same(k, decoy) })
}

// usableChoices returns the distinct facts that can be displayed as a choice.
func usableChoices(facts []string) []string {
	var out []string
	for _, f := range facts {
		if f = strings.TrimSpace(f); f != "" && len([]rune(f)) <= 256 && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func sameWords(a, b string) bool { return risk.Fold(a) == risk.Fold(b) }

func previousAddresses(r *domain.IdentityRecord) []string {
	var out []string
	for _, a := range r.PreviousAddresses {
		if a.Address1 != "" && a.City != "" {
			out = append(out, a.Address1+", "+a.City)
		}
	}
	return out
}

func sameAddress(a, b string) bool {
	place := func(text string) risk.Place {
		at := strings.LastIndex(text, ", ")
		if at < 0 {
			return risk.Place{Address1: text}
		}
		return risk.Place{Address1: text[:at], City: text[at+2:]}
	}
	return place(a).Same(place(b))
}

// previousPhones are displayed in the same format as decoys, because the format would otherwise reveal the answer.
func previousPhones(r *domain.IdentityRecord) []string {
	var out []string
	for _, p := range r.PreviousPhones {
		if risk.FoldPhone(p) != "" {
			out = append(out, formatPhone(p))
		}
	}
	return out
}

func formatPhone(text string) string {
	d := risk.FoldPhone(text)
	if len(d) == 10 {
		return fmt.Sprintf("(%s) %s-%s", d[:3], d[3:6], d[6:])
	}
	return d
}

// decoyPhone replaces the last seven digits only, so that the area code reveals nothing. It keeps the exchange of
// fictional numbers.
func decoyPhone(rng *rand.Rand, fact string) string {
	d := risk.FoldPhone(fact)
	last := min(7, len(d))
	if len(d) == 10 && d[3:6] == "555" {
		last = 4
	}
	digits := []byte(d)
	for i := len(d) - last; i < len(d); i++ {
		digits[i] = byte('0' + rng.IntN(10))
		if i == len(d)-7 && len(d) == 10 {
			digits[i] = byte('2' + rng.IntN(8)) // exchanges do not begin with 0 or 1
		}
	}
	if len(d) == 10 && last == 4 && d[6:8] == "01" {
		digits[6], digits[7] = '0', '1'
	}
	return formatPhone(string(digits))
}

// decoyAddress keeps the town and the number of digits of the house number.
func decoyAddress(rng *rand.Rand, fact string) string {
	at := strings.LastIndex(fact, ", ")
	line, town := fact[:at], fact[at+2:]
	words := strings.Fields(line)
	number := ""
	if len(words) > 1 && strings.Trim(words[0], "0123456789") == "" {
		number = drawNumber(rng, len(words[0])) + " "
	}
	suffix := streetKinds[rng.IntN(len(streetKinds))]
	if last := words[len(words)-1]; len(words) > 2 &&
		slices.ContainsFunc(streetKinds, func(k [2]string) bool { return strings.EqualFold(k[1], last) || strings.EqualFold(k[1]+".", last) }) {
		return matchCase(line, number+streets[rng.IntN(len(streets))]+" "+suffix[1]+strings.Repeat(".", strings.Count(last, "."))) + ", " + town
	}
	return matchCase(line, number+streets[rng.IntN(len(streets))]+" "+suffix[0]) + ", " + town
}

func drawNumber(rng *rand.Rand, length int) string {
	out := []byte{byte('1' + rng.IntN(9))}
	for len(out) < length {
		out = append(out, byte('0'+rng.IntN(10)))
	}
	return string(out)
}

// decoyRelative keeps the last name, so that it reveals nothing, and the number of names.
func decoyRelative(rng *rand.Rand, fact string) string {
	words := strings.Fields(fact)
	for i := range words {
		if i == len(words)-1 && i > 0 {
			break
		}
		w := firstNames[rng.IntN(len(firstNames))]
		switch bare := strings.TrimSuffix(words[i], "."); {
		case len([]rune(bare)) == 1:
			words[i] = w[:1] + strings.TrimPrefix(words[i], bare)
		default:
			words[i] = w
		}
	}
	return matchCase(fact, strings.Join(words, " "))
}

// decoyVehicle has a year, up to four years away, if the fact has one, and a model if the fact has one.
func decoyVehicle(rng *rand.Rand, fact string) string {
	model := vehicles[rng.IntN(len(vehicles))]
	words := strings.Fields(fact)
	year, rest := "", words
	for _, at := range []int{0, len(words) - 1} {
		if n, err := strconv.Atoi(words[at]); err == nil && n >= 1900 && n <= 2100 {
			year = strconv.Itoa(n + rng.IntN(9) - 4)
			if at == 0 {
				rest = words[1:]
				model = year + " " + modelWords(model, len(rest))
			} else {
				rest = words[:at]
				model = modelWords(model, len(rest)) + " " + year
			}
			break
		}
	}
	if year == "" {
		model = modelWords(model, len(rest))
	}
	return matchCase(fact, model)
}

func modelWords(model string, n int) string {
	words := strings.Fields(model)
	if n == 1 {
		return words[0]
	}
	return model
}

// decoyEmployer keeps the legal form at the end of the fact.
func decoyEmployer(rng *rand.Rand, fact string) string {
	name := employers[rng.IntN(len(employers))]
	words := strings.Fields(fact)
	for _, form := range []string{"Inc", "Inc.", "LLC", "Corp", "Corp.", "Corporation", "Ltd", "Ltd.", "Company", "Co", "Co.", "Group"} {
		if len(words) > 1 && strings.EqualFold(words[len(words)-1], form) {
			name += " " + words[len(words)-1]
			break
		}
	}
	return matchCase(fact, name)
}

// matchCase returns text in the letter case of like.
func matchCase(like, text string) string {
	upper, lower := false, false
	for _, r := range like {
		upper, lower = upper || unicode.IsUpper(r), lower || unicode.IsLower(r)
	}
	switch {
	case upper && !lower:
		return strings.ToUpper(text)
	case lower && !upper:
		return strings.ToLower(text)
	}
	return text
}

// The values that decoys are drawn from: common names that do not refer to anyone.
var (
	streets = []string{
		"Oak",
		"Maple",
		"Cedar",
		"Elm",
		"Walnut",
		"Chestnut",
		"Spruce",
		"Willow",
		"Birch",
		"Magnolia",
		"Dogwood",
		"Sycamore",
		"Hickory",
		"Poplar",
		"Laurel",
		"Holly",
		"Washington",
		"Lincoln",
		"Jefferson",
		"Madison",
		"Jackson",
		"Franklin",
		"Adams",
		"Monroe",
		"Lake",
		"River",
		"Ridge",
		"Meadow",
		"Valley",
		"Sunset",
		"Highland",
		"Prospect",
		"Church",
		"Mill",
		"Park",
		"Spring",
		"Summit",
		"Forest",
		"Orchard",
		"Garden",
		"Fairview",
		"Lakeview",
		"Front",
		"Market",
		"Union",
		"Liberty",
		"College",
		"Pine",
	}
	streetKinds = [][2]string{
		{"Street", "St"},
		{"Avenue", "Ave"},
		{"Road", "Rd"},
		{"Drive", "Dr"},
		{"Lane", "Ln"},
		{"Court", "Ct"},
		{"Boulevard", "Blvd"},
		{"Place", "Pl"},
	}
	firstNames = []string{
		"James",
		"Mary",
		"Robert",
		"Patricia",
		"John",
		"Jennifer",
		"Michael",
		"Linda",
		"David",
		"Elizabeth",
		"William",
		"Barbara",
		"Richard",
		"Susan",
		"Joseph",
		"Jessica",
		"Thomas",
		"Sarah",
		"Charles",
		"Karen",
		"Christopher",
		"Lisa",
		"Daniel",
		"Nancy",
		"Matthew",
		"Betty",
		"Anthony",
		"Sandra",
		"Mark",
		"Margaret",
		"Donald",
		"Ashley",
		"Steven",
		"Kimberly",
		"Andrew",
		"Emily",
		"Paul",
		"Donna",
		"Joshua",
		"Michelle",
		"Kenneth",
		"Carol",
		"Kevin",
		"Amanda",
		"Brian",
		"Melissa",
		"George",
		"Deborah",
		"Maria",
		"Jose",
		"Luis",
		"Ana",
		"Carlos",
		"Rosa",
		"Juan",
		"Carmen",
		"Wei",
		"Mei",
		"Min",
		"Ravi",
		"Priya",
		"Omar",
		"Leila",
		"Aisha",
		"Yusuf",
		"Olga",
		"Ivan",
		"Ingrid",
	}
	vehicles = []string{
		"Honda Civic",
		"Honda Accord",
		"Honda CR-V",
		"Toyota Corolla",
		"Toyota Camry",
		"Toyota RAV4",
		"Toyota Tacoma",
		"Ford F-150",
		"Ford Focus",
		"Ford Escape",
		"Ford Explorer",
		"Chevrolet Malibu",
		"Chevrolet Silverado",
		"Chevrolet Equinox",
		"Nissan Altima",
		"Nissan Sentra",
		"Nissan Rogue",
		"Hyundai Elantra",
		"Hyundai Sonata",
		"Hyundai Tucson",
		"Kia Optima",
		"Kia Sorento",
		"Subaru Outback",
		"Subaru Forester",
		"Mazda CX-5",
		"Mazda 3",
		"Volkswagen Jetta",
		"Volkswagen Passat",
		"Jeep Wrangler",
		"Jeep Cherokee",
		"Dodge Charger",
		"GMC Sierra",
		"Buick LaCrosse",
		"Chrysler Pacifica",
		"Lexus RX",
		"Acura TLX",
		"Volvo XC60",
		"Audi A4",
		"BMW 328i",
	}
	employers = []string{
		"Northfield Logistics",
		"Harbor Point Medical",
		"Blue Ridge Hardware",
		"Lakeside Dental",
		"Summit Foods",
		"Riverbend Textiles",
		"Granite State Insurance",
		"Redwood Printing",
		"Coastal Freight",
		"Pinecrest Schools",
		"Silver Creek Farms",
		"Metro Auto Parts",
		"Evergreen Landscaping",
		"Keystone Plumbing",
		"Bayview Hotels",
		"Cardinal Software",
		"Prairie Electric",
		"Stonebridge Builders",
		"Fairfield Dairy",
		"Horizon Airlines",
		"Westgate Pharmacy",
		"Liberty Steel",
		"Meadowbrook Clinic",
		"Oakmont Furniture",
		"Delta Packaging",
		"Crescent Bakery",
		"Ironwood Security",
		"Beacon Publishing",
		"Sunrise Solar",
		"Maple Leaf Grocers",
	}
)
