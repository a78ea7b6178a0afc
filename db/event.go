package db

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// Timelines gives a span of the journal of each record. The first event of each comes too, and is left out again where
// it is not in the span: where a span is empty, it alone tells how long the journal is.
func (d *DB) Timelines(ctx context.Context, subjectIDs []string, span domain.Span) (map[string]*domain.TimelineSpan, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	low, high := "0", "count(*) OVER s"
	var bounds []any
	if span.After != nil {
		low, bounds = "sum(CASE WHEN seq <= ? THEN 1 ELSE 0 END) OVER s", append(bounds, *span.After)
	}
	if span.Before != nil {
		high, bounds = "sum(CASE WHEN seq < ? THEN 1 ELSE 0 END) OVER s", append(bounds, *span.Before)
	}
	within := "place > low AND place <= high"
	var sizes []any
	if span.First != nil {
		within, sizes = within+" AND place <= low + ?", append(sizes, *span.First)
	}
	if span.Last != nil {
		within, sizes = within+" AND place > high - ?", append(sizes, *span.Last)
	}
	columns := tableOf[eventRow](d).columns
	out := map[string]*domain.TimelineSpan{}
	for _, some := range chunks(subjectIDs) {
		var rows []struct {
			eventRow
			Place  int64 `bun:"place"`
			Low    int64 `bun:"low"`
			High   int64 `bun:"high"`
			Total  int64 `bun:"total"`
			Within bool  `bun:"within"`
		}
		text := fmt.Sprintf("SELECT e.*, (%s) AS within FROM (SELECT %s, row_number() OVER (s ORDER BY seq) AS place, %s AS low, %s AS high, "+
			"count(*) OVER s AS total FROM lifecycle_events WHERE subject_id IN (%s) WINDOW s AS (PARTITION BY subject_id)) AS e "+
			"WHERE place = 1 OR %s ORDER BY subject_id, place", within, columns, low, high, marks(len(some)), within)
		args := slices.Concat(sizes, bounds, anys(some), sizes)
		if err := d.search(ctx, &rows, text, args...); err != nil {
			return nil, err
		}
		for i := range rows {
			r := &rows[i]
			t := out[r.SubjectID]
			if t == nil {
				t = &domain.TimelineSpan{Events: []*domain.LifecycleEvent{}, Start: spanStart(span, r.Low, r.High), Total: int(r.Total)}
				out[r.SubjectID] = t
			}
			if !r.Within {
				continue
			}
			e, err := eventRecord(keys, &r.eventRow)
			if err != nil {
				return nil, err
			}
			t.Events = append(t.Events, e)
		}
	}
	return out, nil
}

// spanStart is how many events come before a span that lies after low events and before the one after high.
func spanStart(span domain.Span, low, high int64) int {
	high = max(low, high)
	if span.Last != nil {
		low = max(low, high-int64(*span.Last))
	}
	return int(low)
}
