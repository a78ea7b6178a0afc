package domain

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// Review is the work of a reviewer on a report whose person may be on a list of people, or could not be compared with
// it (verification, section 6; console). It is created together with the report. Only the institution sees it.
type Review struct {
	Meta
	State             ReviewState
	FraudRiskReportID string
	// ContactID is the contact of the report; nil where it has none.
	ContactID *string
	// Person is the fingerprint of the screened person; the id of the report where the person has none.
	Person []byte
	// Hits are the list entries to decide about. What a caller may see of them is in Matches.
	Hits []ReviewMatch
	// Partial is set where the name could not be compared with all entries of the lists.
	Partial bool
	// TakenBy is the reviewer who has taken the review; nil while nobody has.
	TakenBy *string
	// Decision, DecidedBy, DecidedAt and Reason are nil before the decision.
	Decision  *ReviewDecision
	DecidedBy *string
	DecidedAt *time.Time
	Reason    *string
	// Unconfirmed is set while the decision has no effect, because a second person must confirm it.
	Unconfirmed bool
	// ConfirmedBy is the second person; nil where there is none.
	ConfirmedBy *string
}

// ReviewMatch is a list entry that a person may be.
type ReviewMatch struct {
	// Entry is the id of the list entry.
	Entry    string        `json:"entry"`
	Category risk.Category `json:"category"`
	// Version identifies the content of the entry when it was compared.
	Version string `json:"version"`
	// DismissedBy, DismissedAt and Reason are nil unless a reviewer has dismissed the match.
	DismissedBy *string    `json:"dismissedBy"`
	DismissedAt *time.Time `json:"dismissedAt"`
	Reason      *string    `json:"reason"`
}

// Matches returns the list entries to decide about, to reviewers.
func (r *Review) Matches(ctx context.Context) []ReviewMatch {
	if !ActorFrom(ctx).Reviewer() {
		return nil
	}
	return r.Hits
}

// Head returns the part that all records share.
func (r *Review) Head() *Meta { return &r.Meta }

// KindReview is the kind.
const KindReview Kind = "review"

// Kind names the machine.
func (*Review) Kind() Kind { return KindReview }

// ReviewState is the state of a review.
type ReviewState string

// The states; reviewMachine describes how each is reached.
const (
	ReviewOpen    ReviewState = "open"
	ReviewTaken   ReviewState = "taken"
	ReviewDecided ReviewState = "decided"
)

// ReviewDecision is the result of a review.
type ReviewDecision string

// The decisions.
const (
	// ReviewCleared: the person is none of the list entries.
	ReviewCleared ReviewDecision = "cleared"
	// ReviewConfirmed: the matches that were not dismissed stay.
	ReviewConfirmed ReviewDecision = "confirmed"
)

// ReviewTransition is a verb of the machine.
type ReviewTransition string

// The transitions.
const (
	ReviewTake    ReviewTransition = "take"
	ReviewRelease ReviewTransition = "release"
	ReviewDismiss ReviewTransition = "dismiss"
	ReviewDecide  ReviewTransition = "decide"
	ReviewConfirm ReviewTransition = "confirm"
)

type reviewRow = lifecycle.Row[ReviewState, ReviewTransition, Role]

var reviewMachine = &lifecycle.Machine[ReviewState, ReviewTransition, Role]{
	Name: string(KindReview), Start: ReviewOpen, Clock: RoleClock,
	Create: "openReview", CreateWithin: "createFraudRiskReport", CreateBy: list(RoleAnyone),
	States: []lifecycle.State[ReviewState]{
		{Name: ReviewOpen, Help: "A report has a match with a list of people, or a name that could not be compared. A reviewer may take or decide it."},
		{Name: ReviewTaken, Help: "A reviewer works on it. The others may not decide it until it is released."},
		{
			Name: ReviewDecided,
			Help: "A reviewer decided. Where the policy requires four eyes, the decision has no effect until a second person confirms it.",
		},
	},
	Transitions: []reviewRow{
		{On: ReviewTake, Operation: "takeReview", From: list(ReviewOpen), To: list(ReviewTaken), By: list(RoleAdmin), Else: reviewIsTaken},
		{
			On: ReviewRelease, Operation: "releaseReview", From: list(ReviewTaken, ReviewDecided), To: list(ReviewOpen), By: list(RoleAdmin),
			Else: func(ReviewState) *problem.Definition { return problem.ReviewNotTaken },
		},
		{
			On: ReviewDismiss, Operation: "dismissMatch", From: list(ReviewOpen, ReviewTaken), To: list(ReviewOpen, ReviewTaken, ReviewDecided),
			By: list(RoleAdmin), Else: reviewIsDecided,
		},
		{
			On: ReviewDecide, Operation: "decideReview", From: list(ReviewOpen, ReviewTaken), To: list(ReviewDecided), By: list(RoleAdmin),
			Else: reviewIsDecided,
		},
		{
			On: ReviewConfirm, Operation: "confirmReview", From: list(ReviewDecided), To: list(ReviewDecided), By: list(RoleAdmin),
			Else: func(ReviewState) *problem.Definition { return problem.ReviewNotDecided },
		},
	},
}

