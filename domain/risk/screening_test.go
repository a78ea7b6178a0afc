package risk_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/bench/people"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// entryOf is a made-up person as the parser of the published files reads them.
func entryOf(p people.Listed) risk.Entry {
	e := risk.Entry{
		ID: strconv.Itoa(p.Number), List: risk.GovernmentWatchlist, Value: strings.ToUpper(p.Family) + ", " + p.Given, Others: p.Aliases,
	}
	if p.InRemarks != "" {
		e.Others = append(e.Others, p.InRemarks)
	}
	switch year := p.Born.Year(); {
	case strings.HasPrefix(p.Known, "circa"):
		e.Births = []string{strconv.Itoa(year-1) + "/" + strconv.Itoa(year+1)}
	case len(p.Known) == len("2006"):
		e.Births = []string{p.Known}
	case p.Known != "":
		e.Births = []string{p.Born.Format(time.DateOnly)}
	}
	return e
}

// TestScreeningFindsVariantsAndSparesEverydayPeople holds the limits of the contract on a list of a fifth of the full size,
// so that it takes seconds: every variant of a listed name with the listed birth date is found in 95 of 100 cases, and at
// most 1 in 200 everyday people is flagged whose name is not listed. The screening benchmark measures the full size.
func TestScreeningFindsVariantsAndSparesEverydayPeople(t *testing.T) {
	t.Parallel()
	source := people.New(1)
	listed := source.People(3600, 4000)
	book, names := risk.NewBook(), map[string]bool{}
	for _, p := range listed {
		book.Put(entryOf(p))
		names[strings.ToLower(p.Given+" "+p.Family)] = true
	}
	search := func(p people.Person) []risk.NameMatch {
		return book.Names(risk.GovernmentWatchlist, p.Last+", "+p.First, p.Birthdate(), threshold)
	}
	for _, v := range people.Variants {
		const enough = 60
		tried, found := 0, 0
		for _, p := range listed {
			person, applies := v.Write(source, p)
			if !applies || p.Known == "" || tried == enough {
				continue
			}
			tried++
			for _, m := range search(person) {
				if m.Entry == strconv.Itoa(p.Number) {
					found++
					break
				}
			}
		}
		if tried < enough/2 || found*100 < tried*95 {
			t.Errorf("%s: %d of %d are found", v.Name, found, tried)
		}
	}
	const everyday = 1000
	flagged := 0
	for range everyday {
		p := source.Everyday()
		if !names[strings.ToLower(p.First+" "+p.Last)] && len(search(p)) > 0 {
			flagged++
		}
	}
	if flagged > everyday/200 {
		t.Errorf("%d of %d everyday people are flagged", flagged, everyday)
	}
}

// TestNamesThatCannotBeCompared: a name in a script without a table is told, never silently clean.
func TestNamesThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"Igor Sokolov": true, "Игорь Соколов": true, "Γεώργιος": true, "محمد حسن": true, "Łukasz Øster": true, "王 小明": false, "김 일남": false, "さくら": false,
		"დავით": false, "Wang 小明": false,
	} {
		if risk.Comparable(name) != want {
			t.Errorf("%s can be compared: %t", name, !want)
		}
		held := &risk.ListStamp{Entries: 1}
		if a := risk.Assess(&risk.Case{Person: risk.Person{LastName: name}, Lists: risk.NewBook(), Held: held}); a.Partial == want {
			t.Errorf("%s: the screening is partial: %t", name, a.Partial)
		}
	}
}
