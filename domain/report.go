package domain

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// FraudRiskReport has the risks found for a person (Identity 0.3.2). It is complete when created, and never changes.
type FraudRiskReport struct {
	Meta
	State FraudRiskReportState
	// Inputs is the screened person, unmasked.
	Inputs     Identity
	Categories []FraudRiskCategory
	CreatedBy  string
	// ContactID is the contact that the report was created from; nil if the input had the fields of the person.
	ContactID *string
	// Vouches is set if the person is that contact, so that the report counts for it.
	Vouches bool
	// ContactUserID is the user of the contact when the report was created.
	ContactUserID *string
}

// FraudRiskCategory is one kind of risk that applies.
type FraudRiskCategory struct {
	Type        risk.Category
	Description string
	// Evidence names the input, the rule, the list entry and the score, for a reviewer.
	Evidence string
}

// Head returns the part that all records share.
func (r *FraudRiskReport) Head() *Meta { return &r.Meta }

// KindFraudRiskReport is the kind.
const KindFraudRiskReport Kind = "fraudRiskReport"

// Kind names the machine.
func (*FraudRiskReport) Kind() Kind { return KindFraudRiskReport }

// Identity returns the person, as the caller may see it.
func (r *FraudRiskReport) Identity(ctx context.Context) *Identity { return r.Inputs.For(ctx) }

// FraudRiskReportState is the result of a report.
type FraudRiskReportState string

// The states.
const (
	ReportPassed                FraudRiskReportState = "passed"
	ReportPassedWithRiskFactors FraudRiskReportState = "passedWithRiskFactors"
	ReportFailed                FraudRiskReportState = "failed"
)

// FraudRiskReportTransition is a verb of the machine, which has none: a report never changes.
type FraudRiskReportTransition string

var reportMachine = &lifecycle.Machine[FraudRiskReportState, FraudRiskReportTransition, Role]{
	Name:     string(KindFraudRiskReport),
	Start:    ReportPassed,
	Starts:   list(ReportPassed, ReportPassedWithRiskFactors, ReportFailed),
	Clock:    RoleClock,
	Create:   "createFraudRiskReport",
	CreateBy: list(RoleAnyone),
	States: []lifecycle.State[FraudRiskReportState]{
		{Name: ReportPassed, Help: "The person is known, and no risk applies. A report never changes."},
		{Name: ReportPassedWithRiskFactors, Help: "The person is known, and at least one risk applies. A report never changes."},
		{Name: ReportFailed, Help: "No record matches the person. A report never changes; a new one may be created."},
	},
}

var reports = &life[FraudRiskReport, FraudRiskReportState, FraudRiskReportTransition]{
	kind: KindFraudRiskReport, machine: reportMachine,
	shelf: func(s Store) Shelf[FraudRiskReport] { return s.FraudRiskReports() },
	head:  func(r *FraudRiskReport) *Meta { return &r.Meta },
	state: func(r *FraudRiskReport) *FraudRiskReportState { return &r.State },
	rolesOf: func(ctx context.Context, s *Service, pre *Prefetched, a Actor, r *FraudRiskReport) ([]Role, bool, error) {
		return personRoles(ctx, s, pre, a, r.CreatedBy, r.ContactID)
	},
	dummy:    func() *FraudRiskReport { return &FraudRiskReport{ContactID: new("contact_-")} },
	due:      never[FraudRiskReport, FraudRiskReportState, FraudRiskReportTransition],
	prefetch: func(need *needs, r *FraudRiskReport) { need.personal(r.CreatedBy, r.ContactID) },
	concerns: func(r *FraudRiskReport) []string { return concernedUsers(r.CreatedBy, r.ContactUserID) },
	missing:  problem.NoSuchFraudRiskReport, denied: problem.AccessDenied,
}

// FraudRiskReportSchema has the fields by which reports can be selected and ordered.
var FraudRiskReportSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "type", Type: listing.Enum, Values: verificationTypes},
	{Name: "createdAt", Type: listing.Time},
	{Name: "expiresAt", Type: listing.Time},
	{Name: "outputs.state", Type: listing.Enum, Values: reportMachine.StateNames()},
	{Name: "outputs.fraudRiskCategories.type", Type: listing.Enum, Values: categoryWords(), Many: true, Searched: true},
	{Name: "descriptions", Type: listing.Text, Many: true, Searched: true, Hidden: true},
	{Name: "createdBy", Type: listing.ID, Hidden: true},
	{Name: "contactId", Type: listing.ID, Hidden: true},
	{Name: "vouches", Type: listing.Bool, Hidden: true},
}}

func categoryWords() []string {
	var out []string
	for _, c := range risk.Categories() {
		out = append(out, string(c))
	}
	return out
}

// FraudRiskReportValue reads a field of a report.
func FraudRiskReportValue(r *FraudRiskReport, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "type":
		return string(VerifiedByReport)
	case "createdAt":
		return r.CreatedAt
	case "outputs.state":
		return string(r.State)
	case "outputs.fraudRiskCategories.type":
		words := []string{}
		for _, c := range r.Categories {
			words = append(words, string(c.Type))
		}
		return words
	case "descriptions":
		words := []string{}
		for _, c := range r.Categories {
			words = append(words, c.Description)
		}
		return words
	case "createdBy":
		return r.CreatedBy
	case "contactId":
		if r.ContactID != nil {
			return *r.ContactID
		}
	case "vouches":
		return r.Vouches
	}
	return nil
}

