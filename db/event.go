package db

import (
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
	// FirstUser and SecondUser are Concerns again, for the indexes.
	FirstUser  *string `bun:"first_user"`
	SecondUser *string `bun:"second_user"`
}

// maxConcerned is how many users an event may concern: each has a column.
const maxConcerned = 2

func eventRowOf(e *domain.LifecycleEvent) (*eventRow, error) {
	if len(e.Concerns) > maxConcerned {
		return nil, fmt.Errorf("db: the event %s concerns more than %d users", e.Name, maxConcerned)
	}
	concerns, err := json.Marshal(e.Concerns)
	row := &eventRow{
		ID: e.ID, Name: e.Name, FromState: e.From, ToState: e.To, OccurredAt: micros(e.OccurredAt), ActorID: e.ActorID,
		SubjectKind: string(e.SubjectKind), SubjectID: e.SubjectID, Version: e.Version, Reason: e.Reason, Concerns: string(concerns),
	}
	for i, column := range []**string{&row.FirstUser, &row.SecondUser} {
		if i < len(e.Concerns) {
			*column = &e.Concerns[i]
		}
	}
	return row, err
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
		if _, number := args[i].(int64); number {
			kind = "BIGINT"
		} else if _, number := args[i].(int); number {
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
			"_id": {name: "id"}, "tx": {name: "tx"}, "seq": {name: "seq"}, "name": {name: "name"},
			"subjectKind": {name: "subject_kind"}, "subjectId": {name: "subject_id"}, "occurredAt": {name: "occurred_at"},
			"actor": {name: "NULLIF(actor_id, '')", null: true},
			"from":  {name: "NULLIF(from_state, '')", null: true}, "to": {name: "NULLIF(to_state, '')", null: true},
			"firstUser": {name: "first_user", null: true}, "secondUser": {name: "second_user", null: true},
		},
	}
}
