// Package people makes up people for measurements of screening: a list of the published layout at its full size, and
// customers with everyday names, both by the frequencies of real names; and the variants in which a listed person may
// write their name (docs/performance.md).
//
// Its tables hold the most frequent names, with their counts or in the order of their frequency (Zipf's law); the tail is
// made of parts. It makes the same people for the same seed, and knows nothing of the program.
package people

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Listed is a person on the list.
type Listed struct {
	Number        int
	Family, Given string
	// Born is the date of birth. Known is how the list writes it: a day, a year, a circa, or nothing.
	Born  time.Time
	Known string
	// Aliases are further names, as the list writes them: FAMILY, Given. InRemarks is one more in the remarks, or empty.
	Aliases   []string
	InRemarks string
}

// Person is a customer.
type Person struct {
	First, Last string
	Born        time.Time
}

// Birthdate returns the date of birth as a customer gives it.
func (p Person) Birthdate() string { return p.Born.Format(time.DateOnly) }

// dice draws from tables.
type dice struct{ *rand.Rand }

// New returns a source of people that depends on the seed alone.
func New(seed uint64) *Source {
	return &Source{dice{rand.New(rand.NewPCG(seed, 42))}}
}

// Source makes up people.
type Source struct{ dice }

func (d dice) one(of []string) string { return of[d.IntN(len(of))] }

// zipf draws from names in the order of their frequency.
func (d dice) zipf(of []string) string {
	total := 0.0
	for i := range of {
		total += 1 / (float64(i) + 3)
	}
	at := d.Float64() * total
	for i := range of {
		if at -= 1 / (float64(i) + 3); at < 0 {
			return of[i]
		}
	}
	return of[len(of)-1]
}

func (d dice) born(from, to int) time.Time {
	return time.Date(from+d.IntN(to-from+1), time.January, 1+d.IntN(365), 0, 0, 0, 0, time.UTC)
}

func words(text string) []string { return strings.Fields(text) }

// The languages of the published list, with their share of its people, estimated from its programs and nationalities.
var languages = []struct {
	share int
	make  func(d dice) (family, given string)
}{
	{32, arabic}, {30, spanish}, {14, russian}, {9, persian}, {5, chinese}, {3, korean}, {4, african}, {3, english},
}

