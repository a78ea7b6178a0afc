package risk_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain/risk"
)

// today is when every assessment is made.
var today = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// threshold is the default of the configuration; the test of pairs below is its reason.
const threshold = 0.90

func clean() risk.Person {
	return risk.Person{
		TaxID: "219-55-0142", FirstName: "Max", LastName: "Pike", Address1: "1234 S. Front Street", Address2: "Apt 4B", City: "Wilmington",
		Region: "NC", PostalCode: "28401", Phone: "+1 (910) 555-0155", Birthdate: "1985-06-15", Email: "max@example.com", IPAddress: "198.51.100.7",
	}
}

func recordOf(p risk.Person) *risk.Record { return &risk.Record{ID: "rec-1", Person: p} }

func assess(p risk.Person, r *risk.Record, entries ...risk.Entry) risk.Assessment {
	book := risk.NewBook()
	book.Put(entries...)
	return risk.Assess(&risk.Case{
		Person: p, Record: r, Lists: risk.Books{book}, On: today, NameMatch: threshold,
		Disposable: func(d string) bool { return d == "mailinator.com" },
	})
}

func told(a risk.Assessment) string {
	var out []string
	for _, f := range a.Findings {
		for _, e := range f.Evidence {
			out = append(out, fmt.Sprintf("%s: %s", f.Category, e))
		}
	}
	return strings.Join(out, "\n")
}

func TestACleanPersonHasNoFinding(t *testing.T) {
	t.Parallel()
	a := assess(clean(), recordOf(clean()),
		risk.Entry{ID: "w1", List: risk.GovernmentWatchlist, Value: "Nicolas Maduro Moros", Births: []string{"1962-11-23"}},
		risk.Entry{ID: "n1", List: risk.RestrictedIP, Value: "203.0.113.0/24"},
		risk.Entry{ID: "m1", List: risk.RestrictedEmail, Value: "bad.example"},
		risk.Entry{ID: "h1", List: risk.HighRiskAddress, Value: "1235 S Front St, Wilmington, NC 28401"},
	)
	if !a.Found || len(a.Findings) != 0 {
		t.Errorf("got %v %s", a.Found, told(a))
	}
	if b := assess(clean(), nil); b.Found || len(b.Findings) != 0 {
		t.Errorf("without a record: got %v %s", b.Found, told(b))
	}
}

