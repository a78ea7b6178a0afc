// Package risk holds the fraud-risk rules: one table of pure functions of a person, the record that was found of
// that person, and the lists an institution keeps. It says what speaks against a person, and what a reviewer should
// look at.
//
// It knows identities, lists and time as values. It knows no store, no file and no network: who calls it finds the
// record and fills the lists. What it gives out names inputs, rules, entries of lists and scores, never a value of
// the person.
package risk

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Person is who somebody says to be. Missing members are empty.
type Person struct {
	TaxID, FirstName, LastName                   string
	Address1, Address2, City, Region, PostalCode string
	Phone, Birthdate, Email, IPAddress           string
}

// Place is an address.
type Place struct {
	Address1, Address2, City, Region, PostalCode string
}

// Place is where the person says to live.
func (p Person) Place() Place {
	return Place{Address1: p.Address1, Address2: p.Address2, City: p.City, Region: p.Region, PostalCode: p.PostalCode}
}

// Record is what is known of a person.
type Record struct {
	// ID is the record's own.
	ID string
	Person
	PreviousAddresses              []Place
	PreviousPhones                 []string
	Relatives, Vehicles, Employers []string
}

// Category is one of the documented kinds of risk.
type Category string

// The categories, in the order in which they are told (Identity 0.3.2, fraudRiskCategoryType).
const (
	IPRestricted                  Category = "ipRestricted"
	IdentityOnGovernmentWatchlist Category = "identityOnGovernmentWatchlist"
	IdentityOnAlertList           Category = "identityOnAlertList"
	AddressIsPOBoxOrNonApproved   Category = "addressIsPOBoxOrNonApproved"
	AddressIsHighRisk             Category = "addressIsHighRisk"
	AgeRestricted                 Category = "ageRestricted"
	NonStandardTaxID              Category = "nonStandardTaxId"
	PersonalInfoDoesNotMatch      Category = "personalInfoDoesNotMatch"
	EmailRestricted               Category = "emailRestricted"
)

// categories are all, in order, with the sentence that describes each.
var categories = []struct {
	name        Category
	description string
}{
	{IPRestricted, "The IP address is on a restricted list."},
	{IdentityOnGovernmentWatchlist, "The person may be on a government watch list."},
	{IdentityOnAlertList, "The person may be on an alert list."},
	{AddressIsPOBoxOrNonApproved, "The address is a post office box, or of another kind that is not approved."},
	{AddressIsHighRisk, "The address is a high-risk address."},
	{AgeRestricted, "The person is too young."},
	{NonStandardTaxID, "The tax id is not a social security number."},
	{PersonalInfoDoesNotMatch, "The personal information differs from the record that was found."},
	{EmailRestricted, "The e-mail address is on a restricted list."},
}

// Categories lists all categories in their order.
func Categories() []Category {
	out := make([]Category, 0, len(categories))
	for _, c := range categories {
		out = append(out, c.name)
	}
	return out
}

// Description is the sentence of a category; empty for what is none.
func Description(c Category) string {
	for _, known := range categories {
		if known.name == c {
			return known.description
		}
	}
	return ""
}

// Evidence says why a rule found something: for a reviewer, without a value of the person.
type Evidence struct {
	// Inputs are the names of the members that were looked at.
	Inputs []string
	// Rule names the rule.
	Rule string
	// Entry is the id of the entry of a list; empty where there is none.
	Entry string
	// Score is the similarity, 0 to 1, of what is compared by similarity; 0 where nothing is.
	Score float64
}

// String is the evidence in one line.
func (e Evidence) String() string {
	out := "rule " + e.Rule + ", input " + strings.Join(e.Inputs, "+")
	if e.Entry != "" {
		out += ", entry " + e.Entry
	}
	if e.Score > 0 {
		out += fmt.Sprintf(", score %.2f", e.Score)
	}
	return out
}

