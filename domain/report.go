package domain

import (
	"context"
	"slices"
	"strconv"
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
	// Inputs is the screened person, in full.
	Inputs Identity
	// Findings has all categories that apply, with their evidence. What a caller may see of them is in Categories.
	Findings  []FraudRiskCategory
	CreatedBy string
	// ContactID is the contact that the report was created from; nil where the input had the fields of the person.
	ContactID *string
	// Vouches is set where the person is that contact, so that the report counts for it.
	Vouches bool
	// ContactUserID is the user of the contact when the report was created.
	ContactUserID *string
	// Fingerprint identifies the screened identity.
	Fingerprint Fingerprint
	// Institutional is set where the institution ordered the report, not the contact's user.
	Institutional bool
	// Held describes the comparison with the lists of people; nil for reports of earlier versions and of other providers.
	Held *ReportScreening
}

// ReportScreening describes the comparison of a person with the lists of people.
type ReportScreening struct {
	// Partial is set where the name could not be compared with all entries.
	Partial bool `json:"partial"`
	// List is the name of the list: sdn for the published one, institution for the institution's own, provider for that of an
	// external provider, of which nothing is known.
	List string `json:"list"`
	// PublishedAt is the time of the newest file of the list; nil where it has none.
	PublishedAt *time.Time `json:"publishedAt"`
	// LoadedAt is when the list came into force; for an external provider, when it was asked.
	LoadedAt time.Time `json:"loadedAt"`
	Entries  int       `json:"entries"`
	// Hash identifies the content of the list: a hexadecimal SHA-256.
	Hash string `json:"hash"`
}

// Screening returns the comparison with the lists, to the institution.
func (r *FraudRiskReport) Screening(ctx context.Context) *ReportScreening {
	if !ActorFrom(ctx).Institution() {
		return nil
	}
	return r.Held
}

// FraudRiskCategory is one kind of risk that applies.
type FraudRiskCategory struct {
	Type        risk.Category
	Description string
	// Evidence is for reviewers; nil for callers who must not see it.
	Evidence []RiskEvidence
}

// RiskEvidence describes for a reviewer why a category applies, without a value of the person.
type RiskEvidence struct {
	ID   string `json:"id"`
	Rule string `json:"rule"`
	// Members are the names of the members of the identity that the rule compares.
	Members []string `json:"members"`
	// Entry is the id of the list entry or record that matches; nil where there is none.
	Entry *string `json:"entry"`
	// EntryVersion identifies the content of the list entry.
	EntryVersion string `json:"entryVersion,omitempty"`
	// Score is the similarity from 0 to 1; nil where the rule does not compare by similarity.
	Score *float64 `json:"score"`
}

// evidenceOf converts the evidence of a finding. Its ids are unique in all reports.
func evidenceOf(reportID string, found []risk.Evidence, first int) []RiskEvidence {
	out := make([]RiskEvidence, 0, len(found))
	for i, e := range found {
		one := RiskEvidence{ID: reportID + "." + strconv.Itoa(first+i), Rule: e.Rule, Members: e.Inputs, EntryVersion: e.Version}
		if e.Entry != "" {
			one.Entry = new(e.Entry)
		}
		if e.Score > 0 {
			one.Score = new(e.Score)
		}
		out = append(out, one)
	}
	return out
}

// hiddenCategories are those that a contact's user and other customers must not see: a hit on a list must look like a
// mistyped birth date (verification, section 3).
var hiddenCategories = list(risk.IdentityOnGovernmentWatchlist, risk.IdentityOnAlertList, risk.PersonalInfoDoesNotMatch)

// Categories returns the categories that the caller may see, with the evidence for reviewers only.
func (r *FraudRiskReport) Categories(ctx context.Context) []FraudRiskCategory {
	a := ActorFrom(ctx)
	out := []FraudRiskCategory{}
	for _, c := range r.Findings {
		if !a.Institution() && slices.Contains(hiddenCategories, c.Type) {
			continue
		}
		if !a.Reviewer() {
			c.Evidence = nil
		}
		out = append(out, c)
	}
	return out
}

