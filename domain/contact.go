package domain

import (
	"context"
	"errors"
	"slices"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Contact is a person with whom the institution deals, and who may be one of its users.
type Contact struct {
	Meta
	State ContactState
	// Of is the unmasked personal data. For and the methods named after the members return what a caller may see.
	Of Identity
	// UserID is the user that the contact represents; nil if there is none.
	UserID *string
	// CreatedBy is the user who created it; empty for an imported contact.
	CreatedBy string
	// IdentifiedBy is the user who last set the tax id, the name or the birth date; empty for an import.
	IdentifiedBy string
}

// selfAsserted reports whether the contact's user created the contact, or set its tax id, name or birth date last.
func (c *Contact) selfAsserted() bool { return c.OwnedBy(c.CreatedBy) || c.OwnedBy(c.IdentifiedBy) }

// Head returns the part that all records share.
func (c *Contact) Head() *Meta { return &c.Meta }

// KindContact is the kind.
const KindContact Kind = "contact"

// Kind names the machine.
func (*Contact) Kind() Kind { return KindContact }

// OwnedBy reports whether the contact represents the user.
func (c *Contact) OwnedBy(userID string) bool { return c.UserID != nil && *c.UserID == userID }

// The members, as the caller may see them.

// TaxID is masked unless the caller may see it.
func (c *Contact) TaxID(ctx context.Context) *string { return c.Of.For(ctx).TaxID }

// FirstName is never masked.
func (c *Contact) FirstName() *string { return c.Of.FirstName }

// LastName is never masked.
func (c *Contact) LastName() *string { return c.Of.LastName }

// Address1 is masked unless the caller may see it.
func (c *Contact) Address1(ctx context.Context) *string { return c.Of.For(ctx).Address1 }

// Address2 is masked unless the caller may see it.
func (c *Contact) Address2(ctx context.Context) *string { return c.Of.For(ctx).Address2 }

// City is never masked.
func (c *Contact) City() *string { return c.Of.City }

// Region is never masked.
func (c *Contact) Region() *string { return c.Of.Region }

// PostalCode is never masked.
func (c *Contact) PostalCode() *string { return c.Of.PostalCode }

// Phone is masked unless the caller may see it.
func (c *Contact) Phone(ctx context.Context) *string { return c.Of.For(ctx).Phone }

// Birthdate is masked unless the caller may see it.
func (c *Contact) Birthdate(ctx context.Context) *string { return c.Of.For(ctx).Birthdate }

// Email is masked unless the caller may see it.
func (c *Contact) Email(ctx context.Context) *string { return c.Of.For(ctx).Email }

// IPAddress is never masked.
func (c *Contact) IPAddress() *string { return c.Of.IPAddress }

// ContactState is the state of a contact.
type ContactState string

// ContactActive is the only state: a contact can be changed, but does not end.
const ContactActive ContactState = "active"

// ContactTransition is a verb of the machine.
type ContactTransition string

// ContactUpdate is the only transition.
const ContactUpdate ContactTransition = "update"

var contactMachine = &lifecycle.Machine[ContactState, ContactTransition, Role]{
	Name: string(KindContact), Start: ContactActive, Clock: RoleClock,
	Create: "createContact", CreateBy: list(RoleAnyone),
	States: []lifecycle.State[ContactState]{
		{Name: ContactActive, Help: "The contact exists and can be changed. This state does not end."},
	},
	Transitions: []lifecycle.Row[ContactState, ContactTransition, Role]{
		{
			On:   ContactUpdate,
			From: list(ContactActive),
			To:   list(ContactActive),
			By:   list(RoleOwner, RoleAdmin),
			Else: func(ContactState) *problem.Definition { return problem.NoSuchContact },
		},
	},
}

var contacts = &life[Contact, ContactState, ContactTransition]{
	kind: KindContact, machine: contactMachine,
	shelf: func(s Store) Shelf[Contact] { return s.Contacts() },
	head:  func(c *Contact) *Meta { return &c.Meta },
	state: func(c *Contact) *ContactState { return &c.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, c *Contact) ([]Role, bool, error) {
		roles := a.staffRoles()
		if a.Known() && c.OwnedBy(a.ID) {
			roles = append(roles, RoleOwner)
		}
		return roles, len(roles) > 0, nil
	},
	dummy: func() *Contact { return &Contact{} },
	due:   never[Contact, ContactState, ContactTransition],
	concerns: func(c *Contact) []string {
		if c.UserID != nil {
			return list(*c.UserID)
		}
		return []string{}
	},
	missing: problem.NoSuchContact, denied: problem.AccessDenied,
}

// ContactSchema has the fields by which contacts can be selected and ordered; none of them is personal data. The blind
// indexes of tax id and e-mail address permit exact searches by callers who may see these members.
var ContactSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "userId", Type: listing.ID},
	{Name: "createdBy", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
	{Name: "updatedAt", Type: listing.Time},
	{Name: "taxId", Type: listing.Text, Sealed: true, Indexed: true, Fold: true, Hidden: true},
	{Name: "email", Type: listing.Text, Sealed: true, Indexed: true, Fold: true, Hidden: true},
}}

