// Package risk implements the fraud-risk rules: a table of pure functions of a person, the record that was found for
// the person, and the lists that an institution maintains. It determines which risks apply, and what a reviewer should
// examine.
//
// It knows identities, lists and time as values. It does not know any store, file or network: the caller looks up the
// record and fills the lists. Its results name inputs, rules, list entries and scores, never a value of the person.
package risk

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Person is the identity that a person claims. Missing members are empty.
type Person struct {
	TaxID, FirstName, LastName                   string
	Address1, Address2, City, Region, PostalCode string
	Phone, Birthdate, Email, IPAddress           string
}

// Place is an address.
type Place struct {
	Address1, Address2, City, Region, PostalCode string
}

// name returns the name as lists write it: the family name, a comma, and the given names.
func (p Person) name() string {
	noComma := func(text string) string { return strings.ReplaceAll(text, ",", " ") }
	return noComma(p.LastName) + ", " + noComma(p.FirstName)
}

// Place returns the address of the person.
func (p Person) Place() Place {
	return Place{Address1: p.Address1, Address2: p.Address2, City: p.City, Region: p.Region, PostalCode: p.PostalCode}
}

// Record is what is recorded about a person.
type Record struct {
	// ID is the id of the record.
	ID string
	Person
	PreviousAddresses              []Place
	PreviousPhones                 []string
	Relatives, Vehicles, Employers []string
}

// Category is one of the documented kinds of risk.
type Category string

// The categories, in the order in which they are reported (Identity 0.3.2, fraudRiskCategoryType).
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

// categories holds all categories in order, each with its description.
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

// Categories returns all categories in order.
func Categories() []Category {
	out := make([]Category, 0, len(categories))
	for _, c := range categories {
		out = append(out, c.name)
	}
	return out
}

// Description returns the description of a category, or "" if it is unknown.
func Description(c Category) string {
	for _, row := range categories {
		if row.name == c {
			return row.description
		}
	}
	return ""
}

// Evidence describes why a rule applies: for a reviewer, without a value of the person.
type Evidence struct {
	// Inputs holds the names of the members that were examined.
	Inputs []string
	// Rule is the name of the rule.
	Rule string
	// Entry is the id of the list entry, or "" if there is none.
	Entry string
	// Version identifies the content of the list entry, or is "".
	Version string
	// Score is the similarity from 0 to 1 if the rule compares by similarity, and 0 otherwise.
	Score float64
}

// String returns the evidence in one line.
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

// Finding is a category that applies, with all evidence for it.
type Finding struct {
	Category    Category
	Description string
	Evidence    []Evidence
}

// Assessment is the result of all rules for a person.
type Assessment struct {
	// Found is true if there is a record of the person.
	Found bool
	// Findings holds the findings in the order of Categories.
	Findings []Finding
	// Partial is true if the name could not be compared with all entries of the lists.
	Partial bool
	// Held describes the list of people that the person was compared with; nil if there is none.
	Held *ListStamp
}

// ListStamp describes a list as a whole.
type ListStamp struct {
	// List is the name of the list.
	List string
	// PublishedAt is the time of the newest file; zero if the list has no files. LoadedAt is when it came into force.
	PublishedAt, LoadedAt time.Time
	Entries               int
	// Hash is a hexadecimal SHA-256 of the content.
	Hash string
}

// Lists is how the rules query the lists.
type Lists interface {
	// Names returns the entries of a list of people whose score is at least floor, best first.
	Names(list List, name string, birthdate string, floor float64) []NameMatch
	// Version identifies the content of an entry.
	Version(entry string) string
	// Network returns the narrowest restricted network that contains an address.
	Network(addr netip.Addr) (entry string, ok bool)
	// Mail returns the entry of a restricted address, of its domain or of a parent domain.
	Mail(address string) (entry string, ok bool)
	// Place returns the entry of a list of addresses that matches.
	Place(list List, at Place) (entry string, ok bool)
}

// Case is the input of an assessment.
type Case struct {
	Person Person
	// Record is the record of the person; nil if there is none.
	Record *Record
	Lists  Lists
	// Held describes the lists; nil if there are none.
	Held *ListStamp
	// Disposable reports whether a mail domain offers disposable addresses; if nil, no domain does.
	Disposable func(domain string) bool
	// On is the date of the assessment.
	On time.Time
	// NameMatch is the score from which a name matches a list entry.
	NameMatch float64
}

// Rule is a row of the table.
type Rule struct {
	Category Category
	// Name is the name of the rule in evidence.
	Name string
	// Find returns the evidence, or nil if the rule does not apply. Assess adds the name of the rule.
	Find func(*Case) []Evidence
}

// Rules is the table. Each row is a pure function; several rows may contribute to one category.
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
	out := Assessment{Found: c.Record != nil, Held: c.Held}
	out.Partial = c.Held != nil && c.Held.Entries > 0 && !Comparable(c.Person.name())
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

// maxNames is the maximum evidence from one list, because a reviewer examines the best matches.
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
		matches := c.Lists.Names(list, c.Person.name(), c.Person.Birthdate, c.NameMatch)
		var out []Evidence
		for _, m := range matches[:min(len(matches), maxNames)] {
			out = append(out, Evidence{Inputs: inputs, Entry: m.Entry, Version: c.Lists.Version(m.Entry), Score: m.Score})
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

// majority is the minimum age of a customer: the document's example is COPPA, under 14.
const majority = 14

func tooYoung(c *Case) []Evidence {
	born, err := time.Parse(time.DateOnly, c.Person.Birthdate)
	if err != nil || Age(born, c.On) >= majority {
		return nil
	}
	return because("birthdate")
}

// Age returns the number of birthdays that a person has had. A person born on February 29 has the birthday on March 1
// in other years.
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

// domainsOf returns a domain in lower case and its parent domains, except the top-level domain.
func domainsOf(domain string) []string {
	domain = asciiDomain(strings.ToLower(strings.Trim(strings.TrimSpace(domain), ".")))
	var out []string
	for strings.Contains(domain, ".") {
		out = append(out, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return out
}

// Best returns, among several records with one tax id, the one with the fewest differences from the person.
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