var (
	arabicGiven = words("Mohammed Ahmad Ali Hassan Hussein Ibrahim Mahmoud Khalid Omar Abdullah Yusuf Mustafa Said Hamid Saleh Tariq " +
		"Walid Nasir Faisal Jamal Samir Bilal Hamza Zaid Ismail Musa Idris Rashid Karim Majid Nabil Rafiq Sami Zaki Adel Ayman Bassam Fadi Ghassan Hisham")
	arabicStem = words("Harb Masr Baghdad Tikrit Shammar Zarqaw Qahtan Ghamd Utayb Otaib Dosar Shehr Zahran Najd Hijaz Yaman Sana Tamim " +
		"Duri Samarra Mosul Anbar Jabour Rawi Hadith Kubays Nasr Khatib Haddad Najjar Sabbagh Sayyid Sharif Mawla Jaburi Kurd Turkmen Halab Hama Homs Dimashq")
	spanishGiven = words("Jose Luis Juan Carlos Maria Jesus Miguel Francisco Antonio Jorge Pedro Manuel Rafael Fernando Alejandro Ricardo " +
		"Eduardo Roberto Daniel Sergio Javier Mario Raul Oscar Victor Hector Julio Cesar Andres Diego Enrique Gustavo Ana Rosa Carmen Martha Gloria Luz Blanca Nicolas")
	spanishFamily = words("Garcia Rodriguez Martinez Hernandez Lopez Gonzalez Perez Sanchez Ramirez Torres Flores Rivera Gomez Diaz Cruz " +
		"Reyes Morales Gutierrez Ortiz Ramos Chavez Mendoza Ruiz Alvarez Castillo Jimenez Vasquez Romero Moreno Herrera Medina Aguilar Vargas Guzman " +
		"Munoz Salazar Soto Rojas Vega Delgado Castro Ortega Rios Mejia Cardenas Valencia Restrepo Ospina Zapata Quintero Arango Henao Montoya Giraldo " +
		"Betancur Echeverry Zuluaga Uribe Jaramillo Londono Beltran Leyva Arellano Felix Caro Quintana Esparragoza Coronel Villarreal Trevino Cazares")
	russianGiven = words("Vladimir Sergei Aleksandr Andrei Dmitri Igor Nikolai Aleksei Viktor Yuri Mikhail Oleg Evgeni Pavel Anatoly Boris " +
		"Konstantin Maksim Roman Vadim Valery Vitaly Denis Ivan Gennady Leonid Ruslan Arkady Stanislav Vyacheslav Kirill Anton Artem Timur")
	russianStem = words("Ivan Petr Sidor Sokol Kuznets Popov Vasil Mikhail Fedor Moroz Volk Aleks Lebed Semen Egor Pavl Kozl Stepan Nikol " +
		"Orl Andre Makar Nikit Zakhar Zaits Solov Boris Yakovl Grigor Roman Vorob Serge Kuzm Frol Aleksandr Dmitri Korol Gus Kisel Ilyin Maksim Polyak Sorok " +
		"Vinograd Koval Belous Medved Ant Taras Zhuk Baran Filipp Komar Davyd Belya Gerasim Bogdan Osip Sidork Matve Tit Mark Miron Kryl Kar")
	persianGiven = words("Mohammad Ali Reza Hossein Mehdi Hassan Ahmad Mahmoud Saeed Majid Hamid Amir Mostafa Abbas Javad Masoud Behrouz Farhad " +
		"Kamran Naser Parviz Rahim Rostam Shahram Siavash Vahid Yadollah Gholam Esmail Qasem")
	persianStem = words("Ahmad Mohammad Hossein Karim Rahim Rostam Kazem Jafar Sadegh Nasir Rezai Soleiman Hashem Salehi Tehran Shiraz Esfahan " +
		"Tabriz Mousav Hosseini Jalal Ghorban Najaf Farokh Bahram Shams Vahid Zare Fallah Daneshj Naghd Safdar Firouz Bagher")
	chineseFamily = words("Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng Liang Xie Song Tang Deng Han Feng Cao Peng")
	chinesePart   = words("Wei Jun Ming Hua Xiao Jian Guo Ping Yong Li Hai Bo Feng Tao Zhi Yu Qiang Lei Bin Hong Xin Cheng Dong Fei Gang Hui Jie Kai Liang Min")
	koreanFamily  = words("Kim Ri Pak Choe Chong Kang Cho Yun Chang Im Han O So Sin Kwon Hwang An Song Ryu Hong")
	koreanPart    = words("Chol Yong Song Il Nam Hyok Jong Myong Kwang Su Ho Chun Kil Guk Chin Un Sok Tae Hak Min")
	africanGiven  = words("Emmanuel Joseph Jean Pierre Charles Robert Francois Paul Desire Innocent Faustin Callixte Sylvestre Laurent Ignace Bosco Gaston Leopold Felicien Thomas")
	africanPart   = words("mu ka ba nya nde kwi ru bo ma nga ki ha bi ta ga sa mbo nku gi re zi wa lu to ye mi ndi ko")
)

func arabic(d dice) (family, given string) {
	stem := d.one(arabicStem)
	for d.IntN(3) == 0 { // the tail of the frequencies
		stem = d.one(arabicStem)[:3] + strings.ToLower(d.one(arabicStem)[1:])
	}
	family = d.one(words("al- Al- al- bin_ Abu_ _ _ al-")) + stem
	family = strings.ReplaceAll(family, "_", " ")
	if !strings.HasSuffix(family, "i") {
		family += "i"
	}
	given = d.zipf(arabicGiven)
	for n := d.IntN(3); n > 0; n-- {
		given += " " + d.zipf(arabicGiven)
	}
	if d.IntN(8) == 0 {
		given = "Abd al-" + d.one(words("Rahman Aziz Karim Malik Qadir Salam Latif Hamid"))
	}
	return strings.TrimSpace(family), given
}

func spanish(d dice) (family, given string) {
	given = d.zipf(spanishGiven)
	if d.IntN(2) == 0 {
		given += " " + d.zipf(spanishGiven)
	}
	return d.zipf(spanishFamily) + " " + d.zipf(spanishFamily), given
}

func russian(d dice) (family, given string) {
	stem := d.one(russianStem)
	if d.IntN(4) > 0 {
		stem = d.one(russianStem)[:2] + strings.ToLower(d.one(russianStem))
	}
	family = stem + d.one(words("ov ov ov ev in sky enko chuk"))
	given = d.zipf(russianGiven)
	if d.IntN(3) > 0 {
		given += " " + d.zipf(russianGiven) + d.one(words("ovich evich"))
	}
	return family, given
}

func persian(d dice) (family, given string) {
	family = d.one(persianStem) + d.one(words("i i zadeh pour nejad ian yan far"))
	if d.IntN(2) == 0 {
		family = d.one(persianStem)[:3] + strings.ToLower(d.one(persianStem)) + d.one(words("i zadeh pour nejad"))
	}
	given = d.zipf(persianGiven)
	if d.IntN(2) == 0 {
		given += " " + d.zipf(persianGiven)
	}
	return family, given
}