func TestEachRuleFindsItsCategory(t *testing.T) {
	t.Parallel()
	for claim, c := range map[string]struct {
		change func(*risk.Person)
		entry  risk.Entry
		want   string
	}{
		"an address in a restricted network": {
			func(p *risk.Person) { p.IPAddress = "203.0.113.9" },
			risk.Entry{ID: "n1", List: risk.RestrictedIP, Value: "203.0.113.0/24"},
			"ipRestricted: rule restricted-network, input ipAddress, entry n1",
		},
		"a listed name with another spelling and the same birth date": {
			func(p *risk.Person) { p.FirstName, p.LastName, p.Birthdate = "Nicolás", "Maduro", "1962-11-23" },
			risk.Entry{ID: "w1", List: risk.GovernmentWatchlist, Value: "Nicolas Maduro Moros", Births: []string{"1962-11-23"}},
			"identityOnGovernmentWatchlist: rule listed-name, input firstName+lastName+birthdate, entry w1, score 1.00",
		},
		"an alert": {
			func(p *risk.Person) { p.FirstName, p.LastName = "Zelda", "Quist" },
			risk.Entry{ID: "a1", List: risk.AlertList, Value: "Zelda Quist"},
			"identityOnAlertList: rule listed-name, input firstName+lastName+birthdate, entry a1, score 1.00",
		},
		"a post office box": {
			func(p *risk.Person) { p.Address1 = "P.O. Box 123" },
			risk.Entry{},
			"addressIsPOBoxOrNonApproved: rule post-office-box, input address1",
		},
		"an address that is not approved, in another spelling": {
			func(p *risk.Person) { p.Address1 = "1234 South Front St." },
			risk.Entry{ID: "p1", List: risk.NonApprovedAddress, Value: "1234 S Front Street, Wilmington, NC 28401"},
			"addressIsPOBoxOrNonApproved: rule non-approved-address, input address1+city+region+postalCode, entry p1",
		},
		"a high-risk address without its postal code": {
			func(p *risk.Person) { p.Region = "North Carolina" },
			risk.Entry{ID: "h1", List: risk.HighRiskAddress, Value: "1234 south front street, Wilmington, NC"},
			"addressIsHighRisk: rule high-risk-address, input address1+city+region+postalCode, entry h1",
		},
		"thirteen": {
			func(p *risk.Person) { p.Birthdate = "2012-03-02" },
			risk.Entry{},
			"ageRestricted: rule under-14, input birthdate",
		},
		"an ITIN": {
			func(p *risk.Person) { p.TaxID = "912-70-1234" },
			risk.Entry{},
			"nonStandardTaxId: rule itin, input taxId",
		},
		"a restricted mail domain": {
			func(p *risk.Person) { p.Email = "Max@sub.Bad.Example" },
			risk.Entry{ID: "m1", List: risk.RestrictedEmail, Value: "bad.example"},
			"emailRestricted: rule restricted-email, input email, entry m1",
		},
		"a disposable mail domain": {
			func(p *risk.Person) { p.Email = "max@mailinator.com" },
			risk.Entry{},
			"emailRestricted: rule disposable-email, input email",
		},
	} {
		p := clean()
		c.change(&p)
		a := assess(p, recordOf(p), c.entry)
		if got := told(a); got != c.want {
			t.Errorf("%s: got %q, want %q", claim, got, c.want)
		}
		for _, value := range []string{p.TaxID, p.LastName, p.Address1, p.Email, p.IPAddress} {
			if strings.Contains(told(a), value) {
				t.Errorf("%s: the evidence holds a value of the person", claim)
			}
		}
	}
}

func TestFindingsAreInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	p := clean()
	p.IPAddress, p.Address1, p.Birthdate, p.TaxID, p.Email = "10.0.0.1", "PO Box 1", "2020-01-01", "900-70-0001", "a@mailinator.com"
	a := assess(p, recordOf(clean()), risk.Entry{ID: "n", List: risk.RestrictedIP, Value: "10.0.0.0/8"})
	var got []risk.Category
	for _, f := range a.Findings {
		got = append(got, f.Category)
		if f.Description == "" || f.Description != risk.Description(f.Category) {
			t.Errorf("%s has the description %q", f.Category, f.Description)
		}
	}
	want := []risk.Category{risk.IPRestricted, risk.AddressIsPOBoxOrNonApproved, risk.AgeRestricted, risk.NonStandardTaxID, risk.PersonalInfoDoesNotMatch, risk.EmailRestricted}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if len(risk.Categories()) != 9 {
		t.Error("the document has nine categories")
	}
}

