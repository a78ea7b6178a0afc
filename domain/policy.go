package domain

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/risk"
)

// VerificationPolicy defines when a contact is verified. It is data: an institution replaces it by a file.
type VerificationPolicy struct {
	// Verified lists the alternatives. A contact is verified if one of them is met and Never does not apply.
	Verified []PolicyCondition
	// Never lists the categories that prevent a verification while the newest report has them.
	Never []risk.Category
	// FourEyes requires a second person for approvals and for decisions of reviews.
	FourEyes bool
	// SelfService admits results that the contact's user ordered themselves, also for contacts that they made or changed.
	SelfService bool
	// Version identifies the content of the policy in decisions.
	Version string
	// Document is the policy as a file would have it.
	Document string
}

// PolicyCondition is one condition, or, with All, the conjunction of several. Exactly one of Report, Quiz, Approval and
// All is set.
type PolicyCondition struct {
	// Report is the required state of the newest report: passed (no category applies) or passedWithRiskFactors (the
	// categories that apply are among Categories).
	Report     FraudRiskReportState
	Categories []risk.Category
	// Quiz is the required state of the newest finished quiz: passed.
	Quiz QuizState
	// Approval is any.
	Approval string
	// MaxAge is the maximum age of the result; zero means any age.
	MaxAge time.Duration
	All    []PolicyCondition
}

// ApprovalAny is the value of PolicyCondition.Approval: an approval of any method.
const ApprovalAny = "any"

// listCategories are the categories of the watch lists. An approval overrides them only if it names them.
var listCategories = list(risk.IdentityOnGovernmentWatchlist, risk.IdentityOnAlertList)

// DefaultVerificationPolicy returns the policy that is in force unless an institution sets another one.
func DefaultVerificationPolicy() VerificationPolicy {
	return VerificationPolicy{
		Verified: []PolicyCondition{
			{Report: ReportPassed, MaxAge: 90 * 24 * time.Hour},
			{All: []PolicyCondition{
				{Report: ReportPassedWithRiskFactors, Categories: list(risk.NonStandardTaxID, risk.AddressIsPOBoxOrNonApproved)},
				{Quiz: QuizPassed},
			}},
			{Approval: ApprovalAny},
		},
		Never:   list(risk.IdentityOnGovernmentWatchlist, risk.IdentityOnAlertList, risk.PersonalInfoDoesNotMatch),
		Version: "built-in",
	}
}

// Check returns an error that describes what is wrong with the policy, or nil.
func (p VerificationPolicy) Check() error {
	if len(p.Verified) == 0 {
		return errors.New("verified: at least one condition is required")
	}
	for i, c := range p.Verified {
		if err := c.check(true); err != nil {
			return fmt.Errorf("verified[%d]: %w", i, err)
		}
	}
	return checkCategories("never", p.Never)
}

func (c PolicyCondition) check(nested bool) error {
	kinds := 0
	for _, is := range []bool{c.Report != "", c.Quiz != "", c.Approval != "", c.All != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("a condition has exactly one of report, quiz, approval and all")
	case c.Report != "" && c.Report != ReportPassed && c.Report != ReportPassedWithRiskFactors:
		return errors.New("report must be passed or passedWithRiskFactors")
	case c.Quiz != "" && c.Quiz != QuizPassed:
		return errors.New("quiz must be passed")
	case c.Approval != "" && c.Approval != ApprovalAny:
		return errors.New("approval must be any")
	case c.Categories != nil && c.Report != ReportPassedWithRiskFactors:
		return errors.New("categories belongs to report: passedWithRiskFactors")
	case c.Report == ReportPassedWithRiskFactors && len(c.Categories) == 0:
		return errors.New("report: passedWithRiskFactors requires categories")
	case c.MaxAge < 0:
		return errors.New("maxAge must be positive")
	case c.All != nil && c.MaxAge != 0:
		return errors.New("maxAge belongs to report, quiz or approval")
	case c.All != nil && (!nested || len(c.All) == 0):
		return errors.New("all must be a list of conditions that have no all of their own")
	}
	for i, one := range c.All {
		if err := one.check(false); err != nil {
			return fmt.Errorf("all[%d]: %w", i, err)
		}
	}
	return checkCategories("categories", c.Categories)
}

