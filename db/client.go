package db

import (
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// seenText makes a client, or makes a session the one it touched last.
const seenText = `INSERT INTO clients AS c (id, created_at, updated_at, last_active_session_id) VALUES (?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET last_active_session_id = excluded.last_active_session_id,
    updated_at = CASE WHEN c.updated_at > excluded.updated_at THEN c.updated_at ELSE excluded.updated_at END`

// seen writes clients, in one order for all units: two that wait for one another would wait for ever.
func seen(sightings []domain.Sighting) []step {
	sightings = slices.Clone(sightings)
	slices.SortStableFunc(sightings, func(a, b domain.Sighting) int { return cmp.Compare(a.ClientID, b.ClientID) })
	var steps []step
	for _, s := range sightings {
		at, in := micros(s.At), place{rank: placeClients, key: s.ClientID}
		switch {
		case s.Gone:
			steps = append(steps, step{
				text: "UPDATE clients SET last_active_session_id = NULL, updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END " +
					"WHERE id = ? AND last_active_session_id = ?",
				args: []any{at, at, s.ClientID, s.SessionID}, place: in,
			})
		case s.SessionID != "":
			steps = append(steps, step{text: seenText, args: []any{s.ClientID, at, at, s.SessionID}, place: in})
		default:
			steps = append(steps, step{
				text: "INSERT INTO clients (id, created_at, updated_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", args: []any{s.ClientID, at, at}, place: in,
			})
		}
	}
	return steps
}

// sole makes sure of what sightings say of other sessions. The client was locked by seen, so no other login is between
// the two; what the clock has ended is no longer in the way.
func sole(sightings []domain.Sighting) []step {
	var steps []step
	for _, s := range sightings {
		if s.SoleOf == "" {
			continue
		}
		steps = append(steps, step{
			text: "UPDATE clients SET updated_at = updated_at WHERE id = ? AND NOT EXISTS (SELECT 1 FROM sessions WHERE client_id = ? " +
				"AND user_id = ? AND id <> ? AND state IN ('active', 'pending', 'abandoned') AND expire_at > ?)",
			args: []any{s.ClientID, s.ClientID, s.SoleOf, s.SessionID, micros(s.At)}, miss: domain.ErrStale,
		})
	}
	return steps
}

// clientRow is a browser or a device.
type clientRow struct {
	bun.BaseModel `bun:"table:clients"`

	ID                  string  `bun:"id,pk"`
	CreatedAt           int64   `bun:"created_at"`
	UpdatedAt           int64   `bun:"updated_at"`
	LastActiveSessionID *string `bun:"last_active_session_id"`
}

func clientRecord(_ *seal.Keyring, row *clientRow) (*domain.Client, error) {
	return &domain.Client{
		ID: row.ID, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt), LastActiveSessionID: row.LastActiveSessionID,
	}, nil
}

func (d *DB) clients() *shelf[domain.Client, clientRow] {
	return &shelf[domain.Client, clientRow]{db: d, table: tableOf[clientRow](d), record: clientRecord}
}

// Client finds a client.
func (d *DB) Client(ctx context.Context, id string) (*domain.Client, error) {
	return d.clients().Get(ctx, id)
}

// Clients finds clients by id.
func (d *DB) Clients(ctx context.Context, ids []string) ([]*domain.Client, error) {
	return d.clients().GetMany(ctx, ids)
}
