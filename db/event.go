package db

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// eventRow is a line of the journal.
type eventRow struct {
	bun.BaseModel `bun:"table:lifecycle_events"`

	Seq         int64  `bun:"seq,autoincrement"`
	Tx          int64  `bun:"tx,default:0"`
	ID          string `bun:"id,pk"`
	Name        string `bun:"name"`
	FromState   string `bun:"from_state"`
	ToState     string `bun:"to_state"`
	OccurredAt  int64  `bun:"occurred_at"`
	ActorID     string `bun:"actor_id"`
	SubjectKind string `bun:"subject_kind"`
	SubjectID   string `bun:"subject_id"`
	Version     int    `bun:"version"`
	Reason      string `bun:"reason"`
	Concerns    string `bun:"concerns"`
}

func eventRowOf(e *domain.LifecycleEvent) (*eventRow, error) {
	concerns, err := json.Marshal(e.Concerns)
	return &eventRow{
		ID: e.ID, Name: e.Name, FromState: e.From, ToState: e.To, OccurredAt: micros(e.OccurredAt), ActorID: e.ActorID,
		SubjectKind: string(e.SubjectKind), SubjectID: e.SubjectID, Version: e.Version, Reason: e.Reason, Concerns: string(concerns),
	}, err
}

func eventRecord(_ *seal.Keyring, row *eventRow) (*domain.LifecycleEvent, error) {
	e := &domain.LifecycleEvent{
		ID: row.ID, Position: domain.FeedPosition{Tx: row.Tx, Seq: row.Seq}, Name: row.Name, From: row.FromState, To: row.ToState,
		OccurredAt: instant(row.OccurredAt), ActorID: row.ActorID, SubjectKind: domain.Kind(row.SubjectKind),
		SubjectID: row.SubjectID, Version: row.Version, Reason: row.Reason,
	}
	return e, json.Unmarshal([]byte(row.Concerns), &e.Concerns)
}

// firstEvent begins the journal of an imported session, if that is there and has none.
func (d *DB) firstEvent(e *domain.LifecycleEvent) (step, error) {
	row, err := eventRowOf(e)
	if err != nil {
		return step{}, err
	}
	t := tableOf[eventRow](d)
	args := values(row, t.fields)
	var names, casts []string
	for i, f := range t.fields {
		kind := "TEXT"
		if _, ok := args[i].(string); !ok {
			kind = "BIGINT"
		}
		names, casts = append(names, f.Name), append(casts, "CAST(? AS "+kind+")")
	}
	return step{
		text: fmt.Sprintf("INSERT INTO %s (%s) SELECT %s WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?) "+
			"AND NOT EXISTS (SELECT 1 FROM %s WHERE subject_id = ?)", t.name, strings.Join(names, ", "), strings.Join(casts, ", "), t.name),
		args: append(args, e.SubjectID, e.SubjectID),
	}, nil
}

// Events is the shelf of the journal.
func (d *DB) Events() domain.Shelf[domain.LifecycleEvent] { return d.events() }

func (d *DB) events() *shelf[domain.LifecycleEvent, eventRow] {
	return &shelf[domain.LifecycleEvent, eventRow]{
		db: d, table: tableOf[eventRow](d), schema: domain.EventSchema, read: domain.EventValue, record: eventRecord,
		columns: map[string]column{
			"_id": {name: "id"}, "seq": {name: "seq"}, "subjectId": {name: "subject_id"}, "name": {name: "name"},
			"createdAt": {name: "occurred_at"},
		},
	}
}

// Feed gives events in the order of their commits, after a position.
//
// On PostgreSQL an event is given only when no transaction with a smaller number is left that could add one before
// it, so a reader who goes on from the last position misses none.
func (d *DB) Feed(ctx context.Context, after domain.FeedPosition, limit int) ([]*domain.LifecycleEvent, error) {
	events := d.events()
	var rows []eventRow
	err := d.query(ctx, &rows, "SELECT "+events.table.columns+" FROM lifecycle_events WHERE (tx, seq) > (?, ?)"+
		d.words.settled+" ORDER BY tx, seq LIMIT ?", after.Tx, after.Seq, limit)
	if err != nil {
		return nil, err
	}
	return events.records(ctx, rows)
}
