package domain

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/risk"
)

const (
	// rescreenBatch is the number of contacts that a step of a re-screening compares.
	rescreenBatch = 200
	// rescreenClaim is the time after which another instance may repeat a step that has not ended.
	rescreenClaim = 2 * time.Minute
	// atOnce is the time within which the call that changed a contact compares it itself.
	atOnce = 10 * time.Second
)

// Rescreen makes one step of the re-screening (verification, section 6): it compares the contacts whose address, phone or
// e-mail address has changed, and then a batch of the contacts with the entries that lists have gained. A match that the
// newest report lacks becomes a new report, made by the system. Rescreen returns the number of reports made, and whether
// there is more to do. It may run on several instances.
func (s *Service) Rescreen(ctx context.Context) (reports int, more bool, err error) {
	reports, more, err = s.screenDue(ctx)
	if err != nil || more || s.Rescreener == nil {
		return reports, more, err
	}
	made, more, err := s.rescreen(ctx)
	if errors.Is(err, ErrStale) { // another instance works on it
		return reports, false, nil
	}
	return reports + made, more, err
}

func (s *Service) rescreen(ctx context.Context) (made int, more bool, err error) {
	at, err := s.Rescreener.Position(ctx)
	if err != nil {
		return 0, false, err
	}
	r, err := s.Store.Rescreening(ctx)
	switch {
	case errors.Is(err, ErrMissing):
		// The first run finds no new entries. It opens the reviews of reports from before there were reviews.
		r = &Rescreening{From: at, To: at, Running: true, StartedAt: s.now()}
	case err != nil:
		return 0, false, err
	case r.Running && r.ClaimedUntil.After(s.now()):
		return 0, false, nil // another instance works on it
	case !r.Running && r.To == at:
		return 0, false, nil
	case !r.Running:
		r.From, r.To, r.Running, r.After, r.Contacts, r.Reports, r.StartedAt = r.To, at, true, "", 0, 0, s.now()
	}
	r.ClaimedUntil = s.now().Add(rescreenClaim)
	if err := s.Store.SaveRescreening(ctx, r); err != nil {
		return 0, false, err
	}
	matches, err := s.Rescreener.Changes(ctx, r.From, r.To)
	if err != nil {
		return 0, false, s.releaseRescreening(ctx, r, err)
	}
	page, err := s.Store.Contacts().List(ctx, listing.Query{
		Where: listing.Is(listing.GT, listing.IDField, r.After), Order: []listing.Order{{Field: listing.IDField}}, Limit: rescreenBatch,
	})
	if err != nil {
		return 0, false, s.releaseRescreening(ctx, r, err)
	}
	all, err := s.results(ctx, page.Items)
	if err != nil {
		return 0, false, s.releaseRescreening(ctx, r, err)
	}
	for _, c := range page.Items {
		hit, err := s.rescreenContact(ctx, c, all[c.ID], matches)
		if err != nil {
			return made, false, s.releaseRescreening(ctx, r, err)
		}
		if hit {
			made++
			r.Reports++
		}
		r.After = c.ID
		r.Contacts++
	}
	r.Running, r.ClaimedUntil = len(page.Items) == rescreenBatch, time.Time{}
	return made, r.Running, s.Store.SaveRescreening(ctx, r)
}

// releaseRescreening lets the next step repeat what has failed.
func (s *Service) releaseRescreening(ctx context.Context, r *Rescreening, cause error) error {
	r.ClaimedUntil = time.Time{}
	return errors.Join(cause, s.Store.SaveRescreening(context.WithoutCancel(ctx), r))
}

// rescreenContact compares one contact that has a report with the new entries.
func (s *Service) rescreenContact(
	ctx context.Context, c *Contact, of *contactResults, matches func(Identity) []risk.Evidence,
) (hit bool, err error) {
	newest := last(of.reports)
	if newest == nil {
		return false, nil
	}
	if err := s.ensureReview(ctx, newest); err != nil {
		return false, err
	}
	found := matches(c.Of)
	if len(found) == 0 {
		return false, nil
	}
	news, err := s.news(ctx, c, newest, found)
	if err != nil || !news {
		return false, err
	}
	result, err := s.Screening.Screen(ctx, c.Of)
	if err != nil {
		return false, unavailable(err)
	}
	return true, s.reportBySystem(ctx, c, result)
}