func chinese(d dice) (family, given string) {
	return d.zipf(chineseFamily), d.one(chinesePart) + strings.ToLower(d.one(chinesePart))
}

func korean(d dice) (family, given string) {
	return d.zipf(koreanFamily), d.one(koreanPart) + " " + d.one(koreanPart)
}

func african(d dice) (family, given string) {
	family = ""
	for range 3 + d.IntN(2) {
		family += d.one(africanPart)
	}
	return capital(family), d.zipf(africanGiven)
}

func english(d dice) (family, given string) {
	family = d.surname()
	if d.IntN(6) == 0 {
		family = d.one(words("O' Mc")) + family
	}
	given = d.zipf(americanGiven)
	if d.IntN(2) == 0 {
		given += " " + d.zipf(americanGiven)
	}
	return family, given
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// People returns the people of a list, with aliases as further names in total.
func (s *Source) People(people, aliases int) []Listed {
	total := 0
	for _, l := range languages {
		total += l.share
	}
	out := make([]Listed, 0, people)
	for n := range people {
		at := s.IntN(total)
		p := Listed{Number: n + 1, Born: s.born(1930, 2000)}
		for _, l := range languages {
			if at -= l.share; at < 0 {
				p.Family, p.Given = l.make(s.dice)
				break
			}
		}
		switch k := s.IntN(20); {
		case k < 15:
			p.Known = p.Born.Format("02 Jan 2006")
		case k < 18:
			p.Known = p.Born.Format("2006")
		case k < 19:
			p.Known = "circa " + p.Born.Format("2006")
		}
		out = append(out, p)
	}
	for range aliases {
		p := &out[s.IntN(len(out))]
		family, given := p.Family, p.Given
		switch s.IntN(4) {
		case 0:
			given = respelled(given)
		case 1:
			family = respelled(family)
		case 2:
			given, _, _ = strings.Cut(given, " ")
			given += " " + capital(s.one(africanPart)+s.one(africanPart)+s.one(africanPart))
		default:
			family = capital(s.one(africanPart) + s.one(africanPart) + s.one(africanPart) + s.one(africanPart))
		}
		if alias := strings.ToUpper(family) + ", " + given; p.InRemarks == "" && s.IntN(20) == 0 {
			p.InRemarks = alias
		} else {
			p.Aliases = append(p.Aliases, alias)
		}
	}
	return out
}

// respelled writes a name in another common transliteration.
func respelled(name string) string {
	for _, pair := range [][2]string{{"Mohammed", "Muhammad"}, {"ei", "ey"}, {"Yu", "Iu"}, {"kh", "h"}, {"ou", "u"}, {"q", "k"}, {"z", "s"}, {"oo", "u"}} {
		if strings.Contains(name, pair[0]) {
			return strings.Replace(name, pair[0], pair[1], 1)
		}
	}
	return name + "h"
}

// Write writes people as the published files.
func Write(dir string, people []Listed) error {
	var sdn, add, alt, comments strings.Builder
	number := 0
	for _, p := range people {
		remarks := "nationality X; Gender Male"
		if p.Known != "" {
			remarks = "DOB " + p.Known + "; " + remarks
		}
		fmt.Fprintf(&sdn, "%d,%q,\"individual\",\"SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,%q\r\n", p.Number, strings.ToUpper(p.Family)+", "+p.Given, remarks+"; ")
		fmt.Fprintf(&add, "%d,%d,\"1 Street\",\"Town\",\"X\",-0- \r\n", p.Number, p.Number)
		for _, a := range p.Aliases {
			number++
			fmt.Fprintf(&alt, "%d,%d,\"aka\",%q,-0- \r\n", p.Number, number, a)
		}
		if p.InRemarks != "" {
			fmt.Fprintf(&comments, "%d,\"a.k.a. '%s'.\"\r\n", p.Number, p.InRemarks)
		}
	}
	for name, text := range map[string]string{"SDN.CSV": sdn.String(), "ADD.CSV": add.String(), "ALT.CSV": alt.String(), "SDN_COMMENTS.CSV": comments.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\x1a"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// The most frequent surnames of the United States, with the people who bear them in thousands (Census Bureau, Frequently
// Occurring Surnames from the 2010 Census).
var surnames = words("Smith:2443 Johnson:1933 Williams:1625 Brown:1437 Jones:1425 Garcia:1166 Miller:1161 Davis:1116 Rodriguez:1095 Martinez:1060 " +
	"Hernandez:1043 Lopez:875 Gonzalez:841 Wilson:802 Anderson:784 Thomas:756 Taylor:751 Moore:724 Jackson:708 Martin:703 Lee:693 Perez:682 " +
	"Thompson:665 White:660 Harris:624 Sanchez:613 Clark:563 Ramirez:557 Lewis:532 Robinson:530 Walker:523 Young:484 Allen:483 King:465 Wright:459 " +
	"Scott:440 Torres:438 Nguyen:438 Hill:435 Flores:434 Green:430 Adams:428 Nelson:425 Baker:420 Hall:407 Rivera:391 Campbell:386 Mitchell:384 " +
	"Carter:377 Roberts:377 Gomez:366 Phillips:361 Evans:356 Turner:349 Diaz:348 Parker:336 Cruz:334 Edwards:332 Collins:330 Reyes:328 Stewart:325 " +
	"Morris:319 Morales:312 Murphy:308 Cook:303 Rogers:302 Gutierrez:293 Ortiz:287 Morgan:286 Cooper:281 Peterson:278 Bailey:278 Reed:277 Kelly:267 " +
	"Howard:265 Ramos:263 Kim:262 Cox:261 Ward:260 Richardson:260 Watson:253 Brooks:252 Chavez:251 Wood:251 James:249 Bennett:248 Gray:246 Mendoza:243 " +
	"Ruiz:238 Hughes:236 Price:235 Alvarez:234 Castillo:230 Sanders:230 Patel:230 Myers:230 Long:229 Ross:229 Foster:228 Jimenez:227")

// tail is the share of people whose surname is not among these, in thousands of the 295 million counted.
const tail = 243_000

var (
	tailFront = words("Hart Brad Whit Stan Lang Wal Har Ash Black Carl Dun Ed El Far Gil Hal Hol Ken King Lin Mar Mor New Nor Old Pem Rad Red Rock Ros Sel Shel " +
		"Spen Strath Sut Thorn Til Wake Wel West Win Wood Berg Stein Rosen Gold Klein Hoff Schwar Zimmer Koval Novak Kamin Petr Jank Mazur Gian Rom Bel Mar Cap Santo Fer")
	tailBack = words("well ford ley ton man worth field ham den dale by shaw wood wick son ridge more bury land ville ner mann stein berg feld ski witz ek " +
		"elli ino etti one ano aro ucci ault eaux")
	americanGiven = words("James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica Thomas Karen " +
		"Charles Sarah Christopher Lisa Daniel Nancy Matthew Sandra Anthony Betty Mark Ashley Donald Emily Steven Kimberly Paul Margaret Andrew Donna Joshua " +
		"Michelle Kenneth Carol Kevin Amanda Brian Melissa George Deborah Timothy Stephanie Ronald Rebecca Jason Sharon Edward Laura Jeffrey Cynthia Ryan " +
		"Dorothy Jacob Amy Gary Kathleen Nicholas Angela Eric Shirley Jonathan Emma Stephen Brenda Larry Pamela Justin Nicole Scott Anna Brandon Samantha " +
		"Benjamin Katherine Samuel Christine Gregory Debra Alexander Rachel Patrick Carolyn Frank Janet Raymond Maria Jack Olivia Dennis Heather Jerry Helen")
)

// surname draws an American surname.
func (d dice) surname() string {
	total := tail
	for _, s := range surnames {
		total += thousands(s)
	}
	at := d.IntN(total)
	for _, s := range surnames {
		if at -= thousands(s); at < 0 {
			name, _, _ := strings.Cut(s, ":")
			return name
		}
	}
	return d.one(tailFront) + d.one(tailBack)
}

func thousands(s string) int {
	_, count, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(count)
	if err != nil {
		panic("people: " + s)
	}
	return n
}

// Everyday returns a customer with an everyday name. Three in five of those with a Spanish surname have a Spanish given
// name.
func (s *Source) Everyday() Person {
	last := s.surname()
	first := s.zipf(americanGiven)
	if strings.Contains(" "+strings.Join(spanishFamily, " ")+" ", " "+last+" ") && s.IntN(5) < 3 {
		first = s.zipf(spanishGiven)
	}
	if s.IntN(4) == 0 {
		first += " " + s.zipf(americanGiven)
	}
	return Person{first, last, s.born(1935, 2006)}
}

// Variant is a way to write the name of a listed person.
type Variant struct {
	Name string
	// Write returns the customer; ok is false if the variant does not apply to the person.
	Write func(s *Source, p Listed) (Person, bool)
}

func as(p Listed, first, last string) (Person, bool) { return Person{first, last, p.Born}, true }

// Variants are those of the contract of verification, section 6, each with the listed date of birth.
var Variants = []Variant{
	{"as listed", func(_ *Source, p Listed) (Person, bool) { return as(p, p.Given, p.Family) }},
	{"reordered", func(_ *Source, p Listed) (Person, bool) { return as(p, p.Family, p.Given) }},
	{"diacritics", func(_ *Source, p Listed) (Person, bool) {
		accents := strings.NewReplacer("a", "á", "e", "é", "o", "ô", "i", "í", "u", "ú", "c", "ç")
		return as(p, accents.Replace(p.Given), accents.Replace(p.Family))
	}},
	{"one typing error", func(s *Source, p Listed) (Person, bool) {
		if len(p.Family) < 4 {
			return Person{}, false
		}
		return as(p, p.Given, s.mistyped(p.Family))
	}},
	{"invisible characters", func(s *Source, p Listed) (Person, bool) {
		return as(p, s.inside(p.Given), s.inside(p.Family))
	}},
	{"year one off", func(s *Source, p Listed) (Person, bool) {
		p.Born = p.Born.AddDate(1-2*s.IntN(2), 0, 0)
		return as(p, p.Given, p.Family)
	}},
	{"particles joined", func(_ *Source, p Listed) (Person, bool) {
		joined := strings.NewReplacer("al-", "al", "Al-", "Al", "bin ", "bin", "Abu ", "Abu", "O'", "O", "Abd al-", "Abdel").Replace(p.Family + ", " + p.Given)
		last, first, _ := strings.Cut(joined, ", ")
		return Person{first, last, p.Born}, joined != p.Family+", "+p.Given
	}},
	{"particles apart", func(_ *Source, p Listed) (Person, bool) {
		apart := strings.NewReplacer("al-", "al ", "Al-", "Al ", "O'", "O ", "Mc", "Mc ").Replace(p.Family + ", " + p.Given)
		last, first, _ := strings.Cut(apart, ", ")
		return Person{first, last, p.Born}, apart != p.Family+", "+p.Given
	}},
	{"title and suffix", func(s *Source, p Listed) (Person, bool) {
		return as(p, s.one(words("Mr Dr Prof. Mrs"))+" "+p.Given, p.Family+" "+s.one(words("Jr III IV Sr.")))
	}},
	{"extra given name", func(s *Source, p Listed) (Person, bool) {
		return as(p, p.Given+" "+s.zipf(americanGiven), p.Family)
	}},
	{"given name left out", func(_ *Source, p Listed) (Person, bool) {
		first, _, more := strings.Cut(p.Given, " ")
		return Person{first, p.Family, p.Born}, more && first != "Abd"
	}},
	{"initial", func(_ *Source, p Listed) (Person, bool) {
		return as(p, p.Given[:1]+".", p.Family)
	}},
	{"middle name left out, year only", func(_ *Source, p Listed) (Person, bool) {
		first, _, more := strings.Cut(p.Given, " ")
		return Person{first, p.Family, p.Born}, more && first != "Abd" && len(p.Known) == len("2006")
	}},
	{"alias", func(s *Source, p Listed) (Person, bool) {
		if len(p.Aliases) == 0 {
			return Person{}, false
		}
		last, first, _ := strings.Cut(s.one(p.Aliases), ", ")
		return as(p, first, last)
	}},
	{"alias in remarks or comments", func(_ *Source, p Listed) (Person, bool) {
		last, first, found := strings.Cut(p.InRemarks, ", ")
		return Person{first, last, p.Born}, found
	}},
}

// mistyped replaces, drops, doubles or exchanges a letter.
func (d dice) mistyped(name string) string {
	letters := []rune(name)
	at := 1 + d.IntN(len(letters)-2)
	for !unicode.IsLetter(letters[at]) || !unicode.IsLetter(letters[at+1]) {
		at = 1 + d.IntN(len(letters)-2)
	}
	switch d.IntN(4) {
	case 0:
		letters[at] = rune('a' + d.IntN(26))
	case 1:
		letters = append(letters[:at], letters[at+1:]...)
	case 2:
		letters = append(letters[:at], letters[at-1:]...)
		letters[at] = letters[at+1]
	default:
		letters[at], letters[at+1] = letters[at+1], letters[at]
	}
	return string(letters)
}

// inside puts an invisible character between two letters.
func (d dice) inside(name string) string {
	at := 1 + d.IntN(max(1, len(name)-1))
	return name[:at] + d.one([]string{"\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff"}) + name[at:]
}
