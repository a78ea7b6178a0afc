package domain

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Identity is the claimed identity of a person (Identity 0.3.2, schema identity). All members are personal data: sealed
// at rest, never logged and never part of a refusal. Unknown members are nil.
type Identity struct {
	TaxID      *string `json:"taxId" validate:"omitempty,min=1,max=128"`
	FirstName  *string `json:"firstName" validate:"omitempty,min=1,max=128"`
	LastName   *string `json:"lastName" validate:"omitempty,min=1,max=128"`
	Address1   *string `json:"address1" validate:"omitempty,min=1,max=512"`
	Address2   *string `json:"address2" validate:"omitempty,min=1,max=512"`
	City       *string `json:"city" validate:"omitempty,min=1,max=64"`
	Region     *string `json:"region" validate:"omitempty,min=1,max=128"`
	PostalCode *string `json:"postalCode" validate:"omitempty,min=1,max=32"`
	Phone      *string `json:"phone" validate:"omitempty,min=1,max=32"`
	Birthdate  *string `json:"birthdate" validate:"omitempty,min=10,max=10,birthdate"`
	Email      *string `json:"email" validate:"omitempty,max=256,mailbox"`
	IPAddress  *string `json:"ipAddress" validate:"omitempty,ipv4"`
}

// identityMember describes one of the twelve members.
type identityMember struct {
	name     string
	required bool
	// masked is set where For masks the member.
	masked bool
	of     func(*Identity) **string
}

var identityMembers = []identityMember{
	{"taxId", true, true, func(i *Identity) **string { return &i.TaxID }},
	{"firstName", true, false, func(i *Identity) **string { return &i.FirstName }},
	{"lastName", true, false, func(i *Identity) **string { return &i.LastName }},
	{"address1", true, true, func(i *Identity) **string { return &i.Address1 }},
	{"address2", false, true, func(i *Identity) **string { return &i.Address2 }},
	{"city", true, false, func(i *Identity) **string { return &i.City }},
	{"region", true, false, func(i *Identity) **string { return &i.Region }},
	{"postalCode", true, false, func(i *Identity) **string { return &i.PostalCode }},
	{"phone", true, true, func(i *Identity) **string { return &i.Phone }},
	{"birthdate", true, true, func(i *Identity) **string { return &i.Birthdate }},
	{"email", false, true, func(i *Identity) **string { return &i.Email }},
	{"ipAddress", false, false, func(i *Identity) **string { return &i.IPAddress }},
}

// IsZero reports whether all members are unknown.
func (i Identity) IsZero() bool {
	return !slices.ContainsFunc(identityMembers, func(m identityMember) bool { return *m.of(&i) != nil })
}

// Missing returns the names of the required members that are unknown.
func (i Identity) Missing() []string {
	var out []string
	for _, m := range identityMembers {
		if m.required && *m.of(&i) == nil {
			out = append(out, m.name)
		}
	}
	return out
}

// With returns the identity with its members replaced by the known members of another one.
func (i Identity) With(o Identity) Identity {
	for _, m := range identityMembers {
		if v := *m.of(&o); v != nil {
			*m.of(&i) = v
		}
	}
	return i
}

// Equal reports whether two identities have the same members.
func (i Identity) Equal(o Identity) bool {
	return slices.Equal(i.parts(), o.parts())
}

// parts returns the members in a fixed order, for a fingerprint.
func (i Identity) parts() []string {
	out := make([]string, 0, len(identityMembers))
	for _, m := range identityMembers {
		out = append(out, optional(*m.of(&i)))
	}
	return out
}

// Person returns the identity in the form that package risk uses.
func (i Identity) Person() risk.Person {
	text := func(v *string) string {
		if v == nil {
			return ""
		}
		return *v
	}
	return risk.Person{
		TaxID: text(i.TaxID), FirstName: text(i.FirstName), LastName: text(i.LastName), Address1: text(i.Address1), Address2: text(i.Address2),
		City: text(i.City), Region: text(i.Region), PostalCode: text(i.PostalCode), Phone: text(i.Phone), Birthdate: text(i.Birthdate),
		Email: text(i.Email), IPAddress: text(i.IPAddress),
	}
}

// birthdate reports whether a text is a calendar day in the form yyyy-mm-dd (Identity, schema identity).
func birthdate(text string) bool {
	day, err := time.Parse(time.DateOnly, text)
	return err == nil && day.Year() >= 1000 && day.Year() <= 2999
}

// firstBirthdate is the earliest accepted date of birth: nobody who was born before it is alive.
const firstBirthdate = "1900-01-01"

// check returns the problems that tags cannot express: a birth date must be the day of a person who may be alive, and
// must not be in the future; no member may have control characters. A day that has begun somewhere on earth is not in the
// future.
func (i Identity) check(now time.Time) []*problem.Problem {
	var out []*problem.Problem
	refuse := func(member, text string) {
		out = append(out, problem.New(problem.InvalidInput).Because("%s", member+" "+text).At(member))
	}
	for _, m := range identityMembers {
		if v := *m.of(&i); v != nil && strings.ContainsFunc(*v, unicode.IsControl) {
			refuse(m.name, "must not contain control characters.")
		}
	}
	if i.Birthdate != nil && birthdate(*i.Birthdate) {
		switch {
		case *i.Birthdate < firstBirthdate:
			refuse("birthdate", "must not be before 1900.")
		case *i.Birthdate > now.Add(14*time.Hour).Format(time.DateOnly):
			refuse("birthdate", "must not be in the future.")
		}
	}
	return out
}

