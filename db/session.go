package db

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/db/engine"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// sessionRow is the stored form of a session. IP address and user agent of the login are sealed.
type sessionRow struct {
	bun.BaseModel `bun:"table:sessions"`

	ID             string  `bun:"id,pk"`
	Version        int     `bun:"version"`
	CreatedAt      int64   `bun:"created_at"`
	UpdatedAt      int64   `bun:"updated_at"`
	State          string  `bun:"state"`
	UserID         string  `bun:"user_id"`
	ClientID       *string `bun:"client_id"`
	HandleHash     []byte  `bun:"handle_hash"`
	Tasks          string  `bun:"tasks"`
	LastActiveAt   int64   `bun:"last_active_at"`
	AbandonAt      int64   `bun:"abandon_at"`
	ExpireAt       int64   `bun:"expire_at"`
	EndedAt        *int64  `bun:"ended_at"`
	EndReason      *string `bun:"end_reason"`
	EndedBy        *string `bun:"ended_by"`
	OrganizationID *string `bun:"organization_id"`
	IPAddress      []byte  `bun:"ip_address"`
	UserAgent      []byte  `bun:"user_agent"`
	// WatchAt is when the sweeper checks whether the session is idle. It is never later than AbandonAt and is indexed,
	// because activity does not change it.
	WatchAt int64 `bun:"watch_at"`
}

const sessionsTable = "sessions"

// sessionRowOf seals a session.
func sessionRowOf(keys *seal.Keyring, r *domain.Session) (*sessionRow, error) {
	s := sealer{keys: keys, table: sessionsTable, id: r.ID}
	tasks, err := json.Marshal(r.Tasks)
	if err != nil {
		return nil, err
	}
	row := &sessionRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt),
		State: string(r.State), UserID: r.UserID, ClientID: r.ClientID, HandleHash: r.HandleHash, Tasks: string(tasks),
		LastActiveAt: micros(r.LastActiveAt), AbandonAt: micros(r.AbandonAt), ExpireAt: micros(r.ExpireAt),
		EndReason: r.EndReason, EndedBy: r.EndedBy, OrganizationID: r.OrganizationID,
		IPAddress: s.seal("ip_address", r.IPAddress), UserAgent: s.seal("user_agent", r.UserAgent),
		WatchAt: micros(r.AbandonAt),
	}
	if r.EndedAt != nil {
		row.EndedAt = maybeMicros(*r.EndedAt)
	}
	return row, s.err
}

// sessionRecord opens a row.
func sessionRecord(keys *seal.Keyring, row *sessionRow) (*domain.Session, error) {
	s := sealer{keys: keys, table: sessionsTable, id: row.ID}
	r := &domain.Session{
		Meta: domain.Meta{
			ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
		},
		State: domain.SessionState(row.State), UserID: row.UserID, ClientID: row.ClientID, HandleHash: row.HandleHash,
		LastActiveAt: instant(row.LastActiveAt), AbandonAt: instant(row.AbandonAt), ExpireAt: instant(row.ExpireAt),
		EndReason: row.EndReason, EndedBy: row.EndedBy, OrganizationID: row.OrganizationID,
		IPAddress: s.open("ip_address", row.IPAddress), UserAgent: s.open("user_agent", row.UserAgent),
	}
	if row.EndedAt != nil {
		at := instant(*row.EndedAt)
		r.EndedAt = &at
	}
	if row.Tasks == "[]" { // the usual case
		r.Tasks = []string{}
		return r, s.err
	}
	return r, errors.Join(s.err, json.Unmarshal([]byte(row.Tasks), &r.Tasks))
}

// Sessions returns the store of sessions.
func (d *DB) Sessions() domain.Shelf[domain.Session] { return sessions.on(d) }

var sessions = recordsOf(&kind[domain.Session, sessionRow]{
	table: versionedWith[sessionRow](sessionsTable, changeSession), schema: domain.SessionSchema, read: domain.SessionValue,
	record: sessionRecord, write: writeSession, columns: sessionColumns,
	due: []*deadline{
		deadlineOf[sessionRow](sessionsTable, deadline{at: "abandon_at", watch: "watch_at", where: sessionLive, index: "sessions_watch"}),
		deadlineOf[sessionRow](sessionsTable, deadline{at: "expire_at", where: "state = 'abandoned'", index: "sessions_old"}),
	},
})

