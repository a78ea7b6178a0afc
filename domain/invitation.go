package domain

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Invitation asks somebody to join an account as joint owner, or an organisation as authorised signer
// (Invitations 0.3.3). The inviter tells the invitee a shared secret over another channel.
type Invitation struct {
	Meta
	State InvitationState
	Type  InvitationType
	// EmailAddress is where the mail goes, as it was given.
	EmailAddress string
	// FirstName, LastName and Identification are carried for older clients and have no part in verification.
	// Identification is shown to the inviter only.
	FirstName, LastName, Identification *string
	// AccountURI is set where Type is joint, OrganizationURI and perhaps OrganizationRole where it is authorizedSigner.
	AccountURI, OrganizationURI *string
	OrganizationRole            *string
	InviterFullName             string
	// SecretHash is a salted slow hash of the shared secret.
	SecretHash string
	// MailKeyHash recognises the key of the newest mail.
	MailKeyHash []byte
	// VerificationCount counts attempted verifications, FailedCount the wrong secrets since the secret was set.
	VerificationCount, FailedCount int
	// ResendCount counts mails after the first.
	ResendCount int
	// ExpiresAt never changes.
	ExpiresAt time.Time
	// CreatedBy is the inviter's user id; CustomerID and CustomerGroup come from the inviter's token.
	CreatedBy                 string
	CustomerID, CustomerGroup *string
	// AcceptedBy is the user who verified; nil where that happened on the page, without signing in.
	AcceptedBy *string
	// AccountID and OrganizationID are what the URIs lead to; one of them is empty.
	AccountID, OrganizationID string
}

// Head gives the part that all records share.
func (i *Invitation) Head() *Meta { return &i.Meta }

// Kind names the machine.
func (*Invitation) Kind() Kind { return KindInvitation }

// InvitationType is what the invitee is asked to become.
type InvitationType string

// The types.
const (
	InvitationJoint            InvitationType = "joint"
	InvitationAuthorizedSigner InvitationType = "authorizedSigner"
)

// InvitationState is where an invitation stands.
type InvitationState string

// The states; invitationMachine says how each is reached.
const (
	InvitationSent      InvitationState = "sent"
	InvitationAccepted  InvitationState = "accepted"
	InvitationCompleted InvitationState = "completed"
	InvitationFailed    InvitationState = "failed"
	InvitationRevoked   InvitationState = "revoked"
	InvitationExpired   InvitationState = "expired"
)

// InvitationTransition is a verb of the machine.
type InvitationTransition string

// The transitions.
const (
	InvitationResend       InvitationTransition = "resend"
	InvitationRevoke       InvitationTransition = "revoke"
	InvitationUpdateSecret InvitationTransition = "updateSecret"
	InvitationVerify       InvitationTransition = "verify"
	InvitationComplete     InvitationTransition = "complete"
	InvitationDelete       InvitationTransition = "delete"
	InvitationExpire       InvitationTransition = "expire"
)

type invitationRow = lifecycle.Row[InvitationState, InvitationTransition, Role]

