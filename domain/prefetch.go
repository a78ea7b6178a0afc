package domain

import (
	"context"
	"slices"
)

// Prefetched has data that was read at once for many records, so that the rules need not read it for each of them. It is
// used only to return records; transitions read the data again. A nil value is empty.
type Prefetched struct {
	// parts has the accounts and organisations in which user has a part; nil if they were not read.
	user  string
	parts map[TargetKind][]string
	// contacts has the contacts that were read; the value is nil for a missing one.
	contacts map[string]*Contact
	// verified has the users that were read.
	verified map[string]bool
	// accounts has the accounts that were read; the value is nil for a missing one.
	accounts map[string]*Account
	// asked has the quizzes that count towards the limit, newest first, by person.
	asked map[string][]*Quiz
}

// needs collects the data to read for the records and their caller.
type needs struct {
	actor Actor
	// parts is set if the caller's accounts and organisations are needed.
	parts                        bool
	contactIDs, userIDs, persons []string
	// accountIDs are the accounts whose owners and settings are needed.
	accountIDs []string
}

// personal adds the contact of a record, unless the caller created the record.
func (n *needs) personal(createdBy string, contactID *string) {
	if createdBy != n.actor.ID && contactID != nil {
		n.contactIDs = append(n.contactIDs, *contactID)
	}
}

// Prefetch reads at once the data that determines the visibility and the actions of the records.
func (s *Service) Prefetch(ctx context.Context, records ...Record) (*Prefetched, error) {
	if len(records) < 2 {
		return nil, nil // for one record the rules read only the data they need
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
	if len(need.accountIDs) > 0 {
		accounts, err := s.Directory.Accounts(ctx, need.accountIDs)
		if err != nil {
			return nil, err
		}
		read.accounts = map[string]*Account{}
		for _, id := range need.accountIDs {
			read.accounts[id] = nil
		}
		for _, a := range accounts {
			read.accounts[a.ID] = a
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

// part reports whether the user has a part in the target; known is false if that was not read.
func (p *Prefetched) part(userID string, kind TargetKind, id string) (part, known bool) {
	if p == nil || p.parts == nil || p.user != userID {
		return false, false
	}
	return slices.Contains(p.parts[kind], id), true
}

// contact returns a contact; nil and true for a missing one, known is false if it was not read.
func (p *Prefetched) contact(id string) (c *Contact, known bool) {
	if p == nil {
		return nil, false
	}
	c, known = p.contacts[id]
	return c, known
}

// account returns an account; nil and true for a missing one, known is false if it was not read.
func (p *Prefetched) account(id string) (a *Account, known bool) {
	if p == nil {
		return nil, false
	}
	a, known = p.accounts[id]
	return a, known
}

// userVerified reports whether the user is verified.
func (p *Prefetched) userVerified(id string) (verified, known bool) {
	if p == nil {
		return false, false
	}
	verified, known = p.verified[id]
	return verified, known
}

// quizzes returns the quizzes of a person that count towards the limit, newest first.
func (p *Prefetched) quizzes(person string) (asked []*Quiz, known bool) {
	if p == nil {
		return nil, false
	}
	asked, known = p.asked[person]
	return asked, known
}

// Actions lists the actions of a record, with whether the caller may perform each now, or why not. pre is the result of
// Prefetch, or nil.
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
