package domain

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// InvitationSchema has the fields by which invitations can be selected and ordered (Invitations, list parameters).
var InvitationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "type", Type: listing.Enum, Values: []string{"joint", "authorizedSigner"}},
	{Name: "state", Type: listing.Enum, Values: invitationMachine.StateNames()},
	{Name: "emailAddress", Type: listing.Text, Sealed: true, Searched: true},
	{Name: "emailAddressFolded", Type: listing.Text, Sealed: true, Indexed: true, Fold: true, Hidden: true},
	{Name: "firstName", Type: listing.Text, Sealed: true, Searched: true},
	{Name: "lastName", Type: listing.Text, Sealed: true, Searched: true},
	{Name: "accountUri", Type: listing.Text},
	{Name: "organizationUri", Type: listing.Text},
	{Name: "role", Type: listing.Text, Searched: true},
	{Name: "inviterFullName", Type: listing.Text, Sealed: true, Searched: true},
	{Name: "createdAt", Type: listing.Time},
	{Name: "updatedAt", Type: listing.Time},
	{Name: "expiresAt", Type: listing.Time},
	{Name: "createdBy", Type: listing.ID},
	{Name: "acceptedBy", Type: listing.ID, Hidden: true},
	{Name: "customerId", Type: listing.ID},
	{Name: "customerGroup", Type: listing.ID},
	{Name: "verificationCount", Type: listing.Number},
	{Name: "resendCount", Type: listing.Number, Hidden: true},
	{Name: "accountId", Type: listing.ID, Hidden: true},
	{Name: "organizationId", Type: listing.ID, Hidden: true},
}}

// InvitationValue reads a field of an invitation.
func InvitationValue(i *Invitation, field string) listing.Value {
	text := func(s *string) listing.Value {
		if s == nil {
			return nil
		}
		return *s
	}
	id := func(s string) listing.Value {
		if s == "" {
			return nil
		}
		return s
	}
	switch field {
	case "_id":
		return i.ID
	case "type":
		return string(i.Type)
	case "state":
		return string(i.State)
	case "emailAddress", "emailAddressFolded":
		return i.EmailAddress
	case "firstName":
		return text(i.FirstName)
	case "lastName":
		return text(i.LastName)
	case "accountUri":
		return text(i.AccountURI)
	case "organizationUri":
		return text(i.OrganizationURI)
	case "role":
		return text(i.OrganizationRole)
	case "inviterFullName":
		return i.InviterFullName
	case "createdAt":
		return i.CreatedAt
	case "updatedAt":
		return i.UpdatedAt
	case "expiresAt":
		return i.ExpiresAt
	case "createdBy":
		return i.CreatedBy
	case "acceptedBy":
		return text(i.AcceptedBy)
	case "customerId":
		return text(i.CustomerID)
	case "customerGroup":
		return text(i.CustomerGroup)
	case "verificationCount":
		return float64(i.VerificationCount)
	case "resendCount":
		return float64(i.ResendCount)
	case "accountId":
		return id(i.AccountID)
	case "organizationId":
		return id(i.OrganizationID)
	}
	return nil
}

const invitationsPath = "/invitations/invitations/"

// InvitationID returns the id from a reference: an id, or the invitation's URI, relative or absolute.
func (s *Service) InvitationID(reference string) string {
	if id, ok := strings.CutPrefix(s.relative(reference), invitationsPath); ok {
		return id
	}
	return reference
}

// Invitation returns an invitation that the caller may see.
// Refuses with NoSuchInvitation.
func (s *Service) Invitation(ctx context.Context, id string) (*Invitation, error) {
	if err := s.Permit(ctx, "invitation"); err != nil {
		return nil, err
	}
	return show(ctx, s, invitations, id)
}