// sessionLive is the condition of the index that the sweeper uses; it must match verbatim.
const sessionLive = "state IN ('active', 'pending')"

var sessionColumns = map[string]column{
	"_id":          {name: "id"},
	"state":        {name: "state"},
	"userId":       {name: "user_id"},
	"clientId":     {name: "client_id", null: true},
	"createdAt":    {name: "created_at"},
	"updatedAt":    {name: "updated_at"},
	"lastActiveAt": {name: "last_active_at"},
	"expireAt":     {name: "expire_at"},
	"abandonAt":    {name: "abandon_at", floor: "watch_at"},
}

// activityRow is the part of a session that activity changes.
type activityRow struct {
	ID             string  `bun:"id"`
	LastActiveAt   int64   `bun:"last_active_at"`
	AbandonAt      int64   `bun:"abandon_at"`
	OrganizationID *string `bun:"organization_id"`
}

var (
	// changeSession replaces a version of a session, but keeps newer activity. changeIdleSession does so only if
	// activity has not moved the idle timeout.
	changeSession     = returning(sessionUpdate).locking(sessionsTable, "id").alone()
	changeIdleSession = returning(func(b *builder) schema.QueryAppender {
		return sessionUpdate(b).(*bun.UpdateQuery).Where("abandon_at <= ?", b.column(b.table((*sessionRow)(nil)).FieldMap["abandon_at"]))
	}).locking(sessionsTable, "id").alone()
	sessionByHandle = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*sessionRow)(nil)).Column("id").Where("handle_hash = ?", b.arg("hash"))
	})
	// touchSession records activity. It never moves a time backward, regardless of the order of touches, and two
	// touches of one session can share a transaction.
	touchSession = returning(func(b *builder) schema.QueryAppender { return sessionTouch(b) }).locking(sessionsTable, "id")
	// touchOrganization also sets the organization.
	touchOrganization = returning(func(b *builder) schema.QueryAppender {
		return sessionTouch(b).Set("organization_id = ?", b.arg("organization"))
	}).locking(sessionsTable, "id")
	// touchClient sets the session that the client used last.
	touchClient = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*clientRow)(nil)).Set("last_active_session_id = ?", b.arg("session")).
			Set("updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END", b.arg("at"), b.arg("at")).Where("id = ?", b.arg("id"))
	}).locking("clients", "id")
	// touchClientOfSession does the same for the client of the session that the previous step returned.
	touchClientOfSession = fixed(func(b *builder) schema.QueryAppender {
		client := b.NewSelect().
			Model((*sessionRow)(nil)).
			ModelTableExpr("sessions AS s").
			ColumnExpr("s.client_id").
			Where("s.id = ?", b.arg("session"))
		return b.NewUpdate().Model((*clientRow)(nil)).Set("last_active_session_id = ?", b.arg("session")).
			Set("updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END", b.arg("at"), b.arg("at")).Where("id = (?)", client)
	}).skippedIfNull("client_id")
)

func sessionUpdate(b *builder) schema.QueryAppender {
	model := (*sessionRow)(nil)
	q := b.NewUpdate().Model(model)
	for _, f := range updated(b.table(model)) {
		switch f.Name {
		case "organization_id": // set by activity only
		case "last_active_at", "abandon_at":
			q.Set("? = CASE WHEN ? > ? THEN ? ELSE ? END", bun.Ident(f.Name), bun.Ident(f.Name), b.column(f), bun.Ident(f.Name), b.column(f))
		default:
			q.Set("? = ?", bun.Ident(f.Name), b.column(f))
		}
	}
	return q.Where(ofVersion, b.arg("id"), b.arg("version")).Returning("id, last_active_at, abandon_at, organization_id")
}

func sessionTouch(b *builder) *bun.UpdateQuery {
	at, until := b.arg("at"), b.arg("until")
	return b.NewUpdate().Model((*sessionRow)(nil)).
		Set("last_active_at = CASE WHEN last_active_at > ? THEN last_active_at ELSE ? END", at, at).
		Set("abandon_at = CASE WHEN ? >= expire_at THEN expire_at WHEN ? > abandon_at THEN ? ELSE abandon_at END", until, until, until).
		Where("id = ?", b.arg("id")).Where(sessionLive).Where("abandon_at > ? AND expire_at > ?", at, at).
		Where("? OR user_id = ? OR client_id = ?", b.arg("any"), b.arg("user"), b.arg("client")).Returning("*")
}

