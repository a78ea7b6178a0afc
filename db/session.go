package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// sessionRow is a session at rest. Address and browser of the login are sealed.
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
	// WatchAt is when the sweeper looks whether the session is idle: never after AbandonAt, and in an index, so that
	// activity leaves it.
	WatchAt int64 `bun:"watch_at"`
}

const sessionsTable = "sessions"

// sessionRowOf seals.
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

// sessionRecord opens.
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
	if row.Tasks == "[]" { // nearly always
		r.Tasks = []string{}
		return r, s.err
	}
	return r, errors.Join(s.err, json.Unmarshal([]byte(row.Tasks), &r.Tasks))
}

// Sessions is the shelf of sessions.
func (d *DB) Sessions() domain.Shelf[domain.Session] { return d.sessions() }

func (d *DB) sessions() *shelf[domain.Session, sessionRow] {
	return &shelf[domain.Session, sessionRow]{
		db: d, table: tableOf[sessionRow](d), schema: domain.SessionSchema, read: domain.SessionValue,
		record: sessionRecord, columns: sessionColumns,
		due: []deadline{
			{at: "abandon_at", watch: "watch_at", where: sessionLive, index: "sessions_watch"},
			{at: "expire_at", where: "state = 'abandoned'", index: "sessions_old"},
		},
	}
}

// sessionLive is the condition of the index that the sweeper uses, word for word.
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

// activityRow is the part of a session that activity moves.
type activityRow struct {
	ID             string  `bun:"id"`
	LastActiveAt   int64   `bun:"last_active_at"`
	AbandonAt      int64   `bun:"abandon_at"`
	OrganizationID *string `bun:"organization_id"`
}

// sessionSteps write a session. What activity moves it may have moved since the session was read: that stays, and
// keeps nobody from ending the session; Commit returns it. But one whose idle time was over when that was decided, and which was used just before, is stale.
func (d *DB) sessionSteps(keys *seal.Keyring, r *domain.Session, c domain.Change) ([]step, error) {
	row, err := sessionRowOf(keys, r)
	if err != nil {
		return nil, err
	}
	t := tableOf[sessionRow](d)
	if c.Was == 0 || c.Erase || c.Unchanged {
		return changing(t, row, r.ID, c), nil
	}
	var set []string
	var args []any
	for i, value := range values(row, t.set) {
		switch name := t.set[i].Name; name {
		case "organization_id": // activity alone writes it
		case "last_active_at", "abandon_at":
			set = append(set, fmt.Sprintf("%s = CASE WHEN %s > ? THEN %s ELSE ? END", name, name, name))
			args = append(args, value, value)
		default:
			set, args = append(set, name+" = ?"), append(args, value)
		}
	}
	text := "UPDATE " + t.name + " SET " + strings.Join(set, ", ") + " WHERE id = ? AND version = ?"
	args = append(args, r.ID, c.Was)
	if !r.UpdatedAt.Before(r.AbandonAt) {
		text, args = text+" AND abandon_at <= ?", append(args, row.AbandonAt)
	}
	var rows []activityRow
	text += " RETURNING id, last_active_at, abandon_at, organization_id"
	return []step{{text: text, args: args, dest: &rows, miss: domain.ErrStale, place: t.record(r.ID)}}, nil
}

// nullable is an argument that may be missing.
func nullable(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

// SessionByHandle finds the session with a foreign handle.
func (d *DB) SessionByHandle(ctx context.Context, hash []byte) (string, error) {
	var ids []string
	if err := d.query(ctx, &ids, "SELECT id FROM sessions WHERE handle_hash = ?", hash); err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", domain.ErrMissing
	}
	return ids[0], nil
}

const (
	// touchClientText comes first, for units write clients before sessions too: otherwise two transactions could
	// deadlock.
	touchClientText = `UPDATE clients SET last_active_session_id = ?, updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END
  WHERE id = `
	touchClientOfText = `(SELECT client_id FROM sessions WHERE id = ?)`
	// touchText is the one guarded statement. Nothing that it writes goes back, whichever touch comes last.
	touchText = `UPDATE sessions SET last_active_at = CASE WHEN last_active_at > ? THEN last_active_at ELSE ? END,
  abandon_at = CASE WHEN ? >= expire_at THEN expire_at WHEN ? > abandon_at THEN ? ELSE abandon_at END`
	touchOrganizationText = `, organization_id = ?`
	touchWhereText        = ` WHERE id = ? AND ` + sessionLive + ` AND abandon_at > ? AND expire_at > ?`
)

// TouchSession records activity.
func (d *DB) TouchSession(ctx context.Context, t domain.Touch) (*domain.Session, error) {
	if !storable(t.SessionID) || t.Organization != nil && !storable(*t.Organization) {
		return nil, domain.ErrStale
	}
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	var rows []sessionRow
	steps, err := d.touching(ctx, t, &rows)
	if err != nil {
		return nil, err
	}
	if err := d.run(ctx, steps); err != nil {
		return nil, err
	}
	return sessionRecord(keys, &rows[0])
}

// touching is the touch as statements; rows receives the session.
func (d *DB) touching(ctx context.Context, t domain.Touch, rows *[]sessionRow) ([]step, error) {
	var steps []step
	at, until := micros(t.At), micros(t.At.Add(t.Idle))
	if t.Foremost {
		client, err := d.touchedClient(ctx, t, at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, client...)
	}
	text, args := touchText, []any{at, at, until, until, until}
	if t.Organization != nil {
		text, args = text+touchOrganizationText, append(args, nullable(unlessEmpty(*t.Organization)))
	}
	text, args = text+touchWhereText, append(args, t.SessionID, at, at)
	if !t.Guard.Any {
		text, args = text+" AND (user_id = ? OR client_id = ?)", append(args, nullable(unlessEmpty(t.Guard.UserID)), nullable(unlessEmpty(t.Guard.ClientID)))
	}
	table := d.sessions().table
	in := table.record(t.SessionID)
	in.sole = false // of two touches each finds what it asks for
	steps = append(steps, step{text: text + " RETURNING " + table.columns, args: args, dest: rows, miss: domain.ErrStale, place: in})
	if t.IdempotencyRecord != nil {
		one, err := d.remember(t.IdempotencyRecord)
		if err != nil {
			return nil, err
		}
		steps = append(steps, one)
	}
	return steps, nil
}

// touchedClient makes the session the last active one of its client. PostgreSQL locks clients in the order of their ids
// and so needs the id before; nothing else of the row is used.
func (d *DB) touchedClient(ctx context.Context, t domain.Touch, at int64) ([]step, error) {
	args := []any{t.SessionID, at, at}
	client := t.Guard.ClientID
	if client == "" || t.Guard.Any {
		if d.pool == nil {
			return []step{{text: touchClientText + touchClientOfText, args: append(args, t.SessionID)}}, nil
		}
		r, err := d.sessions().Get(ctx, t.SessionID)
		switch {
		case errors.Is(err, domain.ErrMissing):
			return nil, domain.ErrStale
		case err != nil:
			return nil, err
		case r.ClientID == nil:
			return nil, nil
		}
		client = *r.ClientID
	}
	return []step{{text: touchClientText + "?", args: append(args, client), place: place{rank: placeClients, key: client}}}, nil
}
