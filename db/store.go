package db

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

var (
	_ domain.Store     = (*DB)(nil)
	_ domain.Directory = (*DB)(nil)
	_ domain.Limiter   = (*DB)(nil)
	_ domain.Outbox    = (*DB)(nil)
)

// Commit writes a unit whole or not at all. It fails with domain.ErrStale where a row is no longer of the version
// that was read, or where a new row's id is taken, and with domain.ErrRemembered where the idempotency key is.
func (d *DB) Commit(ctx context.Context, u *domain.Unit) (domain.Written, error) {
	var written domain.Written
	keys, err := d.keys(ctx)
	if err != nil {
		return written, err
	}
	steps, err := d.unit(keys, u)
	if err != nil {
		return written, err
	}
	if err := d.run(ctx, steps); err != nil {
		return written, err
	}
	for _, s := range steps {
		rows, ok := s.dest.(*[]activityRow)
		if !ok {
			continue
		}
		if written.Activity == nil {
			written.Activity = map[string]domain.Activity{}
		}
		for _, row := range *rows {
			written.Activity[row.ID] = domain.Activity{
				LastActiveAt: instant(row.LastActiveAt), AbandonAt: instant(row.AbandonAt), OrganizationID: row.OrganizationID,
			}
		}
	}
	if len(u.Messages) > 0 {
		d.wake()
	}
	if len(u.Events) > 0 || u.Decoy { // whoever hears it for nothing looks once more
		d.bell.ring(d)
	}
	return written, nil
}

// unit turns a unit into statements. All that is slow, sealing above all, is done here, before the transaction.
func (d *DB) unit(keys *seal.Keyring, u *domain.Unit) ([]step, error) {
	steps := seen(u.Seen)
	for _, c := range u.Changes {
		some, err := d.change(keys, c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, some...)
	}
	steps = append(steps, sole(u.Seen)...)
	if u.Decoy {
		some, err := d.decoy(keys)
		if err != nil {
			return nil, err
		}
		steps = append(steps, some...)
	}
	// Where events are written, readers of the feed can be told, in the same transaction; of several units that are one
	// transaction each writes its events in the order in which they came, and all have the one transaction's number.
	events := tableOf[eventRow](d)
	for _, e := range u.Events {
		row, err := eventRowOf(e)
		if err != nil {
			return nil, err
		}
		one := events.inserting(row, fmt.Errorf("db: the event %s is there already", e.ID))
		one.place.rank = placeEvents
		steps = append(steps, one)
	}
	messages := tableOf[messageRow](d)
	for _, m := range u.Messages {
		row, err := messageRowOf(keys, m)
		if err != nil {
			return nil, err
		}
		one := messages.inserting(row, fmt.Errorf("db: the message %s is there already", m.ID))
		one.place.rank = placeMessages
		steps = append(steps, one)
	}
	for _, g := range u.Grants {
		one, err := grant(g)
		if err != nil {
			return nil, err
		}
		steps = append(steps, one)
	}
	for _, t := range u.Counters {
		steps = append(steps, turning(t))
	}
	if u.IdempotencyRecord != nil {
		one, err := d.remember(u.IdempotencyRecord)
		if err != nil {
			return nil, err
		}
		steps = append(steps, one)
	}
	return steps, nil
}

// change writes one row: where each kind of record goes.
func (d *DB) change(keys *seal.Keyring, c domain.Change) ([]step, error) {
	switch r := c.Record.(type) {
	case *domain.Invitation:
		row, err := invitationRowOf(keys, r)
		return changing(tableOf[invitationRow](d), row, r.ID, c), err
	case *domain.Session:
		return d.sessionSteps(keys, r, c)
	}
	if steps, ok, err := d.changeIdentity(keys, c); ok {
		return steps, err
	}
	return d.codeChange(keys, c)
}

func changing(t *table, row any, id string, c domain.Change) []step {
	switch {
	case c.Unchanged:
		return []step{t.holding(id, c.Was, domain.ErrStale)}
	case c.Erase:
		return []step{
			t.deleting(id, c.Was, domain.ErrStale),
			{text: "DELETE FROM messages WHERE subject_id = ?", args: []any{id}},
		}
	case c.Was == 0:
		one := t.inserting(row, domain.ErrStale)
		one.place = t.record(id)
		return []step{one}
	}
	return []step{t.updating(row, id, c.Was, domain.ErrStale)}
}

// decoys is the number of rows the migration has made.
const decoys = 64

// decoySecretHash is as long as that of a real secret.
var decoySecretHash = "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)

func decoyID() string { return "decoy_" + strconv.Itoa(rand.IntN(decoys)) }