// writeSession writes a session. Activity recorded since the session was read is kept, and does not make the unit
// stale. A unit that ends an idle session is stale if the session was used after the decision.
func writeSession(w *unit, keys *seal.Keyring, t *table, r *domain.Session, c domain.Change) error {
	row, err := sessionRowOf(keys, r)
	if err != nil || c.Was == 0 || c.Erase || c.Unchanged {
		return w.record(t, row, r.ID, c, err)
	}
	change := t.update
	if !r.UpdatedAt.Before(r.AbandonAt) {
		change = changeIdleSession
	}
	w.sessions = append(w.sessions, len(w.steps))
	w.addRow(change, row, domain.ErrStale, with("id", r.ID), with("version", c.Was))
	return nil
}

// activity contains the values returned by the changes of sessions.
func (d *DB) activity(steps []int, results []engine.Result) (domain.Written, error) {
	var written domain.Written
	for _, at := range steps {
		rows, err := rowsOf[activityRow](d, results[at])
		if err != nil {
			return written, err
		}
		if written.Activity == nil {
			written.Activity = map[string]domain.Activity{}
		}
		for _, row := range rows {
			written.Activity[row.ID] = domain.Activity{
				LastActiveAt: instant(row.LastActiveAt), AbandonAt: instant(row.AbandonAt), OrganizationID: row.OrganizationID,
			}
		}
	}
	return written, nil
}

// SessionByHandle returns the session with a foreign handle.
func (d *DB) SessionByHandle(ctx context.Context, hash []byte) (string, error) {
	id, found, err := queryOne[string](ctx, d, sessionByHandle, with("hash", hash))
	if err == nil && !found {
		err = domain.ErrMissing
	}
	return id, err
}

// TouchSession records activity with one guarded statement. Units lock clients before sessions, so the client is
// written first: otherwise two transactions could deadlock. With a single writer the client is written last, if the
// session has one.
func (d *DB) TouchSession(ctx context.Context, t domain.Touch) (*domain.Session, error) {
	if !storable(t.SessionID) || t.Organization != nil && !storable(*t.Organization) {
		return nil, domain.ErrStale
	}
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	u := &unit{db: d}
	shared := d.engine.Shared()
	if t.Foremost && shared {
		if err := u.touchClient(ctx, t); err != nil {
			return nil, err
		}
	}
	at := len(u.steps)
	args := []named{
		with("id", t.SessionID), with("at", micros(t.At)), with("until", micros(t.At.Add(t.Idle))), with("any", t.Guard.Any),
		with("user", nullable(t.Guard.UserID)), with("client", nullable(t.Guard.ClientID)),
	}
	if t.Organization == nil {
		u.add(touchSession, domain.ErrStale, args...)
	} else {
		u.add(touchOrganization, domain.ErrStale, append(args, with("organization", nullable(*t.Organization)))...)
	}
	if t.Foremost && !shared {
		u.add(touchClientOfSession, nil, with("session", t.SessionID), with("at", micros(t.At)))
	}
	if t.IdempotencyRecord != nil {
		if err := u.remember(t.IdempotencyRecord); err != nil {
			return nil, err
		}
	}
	results, err := u.write(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf[sessionRow](d, results[at])
	if err != nil {
		return nil, err
	}
	return sessionRecord(keys, &rows[0])
}

// nullable returns nil for an empty argument.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// touchClient makes the session the last active one of its client. Units that share a transaction lock clients in the
// order of their ids, so the id is read first, unless the guard permits the sessions of one client only.
func (w *unit) touchClient(ctx context.Context, t domain.Touch) error {
	client := t.Guard.ClientID
	if client == "" || t.Guard.Any || t.Guard.UserID != "" {
		r, err := sessions.on(w.db).Get(ctx, t.SessionID)
		switch {
		case errors.Is(err, domain.ErrMissing):
			return domain.ErrStale
		case err != nil:
			return err
		case r.ClientID == nil:
			return nil
		}
		client = *r.ClientID
	}
	w.add(touchClient, nil, with("id", client), with("session", t.SessionID), with("at", micros(t.At)))
	return nil
}