// Visible returns the identity without characters that nobody sees, such as a zero-width space within a name. A member
// with no other characters stays as it is.
func (i Identity) Visible() Identity {
	for _, m := range identityMembers {
		if v := *m.of(&i); v != nil {
			if text := risk.Visible(*v); text != *v && text != "" {
				*m.of(&i) = &text
			}
		}
	}
	return i
}

// Check validates an imported identity. The error names the members, without values.
func (i Identity) Check(now time.Time) error { return validated(i, i.check(now)...) }

// SeesPII reports whether the actor may see personal data that is masked for other callers.
func (a Actor) SeesPII() bool { return a.Has(ScopeReadPII, ScopeProfilesFull) }

// For returns the identity as the caller may see it: tax id, birth date, phone, e-mail and street are masked unless the
// token has one of the scopes for them (GraphQL contract, rules).
func (i Identity) For(ctx context.Context) *Identity {
	if ActorFrom(ctx).SeesPII() {
		return &i
	}
	i.TaxID, i.Phone, i.Email = masked(i.TaxID, 2), masked(i.Phone, 2), masked(i.Email, 2)
	i.Birthdate, i.Address1, i.Address2 = masked(i.Birthdate, 0), masked(i.Address1, 0), masked(i.Address2, 0)
	return &i
}

// SentIdentity is the identity of a report or quiz for the documented API: in full for its creator, for the contact's
// user and for callers who may see personal data; otherwise masked, without the members that have a format (verification,
// section 3).
func SentIdentity(ctx context.Context, i Identity, createdBy string, contactUserID *string) Identity {
	a := ActorFrom(ctx)
	if a.SeesPII() || a.Verifier || a.ID == createdBy || contactUserID != nil && *contactUserID == a.ID {
		return i
	}
	i = *i.For(ctx)
	i.Birthdate, i.Email, i.IPAddress = nil, nil, nil
	return i
}

// masked returns *** in place of a text, with its last characters if it is long enough. It hides the length.
func masked(text *string, last int) *string {
	if text == nil {
		return nil
	}
	out := "***"
	if runes := []rune(*text); last > 0 && len(runes) >= 4*last {
		out += string(runes[len(runes)-last:])
	}
	return &out
}

// quizPerson returns a keyed hash of the tax id, which identifies a person across quizzes. The quizzes that can verify a
// contact have one, and all others another, so that a stranger's attempts do not use up those of the person.
func (s *Service) quizPerson(i Identity, counts bool) []byte {
	purpose := "person"
	if !counts {
		purpose = "person of quizzes that do not count"
	}
	return s.KeyedHash(purpose, risk.FoldTaxID(i.Person().TaxID))
}

// counted reports whether a quiz could verify a contact when it was ordered.
func (s *Service) counted(q *Quiz) bool { return bytes.Equal(q.Person, s.quizPerson(q.Inputs, true)) }

// IdentityRecord is the bank's data about a person. Reports and quizzes are based on it.
type IdentityRecord struct {
	ID string
	Identity
	PreviousAddresses              []PreviousAddress
	PreviousPhones                 []string
	Relatives, Vehicles, Employers []string
}

// PreviousAddress is a former address of a person.
type PreviousAddress struct {
	Address1   string `json:"address1"`
	City       string `json:"city"`
	Region     string `json:"region"`
	PostalCode string `json:"postalCode"`
}

// ListEntry is an entry of one of the institution's lists.
type ListEntry struct {
	risk.Entry
	// Seq is the number of the import that added the entry; it increases with each import.
	Seq int64
}

// owned returns the ids of the contacts that represent a user.
func (s *Service) owned(ctx context.Context, userID string) ([]string, error) {
	all, err := listAll(ctx, s.Store.Contacts(), listing.Eq("userId", userID))
	ids := make([]string, 0, len(all))
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// personRoles returns an actor's roles for a record about a person. Its creator and the contact's own user are owners;
// otherwise only callers who may see all records see it.
func personRoles(ctx context.Context, s *Service, pre *Prefetched, a Actor, createdBy string, contactID *string) ([]Role, bool, error) {
	roles := a.staffRoles()
	if !a.Known() {
		return roles, false, nil
	}
	mine := createdBy == a.ID
	if !mine && contactID != nil {
		contact, known := pre.contact(*contactID)
		if !known {
			var err error
			if contact, err = s.Store.Contacts().Get(ctx, *contactID); err != nil && !errors.Is(err, ErrMissing) {
				return nil, false, err
			}
		}
		mine = contact != nil && contact.OwnedBy(a.ID)
	}
	if mine {
		roles = append(roles, RoleOwner)
	}
	return roles, len(roles) > 0, nil
}

// visiblePersons returns personRoles as a predicate.
func (s *Service) visiblePersons(ctx context.Context) (listing.Predicate, error) {
	a := ActorFrom(ctx)
	if a.SeesAll() {
		return listing.True, nil
	}
	ids, err := s.owned(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return listing.Any(listing.Eq("createdBy", a.ID), listing.OneWord("contactId", ids...)), nil
}