// TestNames is the reason of the threshold: spellings of one person that must be found, and people who must not.
func TestNames(t *testing.T) {
	t.Parallel()
	type pair struct{ listed, born, given, birthdate string }
	for _, c := range []pair{
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicolas Maduro", "1962-11-23"},
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicolás Maduro Moros", ""},
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicholas Maduro", "1962-11-23"},
		{"MADURO MOROS, Nicolas", "", "Maduro Nicolas", ""},
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicolas Madura", "1962-11-23"},
		{"Jürgen Müller", "1970-01-02", "Juergen Mueller", "1970-01-02"},
		{"Jurgen Muller", "", "Jürgen Müller", ""},
		{"Juergen Mueller", "", "Jürgen Müller", ""},
		{"Siobhan O'Brien", "", "Siobhán OBrien", ""},
		{"Mohammed al-Masri", "1975-05-05", "Mohamed Al Masri", "1975-05-05"},
		{"Mohammed al-Masri", "1975-05-05", "Muhammad Masri", "1975-05-05"},
		{"Vladimir Petrov", "1960", "Владимир Петров", "1960-04-04"},
		{"Catherine Jones", "1990-10-05", "Katherine Jones", "1990-10-05"},
		{"Catherine Jones", "1990-10-05", "Catherine Jones", "1990-05-10"},
		{"Jean-Luc Dupont", "", "Jean Luc Dupont", ""},
		{"Jean-Luc Dupont", "", "Jeanluc Dupont", ""},
		{"John Smith", "1980-01-01", "John Smith", "1979-12-31"},
		{"John Smith", "1980-01-01", "John Smith", "1950-12-31"},
		{"SOKOLOV, Igor Petrovich", "1970-05-06", "Igor Sok\u200bolov", "1970-05-06"},
		{"SOKOLOV, Igor", "1970-05-06", "Dr. Igor Petrovich Sokolov", "1970-05-06"},
		{"SOKOLOV, Igor Petrovich", "1970", "Igor Sokolov", "1970-05-06"},
		{"SOKOLOV, Igor", "1970-05-06", "I. Sokolov", "1970-05-06"},
		{"SOKOLOV, Igor", "1970-05-06", "Sokolov Igor", "1971-01-01"},
		{"SOKOLOV, Igor", "", "Mr Igor Sokolov III", ""},
		{"SOKOLOV, Igor", "1970-05-06", "Igor Ivan Petr Pavel Anton Sergei Oleg Fedor Sokolov", "1970-05-06"},
		{"O'BRANNAGH, Sean", "", "Sean O Brannagh", ""},
		{"O'BRANNAGH, Sean", "", "Sean OBrannagh", ""},
		{"AL-HARBI, Ahmad", "", "Ahmad Alharbi", ""},
		{"AL-HARBI, Ahmad", "", "Ahmad al Harbi", ""},
		{"BIN LADIN, Hamza", "", "Hamza Binladin", ""},
		{"RAHMAN, Abd al", "", "Abdel Rahman", ""},
		{"PAPADOPOULOS, Georgios", "", "Γεώργιος Παπαδόπουλος", ""},
		{"HASSAN, Mohammed", "", "محمد حسن", ""},
	} {
		if score := scoreOf(c.listed, c.born, c.given, c.birthdate); score < threshold {
			t.Errorf("%s (%s) is not found as %s (%s): %.2f", c.listed, c.born, c.given, c.birthdate, score)
		}
	}
	for _, c := range []pair{
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicolas Maduro", "1991-02-03"},
		{"MADURO MOROS, Nicolas", "1962-11-23", "Nicolas Cage", ""},
		{"MADURO MOROS, Nicolas", "", "Maria Moros", ""},
		{"Mary Johnson", "", "Mark Johnson", ""},
		{"John Smith", "", "Jane Smith", ""},
		{"Jose Luis Garcia Perez", "", "Jose Garcia", ""},
		{"Mohammed al-Masri", "", "Mohammed Hassan", ""},
		{"Al Li", "", "Al Lu", ""},
		{"Anna Berg", "", "Hanna Bergmann", ""},
	} {
		if score := scoreOf(c.listed, c.born, c.given, c.birthdate); score >= threshold {
			t.Errorf("%s (%s) is taken for %s (%s): %.2f", c.given, c.birthdate, c.listed, c.born, score)
		}
	}
}

func scoreOf(listed, born, given, birthdate string) float64 {
	e := risk.Entry{ID: "x", List: risk.AlertList, Value: listed}
	if born != "" {
		e.Births = []string{born}
	}
	book := risk.NewBook()
	book.Put(e)
	if found := book.Names(risk.AlertList, given, birthdate, 0); len(found) > 0 {
		return found[0].Score
	}
	return 0
}

