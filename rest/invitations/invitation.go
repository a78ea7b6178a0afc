package invitations

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/hal"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// The version and the profiles of the document.
const (
	apiVersion = "0.3.3"

	rootProfile         = "https://production.api.apiture.com/schemas/common/root/v2.0.0/profile.json"
	invitationProfile   = "https://api.apiture.com/schemas/invitations/invitation/v1.0.0/profile.json"
	collectionProfile   = "https://api.apiture.com/schemas/invitations/invitations/v1.0.0/profile.json"
	verificationProfile = "https://api.apiture.com/schemas/invitations/verification/v2.0.0/profile.json"
	errorProfile        = "https://api.apiture.com/schemas/common/errorResponse/v2.0.0/profile.json"
)

// invitation is the schema of that name.
type invitation struct {
	hal.Resource
	ID                string  `json:"_id"`
	Type              string  `json:"type"`
	State             string  `json:"state"`
	EmailAddress      string  `json:"emailAddress"`
	FirstName         *string `json:"firstName,omitempty"`
	LastName          *string `json:"lastName,omitempty"`
	Identification    *string `json:"identification,omitempty"`
	SharedSecret      string  `json:"sharedSecret,omitempty"`
	AccountURI        *string `json:"accountUri,omitempty"`
	OrganizationURI   *string `json:"organizationUri,omitempty"`
	Role              *string `json:"role,omitempty"`
	InviterFullName   string  `json:"inviterFullName"`
	VerificationCount int     `json:"verificationCount"`
	CreatedAt         string  `json:"createdAt"`
	UpdatedAt         string  `json:"updatedAt"`
	ExpiresAt         string  `json:"expiresAt"`
	CreatedBy         string  `json:"createdBy"`
	CustomerID        *string `json:"customerId,omitempty"`
	CustomerGroup     *string `json:"customerGroup,omitempty"`
}

// erased is the representation of an invitation that was erased or is no longer visible.
type erased struct {
	hal.Resource
	ID string `json:"_id"`
}

// actionLinks are the transitions with links in the document. Verification has none, because the invitee cannot read
// the invitation before; a new secret and deletion are methods of self.
var actionLinks = map[string]struct{ rel, path string }{
	"revokeInvitation":   {"apiture:revoke", revokedPath},
	"resendInvitation":   {"apiture:send", sentPath},
	"completeInvitation": {"apiture:complete", completedPath},
}

// resource returns the current invitation as visible to the caller. It has the secret only if the caller has just sent
// it.
func (a *api) resource(ctx context.Context, pre *domain.Prefetched, i *domain.Invitation, secret string) (*invitation, error) {
	actions, err := a.Service.Actions(ctx, i, pre)
	if err != nil {
		return nil, err
	}
	links := self(i.ID)
	if i.AccountURI != nil {
		links.Add("apiture:account", *i.AccountURI)
	}
	if i.OrganizationURI != nil {
		links.Add("apiture:organization", *i.OrganizationURI)
	}
	for _, action := range actions {
		if to, ok := actionLinks[action.Name]; ok && action.Allowed {
			links.Add(to.rel, to.path+"?invitation="+i.ID)
		}
	}
	out := &invitation{
		Resource: hal.Resource{Profile: invitationProfile, Links: links},
		ID:       i.ID, Type: string(i.Type), State: string(i.State), EmailAddress: i.EmailAddress,
		FirstName: i.FirstName, LastName: i.LastName, SharedSecret: secret,
		AccountURI: i.AccountURI, OrganizationURI: i.OrganizationURI, Role: i.OrganizationRole,
		InviterFullName: i.InviterFullName, VerificationCount: i.VerificationCount,
		CreatedAt: hal.Seconds(i.CreatedAt), UpdatedAt: hal.Seconds(i.UpdatedAt), ExpiresAt: hal.Seconds(i.ExpiresAt),
		CreatedBy: i.CreatedBy, CustomerID: i.CustomerID, CustomerGroup: i.CustomerGroup,
	}
	if i.SeesIdentification(domain.ActorFrom(ctx)) {
		out.Identification = i.Identification
	}
	return out, nil
}