func checkCategories(member string, categories []risk.Category) error {
	for i, c := range categories {
		if !slices.Contains(risk.Categories(), c) {
			return fmt.Errorf("%s[%d]: unknown category", member, i)
		}
	}
	return nil
}

// VerificationReasonCode identifies a reason of a decision.
type VerificationReasonCode string

// The codes.
const (
	DecisionReportPassed       VerificationReasonCode = "reportPassed"       // the newest report has no category
	DecisionRiskAccepted       VerificationReasonCode = "riskAccepted"       // the policy accepts the categories of the newest report
	DecisionQuizPassed         VerificationReasonCode = "quizPassed"         // the newest quiz was passed
	DecisionApproved           VerificationReasonCode = "approved"           // the contact was approved
	DecisionNoReport           VerificationReasonCode = "noReport"           // there is no report that counts
	DecisionReportFailed       VerificationReasonCode = "reportFailed"       // no record matched the person
	DecisionReportExpired      VerificationReasonCode = "reportExpired"      // the newest report is older than the policy permits
	DecisionRiskFactors        VerificationReasonCode = "riskFactors"        // the policy does not accept the categories of the newest report
	DecisionNeverCategory      VerificationReasonCode = "neverCategory"      // the newest report has a category that excludes a verification
	DecisionNeedsReview        VerificationReasonCode = "needsReview"        // the same, for callers who must not see the category
	DecisionScreeningPartial   VerificationReasonCode = "screeningPartial"   // the name could not be compared with all lists
	DecisionNoQuiz             VerificationReasonCode = "noQuiz"             // there is no passed quiz that counts
	DecisionSecondApproval     VerificationReasonCode = "secondApproval"     // a second person has not approved yet
	DecisionIdentityMissing    VerificationReasonCode = "identityMissing"    // the contact lacks tax id, name or birth date
	DecisionSelfOrdered        VerificationReasonCode = "selfOrdered"        // there are results, but the user ordered them themselves
	DecisionOtherContact       VerificationReasonCode = "otherContact"       // another contact of the same user excludes a verification
	DecisionIdentitySuperseded VerificationReasonCode = "identitySuperseded" // the results are about an identity that has changed since
)

// decisionMessages has the messages of the codes, for people.
var decisionMessages = map[VerificationReasonCode]string{
	DecisionReportPassed:       "The newest fraud-risk report was passed.",
	DecisionRiskAccepted:       "The policy accepts the risk factors of the newest fraud-risk report.",
	DecisionQuizPassed:         "The newest quiz was passed.",
	DecisionApproved:           "The contact was approved.",
	DecisionNoReport:           "There is no fraud-risk report that counts.",
	DecisionReportFailed:       "The newest fraud-risk report failed.",
	DecisionReportExpired:      "The newest fraud-risk report is too old.",
	DecisionRiskFactors:        "The newest fraud-risk report has risk factors that the policy does not accept.",
	DecisionNeverCategory:      "The newest fraud-risk report has a risk factor that only an approval can override.",
	DecisionNeedsReview:        "The contact needs a review.",
	DecisionScreeningPartial:   "The name could not be compared with all entries of the lists.",
	DecisionNoQuiz:             "There is no passed quiz that counts.",
	DecisionSecondApproval:     "A second person must approve the contact with the same overrides.",
	DecisionIdentityMissing:    "The contact lacks a tax id, a name or a birth date.",
	DecisionSelfOrdered:        "The contact's user ordered the results themselves, and the policy requires another orderer.",
	DecisionOtherContact:       "Another contact of the user needs a review.",
	DecisionIdentitySuperseded: "The tax id, the name or the birth date has changed since the results.",
}

// VerificationReason is one reason of a decision.
type VerificationReason struct {
	Code    VerificationReasonCode
	Message string
}

// VerificationRequirement is something that a contact needs to be verified.
type VerificationRequirement string