func reviewIsTaken(state ReviewState) *problem.Definition {
	if state == ReviewDecided {
		return problem.ReviewAlreadyDecided
	}
	return problem.ReviewTaken
}

func reviewIsDecided(ReviewState) *problem.Definition { return problem.ReviewAlreadyDecided }

var reviews = &life[Review, ReviewState, ReviewTransition]{
	kind: KindReview, machine: reviewMachine,
	shelf: func(s Store) Shelf[Review] { return s.Reviews() },
	head:  func(r *Review) *Meta { return &r.Meta },
	state: func(r *Review) *ReviewState { return &r.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, _ *Review) ([]Role, bool, error) {
		return a.staffRoles(), a.Institution(), nil
	},
	dummy: func() *Review { return &Review{} },
	due:   never[Review, ReviewState, ReviewTransition],
	allow: func(ctx context.Context, _ *Service, _ *Prefetched, on ReviewTransition, r *Review) *problem.Problem {
		return r.mayMove(ActorFrom(ctx), on)
	},
	concerns: func(*Review) []string { return []string{} },
	missing:  problem.NoSuchReview, denied: problem.AccessDenied, member: "reviewId",
}

// mayMove returns the refusal of a transition by this reviewer; nil where the review permits it.
func (r *Review) mayMove(a Actor, on ReviewTransition) *problem.Problem {
	switch on {
	case ReviewDismiss, ReviewDecide:
		if r.TakenBy != nil && *r.TakenBy != a.ID {
			return problem.New(problem.ReviewTaken)
		}
	case ReviewRelease:
		if r.State == ReviewDecided && !r.Unconfirmed {
			return problem.New(problem.ReviewAlreadyDecided)
		}
	case ReviewConfirm:
		switch {
		case !r.Unconfirmed:
			return problem.New(problem.ReviewAlreadyDecided)
		case r.tookPart(a.ID):
			return problem.New(problem.SecondPersonRequired)
		}
	case ReviewTake:
	}
	return nil
}

// tookPart reports whether a user decided the review or dismissed a match of it.
func (r *Review) tookPart(userID string) bool {
	if r.DecidedBy != nil && *r.DecidedBy == userID {
		return true
	}
	return slices.ContainsFunc(r.Hits, func(m ReviewMatch) bool { return m.DismissedBy != nil && *m.DismissedBy == userID })
}

// ReviewSchema has the fields by which reviews can be selected and ordered.
var ReviewSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: reviewMachine.StateNames()},
	{Name: "fraudRiskReportId", Type: listing.ID},
	{Name: "contactId", Type: listing.ID},
	{Name: "takenBy", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
	{Name: "updatedAt", Type: listing.Time},
}}

// ReviewValue reads a field of a review.
func ReviewValue(r *Review, field string) listing.Value {
	word := func(v *string) listing.Value {
		if v == nil {
			return nil
		}
		return *v
	}
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "fraudRiskReportId":
		return r.FraudRiskReportID
	case "contactId":
		return word(r.ContactID)
	case "takenBy":
		return word(r.TakenBy)
	case "createdAt":
		return r.CreatedAt
	case "updatedAt":
		return r.UpdatedAt
	}
	return nil
}

// Dismissal is the fact that a person is not a list entry. It holds until either changes.
type Dismissal struct {
	// ID is a keyed hash of the person and the content of the entry.
	ID string
	// ReviewID is the review in which the match was dismissed.
	ReviewID string
	At       time.Time
}

// Dismissals stores dismissals; Unit.Changes adds them.
type Dismissals interface {
	// Dismissed returns which of the dismissals exist.
	Dismissed(ctx context.Context, ids []string) (map[string]bool, error)
}