// Finding is a category that applies, with all that speaks for it.
type Finding struct {
	Category    Category
	Description string
	Evidence    []Evidence
}

// Assessment is what the rules make of a person.
type Assessment struct {
	// Found: a record of the person is known.
	Found bool
	// Findings are in the order of Categories.
	Findings []Finding
}

// Lists is what the rules ask of the lists.
type Lists interface {
	// Names finds the entries of a list of people whose score is at least the floor, best first.
	Names(list List, name string, birthdate string, floor float64) []NameMatch
	// Network finds the narrowest restricted network of an address.
	Network(addr netip.Addr) (entry string, ok bool)
	// Mail finds an address, or its domain or one above it, among the restricted ones.
	Mail(address string) (entry string, ok bool)
	// Place finds an address in a list of addresses.
	Place(list List, at Place) (entry string, ok bool)
}

// Case is everything that an assessment is made from.
type Case struct {
	Person Person
	// Record is what is known of the person; nil where nothing is.
	Record *Record
	Lists  Lists
	// Disposable reports whether a mail domain hands out addresses for a moment; nil: none does.
	Disposable func(domain string) bool
	// On is the day of the assessment.
	On time.Time
	// NameMatch is the score from which a name counts as listed.
	NameMatch float64
}

// Rule is a row of the table.
type Rule struct {
	Category Category
	// Name is what evidence calls it.
	Name string
	// Find gives the evidence; none where the rule does not apply. The name of the rule is added.
	Find func(*Case) []Evidence
}

// Rules is the table. Each row is a pure function; several rows may speak for one category.
var Rules = []Rule{
	{IPRestricted, "restricted-network", restrictedNetwork},
	{IdentityOnGovernmentWatchlist, "listed-name", listedName(GovernmentWatchlist)},
	{IdentityOnAlertList, "listed-name", listedName(AlertList)},
	{AddressIsPOBoxOrNonApproved, "post-office-box", postOfficeBox},
	{AddressIsPOBoxOrNonApproved, "non-approved-address", listedPlace(NonApprovedAddress)},
	{AddressIsHighRisk, "high-risk-address", listedPlace(HighRiskAddress)},
	{AgeRestricted, "under-14", tooYoung},
	{NonStandardTaxID, "itin", taxIDIs(ITIN)},
	{NonStandardTaxID, "ein", taxIDIs(EIN)},
	{NonStandardTaxID, "impossible-ssn", taxIDIs(ImpossibleSSN)},
	{NonStandardTaxID, "unknown-form", taxIDIs(OtherTaxID)},
	{PersonalInfoDoesNotMatch, "differs-from-record", differsFromRecord},
	{EmailRestricted, "restricted-email", restrictedEmail},
	{EmailRestricted, "disposable-email", disposableEmail},
}

// Assess applies every rule of the table.
func Assess(c *Case) Assessment {
	out := Assessment{Found: c.Record != nil}
	for _, category := range categories {
		var all []Evidence
		for _, rule := range Rules {
			if rule.Category != category.name {
				continue
			}
			for _, e := range rule.Find(c) {
				e.Rule = rule.Name
				all = append(all, e)
			}
		}
		if len(all) > 0 {
			out.Findings = append(out.Findings, Finding{Category: category.name, Description: category.description, Evidence: all})
		}
	}
	return out
}

func because(inputs ...string) []Evidence { return []Evidence{{Inputs: inputs}} }

func restrictedNetwork(c *Case) []Evidence {
	addr, err := netip.ParseAddr(strings.TrimSpace(c.Person.IPAddress))
	if err != nil || c.Lists == nil {
		return nil
	}
	if entry, ok := c.Lists.Network(addr.Unmap()); ok {
		return []Evidence{{Inputs: []string{"ipAddress"}, Entry: entry}}
	}
	return nil
}

// maxNames bounds the evidence of one list: a reviewer looks at the best entries.
const maxNames = 5