func TestPOBoxes(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"PO Box 123", "P.O. Box 123", "P. O. Box 123", "p.o.box 123", "POBox 123", "P O Box 123", "PO BOX #123", "P.O. Box No. 7", "P.0. Box 12", "PO Bx 3",
		"Post Office Box 9", "Post-Office Box 9", "Postal Box 12", "POB 77", "P.O.B. 77", "PO Drawer 5", "P.O. Drawer L", "Box 12", "Box #12", "Lock Box 4", "Drawer 8", "Caller 40",
		"PMB 42", "123 Main St PMB 42", "123 Main St, #4, P.O. Box 9", "PO Box A", "P.O. Box", "Private Mail Box 3", "GPO Box 5", "Postfach 12 34", "Apartado Postal 5", "Casilla 77", "BP 12", "General Delivery",
		"B.P. 12", "B. P. 12", "Caller Service 1", "Caller Service", "P.O. 4411", "PO #4411", "Post Office Box", "P.O.Box123",
	} {
		if !risk.IsPOBox(line) {
			t.Errorf("%q is not seen", line)
		}
	}
	for _, line := range []string{
		"", "123 Box Elder Lane", "12 Post Office Road", "5 Box Hill", "77 Poboxton Way", "Apt 4B", "100 Boxwood Drive", "RR 2 Box 14", "HC 1 Box 20", "1 Post Oak Blvd", "Suite 300", "200 Drawer Street",
		"9 Lockbox Lane", "1 Pob Street", "12 Caller Avenue", "Building 5", "44 Postal Way", "3 Sandbox Ct 4", "Unit 12", "4 Bishop Opal Bx Court",
	} {
		if risk.IsPOBox(line) {
			t.Errorf("%q is taken for a post office box", line)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	at := risk.Place{Address1: "1234 S. Front Street", Address2: "Apt 4B", City: "Saint Paul", Region: "Minnesota", PostalCode: "55101-1234"}
	for _, same := range []risk.Place{
		{Address1: "1234 South Front St", Address2: "#4B", City: "St. Paul", Region: "MN", PostalCode: "55101"},
		{Address1: "1234 s front str. apartment 4b", City: "St Paul", Region: "mn"},
		{Address1: "1234 S FRONT ST", City: "SAINT PAUL", PostalCode: "551011234"},
		{Address1: "1234 S Front St Unit # 4B", City: "elsewhere", PostalCode: "55101"},
		{Address1: "1234 S Front St", City: "St. Paul", Region: "MN", PostalCode: "99999"},
		{Address1: "1234 S Front St, 2nd Floor", City: "St. Paul", PostalCode: "55101"},
	} {
		if !at.Same(same) || !same.Same(at) {
			t.Errorf("%v is not the same", same)
		}
	}
	for _, other := range []risk.Place{
		{Address1: "1235 S. Front Street", City: "Saint Paul", Region: "MN", PostalCode: "55101"},
		{Address1: "1234 N. Front Street", City: "Saint Paul", Region: "MN", PostalCode: "55101"},
		{Address1: "1234 S. Front Street", Address2: "Apt 5", City: "Saint Paul", Region: "MN", PostalCode: "55101"},
		{Address1: "1234 S. Front Street", City: "Duluth", Region: "MN", PostalCode: "55802"},
	} {
		if at.Same(other) {
			t.Errorf("%v is taken for the same", other)
		}
	}
	for _, pair := range [][2]risk.Place{
		{{Address1: "150 Calle A", City: "San Juan", Region: "PR"}, {Address1: "URB Las Gladiolas", Address2: "150 Calle A", City: "San Juan", Region: "PR"}},
		{{Address1: "5 Elm St", Address2: "Floor 3", City: "X"}, {Address1: "5 Elm Street Fl 3", City: "X"}},
		{{Address1: "5 Elm St 3rd Floor", City: "X"}, {Address1: "5 Elm Street Fl 3", City: "X"}},
	} {
		if !pair[0].Same(pair[1]) || !pair[1].Same(pair[0]) {
			t.Errorf("%v are not the same", pair)
		}
	}
	if (risk.Place{Address1: "5 Elm St Fl 3", City: "X"}).Same(risk.Place{Address1: "5 Elm St Fl 4", City: "X"}) {
		t.Error("two floors are the same")
	}
	for text, want := range map[string]bool{
		"1 Main St, Raleigh, NC 27601": true, "1 Main St, Suite 4, Raleigh, North Carolina 27601": true, "1 Main St, Raleigh": false, ", Raleigh, NC": false, "x": false,
	} {
		if _, ok := risk.ParsePlace(text); ok != want {
			t.Errorf("%q: got %v", text, ok)
		}
	}
}

func TestTaxIDs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]risk.TaxIDKind{
		"219-55-0142": risk.SSN, "219550142": risk.SSN, "219 55 0142": risk.SSN, "219–55–0142": risk.SSN, "123-45-6789": risk.SSN,
		"000-12-3456": risk.ImpossibleSSN, "666-12-3456": risk.ImpossibleSSN, "219-00-3456": risk.ImpossibleSSN, "219-55-0000": risk.ImpossibleSSN,
		"078-05-1120": risk.ImpossibleSSN, "900-12-3456": risk.ImpossibleSSN, "912-66-1234": risk.ImpossibleSSN, "912-89-1234": risk.ImpossibleSSN,
		"912-50-1234": risk.ITIN, "912-65-1234": risk.ITIN, "912-70-1234": risk.ITIN, "912881234": risk.ITIN, "912-92-1234": risk.ITIN, "912-99-1234": risk.ITIN,
		"912-93-1234": risk.OtherTaxID, "12-3456789": risk.EIN, "07-3456789": risk.OtherTaxID, "12345678": risk.OtherTaxID, "AB1234567": risk.OtherTaxID, "": risk.OtherTaxID,
	} {
		if got := risk.KindOfTaxID(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if risk.FoldTaxID(" 219-55 0142") != risk.FoldTaxID("219550142") {
		t.Error("two spellings of a tax id are two")
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		born, on string
		want     int
	}{
		{"2012-03-01", "2026-03-01", 14},
		{"2012-03-02", "2026-03-01", 13},
		{"2012-02-29", "2026-02-28", 13},
		{"2012-02-29", "2026-03-01", 14},
		{"2026-01-01", "2026-03-01", 0},
		{"1985-06-15", "2026-03-01", 40},
	} {
		if got := risk.Age(day(c.born), day(c.on)); got != c.want {
			t.Errorf("%s on %s: got %d", c.born, c.on, got)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	known := recordOf(clean())
	known.FirstName, known.LastName = "José María", "García-Márquez"
	known.PreviousAddresses = []risk.Place{{Address1: "9 Elm Ave", City: "Raleigh", Region: "NC", PostalCode: "27601"}}
	known.PreviousPhones = []string{"919-555-0100"}
	for claim, c := range map[string]struct {
		change func(*risk.Person)
		want   string
	}{
		"accents and case":       {func(p *risk.Person) { p.FirstName, p.LastName = "JOSE", "Garcia Marquez" }, ""},
		"an initial":             {func(p *risk.Person) { p.FirstName, p.LastName = "J. M.", "García" }, ""},
		"an old address":         {func(p *risk.Person) { p.Address1, p.City, p.PostalCode = "9 Elm Avenue", "Raleigh", "27601" }, ""},
		"an old phone":           {func(p *risk.Person) { p.Phone = "+19195550100" }, ""},
		"an old phone, abroad":   {func(p *risk.Person) { p.Phone = "011 1 919 555 0100 ext. 12" }, ""},
		"another first name":     {func(p *risk.Person) { p.FirstName = "Maximilian" }, "firstName"},
		"an initial of another":  {func(p *risk.Person) { p.FirstName = "K" }, "firstName"},
		"another last name":      {func(p *risk.Person) { p.LastName = "Gómez" }, "lastName"},
		"another birth date":     {func(p *risk.Person) { p.Birthdate = "1985-06-16" }, "birthdate"},
		"another address, phone": {func(p *risk.Person) { p.Address1, p.Phone = "1 Other Road", "1" }, "address1 phone"},
	} {
		p := clean()
		p.FirstName, p.LastName = known.FirstName, known.LastName
		c.change(&p)
		if got := strings.Join(risk.Differences(p, known), " "); got != c.want {
			t.Errorf("%s: got %q", claim, got)
		}
	}
	other := recordOf(clean())
	other.ID = "rec-2"
	p := clean()
	if got := risk.Best(p, []*risk.Record{known, other}); got.ID != "rec-2" {
		t.Errorf("the best record is %s", got.ID)
	}
	if empty := (&risk.Record{ID: "r"}); len(risk.Differences(p, empty)) != 0 {
		t.Error("what a record does not have differs")
	}
}

func TestABookTakesNewEntriesAndReplacesOldOnes(t *testing.T) {
	t.Parallel()
	b := risk.NewBook()
	b.Put(
		risk.Entry{ID: "1", List: risk.RestrictedIP, Value: "192.0.2.0/24"},
		risk.Entry{ID: "2", List: risk.RestrictedIP, Value: "192.0.2.128/25"},
		risk.Entry{ID: "3", List: risk.RestrictedEmail, Value: "x@y.example"},
		risk.Entry{ID: "4", List: risk.AlertList, Value: "Zelda Quist"},
		risk.Entry{ID: "5", List: risk.HighRiskAddress, Value: "1 Main St, Raleigh, NC 27601"},
	)
	network := func(a string) string { id, _ := b.Network(netip.MustParseAddr(a)); return id }
	if network("192.0.2.1") != "1" || network("192.0.2.200") != "2" || network("::ffff:192.0.2.1") != "1" || network("192.0.3.1") != "" {
		t.Error("the narrowest network is not found")
	}
	for listed, given := range map[string]string{"bücher.example": "a@xn--bcher-kva.example", "xn--mller-kva.example": "a@mail.MÜLLER.example", "ä@b.example": "Ä@b.example"} {
		mails := risk.NewBook()
		mails.Put(risk.Entry{ID: "m", List: risk.RestrictedEmail, Value: listed})
		if id, _ := mails.Mail(given); id != "m" {
			t.Errorf("%s does not catch %s", listed, given)
		}
	}
	if id, _ := b.Mail("X+tag@Y.example"); id != "3" {
		t.Error("the address is not found")
	}
	if _, ok := b.Mail("z@y.example"); ok {
		t.Error("another address of the domain is found")
	}
	b.Put(
		risk.Entry{ID: "2", List: risk.RestrictedIP, Value: "198.51.100.1"},
		risk.Entry{ID: "3", List: risk.RestrictedEmail, Value: "other.example"},
		risk.Entry{ID: "4", List: risk.GovernmentWatchlist, Value: "Zelda Quist"},
		risk.Entry{ID: "5", List: risk.HighRiskAddress, Value: "2 Main St, Raleigh, NC 27601"},
	)
	if network("192.0.2.200") != "1" || network("198.51.100.1") != "2" {
		t.Error("a replaced network stays")
	}
	if _, ok := b.Mail("x@y.example"); ok {
		t.Error("a replaced address stays")
	}
	if len(b.Names(risk.AlertList, "Zelda Quist", "", 0.9)) != 0 || len(b.Names(risk.GovernmentWatchlist, "Zelda Quist", "", 0.9)) != 1 {
		t.Error("a replaced name stays")
	}
	if _, ok := b.Place(risk.HighRiskAddress, risk.Place{Address1: "1 Main Street", PostalCode: "27601"}); ok {
		t.Error("a replaced place stays")
	}
	if b.Len() != 5 {
		t.Errorf("the book has %d entries", b.Len())
	}
}

func TestEntriesAreChecked(t *testing.T) {
	t.Parallel()
	for _, e := range []risk.Entry{
		{List: "none", Value: "x"},
		{List: risk.AlertList, Value: "--"},
		{List: risk.AlertList, Value: "A B", Births: []string{"1.2.1970"}},
		{List: risk.RestrictedIP, Value: "300.1.1.1"},
		{List: risk.RestrictedIP, Value: "10.0.0.0/8", Births: []string{"1970-01-01"}},
		{List: risk.RestrictedEmail, Value: "nodots"},
		{List: risk.HighRiskAddress, Value: "nowhere"},
	} {
		if err := e.Check(); err == nil {
			t.Errorf("%v is taken", e)
		} else if strings.Contains(err.Error(), e.Value) && len(e.Value) > 3 {
			t.Errorf("the error tells the value: %v", err)
		}
	}
	if err := (risk.Entry{List: risk.RestrictedIP, Value: "2001:db8::/32"}).Check(); err != nil {
		t.Error(err)
	}
}