// dismissalID returns the id of the dismissal of an entry for a person.
func (s *Service) dismissalID(person []byte, entry, version string) string {
	return hex.EncodeToString(s.KeyedHash("dismissal", string(person), entry, version)[:fingerprintSize])
}

// partialID returns the id of the dismissal of a partial screening, which holds for that report alone.
func (s *Service) partialID(person []byte, reportID string) string {
	return s.dismissalID(person, "", reportID)
}

// reviewPerson is the person of a report in dismissals.
func (r *FraudRiskReport) reviewPerson() []byte {
	if r.Fingerprint.Person != nil {
		return r.Fingerprint.Person
	}
	return []byte(r.ID)
}

// reviewIDOf returns the id of a report's review: there is at most one.
func reviewIDOf(reportID string) string { return "rev_" + strings.TrimPrefix(reportID, "frr_") }

// matchesOf returns the matches of a report with lists of people, each entry of a category once.
func matchesOf(r *FraudRiskReport) []ReviewMatch {
	var out []ReviewMatch
	for _, c := range r.Findings {
		if !slices.Contains(listCategories, c.Type) {
			continue
		}
		for _, e := range c.Evidence {
			if e.Entry != nil && !slices.ContainsFunc(out, func(m ReviewMatch) bool { return m.Entry == *e.Entry && m.Category == c.Type }) {
				out = append(out, ReviewMatch{Entry: *e.Entry, Category: c.Type, Version: e.EntryVersion})
			}
		}
	}
	return out
}

// reviewFor returns the review that a report needs; nil where it needs none.
func (s *Service) reviewFor(r *FraudRiskReport) *Review {
	matches, partial := matchesOf(r), r.Held != nil && r.Held.Partial
	if len(matches) == 0 && !partial {
		return nil
	}
	return &Review{
		Meta:  Meta{ID: reviewIDOf(r.ID), Version: 1, CreatedAt: r.CreatedAt, UpdatedAt: r.CreatedAt},
		State: reviewMachine.Start, FraudRiskReportID: r.ID, ContactID: r.ContactID, Person: r.reviewPerson(), Hits: matches, Partial: partial,
	}
}

// addReview adds the review that a report needs to the unit.
func (s *Service) addReview(u *Unit, report *FraudRiskReport) {
	r := s.reviewFor(report)
	if r == nil {
		return
	}
	event := s.event(KindReview, &r.Meta, reviewMachine.Create, "", string(r.State), r.CreatedAt, reviews.concerns(r))
	event.ActorID = report.CreatedBy
	u.Changes = append(u.Changes, Change{Record: r})
	u.Events = append(u.Events, event)
}

// ensureReview opens the review of a report from before there were reviews.
func (s *Service) ensureReview(ctx context.Context, report *FraudRiskReport) error {
	u := &Unit{}
	s.addReview(u, report)
	if len(u.Changes) == 0 { // most reports need none, which takes no lookup
		return nil
	}
	if _, err := s.Store.Reviews().Get(ctx, reviewIDOf(report.ID)); !errors.Is(err, ErrMissing) {
		return err
	}
	if err := s.commit(ctx, u); err != nil && !errors.Is(err, ErrStale) { // stale: another call has opened it
		return err
	}
	return nil
}

// ReviewInput names a review.
type ReviewInput struct {
	ReviewID string `json:"reviewId" validate:"required,max=128"`
	Guard
}

// TakeReview reserves a review for the caller.
// Refuses with AccessDenied, NoSuchReview, StaleVersion, ReviewTaken, ReviewAlreadyDecided and IdempotencyKeyReused.
func (s *Service) TakeReview(ctx context.Context, in ReviewInput) (Outcome[Review], error) {
	return s.moveReview(ctx, "takeReview", in, in.ReviewID, in.Guard, nil, ReviewTake,
		func(_ context.Context, ch *change[Review]) (ReviewState, error) {
			ch.Record.TakenBy = &ch.Actor.ID
			return ReviewTaken, nil
		})
}