func location(id string) string { return collectionPath + "/" + id }

func self(id string) hal.Links {
	links := hal.Links{}
	links.Add("self", location(id))
	return links
}

// one returns the reply with a single invitation. If the invitation was erased before a replay, or the caller may no
// longer see it, the reply has only its id and address.
func (a *api) one(r *http.Request, status int, out domain.Outcome[domain.Invitation], secret string, err error) (wire.Reply, error) {
	reply := wire.Reply{Status: status, Replayed: out.Replayed}
	if err != nil {
		return reply, err
	}
	if out.Record == nil { // status and address are those of the first response
		reply.Body = erased{Resource: hal.Resource{Profile: invitationProfile, Links: self(out.ID)}, ID: out.ID}
		return reply, nil
	}
	resource, err := a.resource(r.Context(), nil, out.Record, secret)
	if err != nil {
		return reply, err
	}
	reply.Body, reply.ETag = resource, wire.ETag(out.Record.ID, out.Record.Version)
	return reply, nil
}

func (a *api) get(r *http.Request) (wire.Reply, error) {
	i, err := a.Service.Invitation(r.Context(), r.PathValue("invitationId"))
	reply, err := a.one(r, http.StatusOK, domain.Outcome[domain.Invitation]{Record: i}, "", err)
	reply.Private = true
	return reply, err
}

// named are the parameters of this list other than the common ones, in the order of the document.
var named = []string{"pendingInvitations", "accountUri", "organizationUri", "state", "type", "emailAddress"}

func (a *api) list(r *http.Request) (wire.Reply, error) {
	q, err := wire.List(r, domain.InvitationSchema, wire.Named{Name: "state"}, wire.Named{Name: "type"},
		wire.Named{Name: "emailAddress", Field: "emailAddressFolded"})
	if err != nil {
		return wire.Reply{}, err
	}
	more, err := a.restrictions(r)
	if err != nil {
		return wire.Reply{}, err
	}
	q.Where = listing.All(append(more, q.Where)...)
	page, err := a.Service.Invitations(r.Context(), q)
	if err != nil {
		return wire.Reply{}, err
	}
	pre, err := domain.Prefetch(r.Context(), a.Service, page.Items)
	if err != nil {
		return wire.Reply{}, err
	}
	items := make([]*invitation, 0, len(page.Items))
	for _, i := range page.Items {
		item, err := a.resource(r.Context(), pre, i, "")
		if err != nil {
			return wire.Reply{}, err
		}
		items = append(items, item)
	}
	slice := hal.Slice{Start: q.Start, Limit: q.Limit, Count: page.Count}
	return wire.Reply{Status: http.StatusOK, Body: hal.NewCollection(r, collectionProfile, "invitations", items, slice, named...)}, nil
}

// restrictions reads the parameters that the rules interpret, not the schema of the list.
func (a *api) restrictions(r *http.Request) ([]listing.Predicate, error) {
	values, err := wire.Parameters(r)
	if err != nil {
		return nil, err
	}
	var all []listing.Predicate
	pending, err := wire.Flag(r, "pendingInvitations")
	if err != nil {
		return nil, err
	}
	if pending {
		all = append(all, a.Service.PendingInvitations(r.Context()))
	}
	for _, target := range []struct {
		name string
		of   func(...string) listing.Predicate
	}{{"accountUri", a.Service.InvitationsOfAccounts}, {"organizationUri", a.Service.InvitationsOfOrganizations}} {
		var uris []string
		for _, text := range values[target.name] {
			// Only the syntax is checked here; the rules parse both forms of a URI.
			if _, err := listing.Alternatives(domain.InvitationSchema, target.name, text); err != nil {
				return nil, err
			}
			uris = append(uris, strings.Split(text, "|")...)
		}
		if len(uris) > 0 {
			all = append(all, target.of(uris...))
		}
	}
	return all, nil
}

