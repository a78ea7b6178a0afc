package domain

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// ahead is what was read at once for many records, so that the rules need not ask for each of them. It is good for
// showing them; what changes a record reads for itself.
type ahead struct {
	// user has a part in these accounts and organisations; parts is nil where that was not read.
	user  string
	parts map[TargetKind][]string
	// contacts are those that were looked for, nil where there is none.
	contacts map[string]*Contact
	// verified are the users that were looked for.
	verified map[string]bool
	// asked are the quizzes that count against the limit, newest first, by the person.
	asked map[string][]*Quiz
}

type aheadKey struct{}

func aheadFrom(ctx context.Context) *ahead {
	a, _ := ctx.Value(aheadKey{}).(*ahead)
	if a == nil {
		return &ahead{}
	}
	return a
}

// Prefetch reads at once what telling the actions of records takes, and whether the caller may see them. The context that
// it gives is for that, and for nothing that changes them.
func (s *Service) Prefetch(ctx context.Context, records ...Record) (context.Context, error) {
	if len(records) < 2 {
		return ctx, nil // one record asks for itself, and for no more than it needs
	}
	actor := ActorFrom(ctx)
	read := &ahead{user: actor.ID}
	var contactIDs, userIDs, persons []string
	about := func(createdBy string, contactID *string) {
		if createdBy != actor.ID && contactID != nil {
			contactIDs = append(contactIDs, *contactID)
		}
	}
	foreign := false
	for _, r := range records {
		switch r := r.(type) {
		case *Invitation:
			foreign = foreign || r.CreatedBy != actor.ID && (r.State == InvitationSent || r.State == InvitationAccepted)
			if r.AcceptedBy != nil && r.State == InvitationAccepted {
				userIDs = append(userIDs, *r.AcceptedBy)
			}
		case *FraudRiskReport:
			about(r.CreatedBy, r.ContactID)
		case *Quiz:
			about(r.CreatedBy, r.ContactID)
			if r.State == QuizPending {
				persons = append(persons, PersonWord(r.Person))
			}
		case *Approval:
			about(r.ApprovedBy, &r.ContactID)
		}
	}
	if foreign && actor.Known() {
		accounts, organizations, err := s.Directory.PartOf(ctx, actor.ID)
		if err != nil {
			return ctx, err
		}
		read.parts = map[TargetKind][]string{TargetAccount: accounts, TargetOrganization: organizations}
	}
	if len(contactIDs) > 0 {
		found, err := s.Store.Contacts().GetMany(ctx, contactIDs)
		if err != nil {
			return ctx, err
		}
		read.contacts = map[string]*Contact{}
		for _, id := range contactIDs {
			read.contacts[id] = nil
		}
		for _, c := range found {
			read.contacts[c.ID] = c
		}
	}
	var err error
	if len(userIDs) > 0 && s.Settings.CompleteRequiresVerification && s.Verified != nil {
		if read.verified, err = s.Verified(ctx, userIDs...); err != nil {
			return ctx, err
		}
	}
	if len(persons) > 0 {
		if read.asked, err = s.quizzesAsked(ctx, persons...); err != nil {
			return ctx, err
		}
	}
	return context.WithValue(ctx, aheadKey{}, read), nil
}

// Prefetch reads ahead for a list of records of one kind.
func Prefetch[R any, P interface {
	*R
	Record
}](ctx context.Context, s *Service, list []P) (context.Context, error) {
	records := make([]Record, len(list))
	for i, r := range list {
		records[i] = r
	}
	return s.Prefetch(ctx, records...)
}

// has reports whether the user has a part in the target; known is false where that was not read.
func (a *ahead) has(userID string, kind TargetKind, id string) (part, known bool) {
	if a.parts == nil || a.user != userID {
		return false, false
	}
	return slices.Contains(a.parts[kind], id), true
}

// Actions says what the caller may do with a record now, and why not else.
func (s *Service) Actions(ctx context.Context, r Record) ([]Action, error) {
	switch r := r.(type) {
	case *Invitation:
		return s.InvitationActions(ctx, r)
	case *Session:
		return s.SessionActions(ctx, r)
	case *EmailVerification:
		return s.EmailVerificationActions(ctx, r)
	case *PhoneVerification:
		return s.PhoneVerificationActions(ctx, r)
	case *Device:
		return s.DeviceActions(ctx, r)
	case *TwoFactorRequest:
		return s.TwoFactorRequestActions(ctx, r)
	case *Contact:
		return s.ContactActions(ctx, r)
	case *FraudRiskReport:
		return s.FraudRiskReportActions(ctx, r)
	case *Quiz:
		return s.QuizActions(ctx, r)
	case *Approval:
		return s.ApprovalActions(ctx, r)
	}
	return nil, problem.New(problem.InternalError).Because("The kind has no actions.")
}

// ActionsOf is Actions for many records: one list, or one error, for each.
func (s *Service) ActionsOf(ctx context.Context, records []Record) ([][]Action, []error) {
	out, errs := make([][]Action, len(records)), make([]error, len(records))
	ctx, err := s.Prefetch(ctx, records...)
	for i, r := range records {
		if errs[i] = err; err == nil {
			out[i], errs[i] = s.Actions(ctx, r)
		}
	}
	return out, errs
}

// quizzesAsked are the quizzes that count against the limit of their person, newest first, by the person.
func (s *Service) quizzesAsked(ctx context.Context, persons ...string) (map[string][]*Quiz, error) {
	out := map[string][]*Quiz{}
	if s.Settings.QuizLimit.Limit <= 0 {
		return out, nil
	}
	all, err := every(ctx, s.Store.Quizzes(), listing.All(listing.OneWord("person", persons...), s.counted()))
	for _, p := range persons {
		out[p] = nil
	}
	for _, q := range all {
		p := PersonWord(q.Person)
		out[p] = append(out[p], q)
	}
	for _, of := range out {
		slices.SortFunc(of, func(a, b *Quiz) int { return b.AskedAt.Compare(*a.AskedAt) })
	}
	return out, err
}

// counted are the quizzes that count against the limit: asked not long ago, and not passed.
func (s *Service) counted() listing.Predicate {
	return listing.All(listing.Is(listing.GT, "askedAt", s.now().Add(-s.Settings.QuizLimit.Per)), listing.Ne("outputs.state", string(QuizPassed)))
}