// Invitations lists the invitations that the caller may see.
// Refuses with InvalidInput and InvalidParameter (a malformed page or cursor).
func (s *Service) Invitations(ctx context.Context, q listing.Query) (listing.Page[Invitation], error) {
	if err := s.Permit(ctx, "invitations"); err != nil {
		return listing.Page[Invitation]{}, err
	}
	mine, err := s.visibleInvitations(ctx)
	if err != nil {
		return listing.Page[Invitation]{}, err
	}
	q.Where = settledStates(listing.All(mine, q.Where), s.now(), invitationLapse)
	page, err := s.Store.Invitations().List(ctx, q)
	settleAll(s, invitations, page.Items)
	return page, err
}

// invitationLapse makes lists return an invitation as expired from the same moment as single reads.
func invitationLapse(state listing.Value, now time.Time) listing.Predicate {
	sent := listing.Eq("state", string(InvitationSent))
	switch state {
	case listing.Value(string(InvitationSent)):
		return listing.All(sent, listing.Is(listing.GT, "expiresAt", now))
	case listing.Value(string(InvitationExpired)):
		return listing.Any(listing.Eq("state", state), listing.All(sent, listing.Is(listing.LE, "expiresAt", now)))
	}
	return nil
}

// visibleInvitations returns the table "Who sees what" as a predicate.
func (s *Service) visibleInvitations(ctx context.Context) (listing.Predicate, error) {
	a := ActorFrom(ctx)
	if a.SeesAll() {
		return listing.True, nil
	}
	accounts, organizations, err := s.Directory.PartOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	ways := list(listing.Eq("createdBy", a.ID), listing.Eq("acceptedBy", a.ID))
	var targets []listing.Predicate
	if len(accounts) > 0 {
		targets = append(targets, listing.OneWord("accountId", accounts...))
	}
	if len(organizations) > 0 {
		targets = append(targets, listing.OneWord("organizationId", organizations...))
	}
	if len(targets) > 0 {
		ways = append(ways, listing.All(
			listing.OneWord("state", InvitationSent, InvitationAccepted), listing.Any(targets...)))
	}
	return listing.Any(ways...), nil
}

// PendingInvitations selects the invitations that the caller has accepted and that are not completed.
func (s *Service) PendingInvitations(ctx context.Context) listing.Predicate {
	return listing.All(listing.Eq("acceptedBy", ActorFrom(ctx).ID), listing.Eq("state", string(InvitationAccepted)))
}

// InvitationsOfAccounts selects by accountUri, relative or absolute.
func (s *Service) InvitationsOfAccounts(uris ...string) listing.Predicate {
	return s.byTarget("accountId", accountsPath, uris)
}

// InvitationsOfOrganizations selects by organizationUri, relative or absolute.
func (s *Service) InvitationsOfOrganizations(uris ...string) listing.Predicate {
	return s.byTarget("organizationId", organizationsPath, uris)
}

func (s *Service) byTarget(field, collection string, uris []string) listing.Predicate {
	var ids []string
	for _, uri := range uris {
		if id := s.target(uri, collection); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return listing.False
	}
	return listing.OneWord(field, ids...)
}

// SeesIdentification reports whether the caller may see the invitation's identification: only the inviter may.
func (i *Invitation) SeesIdentification(a Actor) bool { return a.Known() && a.ID == i.CreatedBy }

// InvitationPreview has everything that the holder of the newest e-mail may see before presenting the secret.
type InvitationPreview struct {
	Institution     string
	InviterFullName string
	Type            InvitationType
	State           InvitationState
	ExpiresAt       time.Time
}

// InvitationPreview returns an invitation to the holder of its newest e-mail, who need not be signed in.
// Refuses with NoSuchInvitation (also if the key does not belong to the id).
func (s *Service) InvitationPreview(ctx context.Context, id, key string) (*InvitationPreview, error) {
	read, err := find(ctx, s, invitations, s.InvitationID(id))
	if err != nil {
		return nil, missingAs(err, problem.NoSuchInvitation)
	}
	i := read.record
	if !s.opens(&key, i) {
		return nil, problem.New(problem.NoSuchInvitation)
	}
	return &InvitationPreview{
		Institution: s.Settings.InstitutionName, InviterFullName: i.InviterFullName,
		Type: i.Type, State: i.State, ExpiresAt: i.ExpiresAt,
	}, nil
}