// ContactValue reads a field of a contact.
func ContactValue(c *Contact, field string) listing.Value {
	word := func(v *string) listing.Value {
		if v == nil {
			return nil
		}
		return *v
	}
	switch field {
	case "_id":
		return c.ID
	case "userId":
		return word(c.UserID)
	case "createdBy":
		return listing.Word(c.CreatedBy)
	case "createdAt":
		return c.CreatedAt
	case "updatedAt":
		return c.UpdatedAt
	case "taxId":
		return word(c.Of.TaxID)
	case "email":
		return word(c.Of.Email)
	}
	return nil
}

// contactsPath is the path of the collection in links (Identity, inputs).
const contactsPath = "/contacts/contacts/"

// ContactURI returns the link to a contact.
func ContactURI(id string) string { return contactsPath + id }

// CreateContactInput has the known members of a person's identity.
type CreateContactInput struct {
	// UserID is for administrators; the contacts of other callers represent the caller.
	UserID *string `json:"userId" validate:"omitempty,min=1,max=255,printable"`
	Identity
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateContact creates a contact. Unless the caller is an administrator, the contact represents the caller.
// Refuses with InvalidInput, AccessDenied (another user, by a caller who is not an administrator) and
// IdempotencyKeyReused.
func (s *Service) CreateContact(ctx context.Context, in CreateContactInput) (Outcome[Contact], error) {
	const operation = "createContact"
	more := in.check(s.now())
	if in.IsZero() {
		more = append(more, problem.New(problem.InvalidInput).Because("A contact must have at least one field of an identity.").At("firstName"))
	}
	a, err := s.begin(ctx, operation, in, more...)
	if err != nil {
		return Outcome[Contact]{}, err
	}
	owner := in.UserID
	if !a.Admin() {
		if owner != nil && *owner != a.ID {
			return Outcome[Contact]{}, problem.New(problem.AccessDenied)
		}
		owner = &a.ID
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: append(in.parts(), optional(in.UserID))}
	return create(ctx, s, contacts, c, func(_ context.Context, n *creation) (*Contact, error) {
		return &Contact{
			Meta: newMeta("contact", n.Now), State: contactMachine.Start, Of: in.Visible(), UserID: owner, CreatedBy: a.ID, IdentifiedBy: a.ID,
		}, nil
	})
}

// UpdateContactInput names a contact and has the members to change.
type UpdateContactInput struct {
	ContactID string `json:"contactId" validate:"required,max=512"`
	// UserID is for administrators.
	UserID *string `json:"userId" validate:"omitempty,min=1,max=255,printable"`
	Identity
	Guard
}

// UpdateContact changes the members that the input has. Reports, quizzes and approvals count only for the tax id, name and
// birth date that they are about. A changed address, phone or e-mail address is compared with the lists at once.
// Refuses with InvalidInput, NoSuchContact, AccessDenied, StaleVersion and IdempotencyKeyReused.
func (s *Service) UpdateContact(ctx context.Context, in UpdateContactInput) (Outcome[Contact], error) {
	const operation = "updateContact"
	more := in.check(s.now())
	if in.IsZero() && in.UserID == nil {
		more = append(more, problem.New(problem.InvalidInput).Because("At least one field to change is required.").At("contactId"))
	}
	if _, err := s.begin(ctx, operation, in, more...); err != nil {
		return Outcome[Contact]{}, err
	}
	c := call{operation: operation, id: s.ContactID(in.ContactID), guard: in.Guard, parts: append(in.parts(), optional(in.UserID))}
	var due *ScreeningDue
	out, err := apply(ctx, s, contacts, c, ContactUpdate, func(_ context.Context, ch *change[Contact]) (ContactState, error) {
		if in.UserID != nil {
			if !ch.Actor.Admin() && !ch.Record.OwnedBy(*in.UserID) {
				return "", problem.New(problem.AccessDenied)
			}
			ch.Record.UserID = in.UserID
		}
		was := ch.Record.Of
		ch.Record.Of = was.With(in.Visible())
		if !was.samePerson(ch.Record.Of) {
			ch.Record.IdentifiedBy = ch.Actor.ID
		}
		if due = s.dueAfter(ch.Record.ID, was, ch.Record.Of, ch.Now); due != nil {
			ch.Changes = append(ch.Changes, Change{Record: due})
		}
		return ContactActive, nil
	})
	if err == nil {
		s.screenAtOnce(ctx, due)
	}
	return out, err
}

// ContactID returns the id from a reference: an id, or the contact's URI, relative or absolute.
func (s *Service) ContactID(reference string) string {
	if id := s.target(reference, contactsPath); id != "" {
		return id
	}
	return reference
}

// ContactOfURI returns the id from a contact's URI, relative or absolute, or the empty string for any other text.
func (s *Service) ContactOfURI(uri string) string { return s.target(uri, contactsPath) }

// Contact returns a contact that the caller may see.
// Refuses with NoSuchContact.
func (s *Service) Contact(ctx context.Context, id string) (*Contact, error) {
	if err := s.Permit(ctx, "contact"); err != nil {
		return nil, err
	}
	return show(ctx, s, contacts, id)
}

// ContactSearch has the personal data for an exact search. The store compares it by blind indexes.
type ContactSearch struct{ TaxID, Email *string }

// Contacts lists the caller's contacts, or all contacts if the caller may see all records.
// Refuses with InvalidInput, InvalidParameter and AccessDenied (a search by personal data without the scope for it).
func (s *Service) Contacts(ctx context.Context, q listing.Query, by ContactSearch) (listing.Page[Contact], error) {
	if err := s.Permit(ctx, "contacts"); err != nil {
		return listing.Page[Contact]{}, err
	}
	a := ActorFrom(ctx)
	if !a.SeesAll() {
		q.Where = listing.All(listing.Eq("userId", a.ID), q.Where)
	}
	for field, value := range map[string]*string{"taxId": by.TaxID, "email": by.Email} {
		if value == nil {
			continue
		}
		if !a.SeesPII() {
			return listing.Page[Contact]{}, problem.New(problem.AccessDenied)
		}
		q.Where = listing.All(q.Where, listing.Eq(field, *value))
	}
	return s.Store.Contacts().List(ctx, q)
}

// mayLink returns the contact for a report, a quiz or a verification, if the caller may see it. refused is the problem
// for a malformed reference, and for one to a contact that does not exist or that the caller may not see.
func (s *Service) mayLink(ctx context.Context, reference string, refused *problem.Definition) (*Contact, error) {
	id := s.ContactID(reference)
	if !plausibleID(id) || slices.Contains([]byte(id), '/') {
		return nil, problem.New(refused).At("contactId")
	}
	c, err := show(ctx, s, contacts, id)
	if problem.Has(err, problem.NoSuchContact) && ActorFrom(ctx).Verifier {
		c, err = s.Store.Contacts().Get(ctx, id)
	}
	if problem.Has(err, problem.NoSuchContact) || errors.Is(err, ErrMissing) {
		return nil, problem.New(refused).At("contactId")
	}
	return c, err
}
