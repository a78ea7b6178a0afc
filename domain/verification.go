package domain

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// VerificationType is a way to verify a contact.
type VerificationType string

// The types (Identity 0.3.2, identityVerificationType).
const (
	VerifiedByReport   VerificationType = "fraudRiskReport"
	VerifiedByQuiz     VerificationType = "quiz"
	VerifiedByApproval VerificationType = "adminApproval"
)

var verificationTypes = []string{string(VerifiedByReport), string(VerifiedByQuiz), string(VerifiedByApproval)}

// VerificationState is the result of a verification.
type VerificationState string

// The states.
const (
	VerificationPassed VerificationState = "passed"
	VerificationFailed VerificationState = "failed"
	// VerificationSuperseded is the state of a result about a tax id, name or birth date that has changed since.
	VerificationSuperseded VerificationState = "superseded"
)

// Verification is one finished result for a contact.
type Verification struct {
	Type       VerificationType
	State      VerificationState
	VerifiedAt time.Time
	// Source is the id of the report, the quiz or the approval.
	Source string
}

// ContactVerification has the results for a contact.
type ContactVerification struct {
	Contact *Contact
	// Verifications has the finished results, oldest first.
	Verifications []*Verification
	// Decided is the result of the policy, in full. What a caller may see of it is in Decision.
	Decided VerificationDecision
}

// Decision returns the decision as the caller may see it: an excluding category is a need for a review to everybody
// but the institution.
func (v *ContactVerification) Decision(ctx context.Context) *VerificationDecision {
	out := v.Decided
	if ActorFrom(ctx).Institution() {
		return &out
	}
	if out.blocked {
		out.Reasons = list(reasonOf(DecisionNeedsReview))
		return &out
	}
	out.Reasons = slices.Clone(out.Reasons)
	for i, r := range out.Reasons {
		if r.Code == DecisionScreeningPartial {
			out.Reasons[i] = reasonOf(DecisionNeedsReview)
		}
	}
	return &out
}

// ContactVerification returns the finished results for a contact, oldest first: all reports and approvals, and the
// quizzes that were passed or failed; and the decision of the policy. Types selects results; none means all.
// Refuses with InvalidContactLink (no such contact, or none that the caller may see).
func (s *Service) ContactVerification(ctx context.Context, reference string, types ...VerificationType) (*ContactVerification, error) {
	if err := s.Permit(ctx, "contactVerification"); err != nil {
		return nil, err
	}
	contact, err := s.mayLink(ctx, reference, problem.InvalidContactLink)
	if err != nil {
		return nil, err
	}
	all, err := s.verifications(ctx, list(contact), types)
	return all[contact.ID], err
}

// contactResults has the results that are about a contact, oldest first.
type contactResults struct {
	reports   []*FraudRiskReport
	quizzes   []*Quiz
	approvals []*Approval
	// dismissals has the ids of the dismissals that exist of matches of the reports.
	dismissals map[string]bool
}