// news reports whether there is evidence that the newest report about the contact lacks, and that no reviewer has
// dismissed.
func (s *Service) news(ctx context.Context, c *Contact, newest *FraudRiskReport, found []risk.Evidence) (bool, error) {
	person := s.identityFingerprint(c.Of).Person
	known := map[string]bool{}
	if person != nil && bytes.Equal(newest.Fingerprint.Person, person) {
		for _, f := range newest.Findings {
			for _, e := range f.Evidence {
				known[e.Rule+"\x00"+optional(e.Entry)+"\x00"+e.EntryVersion] = true
			}
		}
	}
	entry := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	var ids []string
	for _, e := range found {
		if !known[e.Rule+"\x00"+optional(entry(e.Entry))+"\x00"+e.Version] {
			ids = append(ids, s.dismissalID(person, e.Entry, e.Version))
		}
	}
	if len(ids) == 0 {
		return false, nil
	}
	dismissed, err := s.Store.Dismissed(ctx, ids)
	return slices.ContainsFunc(ids, func(id string) bool { return !dismissed[id] }), err
}

// reportBySystem makes a report of the contact as it is, for the institution.
func (s *Service) reportBySystem(ctx context.Context, c *Contact, result risk.Assessment) error {
	ctx = WithActor(ctx, Actor{ID: SystemActor})
	who := &subject{
		identity: c.Of, contactID: &c.ID, userID: c.UserID, fingerprint: s.identityFingerprint(c.Of), institutional: true,
	}
	who.vouches = who.fingerprint.Person != nil
	const operation = "createFraudRiskReport"
	_, err := create(ctx, s, reports, call{operation: operation}, func(ctx context.Context, n *creation) (*FraudRiskReport, error) {
		r, err := s.newReport(ctx, result, who, SystemActor)
		if err != nil {
			return nil, err
		}
		s.addReview(n.Unit, r)
		return r, nil
	})
	return err
}

// screenDue compares the contacts whose address, phone or e-mail address has changed.
func (s *Service) screenDue(ctx context.Context) (made int, more bool, err error) {
	const limit = 50
	due, err := s.Store.ScreeningsDue(ctx, limit)
	if err != nil {
		return 0, false, err
	}
	for _, d := range due {
		if s.Rescreener != nil && s.now().Before(d.RequestedAt.Add(atOnce)) {
			continue
		}
		hit, err := s.screenChanged(ctx, d)
		if err != nil {
			return made, false, err
		}
		if hit {
			made++
		}
	}
	return made, len(due) == limit, nil
}

// listless are the categories that a changed address, phone or e-mail address is not compared for.
var listless = list(risk.AgeRestricted, risk.NonStandardTaxID, risk.PersonalInfoDoesNotMatch)

// screenChanged compares one contact with the lists, if it has a report. A match that the newest report lacks becomes a
// new report.
func (s *Service) screenChanged(ctx context.Context, due ScreeningDue) (hit bool, err error) {
	contact, err := s.Store.Contacts().Get(ctx, due.ContactID)
	if errors.Is(err, ErrMissing) {
		return false, s.Store.ScreeningDone(ctx, due)
	}
	if err != nil {
		return false, err
	}
	all, err := s.results(ctx, list(contact))
	if err != nil {
		return false, err
	}
	newest := last(all[contact.ID].reports)
	if newest == nil {
		return false, s.Store.ScreeningDone(ctx, due)
	}
	result, err := s.Screening.Screen(ctx, contact.Of)
	if err != nil {
		return false, unavailable(err)
	}
	var found []risk.Evidence
	for _, f := range result.Findings {
		if !slices.Contains(listless, f.Category) {
			found = append(found, f.Evidence...)
		}
	}
	if len(found) > 0 {
		if hit, err = s.news(ctx, contact, newest, found); err != nil {
			return false, err
		}
	}
	if hit {
		if err := s.reportBySystem(ctx, contact, result); err != nil {
			return false, err
		}
	}
	return hit, s.Store.ScreeningDone(ctx, due)
}

// dueAfter returns the request to compare a contact with the lists after a change; nil where nothing that is on lists of
// addresses, phones or e-mail addresses has changed.
func (s *Service) dueAfter(contactID string, was, is Identity, at time.Time) *ScreeningDue {
	a, b := s.identityFingerprint(was), s.identityFingerprint(is)
	if bytes.Equal(a.Address, b.Address) && bytes.Equal(a.Phone, b.Phone) && bytes.Equal(a.Email, b.Email) {
		return nil
	}
	return &ScreeningDue{ContactID: contactID, RequestedAt: at}
}

// screenAtOnce compares a changed contact before its caller gets the response. If that fails, Rescreen repeats it. A
// provider over HTTP is left to Rescreen, so that the caller does not wait for it.
func (s *Service) screenAtOnce(ctx context.Context, due *ScreeningDue) {
	if due == nil || s.Rescreener == nil {
		return
	}
	_, _ = s.screenChanged(context.WithoutCancel(ctx), *due)
}