// The requirements.
const (
	RequireIdentity VerificationRequirement = "identity"
	RequireReport   VerificationRequirement = "report"
	RequireQuiz     VerificationRequirement = "quiz"
	RequireApproval VerificationRequirement = "approval"
)

// VerificationDecision is the result of the policy for a contact.
type VerificationDecision struct {
	Verified bool
	Reasons  []VerificationReason
	// Missing lists what would verify the contact: any one of the requirements, in addition to what is there.
	Missing       []VerificationRequirement
	EvaluatedAt   time.Time
	PolicyVersion string
	// blocked is set where a category of Never applies.
	blocked bool
}

// decisionFacts has the results about a contact that the policy considers.
type decisionFacts struct {
	contact *Contact
	// person is the fingerprint of the contact as it is now; nil where it lacks a part of it.
	person []byte
	// reports, quizzes and approvals are about the contact, oldest first, those that are superseded excluded.
	reports   []*FraudRiskReport
	quizzes   []*Quiz
	approvals []*Approval
	// ignored is set where results do not count because the user ordered them; superseded where they are about another
	// identity.
	ignored, superseded bool
	// dismissed returns the categories of a report all of whose matches were dismissed.
	dismissed func(*FraudRiskReport) []risk.Category
	// partial reports whether the screening of a report was partial, and no review has cleared it.
	partial func(*FraudRiskReport) bool
}

func last[R any](records []*R) *R {
	if len(records) == 0 {
		return nil
	}
	return records[len(records)-1]
}

// evaluation is one evaluation of a policy.
type evaluation struct {
	policy VerificationPolicy
	facts  decisionFacts
	now    time.Time
	report *FraudRiskReport
	quiz   *Quiz
	// categories are those of the report that apply, after dismissals and overrides.
	categories []risk.Category
	// overridden is set where an approval overrides some of them.
	overridden bool
	// approval is the newest one that counts.
	approval *Approval
	reasons  []VerificationReason
	met      []VerificationReason
}

// decide evaluates the policy.
func (p VerificationPolicy) decide(f decisionFacts, now time.Time) VerificationDecision {
	out := VerificationDecision{EvaluatedAt: now, PolicyVersion: p.Version}
	e := &evaluation{policy: p, facts: f, now: now, report: last(f.reports), quiz: last(f.quizzes)}
	if f.person == nil {
		out.Reasons, out.Missing = []VerificationReason{reasonOf(DecisionIdentityMissing)}, list(RequireIdentity)
		return out
	}
	waiting := e.approvals()
	e.effective()
	if slices.ContainsFunc(e.categories, func(c risk.Category) bool { return slices.Contains(p.Never, c) }) {
		out.blocked, out.Reasons, out.Missing = true, []VerificationReason{reasonOf(DecisionNeverCategory)}, list(RequireApproval)
		return out
	}
	var missing [][]VerificationRequirement
	for _, c := range p.Verified {
		e.met = nil
		needs, possible := e.holds(c)
		if len(needs) == 0 && possible {
			out.Verified, out.Reasons, out.Missing = true, e.met, []VerificationRequirement{}
			return out
		}
		if possible {
			missing = append(missing, needs)
		}
	}
	for code, applies := range map[VerificationReasonCode]bool{
		DecisionSecondApproval: waiting, DecisionSelfOrdered: f.ignored, DecisionIdentitySuperseded: f.superseded,
	} {
		if applies {
			e.because(code)
		}
	}
	slices.SortFunc(e.reasons, func(a, b VerificationReason) int { return cmp.Compare(a.Code, b.Code) })
	out.Reasons, out.Missing = e.reasons, smallest(missing)
	return out
}

func reasonOf(code VerificationReasonCode) VerificationReason {
	return VerificationReason{code, decisionMessages[code]}
}

func (e *evaluation) because(code VerificationReasonCode) {
	if r := reasonOf(code); !slices.Contains(e.reasons, r) {
		e.reasons = append(e.reasons, r)
	}
}

// approvals selects the newest approval that counts, and reports whether one waits for a second person.
func (e *evaluation) approvals() (waiting bool) {
	for _, a := range slices.Backward(e.facts.approvals) {
		if e.counts(a) {
			e.approval = a
			return false
		}
		waiting = true
	}
	return waiting
}

