package domain

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
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
)

// Verification is one finished result for a contact.
type Verification struct {
	Type       VerificationType
	State      VerificationState
	VerifiedAt time.Time
	// Source is the id of the report, the quiz or the approval.
	Source string
}

// ContactVerification has all finished results for a contact.
type ContactVerification struct {
	Contact *Contact
	// Verifications are oldest first.
	Verifications []*Verification
}

// Passed reports whether one of the verifications was passed.
func (v *ContactVerification) Passed() bool {
	return slices.ContainsFunc(v.Verifications, func(one *Verification) bool { return one.State == VerificationPassed })
}

// ContactVerification returns the finished results for a contact, oldest first: all reports and approvals, and the
// quizzes that were passed or failed. types selects some of them; none means all.
// Refuses with InvalidContactLink (the contact does not exist, or the caller may not see it).
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

// verifications returns the results for contacts, by contact id. The number of statements does not depend on the number
// of contacts.
func (s *Service) verifications(
	ctx context.Context, contacts []*Contact, types []VerificationType,
) (map[string]*ContactVerification, error) {
	wanted := func(t VerificationType) bool { return len(types) == 0 || slices.Contains(types, t) }
	out := make(map[string]*ContactVerification, len(contacts))
	ids := make([]string, 0, len(contacts))
	for _, c := range contacts {
		ids = append(ids, c.ID)
		out[c.ID] = &ContactVerification{Contact: c, Verifications: []*Verification{}}
	}
	add := func(contactID string, v *Verification) {
		out[contactID].Verifications = append(out[contactID].Verifications, v)
	}
	about := listing.OneWord("contactId", ids...)
	vouching := listing.All(about, listing.Eq("vouches", true))
	if wanted(VerifiedByReport) {
		all, err := listAll(ctx, s.Store.FraudRiskReports(), vouching)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			state := VerificationPassed
			if r.State == ReportFailed {
				state = VerificationFailed
			}
			add(*r.ContactID, &Verification{VerifiedByReport, state, r.CreatedAt, r.ID})
		}
	}
	if wanted(VerifiedByQuiz) {
		all, err := listAll(ctx, s.Store.Quizzes(), listing.All(vouching, listing.OneWord("outputs.state", QuizPassed, QuizFailed)))
		if err != nil {
			return nil, err
		}
		for _, q := range all {
			state := VerificationPassed
			if q.State == QuizFailed {
				state = VerificationFailed
			}
			add(*q.ContactID, &Verification{VerifiedByQuiz, state, q.UpdatedAt, q.ID})
		}
	}
	if wanted(VerifiedByApproval) {
		all, err := listAll(ctx, s.Store.Approvals(), about)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			add(a.ContactID, &Verification{VerifiedByApproval, VerificationPassed, a.CreatedAt, a.ID})
		}
	}
	for _, v := range out {
		slices.SortStableFunc(v.Verifications, func(a, b *Verification) int {
			return cmp.Or(a.VerifiedAt.Compare(b.VerifiedAt), cmp.Compare(a.Source, b.Source))
		})
	}
	return out, nil
}

// UserVerifications returns the verifications of the users' contacts, by user: of several contacts the first that has
// passed, otherwise the first. It omits users without a contact.
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
	for _, c := range contacts {
		if is := out[*c.UserID]; is == nil || !is.Passed() && all[c.ID].Passed() {
			out[*c.UserID] = all[c.ID]
		}
	}
	return out, nil
}

// UsersVerified reports for each user whether a contact of the user has passed a report, a quiz or an approval.
func (s *Service) UsersVerified(ctx context.Context, userIDs ...string) (map[string]bool, error) {
	all, err := s.UserVerifications(ctx, userIDs...)
	out := make(map[string]bool, len(userIDs))
	for _, id := range userIDs {
		out[id] = all[id] != nil && all[id].Passed()
	}
	return out, err
}

// InviteeVerifications returns the verifications of the users who accepted the invitations, one for each: nil if the
// user is unknown or the caller may not see the verification.
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
			v.Contact = nil // the inviter may see the result, but not the person
		}
		out[n] = &v
	}
	return out, nil
}

// verificationLife is the lifetime of a verification token (Identity, inputs).
const verificationLife = 24 * time.Hour

// verificationToken returns a signed token with the state of a verification; empty if the record does not count for a
// contact. Its claims depend only on the record: every state has its own token, and the same state always the same one.
func (s *Service) verificationToken(
	ctx context.Context, head *Meta, method VerificationType, state string, contactID *string, vouches bool,
) (string, error) {
	if contactID == nil || !vouches || s.Attest == nil {
		return "", nil
	}
	return s.Attest(ctx, map[string]any{
		"iss": s.Settings.PublicURL, "sub": *contactID, "jti": head.ID + "." + strconv.Itoa(head.Version),
		"iat": head.UpdatedAt.Unix(), "exp": head.UpdatedAt.Add(verificationLife).Unix(), "method": string(method), "state": state,
	})
}

// FraudRiskReportToken returns the verification token of a report; empty if there is none.
func (s *Service) FraudRiskReportToken(ctx context.Context, r *FraudRiskReport) (string, error) {
	return s.verificationToken(ctx, &r.Meta, VerifiedByReport, string(r.State), r.ContactID, r.Vouches)
}

// QuizToken returns the verification token of a quiz in the state of q; empty if there is none.
func (s *Service) QuizToken(ctx context.Context, q *Quiz) (string, error) {
	return s.verificationToken(ctx, &q.Meta, VerifiedByQuiz, string(q.State), q.ContactID, q.Vouches)
}