// ReleaseReview returns a review to the queue: one that somebody has taken, or one whose decision nobody has confirmed.
// That decision is discarded.
// Refuses with AccessDenied, NoSuchReview, StaleVersion, ReviewNotTaken, ReviewAlreadyDecided and IdempotencyKeyReused.
func (s *Service) ReleaseReview(ctx context.Context, in ReviewInput) (Outcome[Review], error) {
	return s.moveReview(ctx, "releaseReview", in, in.ReviewID, in.Guard, nil, ReviewRelease,
		func(_ context.Context, ch *change[Review]) (ReviewState, error) {
			r := ch.Record
			if r.State == ReviewDecided {
				r.Hits = slices.Clone(r.Hits)
				for i := range r.Hits {
					r.Hits[i].DismissedBy, r.Hits[i].DismissedAt, r.Hits[i].Reason = nil, nil, nil
				}
			}
			r.TakenBy, r.Decision, r.DecidedBy, r.DecidedAt, r.Reason, r.Unconfirmed = nil, nil, nil, nil, nil, false
			return ReviewOpen, nil
		})
}

// DismissMatchInput names a list entry in a report that the person is not.
type DismissMatchInput struct {
	FraudRiskReportID string `json:"fraudRiskReportId" validate:"required,max=128"`
	// Entry is the id of the list entry.
	Entry  string `json:"entry" validate:"required,min=1,max=256"`
	Reason string `json:"reason" validate:"required,min=1,max=512,printable"`
	Guard
}

// DismissMatch remembers that the person of a report is not a list entry, until either changes. Dismissing the last match
// decides the review of the report.
// Refuses with AccessDenied, InvalidInput, NoSuchFraudRiskReport, NoSuchMatch, StaleVersion, ReviewTaken,
// ReviewAlreadyDecided and IdempotencyKeyReused.
func (s *Service) DismissMatch(ctx context.Context, in DismissMatchInput) (Outcome[Review], error) {
	const operation = "dismissMatch"
	if _, err := s.begin(ctx, operation, in); err != nil {
		return Outcome[Review]{}, err
	}
	report, err := show(ctx, s, reports, in.FraudRiskReportID)
	if err != nil {
		return Outcome[Review]{}, err
	}
	if err := s.ensureReview(ctx, report); err != nil {
		return Outcome[Review]{}, err
	}
	if !slices.ContainsFunc(matchesOf(report), func(m ReviewMatch) bool { return m.Entry == in.Entry }) {
		return Outcome[Review]{}, problem.Note(ctx, problem.New(problem.NoSuchMatch).At("entry"))
	}
	return s.moveReview(ctx, operation, in, reviewIDOf(report.ID), in.Guard, list(in.Entry, in.Reason), ReviewDismiss,
		func(_ context.Context, ch *change[Review]) (ReviewState, error) {
			r := ch.Record
			dismiss(ch, in.Reason, func(m ReviewMatch) bool { return m.Entry == in.Entry })
			open := slices.ContainsFunc(r.Hits, func(m ReviewMatch) bool { return m.DismissedBy == nil })
			switch {
			case !open && !r.Partial:
				return s.decideReview(ch, ReviewCleared, in.Reason), nil
			case !s.policyInForce().FourEyes:
				s.addDismissals(ch)
			}
			return r.State, nil
		})
}

// dismiss marks the selected matches as dismissed.
func dismiss(ch *change[Review], reason string, selects func(ReviewMatch) bool) {
	r := ch.Record
	r.Hits = slices.Clone(r.Hits)
	for i := range r.Hits {
		if m := &r.Hits[i]; m.DismissedBy == nil && selects(*m) {
			m.DismissedBy, m.DismissedAt, m.Reason = &ch.Actor.ID, &ch.Now, &reason
		}
	}
}

// addDismissals adds the dismissals of a review to the unit. One that exists already is not an error.
func (s *Service) addDismissals(ch *change[Review]) {
	r := ch.Record
	for _, m := range r.Hits {
		if m.DismissedBy != nil {
			ch.Changes = append(ch.Changes, Change{Record: &Dismissal{s.dismissalID(r.Person, m.Entry, m.Version), r.ID, ch.Now}})
		}
	}
	if r.Partial && r.Decision != nil && *r.Decision == ReviewCleared {
		ch.Changes = append(ch.Changes, Change{Record: &Dismissal{s.partialID(r.Person, r.FraudRiskReportID), r.ID, ch.Now}})
	}
}

// decideReview sets the decision. With four eyes it waits for a second person.
func (s *Service) decideReview(ch *change[Review], decision ReviewDecision, reason string) ReviewState {
	r := ch.Record
	r.Decision, r.DecidedBy, r.DecidedAt, r.Reason = &decision, &ch.Actor.ID, &ch.Now, &reason
	r.Unconfirmed = s.policyInForce().FourEyes
	if !r.Unconfirmed {
		s.addDismissals(ch)
	}
	return ReviewDecided
}