var invitationMachine = &lifecycle.Machine[InvitationState, InvitationTransition, Role]{
	Name: string(KindInvitation), Start: InvitationSent, Clock: RoleClock,
	Create: "createInvitation", CreateBy: of(RoleTarget),
	States: []lifecycle.State[InvitationState]{
		{Name: InvitationSent, Help: "The mail is on its way. It waits for the invitee, until the inviter takes it back or its time is over."},
		{Name: InvitationAccepted, Help: "The invitee told the right secret. It waits for the institution to give the role; it no longer expires."},
		{Name: InvitationCompleted, Help: "The invitee has the role. Nothing follows."},
		{Name: InvitationFailed, Help: "Too many wrong secrets were told. Nothing follows; the inviter may invite again."},
		{Name: InvitationRevoked, Help: "The inviter, or an administrator, took it back. Nothing follows."},
		{Name: InvitationExpired, Help: "Nobody accepted it in time. Nothing follows; the inviter may invite again."},
	},
	Transitions: []invitationRow{
		{On: InvitationVerify, From: of(InvitationSent), To: of(InvitationAccepted, InvitationSent, InvitationFailed), By: of(RoleInvitee), Else: unlessVerifiable},
		{On: InvitationResend, From: of(InvitationSent), To: of(InvitationSent), By: of(RoleInviter, RoleAdmin), Else: wrongInvitationState},
		{On: InvitationRevoke, From: of(InvitationSent), To: of(InvitationRevoked), By: of(RoleInviter, RoleAdmin), Else: wrongInvitationState},
		{On: InvitationUpdateSecret, From: of(InvitationSent), To: of(InvitationSent), By: of(RoleInviter), Else: wrongInvitationState, Operation: "updateInvitationSecret"},
		{On: InvitationComplete, From: of(InvitationAccepted), To: of(InvitationCompleted), By: of(RoleAdmin), Else: wrongInvitationState},
		{On: InvitationDelete, By: of(RoleInviter, RoleAdmin), Erases: true, Else: wrongInvitationState},
		{On: InvitationExpire, From: of(InvitationSent), To: of(InvitationExpired), By: of(RoleClock), Else: wrongInvitationState},
	},
}

func of[X any](xs ...X) []X { return xs }

func wrongInvitationState(InvitationState) *problem.Definition { return problem.InvitationWrongState }

// unlessVerifiable names the state where the document does (Invitations, verifyInvitation in order, step 4).
func unlessVerifiable(state InvitationState) *problem.Definition {
	switch state {
	case InvitationExpired:
		return problem.InvitationIsExpired
	case InvitationRevoked:
		return problem.InvitationIsRevoked
	case InvitationFailed:
		return problem.InvitationIsFailed
	case InvitationSent, InvitationAccepted, InvitationCompleted:
	}
	return problem.InvitationWrongState
}

var invitations = &life[Invitation, InvitationState, InvitationTransition]{
	kind: KindInvitation, machine: invitationMachine,
	shelf: func(s Store) Shelf[Invitation] { return s.Invitations() },
	head:  func(i *Invitation) *Meta { return &i.Meta },
	state: func(i *Invitation) *InvitationState { return &i.State },
	stand: standToInvitation,
	stranger: func() *Invitation {
		return &Invitation{State: InvitationSent, AccountID: "-"}
	},
	due: func(i *Invitation) (InvitationTransition, InvitationState, time.Time, bool) {
		return InvitationExpire, InvitationExpired, i.ExpiresAt, i.State == InvitationSent
	},
	concerns: func(i *Invitation) []string {
		out := []string{i.CreatedBy}
		if i.AcceptedBy != nil && *i.AcceptedBy != i.CreatedBy {
			out = append(out, *i.AcceptedBy)
		}
		return out
	},
	missing: problem.NoSuchInvitation, denied: problem.InvitationAccessDenied, member: "invitationId",
}

// standToInvitation is the table "Who sees what" of the document.
func standToInvitation(ctx context.Context, s *Service, a Actor, i *Invitation) ([]Role, bool, error) {
	var roles []Role
	switch {
	case a.Admin():
		roles = append(roles, RoleAdmin)
	case a.SeesAll():
		roles = append(roles, RoleAuditor)
	}
	if !a.Known() {
		return roles, false, nil
	}
	if i.CreatedBy == a.ID {
		return append(roles, RoleInviter), true, nil
	}
	visible := len(roles) > 0 || i.AcceptedBy != nil && *i.AcceptedBy == a.ID
	if i.State == InvitationSent || i.State == InvitationAccepted {
		part, err := s.partOf(ctx, a.ID, i)
		if err != nil {
			return nil, false, err
		}
		if part {
			roles, visible = append(roles, RoleTarget), true
		}
	}
	return append(roles, RoleInvitee), visible, nil
}