// results reads the finished results for contacts, by contact, with as many statements for many as for one.
func (s *Service) results(ctx context.Context, contacts []*Contact) (map[string]*contactResults, error) {
	out := make(map[string]*contactResults, len(contacts))
	ids := make([]string, 0, len(contacts))
	for _, c := range contacts {
		ids = append(ids, c.ID)
		out[c.ID] = &contactResults{}
	}
	about := listing.OneWord("contactId", ids...)
	vouching := listing.All(about, listing.Eq("vouches", true))
	reports, err := listAll(ctx, s.Store.FraudRiskReports(), vouching)
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		of := out[*r.ContactID]
		of.reports = append(of.reports, r)
	}
	quizzes, err := listAll(ctx, s.Store.Quizzes(), listing.All(vouching, listing.OneWord("outputs.state", QuizPassed, QuizFailed)))
	if err != nil {
		return nil, err
	}
	for _, q := range quizzes {
		of := out[*q.ContactID]
		of.quizzes = append(of.quizzes, q)
	}
	approvals, err := listAll(ctx, s.Store.Approvals(), about)
	if err != nil {
		return nil, err
	}
	for _, a := range approvals {
		of := out[a.ContactID]
		of.approvals = append(of.approvals, a)
	}
	for id, of := range out {
		slices.SortStableFunc(of.reports, func(a, b *FraudRiskReport) int { return older(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
		slices.SortStableFunc(of.quizzes, func(a, b *Quiz) int { return older(a.UpdatedAt, b.UpdatedAt, a.ID, b.ID) })
		slices.SortStableFunc(of.approvals, func(a, b *Approval) int { return older(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
		i := slices.IndexFunc(contacts, func(c *Contact) bool { return c.ID == id })
		s.complete(contacts[i], of)
	}
	return out, s.addDismissed(ctx, out)
}

// addDismissed reads the dismissals of the matches of all reports.
func (s *Service) addDismissed(ctx context.Context, all map[string]*contactResults) error {
	var ids []string
	for _, of := range all {
		for _, r := range of.reports {
			for _, m := range matchesOf(r) {
				ids = append(ids, s.dismissalID(r.reviewPerson(), m.Entry, m.Version))
			}
			if r.Held != nil && r.Held.Partial {
				ids = append(ids, s.partialID(r.reviewPerson(), r.ID))
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	dismissed, err := s.Store.Dismissed(ctx, ids)
	for _, of := range all {
		of.dismissals = dismissed
	}
	return err
}

// dismissedCategories returns the categories of lists of people all of whose matches in a report are dismissed.
func (s *Service) dismissedCategories(r *FraudRiskReport, dismissals map[string]bool) []risk.Category {
	var out []risk.Category
	if len(dismissals) == 0 {
		return nil
	}
	for _, c := range listCategories {
		matches := slices.DeleteFunc(matchesOf(r), func(m ReviewMatch) bool { return m.Category != c })
		if len(matches) > 0 && !slices.ContainsFunc(matches, func(m ReviewMatch) bool {
			return !dismissals[s.dismissalID(r.reviewPerson(), m.Entry, m.Version)]
		}) {
			out = append(out, c)
		}
	}
	return out
}

func older(a, b time.Time, idA, idB string) int { return cmp.Or(a.Compare(b), cmp.Compare(idA, idB)) }

// complete adds the fingerprints that results of earlier versions lack: of a report and a quiz that of the inputs; of an
// approval that of the newest result before it, otherwise that of the contact unless it was changed since. Such an
// approval is of the newest report before it.
func (s *Service) complete(contact *Contact, of *contactResults) {
	for _, r := range of.reports {
		if r.Fingerprint.IsZero() {
			r.Fingerprint = s.identityFingerprint(r.Inputs)
		}
	}
	for _, q := range of.quizzes {
		if q.Fingerprint.IsZero() {
			q.Fingerprint = s.identityFingerprint(q.Inputs)
		}
	}
	for _, a := range of.approvals {
		if !a.Fingerprint.IsZero() {
			continue
		}
		var newest time.Time
		for _, r := range of.reports {
			if !r.CreatedAt.After(a.CreatedAt) {
				a.Fingerprint, newest, a.ReportID = r.Fingerprint, r.CreatedAt, &r.ID
			}
		}
		for _, q := range of.quizzes {
			if !q.UpdatedAt.After(a.CreatedAt) && !q.UpdatedAt.Before(newest) {
				a.Fingerprint, newest = q.Fingerprint, q.UpdatedAt
			}
		}
		if newest.IsZero() && !contact.UpdatedAt.After(a.CreatedAt) {
			a.Fingerprint = s.identityFingerprint(contact.Of)
		}
	}
}

// verifications returns the results and decisions of contacts, by their id, with as many statements for many as for one.
func (s *Service) verifications(
	ctx context.Context, contacts []*Contact, types []VerificationType,
) (map[string]*ContactVerification, error) {
	all, err := s.results(ctx, contacts)
	if err != nil {
		return nil, err
	}
	institution := ActorFrom(ctx).Institution()
	out := make(map[string]*ContactVerification, len(contacts))
	for _, c := range contacts {
		of, person := all[c.ID], s.identityFingerprint(c.Of).Person
		v := &ContactVerification{
			Contact: c, Verifications: []*Verification{}, Decided: s.policyInForce().decide(s.factsOf(c, of), s.now()),
		}
		add := func(t VerificationType, passed bool, about Fingerprint, at time.Time, source string) {
			if len(types) > 0 && !slices.Contains(types, t) {
				return
			}
			state := VerificationPassed
			switch {
			case person == nil || !bytes.Equal(about.Person, person):
				state = VerificationSuperseded
			case !passed:
				state = VerificationFailed
			}
			v.Verifications = append(v.Verifications, &Verification{t, state, at, source})
		}
		for _, r := range of.reports {
			if institution || !r.bySystem() {
				add(VerifiedByReport, r.State != ReportFailed, r.Fingerprint, r.CreatedAt, r.ID)
			}
		}
		for _, q := range of.quizzes {
			add(VerifiedByQuiz, q.State == QuizPassed, q.Fingerprint, q.UpdatedAt, q.ID)
		}
		for _, a := range of.approvals {
			add(VerifiedByApproval, true, a.Fingerprint, a.CreatedAt, a.ID)
		}
		slices.SortStableFunc(v.Verifications, func(a, b *Verification) int { return older(a.VerifiedAt, b.VerifiedAt, a.Source, b.Source) })
		out[c.ID] = v
	}
	return out, nil
}

// VerificationPolicy returns the policy.
func (s *Service) VerificationPolicy(ctx context.Context) (*VerificationPolicy, error) {
	if err := s.Permit(ctx, "verificationPolicy"); err != nil {
		return nil, err
	}
	p := s.policyInForce()
	return &p, nil
}

// policyInForce is the policy of the settings, or the built-in one.
func (s *Service) policyInForce() VerificationPolicy {
	if s.Settings.Policy.Verified == nil {
		return DefaultVerificationPolicy()
	}
	return s.Settings.Policy
}

// rehearsalBatch is the number of contacts that a rehearsal reads at once.
const rehearsalBatch = 500

// RehearsePolicy evaluates another policy for every contact and passes its decision to each, together with that of the
// policy in force. It changes nothing.
func (s *Service) RehearsePolicy(
	ctx context.Context, policy VerificationPolicy, each func(contactID string, now, then VerificationDecision) error,
) error {
	other := *s
	other.Settings.Policy = policy
	for after := ""; ; {
		page, err := s.Store.Contacts().List(ctx, listing.Query{
			Where: listing.Is(listing.GT, listing.IDField, after), Order: []listing.Order{{Field: listing.IDField}}, Limit: rehearsalBatch,
		})
		if err != nil {
			return err
		}
		all, err := s.results(ctx, page.Items)
		if err != nil {
			return err
		}
		for _, c := range page.Items {
			at := s.now()
			now := s.policyInForce().decide(s.factsOf(c, all[c.ID]), at)
			then := policy.decide(other.factsOf(c, all[c.ID]), at)
			if err := each(c.ID, now, then); err != nil {
				return err
			}
			after = c.ID
		}
		if len(page.Items) < rehearsalBatch {
			return nil
		}
	}
}

// factsOf selects the results of a contact that the policy considers (verification, sections 1 and 2): those about the
// contact as it is now; and where the user created the contact or changed who it is, those that the institution ordered. A
// quiz that could not count when it was ordered never counts, because its attempts were limited apart.
func (s *Service) factsOf(c *Contact, of *contactResults) decisionFacts {
	f := decisionFacts{
		contact: c, person: s.identityFingerprint(c.Of).Person,
		dismissed: func(r *FraudRiskReport) []risk.Category { return s.dismissedCategories(r, of.dismissals) },
		partial: func(r *FraudRiskReport) bool {
			return r.Held != nil && r.Held.Partial && !of.dismissals[s.partialID(r.reviewPerson(), r.ID)]
		},
	}
	counts := func(about Fingerprint, institutional bool) bool {
		switch {
		case !bytes.Equal(about.Person, f.person):
			f.superseded = true
			return false
		case !institutional && c.selfAsserted() && !s.policyInForce().SelfService:
			f.ignored = true
			return false
		}
		return true
	}
	for _, r := range of.reports {
		if counts(r.Fingerprint, r.Institutional) {
			f.reports = append(f.reports, r)
		}
	}
	for _, q := range of.quizzes {
		switch {
		case !counts(q.Fingerprint, q.Institutional):
		case !q.Institutional && !s.counted(q) && !s.policyInForce().SelfService:
			f.ignored = true
		default:
			f.quizzes = append(f.quizzes, q)
		}
	}
	for _, a := range of.approvals {
		if counts(a.Fingerprint, true) && !c.OwnedBy(a.ApprovedBy) {
			f.approvals = append(f.approvals, a)
		}
	}
	return f
}

// UserVerifications returns the verification of each user who has a contact: that of a contact that the institution
// created before that of a contact that the user created, and then a verified one before others. A category that
// excludes a verification in the newest report of any contact of the user holds for all.
func (s *Service) UserVerifications(ctx context.Context, userIDs ...string) (map[string]*ContactVerification, error) {
	out := map[string]*ContactVerification{}
	contacts, err := listAll(ctx, s.Store.Contacts(), listing.OneWord("userId", userIDs...))
	if err != nil || len(contacts) == 0 {
		return out, err
	}
	all, err := s.verifications(ctx, contacts, nil)
	if err != nil {
		return nil, err
	}
	rank := func(v *ContactVerification) int {
		switch own := v.Contact.OwnedBy(v.Contact.CreatedBy); {
		case !own && v.Decided.Verified:
			return 3
		case !own:
			return 2
		case v.Decided.Verified:
			return 1
		}
		return 0
	}
	blocked := map[string]VerificationDecision{}
	for _, c := range contacts {
		one := all[c.ID]
		if one.Decided.blocked {
			blocked[*c.UserID] = one.Decided
		}
		if is := out[*c.UserID]; is == nil || rank(one) > rank(is) {
			out[*c.UserID] = one
		}
	}
	for user, decision := range blocked {
		if v := out[user]; !v.Decided.blocked {
			v.Decided = decision
			v.Decided.Reasons = list(reasonOf(DecisionOtherContact))
		}
	}
	return out, nil
}

// UsersVerified reports for each user whether the policy considers the user verified.
func (s *Service) UsersVerified(ctx context.Context, userIDs ...string) (map[string]bool, error) {
	all, err := s.UserVerifications(ctx, userIDs...)
	out := make(map[string]bool, len(userIDs))
	for _, id := range userIDs {
		out[id] = all[id] != nil && all[id].Decided.Verified
	}
	return out, err
}

// InviteeVerifications returns the verifications of the users who accepted invitations, one for each: nil while the user
// is not known, and where the caller may not see it. The inviter sees only whether the invitee is verified.
func (s *Service) InviteeVerifications(ctx context.Context, list []*Invitation) ([]*ContactVerification, error) {
	a := ActorFrom(ctx)
	shown := func(i *Invitation) bool {
		return i.AcceptedBy != nil && (a.SeesAll() || a.ID == i.CreatedBy || a.ID == *i.AcceptedBy)
	}
	var userIDs []string
	for _, i := range list {
		if shown(i) {
			userIDs = append(userIDs, *i.AcceptedBy)
		}
	}
	out := make([]*ContactVerification, len(list))
	if len(userIDs) == 0 {
		return out, nil
	}
	all, err := s.UserVerifications(ctx, userIDs...)
	if err != nil {
		return nil, err
	}
	for n, i := range list {
		if !shown(i) || all[*i.AcceptedBy] == nil {
			continue
		}
		v := *all[*i.AcceptedBy]
		if !a.SeesAll() && a.ID != *i.AcceptedBy {
			decided := v.Decided
			v = ContactVerification{
				Verifications: []*Verification{},
				Decided: VerificationDecision{
					Verified: decided.Verified, Reasons: []VerificationReason{}, Missing: []VerificationRequirement{},
					EvaluatedAt: decided.EvaluatedAt, PolicyVersion: decided.PolicyVersion,
				},
			}
		}
		out[n] = &v
	}
	return out, nil
}

// verificationLife is the lifetime of a verification token (Identity, inputs).
const verificationLife = 24 * time.Hour

// attested is a result that a token can state.
type attested struct {
	head      *Meta
	method    VerificationType
	state     string
	contactID *string
	vouches   bool
	about     Fingerprint
	inputs    Identity
}

// tokens returns the verification tokens of results: signed statements of their states. A token is empty where the result
// does not count for a contact, or for the tax id, name or birth date that the contact had then. Its claims follow from
// the record alone: another state is another token, and the same state the same.
func (s *Service) tokens(ctx context.Context, results []attested) ([]string, error) {
	out := make([]string, len(results))
	var ids []string
	for _, r := range results {
		if r.contactID != nil && r.vouches {
			ids = append(ids, *r.contactID)
		}
	}
	if s.Attest == nil || len(ids) == 0 {
		return out, nil
	}
	contacts, err := s.Store.Contacts().GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	persons := map[string][]byte{}
	for _, c := range contacts {
		persons[c.ID] = s.identityFingerprint(c.Of).Person
	}
	for i, r := range results {
		if r.contactID == nil || !r.vouches {
			continue
		}
		if r.about.IsZero() {
			r.about = s.identityFingerprint(r.inputs)
		}
		if person := persons[*r.contactID]; person == nil || !bytes.Equal(person, r.about.Person) {
			continue
		}
		out[i], err = s.Attest(ctx, map[string]any{
			"iss": s.Settings.PublicURL, "sub": *r.contactID, "jti": r.head.ID + "." + strconv.Itoa(r.head.Version),
			"iat": r.head.UpdatedAt.Unix(), "exp": r.head.UpdatedAt.Add(verificationLife).Unix(), "method": string(r.method), "state": r.state,
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FraudRiskReportTokens returns the verification tokens of reports, one for each; empty where there is none.
func (s *Service) FraudRiskReportTokens(ctx context.Context, reports ...*FraudRiskReport) ([]string, error) {
	all := make([]attested, len(reports))
	for i, r := range reports {
		all[i] = attested{&r.Meta, VerifiedByReport, string(r.State), r.ContactID, r.Vouches, r.Fingerprint, r.Inputs}
	}
	return s.tokens(ctx, all)
}

// QuizTokens returns the verification tokens of quizzes in their present states, one for each; empty where there is none.
func (s *Service) QuizTokens(ctx context.Context, quizzes ...*Quiz) ([]string, error) {
	all := make([]attested, len(quizzes))
	for i, q := range quizzes {
		all[i] = attested{&q.Meta, VerifiedByQuiz, string(q.State), q.ContactID, q.Vouches, q.Fingerprint, q.Inputs}
	}
	return s.tokens(ctx, all)
}
