package db

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// messageRow is the stored form of an outgoing message. Address and content are sealed together.
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
	// NextAt is the earliest time of the next claim; for a message that is being sent, the end of the lease.
	NextAt     int64  `bun:"next_at"`
	LeaseUntil *int64 `bun:"lease_until"`
	Failure    string `bun:"failure"`
	EndedAt    *int64 `bun:"ended_at"`
}

// payload is the sealed part of a message.
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

// record opens the message. Without a keyring, address and content stay sealed.
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

var (
	addMessage = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*messageRow)(nil)) }).locking("messages", "")

	messagesDue = fixed(func(b *builder) schema.QueryAppender { return b.exists(dueMessages(b)) })
	// claimMessages leases due messages.
	claimMessages = returning(func(b *builder) schema.QueryAppender {
		due := dueMessages(b).Column("id").OrderExpr("next_at, id LIMIT ?", b.arg("limit"))
		if b.dialect.skipLocked != "" {
			due.For(b.dialect.skipLocked)
		}
		return b.NewUpdate().WithQuery(bun.NewWithQuery("due", due).Materialized()).Model((*messageRow)(nil)).
			Set("state = 'sending'").Set("attempts = attempts + 1").Set("next_at = ?", b.arg("until")).Set("lease_until = ?", b.arg("until")).
			Where("id IN (?)", b.NewSelect().Column("id").TableExpr("due")).Returning("*")
	})
	messageSent = attemptEnd(func(b *builder, q *bun.UpdateQuery) {
		q.Set("state = 'sent'").Set("payload = NULL").Set("failure = ''").Set("ended_at = ?", b.arg("at"))
	})
	messageFailed = attemptEnd(func(b *builder, q *bun.UpdateQuery) {
		q.Set("state = 'pending'").Set("next_at = ?", b.arg("at")).Set("failure = ?", b.arg("failure"))
	})
	messageDead = attemptEnd(func(b *builder, q *bun.UpdateQuery) {
		q.Set("state = 'dead'").Set("failure = ?", b.arg("failure")).Set("ended_at = ?", b.arg("at"))
	})
	newestMessages = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().
			Model((*messageRow)(nil)).
			Where("state = ?", b.arg("state")).
			OrderExpr("created_at DESC, id DESC LIMIT ?", b.arg("limit"))
	})
	reviveMessage = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*messageRow)(nil)).Set("state = 'pending'").Set("attempts = 0").Set("next_at = ?", b.arg("at")).
			Set("ended_at = NULL").Where("id = ? AND state = 'dead'", b.arg("id"))
	})
	countMessages = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*messageRow)(nil)).Column("state").ColumnExpr("count(*) AS count").GroupExpr("state")
	})
	releaseLeases = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*messageRow)(nil)).Set("state = 'pending'").Set("next_at = ?", b.arg("at")).Set("lease_until = NULL").
			Where("state = 'sending'")
	})
	deliveries = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*messageRow)(nil)).Column("subject_id", "state").Where("?", b.among("subject_id", b.arg("ids"))).
			OrderExpr("created_at, id")
	})
	// eraseMessages deletes the messages about a record.
	eraseMessages = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*messageRow)(nil)).Where("subject_id = ?", b.arg("id"))
	})
)

// dueMessages selects the messages that may be claimed.
func dueMessages(b *builder) *bun.SelectQuery {
	table, args := b.index("messages", "messages_claim")
	return b.NewSelect().Model((*messageRow)(nil)).ModelTableExpr(table, args...).
		Where("state IN ('pending', 'sending') AND next_at <= ?", b.arg("now"))
}

// attemptEnd ends an attempt if it is the newest one of the message: each claim counts as one attempt.
func attemptEnd(set func(*builder, *bun.UpdateQuery)) *statement {
	return fixed(func(b *builder) schema.QueryAppender {
		q := b.NewUpdate().Model((*messageRow)(nil)).Set("lease_until = NULL")
		set(b, q)
		return q.Where("id = ? AND state = 'sending' AND attempts = ?", b.arg("id"), b.arg("attempt"))
	})
}

// Claim leases messages that are due.
func (d *DB) Claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*domain.Message, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	// Most polls find nothing, and on SQLite a read does not occupy the writer.
	due, _, err := queryOne[bool](ctx, d, messagesDue, with("now", micros(now)))
	if err != nil || !due {
		return nil, err
	}
	result, err := d.writeOne(ctx, claimMessages, nil, with("now", micros(now)), with("limit", limit), with("until", micros(now.Add(lease))))
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf[messageRow](d, result)
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
			// A message that cannot be opened must not block the others.
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

// end ends an attempt.
func (d *DB) end(ctx context.Context, s *statement, m *domain.Message, at time.Time, failure string) error {
	return d.write(ctx, s, nil, with("id", m.ID), with("attempt", m.Attempts), with("at", micros(at)), with("failure", failure))
}

// Sent ends a successful attempt and erases the address and content of the message.
func (d *DB) Sent(ctx context.Context, m *domain.Message, at time.Time) error {
	return d.end(ctx, messageSent, m, at, "")
}

// Retry ends a failed attempt; the message may be claimed again at the given time.
func (d *DB) Retry(ctx context.Context, m *domain.Message, at time.Time, failure string) error {
	return d.end(ctx, messageFailed, m, at, failure)
}

// Bury ends a permanently failed attempt.
func (d *DB) Bury(ctx context.Context, m *domain.Message, at time.Time, failure string) error {
	return d.end(ctx, messageDead, m, at, failure)
}

// Messages returns the newest messages in a state, without addresses and contents.
func (d *DB) Messages(ctx context.Context, state domain.MessageState, limit int) ([]*domain.Message, error) {
	rows, err := query[messageRow](ctx, d, newestMessages, with("state", string(state)), with("limit", limit))
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

// Revive makes a dead message pending again and resets its attempts.
func (d *DB) Revive(ctx context.Context, id string, at time.Time) error {
	if !storable(id) {
		return domain.ErrMissing
	}
	err := d.write(ctx, reviveMessage, domain.ErrMissing, with("id", id), with("at", micros(at)))
	if err == nil {
		d.wake()
	}
	return err
}

// Tally counts the messages in each state.
func (d *DB) Tally(ctx context.Context) (map[domain.MessageState]int, error) {
	rows, err := query[struct {
		State string `bun:"state"`
		Count int    `bun:"count"`
	}](ctx, d, countMessages)
	if err != nil {
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

// Delivery returns the state of the newest message about each of the records.
func (d *DB) Delivery(ctx context.Context, subjectIDs []string) (map[string]domain.MessageState, error) {
	out := map[string]domain.MessageState{}
	for _, some := range chunks(subjectIDs) {
		rows, err := query[messageRow](ctx, d, deliveries, with("ids", d.dialect.list(some)))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[r.SubjectID] = domain.MessageState(r.State)
		}
	}
	return out, nil
}

// ReleaseLeases makes every message that is being sent pending again. It is called when the only server of a SQLite
// file starts: the process that held a lease has ended. On PostgreSQL it does nothing, because other instances may be
// sending.
func (d *DB) ReleaseLeases(ctx context.Context) error {
	if d.engine.Shared() {
		return nil
	}
	return d.write(ctx, releaseLeases, nil, with("at", micros(d.options.Now())))
}

// Woken is signalled after a commit of this process that wrote messages.
func (d *DB) Woken() <-chan struct{} { return d.woken }

func (d *DB) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}
