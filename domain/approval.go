package domain

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Approval is an administrator's approval of a person who failed a step or could not be checked (Identity 0.3.2).
type Approval struct {
	Meta
	State     ApprovalState
	ContactID string
	// Method is the type of verification that the approval replaces; nil if the administrator did not state it.
	Method *VerificationType
	// Reason is the reason that the administrator stated; sealed at rest.
	Reason *string
	// ApprovedBy is the administrator.
	ApprovedBy string
	// ContactUserID is the user of the contact at the time of the approval.
	ContactUserID *string
	// Overrides are the list categories that the approval overrides by name. It overrides all other categories anyway.
	Overrides []risk.Category
	// ReportID is the newest report of the contact at the time of the approval, the only one whose categories it
	// overrides; nil where there was none.
	ReportID *string
	// Fingerprint identifies the identity of the contact at the time of the approval. It is zero for approvals of earlier
	// versions of Gatehouse.
	Fingerprint Fingerprint
}

// Head returns the part that all records share.
func (a *Approval) Head() *Meta { return &a.Meta }

// KindApproval is the kind.
const KindApproval Kind = "approval"

// Kind names the machine.
func (*Approval) Kind() Kind { return KindApproval }

// ApprovalState is the state of an approval.
type ApprovalState string

// ApprovalPassed is the only state.
const ApprovalPassed ApprovalState = "passed"

// ApprovalTransition is a verb of the machine, which has none.
type ApprovalTransition string

var approvalMachine = &lifecycle.Machine[ApprovalState, ApprovalTransition, Role]{
	Name: string(KindApproval), Start: ApprovalPassed, Clock: RoleClock,
	Create: "createApproval", CreateBy: list(RoleAdmin),
	States: []lifecycle.State[ApprovalState]{
		{Name: ApprovalPassed, Help: "An administrator has approved the person. An approval never changes."},
	},
}

var approvals = &life[Approval, ApprovalState, ApprovalTransition]{
	kind: KindApproval, machine: approvalMachine,
	shelf: func(s Store) Shelf[Approval] { return s.Approvals() },
	head:  func(r *Approval) *Meta { return &r.Meta },
	state: func(r *Approval) *ApprovalState { return &r.State },
	rolesOf: func(ctx context.Context, s *Service, pre *Prefetched, a Actor, r *Approval) ([]Role, bool, error) {
		return personRoles(ctx, s, pre, a, r.ApprovedBy, &r.ContactID)
	},
	dummy:    func() *Approval { return &Approval{ContactID: "contact_-"} },
	due:      never[Approval, ApprovalState, ApprovalTransition],
	prefetch: func(need *needs, r *Approval) { need.personal(r.ApprovedBy, &r.ContactID) },
	concerns: func(r *Approval) []string { return concernedUsers(r.ApprovedBy, r.ContactUserID) },
	missing:  problem.NoSuchApproval, denied: problem.AccessDenied,
}

// ApprovalSchema has the fields by which approvals can be selected and ordered.
var ApprovalSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "method", Type: listing.Enum, Values: verificationTypes},
	{Name: "approvedBy", Type: listing.ID},
	{Name: "contactId", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
}}

// ApprovalValue reads a field of an approval.
func ApprovalValue(r *Approval, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "method":
		if r.Method != nil {
			return string(*r.Method)
		}
	case "approvedBy":
		return r.ApprovedBy
	case "contactId":
		return r.ContactID
	case "createdAt":
		return r.CreatedAt
	}
	return nil
}

// CreateApprovalInput names a contact, with the approved method and the reason.
type CreateApprovalInput struct {
	// ContactID is the contact's id, or its URI.
	ContactID string            `json:"contactId" validate:"required,max=512"`
	Method    *VerificationType `json:"method" validate:"omitempty,oneof=fraudRiskReport quiz adminApproval"`
	Reason    *string           `json:"reason" validate:"omitempty,min=1,max=512,printable"`
	// Overrides names categories that the approval overrides. Only the list categories must be named.
	Overrides      []risk.Category `json:"overrides" validate:"omitempty,unique"`
	IdempotencyKey *string         `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// check adds what the tags cannot express.
func (in CreateApprovalInput) check() []*problem.Problem {
	for _, c := range in.Overrides {
		if !slices.Contains(risk.Categories(), c) {
			return list(problem.New(problem.InvalidInput).Because("overrides contains an unknown category.").At("overrides"))
		}
	}
	return nil
}

// CreateApproval approves a contact. Only an administrator may, and never themselves.
// Refuses with AccessDenied, InvalidInput, InvalidContactURI and IdempotencyKeyReused.
func (s *Service) CreateApproval(ctx context.Context, in CreateApprovalInput) (Outcome[Approval], error) {
	const operation = "createApproval"
	a, err := s.begin(ctx, operation, in, in.check()...)
	if err != nil {
		return Outcome[Approval]{}, err
	}
	method := "-"
	if in.Method != nil {
		method = string(*in.Method)
	}
	c := call{
		operation: operation,
		guard:     Guard{IdempotencyKey: in.IdempotencyKey},
		parts:     list(s.ContactID(in.ContactID), method, optional(in.Reason)),
	}
	for _, category := range in.Overrides { // none at all is the input of earlier versions
		c.parts = append(c.parts, string(category))
	}
	return create(ctx, s, approvals, c, func(ctx context.Context, n *creation) (*Approval, error) {
		contact, err := s.mayLink(ctx, in.ContactID, problem.InvalidContactURI)
		if err != nil {
			return nil, err
		}
		if contact.OwnedBy(a.ID) {
			return nil, problem.New(problem.AccessDenied).Because("Administrators must not approve themselves.")
		}
		results, err := s.results(ctx, list(contact))
		if err != nil {
			return nil, err
		}
		out := &Approval{
			Meta: newMeta("appr", n.Now), State: approvalMachine.Start, ContactID: contact.ID, Method: in.Method, Reason: in.Reason,
			ApprovedBy: a.ID, ContactUserID: contact.UserID, Overrides: in.Overrides, Fingerprint: s.identityFingerprint(contact.Of),
		}
		if newest := last(s.factsOf(contact, results[contact.ID]).reports); newest != nil {
			out.ReportID = &newest.ID
		}
		return out, nil
	})
}

// Approval returns an approval to a caller who may see it: an administrator, or the contact's own user.
// Refuses with NoSuchApproval.
func (s *Service) Approval(ctx context.Context, id string) (*Approval, error) {
	if err := s.Permit(ctx, "approval"); err != nil {
		return nil, err
	}
	return show(ctx, s, approvals, id)
}

// Approvals lists all approvals, for callers who may see all records.
// Refuses with AccessDenied, InvalidInput and InvalidParameter.
func (s *Service) Approvals(ctx context.Context, q listing.Query) (listing.Page[Approval], error) {
	if err := s.Permit(ctx, "approvals"); err != nil {
		return listing.Page[Approval]{}, err
	}
	return s.Store.Approvals().List(ctx, q)
}
