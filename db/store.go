package db

import (
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

var (
	_ domain.Store     = (*DB)(nil)
	_ domain.Directory = (*DB)(nil)
	_ domain.Limiter   = (*DB)(nil)
	_ domain.Outbox    = (*DB)(nil)
)

// Commit writes a unit atomically. It returns domain.ErrStale if a row no longer has the version that was read or if
// the id of a new row is taken, and domain.ErrRemembered if the idempotency key is.
func (d *DB) Commit(ctx context.Context, u *domain.Unit) (domain.Written, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return domain.Written{}, err
	}
	w := &unit{db: d}
	if err := w.fill(keys, u); err != nil {
		return domain.Written{}, err
	}
	results, err := w.write(ctx)
	if err != nil {
		return domain.Written{}, err
	}
	written, err := d.activity(w.sessions, results)
	if err != nil {
		return domain.Written{}, err
	}
	if len(u.Messages) > 0 {
		d.wake()
	}
	if len(u.Events) > 0 || u.Decoy { // a decoy must take as long as a real unit
		d.announcer.announce(d)
	}
	return written, nil
}

// fill adds the steps of a unit. Slow work, in particular sealing, is done here, before the transaction.
func (w *unit) fill(keys *seal.Keyring, u *domain.Unit) error {
	w.lockClients(u.Seen)
	for _, c := range u.Changes {
		if err := w.change(keys, c); err != nil {
			return err
		}
	}
	w.checkOnlySessions(u.Seen)
	if u.Decoy {
		if err := w.decoy(keys); err != nil {
			return err
		}
	}
	// Units that share a transaction write their events in order of arrival, all with the number of that transaction.
	for _, e := range u.Events {
		row, err := eventRowOf(e)
		if err != nil {
			return err
		}
		w.addRow(addEvent, row, fmt.Errorf("db: the event %s already exists", e.ID))
	}
	for _, m := range u.Messages {
		row, err := messageRowOf(keys, m)
		if err != nil {
			return err
		}
		w.addRow(addMessage, row, fmt.Errorf("db: the message %s already exists", m.ID))
	}
	for _, g := range u.Grants {
		if err := w.grant(g); err != nil {
			return err
		}
	}
	for _, t := range u.Counters {
		w.count(t)
	}
	if u.IdempotencyRecord != nil {
		return w.remember(u.IdempotencyRecord)
	}
	return nil
}

// change writes one record.
func (w *unit) change(keys *seal.Keyring, c domain.Change) error {
	if r, ok := c.Record.(*domain.DeviceChallenge); ok { // it has no state machine
		w.newChallenge(r)
		return nil
	}
	if r, ok := c.Record.(*domain.Dismissal); ok { // neither has it; the same fact may be there already
		w.addRow(addDismissal, &dismissalRow{ID: r.ID, ReviewID: r.ReviewID, CreatedAt: micros(r.At)}, nil, with("id", r.ID))
		return nil
	}
	if r, ok := c.Record.(*domain.ScreeningDue); ok {
		w.addRow(addScreeningDue, &screeningRow{ContactID: r.ContactID, RequestedAt: micros(r.RequestedAt)}, nil)
		return nil
	}
	if r, ok := c.Record.(domain.Record); ok {
		if k := recordKinds[r.Kind()]; k != nil {
			return k.change(w, keys, r, c)
		}
	}
	return fmt.Errorf("db: records of type %T have no table", c.Record)
}

// record writes the row of a record, a pointer to a row struct.
func (w *unit) record(t *table, row any, id string, c domain.Change, err error) error {
	version := with("version", c.Was)
	switch {
	case err != nil:
	case c.Unchanged:
		w.add(t.hold, domain.ErrStale, with("id", id), version)
	case c.Erase && t.erase == nil:
		return fmt.Errorf("db: no transition erases the record %s", id)
	case c.Erase:
		w.add(t.erase, domain.ErrStale, with("id", id), version)
		w.add(eraseMessages, nil, with("id", id))
	case c.Was == 0:
		w.addRow(t.insert, row, domain.ErrStale, with("id", id))
	default:
		w.addRow(t.update, row, domain.ErrStale, with("id", id), version)
	}
	return err
}
