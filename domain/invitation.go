package domain

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Invitation invites a person to join an account as joint owner, or an organisation as authorised signer
// (Invitations 0.3.3). The inviter gives the shared secret to the invitee over another channel.
type Invitation struct {
	Meta
	State InvitationState
	Type  InvitationType
	// EmailAddress is the recipient of the e-mail, as entered.
	EmailAddress string
	// FirstName, LastName and Identification exist for older clients and are not used in verification.
	// Identification is shown to the inviter only.
	FirstName, LastName, Identification *string
	// AccountURI is set if Type is joint, OrganizationURI and optionally OrganizationRole if it is authorizedSigner.
	AccountURI, OrganizationURI *string
	OrganizationRole            *string
	InviterFullName             string
	// SecretHash is a salted slow hash of the shared secret.
	SecretHash string
	// MailKeyHash is a keyed hash of the key in the newest e-mail.
	MailKeyHash []byte
	// VerificationCount counts verification attempts, FailedCount the wrong secrets since the secret was set.
	VerificationCount, FailedCount int
	// ResendCount counts the e-mails after the first.
	ResendCount int
	// ExpiresAt never changes.
	ExpiresAt time.Time
	// CreatedBy is the inviter's user id; CustomerID and CustomerGroup come from the inviter's token.
	CreatedBy                 string
	CustomerID, CustomerGroup *string
	// AcceptedBy is the user who accepted; nil if the invitee accepted on the page, without signing in.
	AcceptedBy *string
	// AccountID and OrganizationID are the ids in the URIs; one of them is empty.
	AccountID, OrganizationID string
}

// Head returns the part that all records share.
func (i *Invitation) Head() *Meta { return &i.Meta }

// KindInvitation is the kind.
const KindInvitation Kind = "invitation"

// Kind names the machine.
func (*Invitation) Kind() Kind { return KindInvitation }

// InvitationType is the role that the invitee is invited to.
type InvitationType string

// The types.
const (
	InvitationJoint            InvitationType = "joint"
	InvitationAuthorizedSigner InvitationType = "authorizedSigner"
)

// InvitationState is the state of an invitation.
type InvitationState string

// The states; invitationMachine describes how each is reached.
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
	Create: "createInvitation", CreateBy: list(RoleTarget),
	States: []lifecycle.State[InvitationState]{
		{Name: InvitationSent, Help: "The e-mail was sent. The invitee may accept until the inviter revokes the invitation or it expires."},
		{
			Name: InvitationAccepted,
			Help: "The invitee presented the correct secret. The institution must complete the invitation; it no longer expires.",
		},
		{Name: InvitationCompleted, Help: "The invitee has the role. This state is final."},
		{Name: InvitationFailed, Help: "Too many wrong secrets were entered. This state is final; the inviter may create a new invitation."},
		{Name: InvitationRevoked, Help: "The inviter or an administrator revoked it. This state is final."},
		{Name: InvitationExpired, Help: "It was not accepted in time. This state is final; the inviter may create a new invitation."},
	},
	Transitions: []invitationRow{
		{On: InvitationVerify, From: list(InvitationSent), To: list(InvitationAccepted, InvitationSent, InvitationFailed), By: list(RoleInvitee), Else: unlessVerifiable},
		{On: InvitationResend, From: list(InvitationSent), To: list(InvitationSent), By: list(RoleInviter, RoleAdmin), Else: wrongInvitationState},
		{On: InvitationRevoke, From: list(InvitationSent), To: list(InvitationRevoked), By: list(RoleInviter, RoleAdmin), Else: wrongInvitationState},
		{On: InvitationUpdateSecret, From: list(InvitationSent), To: list(InvitationSent), By: list(RoleInviter), Else: wrongInvitationState, Operation: "updateInvitationSecret"},
		{On: InvitationComplete, From: list(InvitationAccepted), To: list(InvitationCompleted), By: list(RoleAdmin), Else: wrongInvitationState},
		{On: InvitationDelete, By: list(RoleInviter, RoleAdmin), Erases: true, Else: wrongInvitationState},
		{On: InvitationExpire, From: list(InvitationSent), To: list(InvitationExpired), By: list(RoleClock), Else: wrongInvitationState},
	},
}

func wrongInvitationState(InvitationState) *problem.Definition { return problem.InvitationWrongState }