// fields are the members of an invitation in a request.
type fields struct {
	FirstName       *string               `json:"firstName"`
	LastName        *string               `json:"lastName"`
	Identification  *string               `json:"identification"`
	SharedSecret    string                `json:"sharedSecret"`
	EmailAddress    string                `json:"emailAddress"`
	Type            domain.InvitationType `json:"type"`
	AccountURI      *string               `json:"accountUri"`
	OrganizationURI *string               `json:"organizationUri"`
	Role            *string               `json:"role"`
	InviterFullName string                `json:"inviterFullName"`
}

func (a *api) create(r *http.Request) (wire.Reply, error) {
	key, err := wire.IdempotencyKey(r)
	if err != nil {
		return wire.Reply{}, err
	}
	var in fields
	if err := read(r, &in, "sharedSecret", "emailAddress", "type", "inviterFullName"); err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.CreateInvitation(r.Context(), domain.CreateInvitationInput{
		EmailAddress: in.EmailAddress, SharedSecret: in.SharedSecret, Type: in.Type, InviterFullName: in.InviterFullName,
		AccountURI: in.AccountURI, OrganizationURI: in.OrganizationURI, Role: in.Role,
		FirstName: in.FirstName, LastName: in.LastName, Identification: in.Identification, IdempotencyKey: key,
	})
	reply, err := a.one(r, http.StatusCreated, out, in.SharedSecret, err)
	if err == nil {
		reply.Location = location(out.ID)
	}
	return reply, err
}

// notPatchable are the fields of an invitation that cannot be changed. The document's other members are read-only, and
// ignored as in every operation.
var notPatchable = []string{
	"firstName", "lastName", "identification", "emailAddress", "type", "accountUri", "organizationUri", "role", "inviterFullName",
}

func (a *api) patch(r *http.Request) (wire.Reply, error) {
	id := r.PathValue("invitationId")
	guard, err := a.guard(r, id, a.RequireIfMatch)
	if err != nil {
		return wire.Reply{}, err
	}
	var in struct {
		SharedSecret string `json:"sharedSecret"`
	}
	body, err := wire.Object(r, hal.Reading)
	if err != nil {
		return wire.Reply{}, err
	}
	for _, name := range notPatchable {
		if body.Has(name) || body.Null(name) {
			body.Refuse(name, "The member %s of an invitation cannot be changed.", name)
		}
	}
	if err := readInto(body, &in, "sharedSecret"); err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.UpdateInvitationSecret(r.Context(), domain.UpdateInvitationSecretInput{
		InvitationID: id, SharedSecret: in.SharedSecret, Guard: guard,
	})
	return a.one(r, http.StatusOK, out, in.SharedSecret, atPath(err))
}

func (a *api) delete(r *http.Request) (wire.Reply, error) {
	id := r.PathValue("invitationId")
	guard, err := a.guard(r, id, false) // If-Match is not a documented parameter, but is supported
	if err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.DeleteInvitation(r.Context(), domain.DeleteInvitationInput{InvitationID: id, Guard: guard})
	return wire.Reply{Status: http.StatusNoContent, Replayed: out.Replayed}, atPath(err)
}

func (a *api) revoke(r *http.Request) (wire.Reply, error) {
	return a.act(r, func(ctx context.Context, reference string, g domain.Guard) (domain.Outcome[domain.Invitation], error) {
		return a.Service.RevokeInvitation(ctx, domain.RevokeInvitationInput{InvitationID: reference, Guard: g})
	})
}

func (a *api) send(r *http.Request) (wire.Reply, error) {
	return a.act(r, func(ctx context.Context, reference string, g domain.Guard) (domain.Outcome[domain.Invitation], error) {
		return a.Service.ResendInvitation(ctx, domain.ResendInvitationInput{InvitationID: reference, Guard: g})
	})
}