// Screening finds the risks of a person. It is called before anything is written, and may be a third-party service.
type Screening interface {
	// Screen assesses a person. It fails with ProviderUnavailable if the provider has no answer.
	Screen(ctx context.Context, person Identity) (risk.Assessment, error)
}

// SubjectInput names a person: a contact, the members of an identity, or both. The members override the contact's.
type SubjectInput struct {
	// ContactID is the contact's id, or its URI.
	ContactID *string `json:"contactId" validate:"omitempty,min=1,max=512"`
	Identity
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateFraudRiskReportInput names a person.
type CreateFraudRiskReportInput = SubjectInput

// CreateQuizInput names a person.
type CreateQuizInput = SubjectInput

// subject is the person that an input names.
type subject struct {
	identity  Identity
	contactID *string
	vouches   bool
	userID    *string
}

// check adds what the tags cannot express (Identity, inputs).
func (in SubjectInput) check(now time.Time) []*problem.Problem {
	more := in.Identity.check(now)
	if in.ContactID == nil {
		for _, name := range in.Missing() {
			more = append(more, problem.New(problem.InvalidInput).Because("%s is required if no contact is named.", name).At(name))
		}
	}
	return more
}

// subject returns the person that the input names (Identity, inputs).
// Refuses with InvalidContactLink and IncompleteIdentity.
func (s *Service) subject(ctx context.Context, in SubjectInput) (*subject, error) {
	if in.ContactID == nil {
		return &subject{identity: in.Identity}, nil
	}
	contact, err := s.mayLink(ctx, *in.ContactID, problem.InvalidContactLink)
	if err != nil {
		return nil, err
	}
	out := &subject{identity: contact.Of.With(in.Identity), contactID: &contact.ID, userID: contact.UserID}
	out.vouches = out.identity.Equal(contact.Of)
	if missing := out.identity.Missing(); len(missing) > 0 {
		return nil, problem.New(problem.IncompleteIdentity).
			Because("The contact lacks required fields: %s.", strings.Join(missing, ", ")).With("missing", missing)
	}
	return out, nil
}

// CreateFraudRiskReport screens a person and creates a report of the risks found.
// Refuses with InvalidInput, InvalidContactLink, IncompleteIdentity, ProviderUnavailable and IdempotencyKeyReused.
func (s *Service) CreateFraudRiskReport(ctx context.Context, in CreateFraudRiskReportInput) (Outcome[FraudRiskReport], error) {
	const operation = "createFraudRiskReport"
	a, err := s.begin(ctx, operation, in, in.check(s.now())...)
	if err != nil {
		return Outcome[FraudRiskReport]{}, err
	}
	var r *FraudRiskReport
	return create(ctx, s, reports, s.callOf(operation, in), func(ctx context.Context, _ *creation) (*FraudRiskReport, error) {
		if r != nil { // screen once, however many races are lost
			return r, nil
		}
		who, err := s.subject(ctx, in)
		if err != nil {
			return nil, err
		}
		result, err := s.Screening.Screen(ctx, who.identity)
		if err != nil {
			return nil, unavailable(err)
		}
		categories := []FraudRiskCategory{}
		for _, f := range result.Findings {
			var evidence []string
			for _, e := range f.Evidence {
				evidence = append(evidence, e.String())
			}
			categories = append(categories, FraudRiskCategory{Type: f.Category, Description: f.Description, Evidence: strings.Join(evidence, "; ")})
		}
		now := s.now() // after the provider has answered
		r = &FraudRiskReport{
			Meta: newMeta("frr", now), State: reportState(result, categories), Inputs: who.identity, Categories: categories, CreatedBy: a.ID,
			ContactID: who.contactID, Vouches: who.vouches, ContactUserID: who.userID,
		}
		return r, nil
	})
}

// reportState returns the state of a new report, which never changes.
func reportState(result risk.Assessment, categories []FraudRiskCategory) FraudRiskReportState {
	switch {
	case !result.Found:
		return ReportFailed
	case len(categories) > 0:
		return ReportPassedWithRiskFactors
	}
	return ReportPassed
}

// callOf returns the call of an input. An id and a URI of the same contact are equal, so that each API can repeat calls
// of the other.
func (s *Service) callOf(operation string, in SubjectInput) call {
	contact := in.ContactID
	if contact != nil {
		contact = new(s.ContactID(*contact))
	}
	return call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: append(in.parts(), optional(contact))}
}

// unavailable returns the problem for a provider's error: ProviderUnavailable, unless the error is a specific problem.
func unavailable(err error) error {
	if p := problem.Of(err); p.Definition != problem.InternalError {
		return p
	}
	return problem.New(problem.ProviderUnavailable).From(err)
}

// FraudRiskReport returns a report that the caller may see.
// Refuses with NoSuchFraudRiskReport.
func (s *Service) FraudRiskReport(ctx context.Context, id string) (*FraudRiskReport, error) {
	if err := s.Permit(ctx, "fraudRiskReport"); err != nil {
		return nil, err
	}
	return show(ctx, s, reports, id)
}

// FraudRiskReports lists the reports that the caller may see.
// Refuses with InvalidInput and InvalidParameter.
func (s *Service) FraudRiskReports(ctx context.Context, q listing.Query) (listing.Page[FraudRiskReport], error) {
	if err := s.Permit(ctx, "fraudRiskReports"); err != nil {
		return listing.Page[FraudRiskReport]{}, err
	}
	mine, err := s.visiblePersons(ctx)
	if err != nil {
		return listing.Page[FraudRiskReport]{}, err
	}
	q.Where = listing.All(mine, q.Where)
	return s.Store.FraudRiskReports().List(ctx, q)
}