var invitations = &life[Invitation, InvitationState, InvitationTransition]{
	kind: KindInvitation, machine: invitationMachine,
	shelf:   func(s Store) Shelf[Invitation] { return s.Invitations() },
	head:    func(i *Invitation) *Meta { return &i.Meta },
	state:   func(i *Invitation) *InvitationState { return &i.State },
	rolesOf: invitationRoles,
	dummy: func() *Invitation {
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
	allow: func(ctx context.Context, s *Service, pre *Prefetched, on InvitationTransition, i *Invitation) *problem.Problem {
		switch on {
		case InvitationResend:
			return s.resendsLeft(i)
		case InvitationComplete:
			if err := s.mayComplete(ctx, pre, i); err != nil {
				return problem.Of(err)
			}
		case InvitationVerify, InvitationRevoke, InvitationUpdateSecret, InvitationDelete, InvitationExpire:
		}
		return nil
	},
	prefetch: func(need *needs, i *Invitation) {
		need.parts = need.parts || i.CreatedBy != need.actor.ID && (i.State == InvitationSent || i.State == InvitationAccepted)
		if i.State != InvitationAccepted {
			return
		}
		if i.AcceptedBy != nil {
			need.userIDs = append(need.userIDs, *i.AcceptedBy)
		}
		if i.Type == InvitationJoint && need.actor.Admin() {
			need.accountIDs = append(need.accountIDs, i.AccountID)
		}
	},
	missing: problem.NoSuchInvitation, denied: problem.InvitationAccessDenied, member: "invitationId",
}

// invitationRoles implements the table "Who sees what" of the document.
func invitationRoles(ctx context.Context, s *Service, pre *Prefetched, a Actor, i *Invitation) ([]Role, bool, error) {
	roles := a.staffRoles()
	if !a.Known() {
		return roles, false, nil
	}
	if i.CreatedBy == a.ID {
		return append(roles, RoleInviter), true, nil
	}
	visible := len(roles) > 0 || i.AcceptedBy != nil && *i.AcceptedBy == a.ID
	if i.State == InvitationSent || i.State == InvitationAccepted {
		part, err := s.partOf(ctx, pre, a.ID, i)
		if err != nil {
			return nil, false, err
		}
		if part {
			roles, visible = append(roles, RoleTarget), true
		}
	}
	return append(roles, RoleInvitee), visible, nil
}

// partOf reports whether the user owns or signs for the target of the invitation.
func (s *Service) partOf(ctx context.Context, pre *Prefetched, userID string, i *Invitation) (bool, error) {
	kind, id := TargetOrganization, i.OrganizationID
	if i.AccountID != "" {
		kind, id = TargetAccount, i.AccountID
	}
	if part, known := pre.part(userID, kind, id); known {
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

// CreateInvitationInput has the members of a new invitation. Lengths are in characters.
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

// check returns the problems that involve several members (Invitations, validation on create).
func (in *CreateInvitationInput) check(s *Service, a Actor) []*problem.Problem {
	var problems []*problem.Problem
	bad := func(member, text string) {
		problems = append(problems, problem.New(problem.InvalidInput).Because("%s", text).At(member))
	}
	mustNotHave := func(member string, v *string) {
		if v != nil {
			bad(member, "An invitation of this type must not have "+member+".")
		}
	}
	switch in.Type {
	case InvitationJoint:
		switch {
		case in.AccountURI == nil:
			bad("accountUri", "accountUri is required for a joint invitation.")
		case s.target(*in.AccountURI, accountsPath) == "":
			bad("accountUri", "accountUri must have the form /accounts/accounts/{id}.")
		}
		mustNotHave("organizationUri", in.OrganizationURI)
		mustNotHave("role", in.Role)
	case InvitationAuthorizedSigner:
		switch {
		case in.OrganizationURI == nil:
			bad("organizationUri", "organizationUri is required for an invitation of an authorized signer.")
		case s.target(*in.OrganizationURI, organizationsPath) == "":
			bad("organizationUri", "organizationUri must have the form /organizations/organizations/{id}.")
		}
		mustNotHave("accountUri", in.AccountURI)
	}
	if a.Email != "" && strings.EqualFold(a.Email, in.EmailAddress) {
		bad("emailAddress", "Users must not invite themselves.")
	}
	return problems
}

// CreateInvitation creates an invitation and sends the e-mail. The secret is stored only as a salted slow hash.
// Refuses with InvalidInput, InvitationAccessDenied (no part in the target, or no such target),
// JointOwnersDisabled, AdditionalOwnersNotAllowed and IdempotencyKeyReused.
func (s *Service) CreateInvitation(ctx context.Context, in CreateInvitationInput) (Outcome[Invitation], error) {
	const operation = "createInvitation"
	a, err := s.begin(ctx, operation, in, in.check(s, ActorFrom(ctx))...)
	if err != nil {
		return Outcome[Invitation]{}, err
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: []string{
		in.EmailAddress, in.SharedSecret, string(in.Type), in.InviterFullName, optional(in.AccountURI), optional(in.OrganizationURI),
		optional(in.Role), optional(in.FirstName), optional(in.LastName), optional(in.Identification),
	}}
	hash := ""
	return create(ctx, s, invitations, c, func(ctx context.Context, n *creation) (*Invitation, error) {
		i := &Invitation{
			Meta: newMeta("inv", n.Now), State: invitationMachine.Start, Type: in.Type, EmailAddress: in.EmailAddress,
			FirstName: in.FirstName, LastName: in.LastName, Identification: in.Identification,
			AccountURI: in.AccountURI, OrganizationURI: in.OrganizationURI, OrganizationRole: in.Role,
			InviterFullName: in.InviterFullName, CreatedBy: a.ID, CustomerID: unlessEmpty(a.CustomerID), CustomerGroup: unlessEmpty(a.CustomerGroup),
			ExpiresAt: n.Now.Add(s.Settings.InvitationTTL),
		}
		if in.Type == InvitationJoint {
			i.AccountID = s.target(*in.AccountURI, accountsPath)
		} else {
			i.OrganizationID = s.target(*in.OrganizationURI, organizationsPath)
		}
		if err := s.mayInvite(ctx, a, i); err != nil {
			return nil, err
		}
		if hash == "" { // once, however many races are lost
			var err error
			if hash, err = s.Hasher.Hash(ctx, in.SharedSecret); err != nil {
				return nil, err
			}
		}
		i.SecretHash = hash
		n.Messages = list(s.invitationMail(i, n.Now))
		return i, nil
	})
}

// mayInvite checks the target in the directory. An unknown target and one of other users are refused in the same way.
func (s *Service) mayInvite(ctx context.Context, a Actor, i *Invitation) error {
	part, err := s.partOf(ctx, nil, a.ID, i)
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
		return missingAs(err, problem.InvitationAccessDenied)
	}
	return account.mayGain(nil)
}

// mayGain refuses another owner where the account permits none. A user who is an owner already needs no permission.
func (a *Account) mayGain(userID *string) error {
	switch {
	case userID != nil && slices.Contains(a.Owners, *userID):
		return nil
	case !a.JointOwnersEnabled:
		return problem.New(problem.JointOwnersDisabled)
	case a.MaxOwners != nil && len(a.Owners) >= *a.MaxOwners:
		return problem.New(problem.AdditionalOwnersNotAllowed)
	}
	return nil
}

// mayJoin refuses the invitee where the account of the invitation has changed since: it permits no joint owners any more,
// or has enough of them.
func (s *Service) mayJoin(ctx context.Context, pre *Prefetched, i *Invitation) error {
	if i.Type != InvitationJoint {
		return nil
	}
	account, known := pre.account(i.AccountID)
	if !known {
		var err error
		if account, err = s.Directory.Account(ctx, i.AccountID); err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
	}
	if account == nil { // the bank has closed it
		return problem.New(problem.JointOwnersDisabled)
	}
	return account.mayGain(i.AcceptedBy)
}

// invitationMail returns the e-mail and sets the hash of its new key, which invalidates the keys of older e-mails.
func (s *Service) invitationMail(i *Invitation, now time.Time) *Message {
	key := NewSecretKey()
	i.MailKeyHash = s.KeyedHash("invitation mail key", i.ID, key)
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

// ResendInvitation sends the e-mail again with a new key and invalidates the keys of older e-mails.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState, InvitationResendLimit
// and IdempotencyKeyReused.
func (s *Service) ResendInvitation(ctx context.Context, in ResendInvitationInput) (Outcome[Invitation], error) {
	return s.transitInvitation(ctx, "resendInvitation", in.InvitationID, in.Guard, in, InvitationResend, nil,
		func(_ context.Context, c *change[Invitation]) (InvitationState, error) {
			if p := s.resendsLeft(c.Record); p != nil {
				return "", p
			}
			c.Record.ResendCount++
			c.Messages = list(s.invitationMail(c.Record, c.Now))
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

// RevokeInvitation revokes an invitation that has not been accepted.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState and IdempotencyKeyReused.
func (s *Service) RevokeInvitation(ctx context.Context, in RevokeInvitationInput) (Outcome[Invitation], error) {
	return s.transitInvitation(
		ctx, "revokeInvitation", in.InvitationID, in.Guard, in, InvitationRevoke, nil, endsIn[Invitation](InvitationRevoked),
	)
}

// UpdateInvitationSecretInput has the new secret, which the inviter must give to the invitee.
type UpdateInvitationSecretInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	SharedSecret string `json:"sharedSecret" validate:"required,min=8,max=100,text"`
	Guard
}

// UpdateInvitationSecret sets a new secret and resets the count of wrong secrets. It sends no e-mail.
// Refuses with InvalidInput, NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState and
// IdempotencyKeyReused.
func (s *Service) UpdateInvitationSecret(ctx context.Context, in UpdateInvitationSecretInput) (Outcome[Invitation], error) {
	hash := ""
	return s.transitInvitation(ctx, "updateInvitationSecret", in.InvitationID, in.Guard, in, InvitationUpdateSecret, list(in.SharedSecret),
		func(ctx context.Context, c *change[Invitation]) (_ InvitationState, err error) {
			if hash == "" { // once, however many races are lost
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

// CompleteInvitation grants the role: the accepting user becomes owner of the account or signer of the organisation. If
// the invitee accepted without signing in, the institution must grant the role in its own systems.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion, InvitationWrongState, InviteeNotVerified,
// JointOwnersDisabled and AdditionalOwnersNotAllowed (the account has changed since), and IdempotencyKeyReused.
func (s *Service) CompleteInvitation(ctx context.Context, in CompleteInvitationInput) (Outcome[Invitation], error) {
	return s.transitInvitation(ctx, "completeInvitation", in.InvitationID, in.Guard, in, InvitationComplete, nil,
		func(ctx context.Context, c *change[Invitation]) (InvitationState, error) {
			i := c.Record
			if i.Type == InvitationJoint {
				// Another completion for the account makes this one stale, so that it is decided again.
				turn, err := s.Store.Turn(ctx, s.KeyedHash("owners of account", i.AccountID))
				if err != nil {
					return "", err
				}
				c.Counters = append(c.Counters, turn)
			}
			if err := s.mayComplete(ctx, nil, i); err != nil {
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

// DeleteInvitationInput names an invitation.
type DeleteInvitationInput struct {
	InvitationID string `json:"invitationId" validate:"required,max=512"`
	Guard
}

// DeleteInvitation erases an invitation in any state, and the messages about it. Its events stay; they hold no personal
// data. The outcome has no record.
// Refuses with NoSuchInvitation, InvitationAccessDenied, StaleVersion and IdempotencyKeyReused.
func (s *Service) DeleteInvitation(ctx context.Context, in DeleteInvitationInput) (Outcome[Invitation], error) {
	out, err := s.transitInvitation(ctx, "deleteInvitation", in.InvitationID, in.Guard, in, InvitationDelete, nil,
		func(_ context.Context, c *change[Invitation]) (InvitationState, error) { return c.Record.State, nil })
	out.Record = nil
	return out, err
}

// transitInvitation is begin and apply for a reference: an id, or the URI of the invitation.
func (s *Service) transitInvitation(
	ctx context.Context, operation, reference string, guard Guard, input any, on InvitationTransition, parts []string,
	effect func(context.Context, *change[Invitation]) (InvitationState, error),
) (Outcome[Invitation], error) {
	if _, err := s.begin(ctx, operation, input); err != nil {
		return Outcome[Invitation]{}, err
	}
	return apply(ctx, s, invitations, call{operation: operation, id: s.InvitationID(reference), guard: guard, parts: parts}, on, effect)
}