// DecideReviewInput has the decision about a review.
type DecideReviewInput struct {
	ReviewID string         `json:"reviewId" validate:"required,max=128"`
	Decision ReviewDecision `json:"decision" validate:"required,oneof=cleared confirmed"`
	Reason   string         `json:"reason" validate:"required,min=1,max=512,printable"`
	Guard
}

// DecideReview decides about all matches of a review that nobody has dismissed: cleared dismisses them, confirmed keeps
// them. Where the policy requires four eyes, the decision counts when a second person has confirmed it.
// Refuses with AccessDenied, InvalidInput, NoSuchReview, StaleVersion, ReviewTaken, ReviewAlreadyDecided and
// IdempotencyKeyReused.
func (s *Service) DecideReview(ctx context.Context, in DecideReviewInput) (Outcome[Review], error) {
	return s.moveReview(ctx, "decideReview", in, in.ReviewID, in.Guard, list(string(in.Decision), in.Reason), ReviewDecide,
		func(_ context.Context, ch *change[Review]) (ReviewState, error) {
			if in.Decision == ReviewCleared {
				dismiss(ch, in.Reason, func(ReviewMatch) bool { return true })
			}
			return s.decideReview(ch, in.Decision, in.Reason), nil
		})
}

// ConfirmReview confirms the decision of another reviewer, who must not have taken part in it.
// Refuses with AccessDenied, NoSuchReview, StaleVersion, ReviewNotDecided, ReviewAlreadyDecided, SecondPersonRequired and
// IdempotencyKeyReused.
func (s *Service) ConfirmReview(ctx context.Context, in ReviewInput) (Outcome[Review], error) {
	return s.moveReview(ctx, "confirmReview", in, in.ReviewID, in.Guard, nil, ReviewConfirm,
		func(_ context.Context, ch *change[Review]) (ReviewState, error) {
			ch.Record.Unconfirmed, ch.Record.ConfirmedBy = false, &ch.Actor.ID
			s.addDismissals(ch)
			return ReviewDecided, nil
		})
}

// moveReview makes a transition of a review, if the review permits it to this reviewer.
func (s *Service) moveReview(
	ctx context.Context, operation string, input any, id string, guard Guard, parts []string, on ReviewTransition,
	effect func(context.Context, *change[Review]) (ReviewState, error),
) (Outcome[Review], error) {
	if _, err := s.begin(ctx, operation, input); err != nil {
		return Outcome[Review]{}, err
	}
	c := call{operation: operation, id: id, guard: guard, parts: parts}
	return apply(ctx, s, reviews, c, on, func(ctx context.Context, ch *change[Review]) (ReviewState, error) {
		if p := ch.Record.mayMove(ch.Actor, on); p != nil {
			return "", p
		}
		return effect(ctx, ch)
	})
}

// Review returns a review to the institution.
// Refuses with NoSuchReview.
func (s *Service) Review(ctx context.Context, id string) (*Review, error) {
	if err := s.Permit(ctx, "review"); err != nil {
		return nil, err
	}
	return show(ctx, s, reviews, id)
}

// Reviews lists reviews, for the institution.
// Refuses with AccessDenied, InvalidInput and InvalidParameter.
func (s *Service) Reviews(ctx context.Context, q listing.Query) (listing.Page[Review], error) {
	if err := s.Permit(ctx, "reviews"); err != nil {
		return listing.Page[Review]{}, err
	}
	if !ActorFrom(ctx).Institution() {
		return listing.Page[Review]{}, problem.Note(ctx, problem.New(problem.AccessDenied))
	}
	return s.Store.Reviews().List(ctx, q)
}

// ReviewsOf returns the review of each report; nil where there is none, and for callers who must not see it.
func (s *Service) ReviewsOf(ctx context.Context, of []*FraudRiskReport) ([]*Review, error) {
	out := make([]*Review, len(of))
	if !ActorFrom(ctx).Institution() {
		return out, nil
	}
	ids := make([]string, len(of))
	for i, r := range of {
		ids[i] = reviewIDOf(r.ID)
	}
	found, err := s.Store.Reviews().GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		out[slices.Index(ids, r.ID)] = r
	}
	return out, nil
}
