package db

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// messageRow is a message on its way out. Address and content are sealed together.
type messageRow struct {
	bun.BaseModel `bun:"table:messages"`

	ID        string `bun:"id,pk"`
	Channel   string `bun:"channel"`
	Template  string `bun:"template"`
	SubjectID string `bun:"subject_id"`
	Payload   []byte `bun:"payload"`
	CreatedAt int64  `bun:"created_at"`
	State     string `bun:"state"`
	Attempts  int    `bun:"attempts"`
	// NextAt is from when it may be claimed: of one that is being sent, the end of the lease.
	NextAt     int64  `bun:"next_at"`
	LeaseUntil *int64 `bun:"lease_until"`
	Failure    string `bun:"failure"`
	EndedAt    *int64 `bun:"ended_at"`
}

// payload is what is sealed.
type payload struct {
	To     string            `json:"to"`
	Values map[string]string `json:"values"`
}

func messageRowOf(keys *seal.Keyring, m *domain.Message) (*messageRow, error) {
	plain, err := json.Marshal(payload{To: m.To, Values: m.Values})
	if err != nil {
		return nil, err
	}
	sealed, err := keys.Seal(plain, "messages", m.ID, "payload")
	return &messageRow{
		ID: m.ID, Channel: string(m.Channel), Template: m.Template, SubjectID: m.SubjectID, Payload: sealed,
		CreatedAt: micros(m.CreatedAt), State: string(m.State), Attempts: m.Attempts, NextAt: micros(m.NextAt), Failure: m.Failure,
	}, err
}

// record opens the message; without a keyring its address and content stay closed.
func (row *messageRow) record(keys *seal.Keyring) (*domain.Message, error) {
	m := &domain.Message{
		ID: row.ID, Channel: domain.Channel(row.Channel), Template: row.Template, SubjectID: row.SubjectID,
		CreatedAt: instant(row.CreatedAt), State: domain.MessageState(row.State), Attempts: row.Attempts,
		NextAt: instant(row.NextAt), Failure: row.Failure,
	}
	if keys == nil || row.Payload == nil {
		return m, nil
	}
	plain, err := keys.Open(row.Payload, "messages", row.ID, "payload")
	if err != nil {
		return nil, err
	}
	var p payload
	err = json.Unmarshal(plain, &p)
	m.To, m.Values = p.To, p.Values
	return m, err
}

// Claim takes messages for a lease.
func (d *DB) Claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*domain.Message, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	// Nothing is taken from most polls, and on SQLite looking costs no turn of the writer.
	var due bool
	err = d.query(ctx, &due, "SELECT EXISTS (SELECT 1 FROM messages"+d.words.by("messages_claim")+" WHERE state IN ('pending', 'sending') AND next_at <= ?)", micros(now))
	if err != nil || !due {
		return nil, err
	}
	text := "WITH due AS MATERIALIZED (SELECT id FROM messages" + d.words.by("messages_claim") + " WHERE state IN ('pending', 'sending') AND next_at <= ? " +
		"ORDER BY next_at, id LIMIT ?" + d.words.skipLocked + ") " +
		"UPDATE messages SET state = 'sending', attempts = attempts + 1, next_at = ?, lease_until = ? " +
		"WHERE id IN (SELECT id FROM due) RETURNING " + tableOf[messageRow](d).columns
	until := micros(now.Add(lease))
	var rows []messageRow
	err = d.write(ctx, func(t tx) error {
		rows = nil // a transaction may be tried again
		return t.query(&rows, text, micros(now), limit, until, until)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b messageRow) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	out := make([]*domain.Message, 0, len(rows))
	for i := range rows {
		m, err := rows[i].record(keys)
		if err != nil {
			// One that cannot be opened must not keep the others back.
			d.log.Error("a message cannot be opened", "id", rows[i].ID, "error", err)
			m, _ = rows[i].record(nil)
			if err := d.Bury(ctx, m, now, "The stored message cannot be opened."); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, m)
	}
	return out, nil
}

// ending ends the attempt, if it is still the newest one of the message: each claim counts it.
func (d *DB) ending(ctx context.Context, m *domain.Message, set string, args ...any) error {
	return d.run(ctx, []step{{
		text: "UPDATE messages SET lease_until = NULL, " + set + " WHERE id = ? AND state = 'sending' AND attempts = ?",
		args: append(args, m.ID, m.Attempts),
	}})
}

// Sent ends an attempt: the other side has the message. Its address and content are erased.
func (d *DB) Sent(ctx context.Context, m *domain.Message, at time.Time) error {
	return d.ending(ctx, m, "state = 'sent', payload = NULL, failure = '', ended_at = ?", micros(at))
}

// Retry ends an attempt that failed; the message may be claimed again at the time.
func (d *DB) Retry(ctx context.Context, m *domain.Message, at time.Time, failure string) error {
	return d.ending(ctx, m, "state = 'pending', next_at = ?, failure = ?", micros(at), failure)
}

// Bury ends an attempt that failed for good.
func (d *DB) Bury(ctx context.Context, m *domain.Message, at time.Time, failure string) error {
	return d.ending(ctx, m, "state = 'dead', failure = ?, ended_at = ?", failure, micros(at))
}

// Messages lists the newest messages in a state, without addresses and contents.
func (d *DB) Messages(ctx context.Context, state domain.MessageState, limit int) ([]*domain.Message, error) {
	var rows []messageRow
	err := d.query(ctx, &rows, "SELECT "+tableOf[messageRow](d).columns+
		" FROM messages WHERE state = ? ORDER BY created_at DESC, id DESC LIMIT ?", string(state), limit)
	if err != nil {
		return nil, err
	}
	out := make([]*domain.Message, 0, len(rows))
	for i := range rows {
		m, err := rows[i].record(nil)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Revive puts a dead message back, as if it had never been tried.
func (d *DB) Revive(ctx context.Context, id string, at time.Time) error {
	if !storable(id) {
		return domain.ErrMissing
	}
	err := d.run(ctx, []step{{
		text: "UPDATE messages SET state = 'pending', attempts = 0, next_at = ?, ended_at = NULL WHERE id = ? AND state = 'dead'",
		args: []any{micros(at), id}, miss: domain.ErrMissing,
	}})
	if err == nil {
		d.wake()
	}
	return err
}

// Tally counts the messages in each state.
func (d *DB) Tally(ctx context.Context) (map[domain.MessageState]int, error) {
	var rows []struct {
		State string `bun:"state"`
		Count int    `bun:"count"`
	}
	if err := d.query(ctx, &rows, "SELECT state, count(*) AS count FROM messages GROUP BY state"); err != nil {
		return nil, err
	}
	out := map[domain.MessageState]int{
		domain.MessagePending: 0, domain.MessageSending: 0, domain.MessageSent: 0, domain.MessageDead: 0,
	}
	for _, r := range rows {
		out[domain.MessageState(r.State)] = r.Count
	}
	return out, nil
}

// ReleaseLeases puts back every message that somebody is sending. It is for the start of the one server of a
// SQLite file: whoever held a lease is gone. On PostgreSQL it does nothing, for other instances may be sending.
func (d *DB) ReleaseLeases(ctx context.Context) error {
	if d.pool != nil {
		return nil
	}
	return d.run(ctx, []step{{
		text: "UPDATE messages SET state = 'pending', next_at = ?, lease_until = NULL WHERE state = 'sending'",
		args: []any{micros(d.options.Now())},
	}})
}

// Woken is signalled after a commit of this process that wrote messages.
func (d *DB) Woken() <-chan struct{} { return d.woken }

func (d *DB) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}