// decoy is a row changed and a row added where nobody looks: the work of a wrong secret told to a real record. The tables
// have the columns and the indexes of the real ones, and are written with the same statements; what an index has never
// changes, as in the real row.
func (d *DB) decoy(keys *seal.Keyring) ([]step, error) {
	now := d.options.Now()
	id := decoyID()
	account := "nobodys"
	uri := "/accounts/accounts/" + account
	row, err := invitationRowOf(keys, &domain.Invitation{
		Meta: domain.Meta{ID: id, Version: 1, UpdatedAt: now}, State: domain.InvitationSent, Type: domain.InvitationJoint,
		EmailAddress: "nobody@example.com", InviterFullName: "Nobody at all", AccountURI: &uri, AccountID: account,
		SecretHash: decoySecretHash, MailKeyHash: make([]byte, 32), ExpiresAt: time.Unix(0, 0), CreatedBy: "nobody",
	})
	if err != nil {
		return nil, err
	}
	event, err := eventRowOf(&domain.LifecycleEvent{
		ID: domain.NewID("evt", now), Name: "verifyInvitation", From: row.State, To: row.State, OccurredAt: now, ActorID: "nobody",
		SubjectKind: domain.KindInvitation, SubjectID: id, Version: 1, Concerns: []string{"nobody"},
	})
	if err != nil {
		return nil, err
	}
	changed := tableOf[invitationRow](d).updating(row, id, row.Version, nil)
	changed.text = strings.Replace(changed.text, invitationsTable, "decoys", 1)
	// It goes where the real one goes: with others, not alone.
	changed.place = place{rank: placeRecords, key: "decoys/" + id, sole: true}
	added := tableOf[eventRow](d).inserting(event, nil)
	added.text = strings.Replace(added.text, "lifecycle_events", "decoy_events", 1)
	added.place.rank = placeEvents
	return []step{changed, added}, nil
}

// grant gives a user a part. Who has it already keeps it, and a target that is gone gives nothing.
func grant(g domain.Grant) (step, error) {
	switch g.Kind {
	case domain.TargetAccount:
		return step{
			text: "INSERT INTO account_owners (account_id, user_id, granted) SELECT id, CAST(? AS TEXT), TRUE FROM accounts WHERE id = ? ON CONFLICT DO NOTHING",
			args: []any{g.UserID, g.ID},
		}, nil
	case domain.TargetOrganization:
		return step{
			text: "INSERT INTO organization_parts (organization_id, user_id, role, granted) " +
				"SELECT id, CAST(? AS TEXT), 'signer', TRUE FROM organizations WHERE id = ? ON CONFLICT DO NOTHING",
			args: []any{g.UserID, g.ID},
		}, nil
	}
	return step{}, fmt.Errorf("db: nothing is granted on %q", g.Kind)
}

// memoryRow is an idempotency key.
type memoryRow struct {
	bun.BaseModel `bun:"table:idempotency_keys"`

	Key         []byte `bun:"key,pk"`
	Fingerprint []byte `bun:"fingerprint"`
	Operation   string `bun:"operation"`
	SubjectID   string `bun:"subject_id"`
	Code        string `bun:"code"`
	Detail      string `bun:"detail"`
	Path        string `bun:"path"`
	Attributes  string `bun:"attributes"`
	AvailableAt *int64 `bun:"available_at"`
	CreatedAt   int64  `bun:"created_at"`
	ExpiresAt   int64  `bun:"expires_at"`
}

// rememberText takes a key that is free or has run out.
const rememberText = `INSERT INTO idempotency_keys AS k
  (key, fingerprint, operation, subject_id, code, detail, path, attributes, available_at, created_at, expires_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, operation = excluded.operation,
    subject_id = excluded.subject_id, code = excluded.code, detail = excluded.detail, path = excluded.path,
    attributes = excluded.attributes, available_at = excluded.available_at, created_at = excluded.created_at,
    expires_at = excluded.expires_at
  WHERE k.expires_at <= excluded.created_at`

func (d *DB) remember(m *domain.IdempotencyRecord) (step, error) {
	path, err := json.Marshal(m.Path)
	if err != nil {
		return step{}, err
	}
	attributes, err := json.Marshal(m.Attributes)
	if err != nil {
		return step{}, err
	}
	var availableAt any
	if us := maybeMicros(m.AvailableAt); us != nil {
		availableAt = *us
	}
	at := place{rank: placeMemory, key: string(m.Key), sole: true}
	return step{text: rememberText, miss: domain.ErrRemembered, place: at, args: []any{
		m.Key, m.Fingerprint, m.Operation, m.SubjectID, m.Code, m.Detail, string(path), string(attributes),
		availableAt, micros(m.CreatedAt), micros(m.ExpiresAt),
	}}, nil
}

// Recall finds what an idempotency key stands for.
func (d *DB) Recall(ctx context.Context, key []byte, now time.Time) (*domain.IdempotencyRecord, error) {
	var rows []memoryRow
	err := d.query(ctx, &rows, "SELECT "+tableOf[memoryRow](d).columns+" FROM idempotency_keys WHERE key = ? AND expires_at > ?", key, micros(now))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	row := rows[0]
	m := &domain.IdempotencyRecord{
		Key: row.Key, Fingerprint: row.Fingerprint, Operation: row.Operation, SubjectID: row.SubjectID, Code: row.Code,
		Detail: row.Detail, AvailableAt: maybeInstant(row.AvailableAt), CreatedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt),
	}
	if err := json.Unmarshal([]byte(row.Path), &m.Path); err != nil {
		return nil, err
	}
	return m, json.Unmarshal([]byte(row.Attributes), &m.Attributes)
}