func listedName(list List) func(*Case) []Evidence {
	return func(c *Case) []Evidence {
		if c.Lists == nil {
			return nil
		}
		inputs := []string{"firstName", "lastName"}
		if c.Person.Birthdate != "" {
			inputs = append(inputs, "birthdate")
		}
		matches := c.Lists.Names(list, c.Person.FirstName+" "+c.Person.LastName, c.Person.Birthdate, c.NameMatch)
		var out []Evidence
		for _, m := range matches[:min(len(matches), maxNames)] {
			out = append(out, Evidence{Inputs: inputs, Entry: m.Entry, Score: m.Score})
		}
		return out
	}
}

func postOfficeBox(c *Case) []Evidence {
	var inputs []string
	if IsPOBox(c.Person.Address1) {
		inputs = append(inputs, "address1")
	}
	if IsPOBox(c.Person.Address2) {
		inputs = append(inputs, "address2")
	}
	if inputs == nil {
		return nil
	}
	return because(inputs...)
}

func listedPlace(list List) func(*Case) []Evidence {
	return func(c *Case) []Evidence {
		if c.Lists == nil {
			return nil
		}
		if entry, ok := c.Lists.Place(list, c.Person.Place()); ok {
			return []Evidence{{Inputs: []string{"address1", "city", "region", "postalCode"}, Entry: entry}}
		}
		return nil
	}
}

// majority is the age from which a person may be a customer: the document's example is COPPA, under 14.
const majority = 14

func tooYoung(c *Case) []Evidence {
	born, err := time.Parse(time.DateOnly, c.Person.Birthdate)
	if err != nil || Age(born, c.On) >= majority {
		return nil
	}
	return because("birthdate")
}

// Age is the number of birthdays a person has had. Who was born on February 29 has a birthday on March 1 of other
// years.
func Age(born, on time.Time) int {
	on = on.UTC()
	years := on.Year() - born.Year()
	if on.Month() < born.Month() || on.Month() == born.Month() && on.Day() < born.Day() {
		years--
	}
	return years
}

func taxIDIs(kind TaxIDKind) func(*Case) []Evidence {
	return func(c *Case) []Evidence {
		if c.Person.TaxID == "" || KindOfTaxID(c.Person.TaxID) != kind {
			return nil
		}
		return because("taxId")
	}
}

func differsFromRecord(c *Case) []Evidence {
	if c.Record == nil {
		return nil
	}
	inputs := Differences(c.Person, c.Record)
	if len(inputs) == 0 {
		return nil
	}
	return []Evidence{{Inputs: inputs, Entry: c.Record.ID}}
}

func restrictedEmail(c *Case) []Evidence {
	if c.Person.Email == "" || c.Lists == nil {
		return nil
	}
	if entry, ok := c.Lists.Mail(c.Person.Email); ok {
		return []Evidence{{Inputs: []string{"email"}, Entry: entry}}
	}
	return nil
}

func disposableEmail(c *Case) []Evidence {
	_, domain, ok := strings.Cut(c.Person.Email, "@")
	if !ok || c.Disposable == nil {
		return nil
	}
	for _, d := range domainsOf(domain) {
		if c.Disposable(d) {
			return because("email")
		}
	}
	return nil
}

// domainsOf gives a domain in lower case and those above it, but no top-level domain.
func domainsOf(domain string) []string {
	domain = strings.ToLower(strings.Trim(strings.TrimSpace(domain), "."))
	var out []string
	for strings.Contains(domain, ".") {
		out = append(out, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return out
}

// Best finds among several records of one tax id the one that the person differs from least.
func Best(p Person, records []*Record) *Record {
	var best *Record
	least := 0
	for _, r := range records {
		if n := len(Differences(p, r)); best == nil || n < least {
			best, least = r, n
		}
	}
	return best
}

// Has reports whether a category is among the findings.
func (a Assessment) Has(c Category) bool {
	return slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Category == c })
}
