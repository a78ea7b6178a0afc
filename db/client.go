package db

import (
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

var (
	clients = &kind[domain.Client, clientRow]{table: tableOf[clientRow](), record: clientRecord}

	// addClient adds a client.
	addClient = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*clientRow)(nil)) }).locking("clients", "id")
	// addActiveClient adds a client, or sets the session that it used last.
	addActiveClient = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*clientRow)(nil)).On("CONFLICT (id) DO UPDATE"), "last_active_session_id").
			Set("updated_at = CASE WHEN ?TableAlias.updated_at > excluded.updated_at THEN ?TableAlias.updated_at ELSE excluded.updated_at END")
	}).locking("clients", "id")
	// leaveSession clears the session that a client used last.
	leaveSession = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*clientRow)(nil)).Set("last_active_session_id = NULL").
			Set("updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END", b.arg("at"), b.arg("at")).
			Where("id = ? AND last_active_session_id = ?", b.arg("id"), b.arg("session"))
	}).locking("clients", "id")
	// lockOnlySession locks a client until the end of the transaction, if the user has no other session on it.
	lockOnlySession = fixed(func(b *builder) schema.QueryAppender {
		other := b.NewSelect().Model((*sessionRow)(nil)).ModelTableExpr("sessions AS s").ColumnExpr("1").
			Where("s.client_id = ? AND s.user_id = ? AND s.id <> ?", b.arg("id"), b.arg("user"), b.arg("session")).
			Where("s.state IN ('active', 'pending', 'abandoned') AND s.expire_at > ?", b.arg("at"))
		return b.NewUpdate().Model((*clientRow)(nil)).Set("updated_at = updated_at").Where("id = ?", b.arg("id")).Where("NOT EXISTS (?)", other)
	})
)

// lockClients writes the clients of a unit in an order common to all units, because otherwise two units could deadlock.
func (u *unit) lockClients(sightings []domain.Sighting) {
	sightings = slices.Clone(sightings)
	slices.SortStableFunc(sightings, func(a, b domain.Sighting) int { return cmp.Compare(a.ClientID, b.ClientID) })
	for _, s := range sightings {
		row := &clientRow{ID: s.ClientID, CreatedAt: micros(s.At), UpdatedAt: micros(s.At)}
		id := with("id", s.ClientID)
		switch {
		case s.Gone:
			u.add(leaveSession, nil, id, with("at", row.UpdatedAt), with("session", s.SessionID))
		case s.SessionID != "":
			row.LastActiveSessionID = &s.SessionID
			u.addRow(addActiveClient, row, nil, id)
		default:
			u.addRow(addClient, row, nil, id)
		}
	}
}

// checkOnlySessions makes the unit stale if a client has another session of the user. lockClients has locked the
// client, so no login can happen in between. Sessions that have ended do not count.
func (u *unit) checkOnlySessions(sightings []domain.Sighting) {
	for _, s := range sightings {
		if s.SoleOf != "" {
			u.add(
				lockOnlySession, domain.ErrStale, with("id", s.ClientID), with("user", s.SoleOf), with("session", s.SessionID),
				with("at", micros(s.At)),
			)
		}
	}
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

// Client returns a client.
func (d *DB) Client(ctx context.Context, id string) (*domain.Client, error) {
	return clients.on(d).Get(ctx, id)
}

// Clients returns clients by id.
func (d *DB) Clients(ctx context.Context, ids []string) ([]*domain.Client, error) {
	return clients.on(d).GetMany(ctx, ids)
}