func (a *api) complete(r *http.Request) (wire.Reply, error) {
	return a.act(r, func(ctx context.Context, reference string, g domain.Guard) (domain.Outcome[domain.Invitation], error) {
		return a.Service.CompleteInvitation(ctx, domain.CompleteInvitationInput{InvitationID: reference, Guard: g})
	})
}

// act executes an action on the invitation that the parameter invitation refers to. A reference to an unknown
// invitation is an unprocessable parameter, not a missing resource.
func (a *api) act(
	r *http.Request, call func(context.Context, string, domain.Guard) (domain.Outcome[domain.Invitation], error),
) (wire.Reply, error) {
	reference, err := wire.Parameter(r, "invitation")
	if err != nil {
		return wire.Reply{}, err
	}
	guard, err := a.guard(r, a.Service.InvitationID(reference), a.RequireIfMatch)
	if err != nil {
		return wire.Reply{}, err
	}
	out, err := call(r.Context(), reference, guard)
	reply, err := a.one(r, http.StatusOK, out, "", err)
	switch {
	case problem.Has(err, problem.NoSuchInvitation):
		err = problem.New(problem.InvalidInvitationID).With("name", "invitation")
	case noReference(err):
		err = problem.New(problem.InvalidParameter).
			Because("The parameter invitation must be a reference to an invitation.").
			With("name", "invitation")
	}
	return reply, err
}

// noReference reports whether the rules could not parse the reference to an invitation.
func noReference(err error) bool {
	return problem.Has(err, problem.InvalidInput) && slices.ContainsFunc(problem.Of(err).Causes, func(cause *problem.Problem) bool {
		return slices.Equal(cause.Path, []string{"invitationId"})
	})
}

// atPath replaces the error for a malformed id with NoSuchInvitation, because the id is part of the path.
func atPath(err error) error {
	if noReference(err) {
		return problem.New(problem.NoSuchInvitation)
	}
	return err
}

func (a *api) verify(r *http.Request) (wire.Reply, error) {
	key, err := wire.IdempotencyKey(r)
	if err != nil {
		return wire.Reply{}, err
	}
	var in struct {
		InvitationID string `json:"invitationId"`
		SharedSecret string `json:"sharedSecret"`
	}
	if err := read(r, &in, "invitationId", "sharedSecret"); err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.VerifyInvitation(r.Context(), domain.VerifyInvitationInput{
		InvitationID: in.InvitationID, SharedSecret: in.SharedSecret, Guard: domain.Guard{IdempotencyKey: key},
	})
	var links hal.Links
	links.Add("apiture:invitation", location(in.InvitationID))
	return wire.Reply{Status: http.StatusOK, Replayed: out.Replayed, Body: verification{
		Resource:     hal.Resource{Profile: verificationProfile, Links: links},
		InvitationID: in.InvitationID, SharedSecret: in.SharedSecret,
	}}, err
}

// verification is the schema of that name.
type verification struct {
	hal.Resource
	InvitationID string `json:"invitationId"`
	SharedSecret string `json:"sharedSecret"`
}

// guard reads If-Match and Idempotency-Key.
func (a *api) guard(r *http.Request, id string, required bool) (domain.Guard, error) {
	version, anything, err := wire.ParseIfMatch(r, id)
	if err != nil {
		return domain.Guard{}, err
	}
	key, err := wire.IdempotencyKey(r)
	return domain.Guard{ExpectedVersion: version, IdempotencyKey: key, VersionRequired: required && !anything}, err
}

// read reads the body into a struct.
func read(r *http.Request, into any, required ...string) error {
	body, err := wire.Object(r, hal.Reading)
	if err != nil {
		return err
	}
	return readInto(body, into, required...)
}

// readInto reads the members. The rules, which report missing members, are not called after a wrong type. Missing
// members are therefore also reported here, so that the caller gets all violations at once.
func readInto(body *wire.Body, into any, required ...string) error {
	body.Into(into)
	if body.Err() == nil {
		return nil
	}
	for _, name := range required {
		if !body.Has(name) {
			body.Refuse(name, "%s is required.", name)
		}
	}
	return body.Err()
}