// counts reports whether an approval is in force: with four eyes, if another person has approved the same overrides.
func (e *evaluation) counts(a *Approval) bool {
	if !e.policy.FourEyes {
		return true
	}
	return slices.ContainsFunc(e.facts.approvals, func(b *Approval) bool {
		return b.ApprovedBy != a.ApprovedBy && sameSet(a.Overrides, b.Overrides) && bytes.Equal(a.Fingerprint.Person, b.Fingerprint.Person) &&
			equal(a.ReportID, b.ReportID)
	})
}

func sameSet[T cmp.Ordered](a, b []T) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

func equal[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// effective computes the categories of the newest report that apply: not dismissed, and not overridden by an approval of
// that very report.
func (e *evaluation) effective() {
	if e.report == nil {
		return
	}
	var dismissed []risk.Category
	if e.facts.dismissed != nil {
		dismissed = e.facts.dismissed(e.report)
	}
	for _, c := range e.report.Findings {
		switch {
		case slices.Contains(dismissed, c.Type):
		case slices.ContainsFunc(e.facts.approvals, func(a *Approval) bool { return e.counts(a) && a.overrides(e.report, c.Type) }):
			e.overridden = true
		default:
			e.categories = append(e.categories, c.Type)
		}
	}
}

// overrides reports whether the approval overrides a category of a report: the newest one at the time of the approval.
func (a *Approval) overrides(r *FraudRiskReport, c risk.Category) bool {
	if a.ReportID == nil || *a.ReportID != r.ID {
		return false
	}
	return !slices.Contains(listCategories, c) || slices.Contains(a.Overrides, c)
}

// holds reports what a condition lacks. It is not possible where nothing but a change of the contact could meet it.
func (e *evaluation) holds(c PolicyCondition) (missing []VerificationRequirement, possible bool) {
	fresh := func(at time.Time) bool { return c.MaxAge == 0 || !e.now.After(at.Add(c.MaxAge)) }
	switch {
	case c.All != nil:
		possible = true
		for _, one := range c.All {
			needs, could := e.holds(one)
			missing, possible = append(missing, needs...), possible && could
		}
		return missing, possible
	case c.Approval != "":
		if e.approval != nil && fresh(e.approval.CreatedAt) {
			e.met = append(e.met, reasonOf(DecisionApproved))
			return nil, true
		}
		return list(RequireApproval), true
	case c.Quiz != "":
		if e.quiz != nil && e.quiz.State == QuizPassed && fresh(e.quiz.UpdatedAt) {
			e.met = append(e.met, reasonOf(DecisionQuizPassed))
			return nil, true
		}
		e.because(DecisionNoQuiz)
		return list(RequireQuiz), true
	}
	switch {
	case e.report == nil:
		e.because(DecisionNoReport)
		return list(RequireReport), true
	case e.report.State == ReportFailed:
		e.because(DecisionReportFailed)
		return nil, false
	case slices.ContainsFunc(e.categories, func(one risk.Category) bool { return !slices.Contains(c.Categories, one) }):
		e.because(DecisionRiskFactors)
		return nil, false
	case e.facts.partial != nil && e.facts.partial(e.report):
		e.because(DecisionScreeningPartial)
		return list(RequireApproval), true
	case !fresh(e.report.CreatedAt):
		e.because(DecisionReportExpired)
		return list(RequireReport), true
	case e.overridden:
		e.met = append(e.met, reasonOf(DecisionApproved))
	case len(e.categories) > 0:
		e.met = append(e.met, reasonOf(DecisionRiskAccepted))
	default:
		e.met = append(e.met, reasonOf(DecisionReportPassed))
	}
	return nil, true
}

// smallest returns what the alternatives with the fewest requirements lack, each requirement once.
func smallest(alternatives [][]VerificationRequirement) []VerificationRequirement {
	out := []VerificationRequirement{}
	least := 0
	for _, a := range alternatives {
		if least == 0 || len(a) < least {
			least = len(a)
		}
	}
	for _, a := range alternatives {
		if len(a) != least {
			continue
		}
		for _, r := range a {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}