// bySystem reports whether a re-screening made the report. Only the institution sees such reports.
func (r *FraudRiskReport) bySystem() bool { return r.CreatedBy == SystemActor }

// SystemActor is the creator of reports of a re-screening.
const SystemActor = "system"

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
		if r.bySystem() {
			roles := a.staffRoles()
			return roles, len(roles) > 0, nil
		}
		return personRoles(ctx, s, pre, a, r.CreatedBy, r.ContactID)
	},
	dummy:    func() *FraudRiskReport { return &FraudRiskReport{ContactID: new("contact_-")} },
	due:      never[FraudRiskReport, FraudRiskReportState, FraudRiskReportTransition],
	prefetch: func(need *needs, r *FraudRiskReport) { need.personal(r.CreatedBy, r.ContactID) },
	concerns: func(r *FraudRiskReport) []string {
		if r.bySystem() {
			return []string{}
		}
		return concernedUsers(r.CreatedBy, r.ContactUserID)
	},
	missing: problem.NoSuchFraudRiskReport, denied: problem.AccessDenied,
}

// FraudRiskReportSchema has the fields by which reports can be selected and ordered.
var FraudRiskReportSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "type", Type: listing.Enum, Values: verificationTypes},
	{Name: "createdAt", Type: listing.Time},
	{Name: "expiresAt", Type: listing.Time},
	{Name: "outputs.state", Type: listing.Enum, Values: reportMachine.StateNames()},
	{Name: categoryField, Type: listing.Enum, Values: categoryWords(), Many: true, Searched: true},
	{Name: "descriptions", Type: listing.Text, Many: true, Searched: true, Hidden: true},
	{Name: "createdBy", Type: listing.ID, Hidden: true},
	{Name: "contactId", Type: listing.ID, Hidden: true},
	{Name: "vouches", Type: listing.Bool, Hidden: true},
}}

// categoryField is the field of the categories of a report.
const categoryField = "outputs.fraudRiskCategories.type"

// withoutHidden rewrites a condition so that hidden categories match nothing, as if reports did not have them.
func withoutHidden(p listing.Predicate) listing.Predicate {
	switch p := p.(type) {
	case listing.And:
		return listing.All(withoutHiddenEach(p.Of)...)
	case listing.Or:
		return listing.Any(withoutHiddenEach(p.Of)...)
	case listing.Not:
		return listing.Not{Of: withoutHidden(p.Of)}
	case listing.In:
		if p.Field == categoryField {
			p.Values = slices.DeleteFunc(slices.Clone(p.Values), isHidden)
		}
		return p
	case listing.Compare:
		if p.Left.Field == categoryField && isHidden(p.Right.Value) {
			return listing.False
		}
		return p
	case listing.Search:
		var alternatives []listing.Predicate
		for _, terms := range p.Any {
			var all []listing.Predicate
			for _, term := range terms {
				all = append(all, visibleCategoriesWith(term))
			}
			alternatives = append(alternatives, listing.All(all...))
		}
		return listing.Any(alternatives...)
	}
	return p
}

func withoutHiddenEach(of []listing.Predicate) []listing.Predicate {
	out := make([]listing.Predicate, 0, len(of))
	for _, p := range of {
		out = append(out, withoutHidden(p))
	}
	return out
}

func isHidden(v listing.Value) bool {
	word, ok := v.(string)
	return ok && slices.Contains(hiddenCategories, risk.Category(word))
}

