package domain

import (
	"context"
	"slices"
)

// Prefetched is what was read at once for many records, so that the rules need not read it for each of them. It is good
// for showing the records; what changes a record reads for itself. Nil holds nothing.
type Prefetched struct {
	// user has a part in these accounts and organisations; parts is nil where that was not read.
	user  string
	parts map[TargetKind][]string
	// contacts are those that were looked up, nil where there is none.
	contacts map[string]*Contact
	// verified are the users that were looked up.
	verified map[string]bool
	// asked are the quizzes that count against the limit, newest first, by the person.
	asked map[string][]*Quiz
}

// needs collects what is to be read for the records of one caller.
type needs struct {
	actor Actor
	// parts asks for the accounts and organisations of the caller.
	parts                        bool
	contactIDs, userIDs, persons []string
}

// personal needs the contact of a record that the caller has not created.
func (n *needs) personal(createdBy string, contactID *string) {
	if createdBy != n.actor.ID && contactID != nil {
		n.contactIDs = append(n.contactIDs, *contactID)
	}
}

// Prefetch reads at once what the actions of the records depend on, and whether the caller may see them.
func (s *Service) Prefetch(ctx context.Context, records ...Record) (*Prefetched, error) {
	if len(records) < 2 {
		return nil, nil // the rules read for one record what they need, and no more
	}
	actor := ActorFrom(ctx)
	need := &needs{actor: actor}
	for _, r := range records {
		if k := kindOf(r.Kind()); k != nil {
			k.life.collect(need, r)
		}
	}
	read := &Prefetched{user: actor.ID}
	if need.parts && actor.Known() {
		accounts, organizations, err := s.Directory.PartOf(ctx, actor.ID)
		if err != nil {
			return nil, err
		}
		read.parts = map[TargetKind][]string{TargetAccount: accounts, TargetOrganization: organizations}
	}
	if len(need.contactIDs) > 0 {
		contacts, err := s.Store.Contacts().GetMany(ctx, need.contactIDs)
		if err != nil {
			return nil, err
		}
		read.contacts = map[string]*Contact{}
		for _, id := range need.contactIDs {
			read.contacts[id] = nil
		}
		for _, c := range contacts {
			read.contacts[c.ID] = c
		}
	}
	var err error
	if len(need.userIDs) > 0 && s.Settings.CompleteRequiresVerification && s.Verified != nil {
		if read.verified, err = s.Verified(ctx, need.userIDs...); err != nil {
			return nil, err
		}
	}
	if len(need.persons) > 0 {
		if read.asked, err = s.quizzesAsked(ctx, need.persons...); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// Prefetch is Service.Prefetch for a list of records of one kind.
func Prefetch[R any, P interface {
	*R
	Record
}](ctx context.Context, s *Service, list []P) (*Prefetched, error) {
	records := make([]Record, len(list))
	for i, r := range list {
		records[i] = r
	}
	return s.Prefetch(ctx, records...)
}

// part reports whether the user has a part in the target; known is false where that was not read.
func (p *Prefetched) part(userID string, kind TargetKind, id string) (part, known bool) {
	if p == nil || p.parts == nil || p.user != userID {
		return false, false
	}
	return slices.Contains(p.parts[kind], id), true
}

// contact is a contact; nil and true where there is none.
func (p *Prefetched) contact(id string) (c *Contact, known bool) {
	if p == nil {
		return nil, false
	}
	c, known = p.contacts[id]
	return c, known
}

// userVerified reports whether the user is verified.
func (p *Prefetched) userVerified(id string) (verified, known bool) {
	if p == nil {
		return false, false
	}
	verified, known = p.verified[id]
	return verified, known
}

// quizzes are those of a person that count against the limit, newest first.
func (p *Prefetched) quizzes(person string) (asked []*Quiz, known bool) {
	if p == nil {
		return nil, false
	}
	asked, known = p.asked[person]
	return asked, known
}

// Actions lists what the caller may do with a record now, and why not otherwise. pre is what Prefetch read for it; nil:
// nothing.
func (s *Service) Actions(ctx context.Context, r Record, pre *Prefetched) ([]Action, error) {
	k, err := mustKind(r.Kind())
	if err != nil {
		return nil, err
	}
	return k.life.actions(ctx, s, pre, r)
}

// ActionsOf is Actions for many records: one list, or one error, for each.
func (s *Service) ActionsOf(ctx context.Context, records []Record) ([][]Action, []error) {
	out, errs := make([][]Action, len(records)), make([]error, len(records))
	pre, err := s.Prefetch(ctx, records...)
	for i, r := range records {
		if errs[i] = err; err == nil {
			out[i], errs[i] = s.Actions(ctx, r, pre)
		}
	}
	return out, errs
}