// partOf reports whether the user owns or signs for what the invitation leads to.
func (s *Service) partOf(ctx context.Context, userID string, i *Invitation) (bool, error) {
	kind, id := TargetOrganization, i.OrganizationID
	if i.AccountID != "" {
		kind, id = TargetAccount, i.AccountID
	}
	if part, known := aheadFrom(ctx).has(userID, kind, id); known {
		return part, nil
	}
	if i.AccountID != "" {
		account, err := s.Directory.Account(ctx, i.AccountID)
		if errors.Is(err, ErrMissing) {
			return false, nil
		}
		return err == nil && slices.Contains(account.Owners, userID), err
	}
	organization, err := s.Directory.Organization(ctx, i.OrganizationID)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && (slices.Contains(organization.Owners, userID) || slices.Contains(organization.Signers, userID)), err
}

// InvitationSchema is what a list of invitations can be selected and ordered by (Invitations, list parameters).
var InvitationSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "type", Type: listing.Enum, Values: []string{"joint", "authorizedSigner"}},
	{Name: "state", Type: listing.Enum, Values: []string{"sent", "accepted", "completed", "failed", "revoked", "expired"}},
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

// CreateInvitationInput is what an inviter says. Lengths are in characters.
type CreateInvitationInput struct {
	EmailAddress    string         `json:"emailAddress" validate:"required,mailbox,max=254"`
	SharedSecret    string         `json:"sharedSecret" validate:"required,min=8,max=100,text"`
	Type            InvitationType `json:"type" validate:"required,oneof=joint authorizedSigner"`
	InviterFullName string         `json:"inviterFullName" validate:"required,min=1,max=128,line"`
	AccountURI      *string        `json:"accountUri" validate:"omitempty,max=512"`
	OrganizationURI *string        `json:"organizationUri" validate:"omitempty,max=512"`
	Role            *string        `json:"role" validate:"omitempty,max=128,printable"`
	FirstName       *string        `json:"firstName" validate:"omitempty,max=256,text"`
	LastName        *string        `json:"lastName" validate:"omitempty,max=256,text"`
	Identification  *string        `json:"identification" validate:"omitempty,max=4096,text"`
	IdempotencyKey  *string        `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// check adds what no single member can say (Invitations, validation on create).
func (in *CreateInvitationInput) check(s *Service, a Actor) []*problem.Problem {
	var found []*problem.Problem
	bad := func(member, text string) {
		found = append(found, problem.New(problem.InvalidInput).Because("%s", text).At(member))
	}
	absent := func(member string, v *string) {
		if v != nil {
			bad(member, "An invitation of this type has no "+member+".")
		}
	}
	switch in.Type {
	case InvitationJoint:
		switch {
		case in.AccountURI == nil:
			bad("accountUri", "A joint invitation needs accountUri.")
		case s.target(*in.AccountURI, accountsPath) == "":
			bad("accountUri", "accountUri has the form /accounts/accounts/{id}.")
		}
		absent("organizationUri", in.OrganizationURI)
		absent("role", in.Role)
	case InvitationAuthorizedSigner:
		switch {
		case in.OrganizationURI == nil:
			bad("organizationUri", "An invitation of an authorized signer needs organizationUri.")
		case s.target(*in.OrganizationURI, organizationsPath) == "":
			bad("organizationUri", "organizationUri has the form /organizations/organizations/{id}.")
		}
		absent("accountUri", in.AccountURI)
	}
	if a.Email != "" && strings.EqualFold(a.Email, in.EmailAddress) {
		bad("emailAddress", "Nobody can invite himself.")
	}
	return found
}

// CreateInvitation invites somebody and sends the mail. The secret is kept as a salted slow hash only.
// Refuses with InvalidInput, InvitationAccessDenied (no part in the target, or no such target),
// JointOwnersDisabled, AdditionalOwnersNotAllowed and IdempotencyKeyReused.
func (s *Service) CreateInvitation(ctx context.Context, in CreateInvitationInput) (Outcome[Invitation], error) {
	const operation = "createInvitation"
	a := ActorFrom(ctx)
	if err := s.Permit(ctx, operation); err != nil {
		return Outcome[Invitation]{}, err
	}
	if err := validated(in, in.check(s, a)...); err != nil {
		return Outcome[Invitation]{}, err
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: []string{
		in.EmailAddress, in.SharedSecret, string(in.Type), in.InviterFullName, optional(in.AccountURI), optional(in.OrganizationURI),
		optional(in.Role), optional(in.FirstName), optional(in.LastName), optional(in.Identification),
	}}
	if out, done, err := recall(ctx, s, invitations, a, c); done {
		return out, err
	}
	i := &Invitation{
		State: invitationMachine.Start, Type: in.Type, EmailAddress: in.EmailAddress,
		FirstName: in.FirstName, LastName: in.LastName, Identification: in.Identification,
		AccountURI: in.AccountURI, OrganizationURI: in.OrganizationURI, OrganizationRole: in.Role,
		InviterFullName: in.InviterFullName, CreatedBy: a.ID,
	}
	if a.CustomerID != "" {
		i.CustomerID = &a.CustomerID
	}
	if a.CustomerGroup != "" {
		i.CustomerGroup = &a.CustomerGroup
	}
	if in.Type == InvitationJoint {
		i.AccountID = s.target(*in.AccountURI, accountsPath)
	} else {
		i.OrganizationID = s.target(*in.OrganizationURI, organizationsPath)
	}
	if err := s.mayInvite(ctx, a, i); err != nil {
		if p := problem.Of(err); remembered(p) {
			if taken, err := s.remember(ctx, a, c, "", p); taken || err != nil {
				return s.replay(ctx, a, c, err)
			}
		}
		return Outcome[Invitation]{}, err
	}
	hash, err := s.Hasher.Hash(ctx, in.SharedSecret)
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	now := s.now()
	i.Meta = Meta{ID: NewID("inv", now), Version: 1, CreatedAt: now, UpdatedAt: now}
	i.SecretHash, i.ExpiresAt = hash, now.Add(s.Settings.InvitationTTL)
	mail := s.invitationMail(i, now)
	event := s.event(KindInvitation, &i.Meta, operation, "", string(i.State), now, invitations.concerns(i))
	event.ActorID = a.ID
	err = s.Store.Commit(ctx, &Unit{
		Changes: []Change{{Record: i}}, Events: of(event), Messages: of(mail), Memory: s.memory(a, c, i.ID, nil, now),
	})
	if errors.Is(err, ErrRemembered) {
		return s.replay(ctx, a, c, nil)
	}
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	return Outcome[Invitation]{Record: i, ID: i.ID}, nil
}

// replay answers a call whose key another call took first.
func (s *Service) replay(ctx context.Context, a Actor, c call, err error) (Outcome[Invitation], error) {
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	out, done, err := recall(ctx, s, invitations, a, c)
	if !done {
		err = problem.New(problem.ServiceUnavailable).Because("The idempotency key ran out during the call.")
	}
	return out, err
}

// mayInvite asks the directory. An unknown target and one the caller has no part in are answered alike.
func (s *Service) mayInvite(ctx context.Context, a Actor, i *Invitation) error {
	part, err := s.partOf(ctx, a.ID, i)
	if err != nil {
		return err
	}
	if !part {
		return problem.New(problem.InvitationAccessDenied)
	}
	if i.Type != InvitationJoint {
		return nil
	}
	account, err := s.Directory.Account(ctx, i.AccountID)
	if err != nil {
		return found(err, problem.InvitationAccessDenied)
	}
	switch {
	case !account.JointOwnersEnabled:
		return problem.New(problem.JointOwnersDisabled)
	case account.MaxOwners != nil && len(account.Owners) >= *account.MaxOwners:
		return problem.New(problem.AdditionalOwnersNotAllowed)
	}
	return nil
}

// invitationMail makes the mail and puts the hash of its new key into the invitation: older mails end here.
func (s *Service) invitationMail(i *Invitation, now time.Time) *Message {
	key := NewSecretKey()
	i.MailKeyHash = s.Keyed("invitation mail key", i.ID, key)
	link := strings.NewReplacer("{invitationId}", url.QueryEscape(i.ID), "{key}", key).Replace(s.Settings.AcceptURL)
	return &Message{
		ID: NewID("msg", now), Channel: ChannelEmail, Template: "invitation", To: i.EmailAddress,
		Values: map[string]string{
			"link": link, "inviter": i.InviterFullName, "type": string(i.Type),
			"expires": i.ExpiresAt.Format(time.RFC3339), "institution": s.Settings.InstitutionName,
		},
		SubjectID: i.ID, CreatedAt: now, State: MessagePending, NextAt: now,
	}
}

// ResendInvitationInput names an invitation.
type ResendInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	Guard
}

// ResendInvitation sends the mail again, with a new key; the keys of older mails end.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState, InvitationResendLimit
// and IdempotencyKeyReused.
func (s *Service) ResendInvitation(ctx context.Context, in ResendInvitationInput) (Outcome[Invitation], error) {
	return transit(ctx, s, "resendInvitation", in.InvitationID, in.Guard, in, InvitationResend, nil,
		func(_ context.Context, c *change[Invitation]) (InvitationState, error) {
			if p := s.resendsLeft(c.Record); p != nil {
				return "", p
			}
			c.Record.ResendCount++
			c.Messages = of(s.invitationMail(c.Record, c.Now))
			return InvitationSent, nil
		})
}

func (s *Service) resendsLeft(i *Invitation) *problem.Problem {
	if i.ResendCount < s.Settings.InvitationResendLimit {
		return nil
	}
	return problem.New(problem.InvitationResendLimit).With("limit", s.Settings.InvitationResendLimit)
}

// RevokeInvitationInput names an invitation.
type RevokeInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	Guard
}

// RevokeInvitation takes back an invitation nobody has accepted yet.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState and IdempotencyKeyReused.
func (s *Service) RevokeInvitation(ctx context.Context, in RevokeInvitationInput) (Outcome[Invitation], error) {
	return transit(ctx, s, "revokeInvitation", in.InvitationID, in.Guard, in, InvitationRevoke, nil, endsIn[Invitation](InvitationRevoked))
}

// UpdateInvitationSecretInput is the new secret, which the inviter tells the invitee again.
type UpdateInvitationSecretInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	SharedSecret string `json:"sharedSecret" validate:"required,min=8,max=100,text"`
	Guard
}

// UpdateInvitationSecret sets a new secret and forgets the wrong ones told so far. No mail is sent.
// Refuses with InvalidInput, NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState and
// IdempotencyKeyReused.
func (s *Service) UpdateInvitationSecret(ctx context.Context, in UpdateInvitationSecretInput) (Outcome[Invitation], error) {
	hash := ""
	return transit(ctx, s, "updateInvitationSecret", in.InvitationID, in.Guard, in, InvitationUpdateSecret, of(in.SharedSecret),
		func(ctx context.Context, c *change[Invitation]) (_ InvitationState, err error) {
			if hash == "" { // once, however often the race is lost
				if hash, err = s.Hasher.Hash(ctx, in.SharedSecret); err != nil {
					return "", err
				}
			}
			c.Record.SecretHash, c.Record.FailedCount = hash, 0
			return InvitationSent, nil
		})
}

// CompleteInvitationInput names an invitation.
type CompleteInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	Guard
}

// CompleteInvitation gives the invitee the role: the accepting user becomes owner of the account or signer of the
// organisation. Where the invitee accepted without signing in, the institution gives the role by its own means.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState, InviteeNotVerified and
// IdempotencyKeyReused.
func (s *Service) CompleteInvitation(ctx context.Context, in CompleteInvitationInput) (Outcome[Invitation], error) {
	return transit(ctx, s, "completeInvitation", in.InvitationID, in.Guard, in, InvitationComplete, nil,
		func(ctx context.Context, c *change[Invitation]) (InvitationState, error) {
			i := c.Record
			if err := s.inviteeVerified(ctx, i); err != nil {
				return "", err
			}
			if i.AcceptedBy != nil && i.AccountID != "" {
				c.Grants = append(c.Grants, Grant{Kind: TargetAccount, ID: i.AccountID, UserID: *i.AcceptedBy})
			}
			if i.AcceptedBy != nil && i.OrganizationID != "" {
				c.Grants = append(c.Grants, Grant{Kind: TargetOrganization, ID: i.OrganizationID, UserID: *i.AcceptedBy})
			}
			return InvitationCompleted, nil
		})
}

// inviteeVerified is the guard of completion, where the institution asks for it.
func (s *Service) inviteeVerified(ctx context.Context, i *Invitation) error {
	if !s.Settings.CompleteRequiresVerification {
		return nil
	}
	if i.AcceptedBy == nil || s.Verified == nil {
		return problem.New(problem.InviteeNotVerified)
	}
	passed, known := aheadFrom(ctx).verified[*i.AcceptedBy]
	if !known {
		verified, err := s.Verified(ctx, *i.AcceptedBy)
		if err != nil {
			return err
		}
		passed = verified[*i.AcceptedBy]
	}
	if !passed {
		return problem.New(problem.InviteeNotVerified)
	}
	return nil
}

// DeleteInvitationInput names an invitation.
type DeleteInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	Guard
}

// DeleteInvitation erases an invitation and the messages about it, in whatever state it is. Its events stay; they
// hold no personal data. The outcome has no record.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion and IdempotencyKeyReused.
func (s *Service) DeleteInvitation(ctx context.Context, in DeleteInvitationInput) (Outcome[Invitation], error) {
	out, err := transit(ctx, s, "deleteInvitation", in.InvitationID, in.Guard, in, InvitationDelete, nil,
		func(_ context.Context, c *change[Invitation]) (InvitationState, error) { return c.Record.State, nil })
	out.Record = nil
	return out, err
}

// VerifyInvitationInput is what an invitee presents.
type VerifyInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	SharedSecret string `json:"sharedSecret" validate:"required,min=8,text"`
	Guard
	// MailKey is the key of the newest mail. With it the invitee need not be signed in; only the page sets it.
	MailKey *string `json:"-"`
}

// maxSecretRead bounds the text that is hashed: longer than any secret there is, so that it is simply wrong.
const maxSecretRead = 1024

// VerifyInvitation accepts an invitation: the right secret makes it accepted, a wrong one is counted and in the end
// locks it. A wrong secret and an unknown id are answered alike, after the same work.
// Refuses with InvalidInput, TooManyRequests (per client address, before the secret is looked at),
// InvitationVerificationFailed, InvitationAccessDenied (the own invitation), InvitationIsExpired,
// InvitationIsRevoked, InvitationIsFailed, InvitationWrongState, StaleVersion and IdempotencyKeyReused.
func (s *Service) VerifyInvitation(ctx context.Context, in VerifyInvitationInput) (Outcome[Invitation], error) {
	const operation = "verifyInvitation"
	a := ActorFrom(ctx)
	if in.MailKey != nil {
		a = Actor{Address: a.Address} // the page asks nobody to sign in, and believes nobody who did
		ctx = WithActor(ctx, a)
	} else if err := s.Permit(ctx, operation); err != nil {
		return Outcome[Invitation]{}, err
	}
	if err := validated(in); err != nil {
		return Outcome[Invitation]{}, err
	}
	secret := in.SharedSecret
	if len(secret) > maxSecretRead {
		secret = secret[:maxSecretRead]
	}
	c := call{operation: operation, id: in.InvitationID, guard: in.Guard, parts: of(in.SharedSecret), late: true}
	if out, done, err := recall(ctx, s, invitations, a, c); done {
		return hideRefused(out, err)
	}
	ok, until, err := s.Limiter.Take(ctx, s.Keyed("verify rate", a.Address), s.Settings.VerifyRate, s.Settings.VerifyBlock)
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	if !ok {
		return Outcome[Invitation]{}, problem.New(problem.TooManyRequests).With("limit", s.Settings.VerifyRate.Limit).Until(until)
	}
	read, err := find(ctx, s, invitations, in.InvitationID)
	if errors.Is(err, ErrMissing) || err == nil && !s.opens(in.MailKey, read.record) {
		return s.refuseUnknown(ctx, a, c, secret)
	}
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	right, compared := false, ""
	out, err := apply(ctx, s, verifying, c, InvitationVerify, func(ctx context.Context, ch *change[Invitation]) (InvitationState, error) {
		i := ch.Record
		if !s.opens(in.MailKey, i) {
			return "", verifying.gone()
		}
		if compared != i.SecretHash { // again only where the secret changed during a lost race
			ok, err := s.Hasher.Verify(ctx, secret, i.SecretHash)
			if err != nil {
				return "", err
			}
			right, compared = ok, i.SecretHash
		}
		i.VerificationCount++
		if right {
			if want := in.ExpectedVersion; want != nil && *want != i.Version {
				return "", problem.New(problem.StaleVersion).With("currentVersion", i.Version)
			}
			if a.ID != "" {
				i.AcceptedBy = &a.ID
			}
			return InvitationAccepted, nil
		}
		i.FailedCount++
		ch.tell(verifying.gone())
		if limit := s.Settings.InvitationMaxFailed; limit > 0 && i.FailedCount >= limit {
			return InvitationFailed, nil
		}
		return InvitationSent, nil
	})
	return hideRefused(out, err)
}

// verifying is the life as an invitee sees it: whoever holds the secret may ask, except the inviter; there is
// nothing to see before.
var verifying = makeVerifying()

func makeVerifying() *life[Invitation, InvitationState, InvitationTransition] {
	l := *invitations
	l.missing = problem.InvitationVerificationFailed
	l.stand = func(_ context.Context, _ *Service, a Actor, i *Invitation) ([]Role, bool, error) {
		if a.ID == i.CreatedBy {
			return of(RoleInviter), true, nil
		}
		return of(RoleInvitee), true, nil
	}
	return &l
}

// opens reports whether the key is that of the newest mail; a call without a key needs none.
func (s *Service) opens(key *string, i *Invitation) bool {
	return key == nil || subtle.ConstantTimeCompare(s.Keyed("invitation mail key", i.ID, *key), i.MailKeyHash) == 1
}

// refuseUnknown does the work of a wrong secret for an invitation that is not there, and gives its answer.
func (s *Service) refuseUnknown(ctx context.Context, a Actor, c call, secret string) (Outcome[Invitation], error) {
	// A wrong secret for an invitation that is there costs a second read, on the road to its transition.
	if _, err := find(ctx, s, invitations, c.id); err != nil && !errors.Is(err, ErrMissing) {
		return Outcome[Invitation]{}, err
	}
	if err := s.Hasher.Burn(ctx, secret); err != nil {
		return Outcome[Invitation]{}, err
	}
	p := verifying.gone()
	err := s.Store.Commit(ctx, &Unit{Decoy: true, Memory: s.memory(a, c, "", p, s.now())})
	if errors.Is(err, ErrRemembered) {
		return s.replay(ctx, a, c, nil)
	}
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	return Outcome[Invitation]{}, p
}

// hideRefused keeps the record from a caller whose verification was refused.
func hideRefused(out Outcome[Invitation], err error) (Outcome[Invitation], error) {
	if err != nil {
		out.Record = nil
	}
	return out, err
}

// transit is apply for a transition of an invitation, with what comes before: permission, shape, and the id out
// of the invitation's URI, which links carry.
func transit(
	ctx context.Context, s *Service, operation, reference string, guard Guard, input any, on InvitationTransition, parts []string,
	effect func(context.Context, *change[Invitation]) (InvitationState, error),
) (Outcome[Invitation], error) {
	if err := s.Permit(ctx, operation); err != nil {
		return Outcome[Invitation]{}, err
	}
	if err := validated(input); err != nil {
		return Outcome[Invitation]{}, err
	}
	id := s.InvitationID(reference)
	return apply(ctx, s, invitations, call{operation: operation, id: id, guard: guard, parts: parts}, on, effect)
}

func endsIn[R any, S ~string](to S) func(context.Context, *change[R]) (S, error) {
	return func(context.Context, *change[R]) (S, error) { return to, nil }
}

const invitationsPath = "/invitations/invitations/"

// InvitationID reads the id out of a reference: an id, or the invitation's URI, relative or absolute.
func (s *Service) InvitationID(reference string) string {
	if id, ok := strings.CutPrefix(s.relative(reference), invitationsPath); ok {
		return id
	}
	return reference
}

// Invitation finds an invitation that the caller may see.
// Refuses with NoSuchInvitation.
func (s *Service) Invitation(ctx context.Context, id string) (*Invitation, error) {
	if err := s.Permit(ctx, "invitation"); err != nil {
		return nil, err
	}
	return show(ctx, s, invitations, id)
}

// Invitations lists the invitations that the caller may see.
// Refuses with InvalidInput and InvalidParameter (a page or a cursor that is malformed).
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
	for i := range page.Items {
		page.Items[i] = settle(s, invitations, page.Items[i]).record
	}
	return page, err
}

// invitationLapse sees an invitation as expired from the moment that single reads do.
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

// visibleInvitations is the table "Who sees what" as a predicate.
func (s *Service) visibleInvitations(ctx context.Context) (listing.Predicate, error) {
	a := ActorFrom(ctx)
	if a.SeesAll() {
		return listing.True, nil
	}
	accounts, organizations, err := s.Directory.PartOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	ways := of(listing.Eq("createdBy", a.ID), listing.Eq("acceptedBy", a.ID))
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

// PendingInvitations selects the invitations that the caller has verified and that still wait for something.
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

// InvitationActions says what the caller may do with the invitation now, and why not else.
func (s *Service) InvitationActions(ctx context.Context, i *Invitation) ([]Action, error) {
	return actions(ctx, s, invitations, i, func(on InvitationTransition, i *Invitation) *problem.Problem {
		switch on {
		case InvitationResend:
			return s.resendsLeft(i)
		case InvitationComplete:
			if err := s.inviteeVerified(ctx, i); err != nil {
				return problem.Of(err)
			}
		case InvitationVerify, InvitationRevoke, InvitationUpdateSecret, InvitationDelete, InvitationExpire:
		}
		return nil
	})
}

// SeesIdentification reports whether the caller is shown the invitation's identification: the inviter only.
func (i *Invitation) SeesIdentification(a Actor) bool { return a.Known() && a.ID == i.CreatedBy }

// InvitationPreview is what the holder of the newest mail sees before the secret is known, and no more.
type InvitationPreview struct {
	Institution     string
	InviterFullName string
	Type            InvitationType
	State           InvitationState
	ExpiresAt       time.Time
}

// InvitationPreview shows an invitation to the holder of its newest mail, who need not be signed in.
// Refuses with NoSuchInvitation where id and key do not belong together.
func (s *Service) InvitationPreview(ctx context.Context, id, key string) (*InvitationPreview, error) {
	read, err := find(ctx, s, invitations, s.InvitationID(id))
	if err != nil {
		return nil, found(err, problem.NoSuchInvitation)
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