// visibleCategoriesWith selects reports with a visible category whose name or description contains a text.
func visibleCategoriesWith(term string) listing.Predicate {
	var words []string
	for _, c := range risk.Categories() {
		text := listing.Fold(string(c) + "\n" + risk.Description(c))
		if !slices.Contains(hiddenCategories, c) && strings.Contains(text, listing.Fold(term)) {
			words = append(words, string(c))
		}
	}
	return listing.OneWord(categoryField, words...)
}

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
	case categoryField:
		words := []string{}
		for _, c := range r.Findings {
			words = append(words, string(c.Type))
		}
		return words
	case "descriptions":
		words := []string{}
		for _, c := range r.Findings {
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
	identity    Identity
	contactID   *string
	vouches     bool
	userID      *string
	fingerprint Fingerprint
	// institutional is set where the institution orders.
	institutional bool
	// counts is set where the result can verify a contact: the institution orders, or the user does for a contact that
	// the institution made.
	counts bool
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
// Refuses with AccessDenied, TooManyRequests, InvalidContactLink and IncompleteIdentity.
func (s *Service) subject(ctx context.Context, in SubjectInput, limited *orders) (*subject, error) {
	in.Identity = in.Visible()
	institutional, err := s.ordersForInstitution(ctx)
	if err != nil {
		return nil, err
	}
	if !institutional {
		if err := limited.count(ctx); err != nil {
			return nil, err
		}
	}
	if in.ContactID == nil {
		if !institutional {
			if err := limited.countPerson(ctx, in.Identity); err != nil {
				return nil, err
			}
		}
		return &subject{
			identity: in.Identity, fingerprint: s.identityFingerprint(in.Identity), institutional: institutional, counts: institutional,
		}, nil
	}
	contact, err := s.mayLink(ctx, *in.ContactID, problem.InvalidContactLink)
	if err != nil {
		return nil, err
	}
	if err := mayOverride(ctx, in.Identity, contact); err != nil {
		return nil, err
	}
	out := &subject{
		identity: contact.Of.With(in.Identity), contactID: &contact.ID, userID: contact.UserID, institutional: institutional,
	}
	if !institutional {
		if err := limited.countPerson(ctx, out.identity); err != nil {
			return nil, err
		}
	}
	out.fingerprint = s.identityFingerprint(out.identity)
	out.vouches = s.identityFingerprint(contact.Of).Person != nil && !in.overrides(contact.Of)
	out.counts = institutional || out.vouches && (!contact.selfAsserted() || s.policyInForce().SelfService)
	if missing := out.identity.Missing(); len(missing) > 0 {
		return nil, problem.New(problem.IncompleteIdentity).
			Because("The contact lacks required fields: %s.", strings.Join(missing, ", ")).With("missing", missing)
	}
	return out, nil
}

// CreateFraudRiskReport screens a person and creates a report of the risks found.
// Refuses with InvalidInput, AccessDenied (an auditor, or a value for a masked member), TooManyRequests,
// InvalidContactLink, IncompleteIdentity, ProviderUnavailable and IdempotencyKeyReused.
func (s *Service) CreateFraudRiskReport(ctx context.Context, in CreateFraudRiskReportInput) (Outcome[FraudRiskReport], error) {
	const operation = "createFraudRiskReport"
	a, err := s.begin(ctx, operation, in, in.check(s.now())...)
	if err != nil {
		return Outcome[FraudRiskReport]{}, err
	}
	var r *FraudRiskReport
	limited := s.orders()
	return create(ctx, s, reports, s.callOf(operation, in), func(ctx context.Context, n *creation) (*FraudRiskReport, error) {
		if r != nil { // screen once, however many races are lost
			s.addReview(n.Unit, r)
			return r, nil
		}
		who, err := s.subject(ctx, in, limited)
		if err != nil {
			return nil, err
		}
		result, err := s.Screening.Screen(ctx, who.identity)
		if err != nil {
			return nil, unavailable(err)
		}
		if r, err = s.newReport(ctx, result, who, a.ID); err != nil {
			return nil, err
		}
		s.addReview(n.Unit, r)
		return r, nil
	})
}

// newReport makes the report of an assessment, after the provider has answered. Matches that a reviewer has dismissed for
// this person are left out.
func (s *Service) newReport(ctx context.Context, result risk.Assessment, who *subject, createdBy string) (*FraudRiskReport, error) {
	if err := s.withoutDismissed(ctx, &result, who.fingerprint.Person); err != nil {
		return nil, err
	}
	meta, findings, matches := newMeta("frr", s.now()), []FraudRiskCategory{}, 0
	for _, f := range result.Findings {
		findings = append(findings, FraudRiskCategory{
			Type: f.Category, Description: f.Description, Evidence: evidenceOf(meta.ID, f.Evidence, matches+1),
		})
		matches += len(f.Evidence)
	}
	return &FraudRiskReport{
		Meta: meta, State: reportState(result, findings), Inputs: who.identity, Findings: findings, CreatedBy: createdBy,
		ContactID: who.contactID, Vouches: who.vouches, ContactUserID: who.userID, Fingerprint: who.fingerprint,
		Institutional: who.institutional, Held: screeningOf(result, meta.CreatedAt),
	}, nil
}

// withoutDismissed removes the matches with lists of people that a reviewer has dismissed for the person.
func (s *Service) withoutDismissed(ctx context.Context, result *risk.Assessment, person []byte) error {
	id := func(e risk.Evidence) string { return s.dismissalID(person, e.Entry, e.Version) }
	var ids []string
	for _, f := range result.Findings {
		if slices.Contains(listCategories, f.Category) {
			for _, e := range f.Evidence {
				ids = append(ids, id(e))
			}
		}
	}
	if person == nil || len(ids) == 0 {
		return nil
	}
	dismissed, err := s.Store.Dismissed(ctx, ids)
	if err != nil {
		return err
	}
	var kept []risk.Finding
	for _, f := range result.Findings {
		if slices.Contains(listCategories, f.Category) {
			f.Evidence = slices.DeleteFunc(slices.Clone(f.Evidence), func(e risk.Evidence) bool { return dismissed[id(e)] })
			if len(f.Evidence) == 0 {
				continue
			}
		}
		kept = append(kept, f)
	}
	result.Findings = kept
	return nil
}

// screeningOf returns the screening of an assessment; nil where the provider has no list.
func screeningOf(result risk.Assessment, at time.Time) *ReportScreening {
	if result.Held == nil && !result.Partial {
		return nil
	}
	out := &ReportScreening{Partial: result.Partial, List: "provider", LoadedAt: at}
	if h := result.Held; h != nil {
		out.List, out.LoadedAt, out.Entries, out.Hash = h.List, h.LoadedAt, h.Entries, h.Hash
		if !h.PublishedAt.IsZero() {
			out.PublishedAt = &h.PublishedAt
		}
	}
	return out
}

// ordersForInstitution reports whether the caller orders results for the institution: an administrator or a verifier who
// is not the user of a contact (verification, section 2). An auditor orders nothing.
// Refuses with AccessDenied.
func (s *Service) ordersForInstitution(ctx context.Context) (bool, error) {
	a := ActorFrom(ctx)
	if a.SeesAll() && !a.Admin() {
		return false, problem.New(problem.AccessDenied).Because("An auditor must not order reports or quizzes.")
	}
	if !a.Institution() {
		return false, nil
	}
	ids, err := s.owned(ctx, a.ID)
	return len(ids) == 0, err
}

// mayOverride refuses values for members that the caller sees masked: whether the result counts for the contact would
// disclose whether a guess is right.
// Refuses with AccessDenied.
func mayOverride(ctx context.Context, given Identity, contact *Contact) error {
	a := ActorFrom(ctx)
	if a.SeesPII() || a.Verifier || contact.OwnedBy(a.ID) {
		return nil
	}
	for _, m := range identityMembers {
		if m.masked && *m.of(&given) != nil && *m.of(&contact.Of) != nil {
			return problem.New(problem.AccessDenied).Because("Overriding %s of a contact requires profiles/readPii.", m.name).At(m.name)
		}
	}
	return nil
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
	if !ActorFrom(ctx).Institution() {
		q.Where = listing.All(mine, listing.Ne("createdBy", SystemActor), withoutHidden(q.Where))
	}
	return s.Store.FraudRiskReports().List(ctx, q)
}
