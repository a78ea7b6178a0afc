package db

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// eventRow is the stored form of an event.
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
	// FirstUser and SecondUser repeat Concerns, for the indexes.
	FirstUser  *string `bun:"first_user"`
	SecondUser *string `bun:"second_user"`
}

// maxConcerned is the number of users that an event can concern: each has a column.
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

// firstEvent adds the first event of an imported session, if the session exists and has no event.
var firstEvent = fixed(func(b *builder) schema.QueryAppender {
	model := (*eventRow)(nil)
	fields, _ := inserted(b.table(model))
	first := b.NewSelect().Where("EXISTS (?)", b.NewSelect().Model((*sessionRow)(nil)).ColumnExpr("1").Where("id = ?", b.arg("session"))).
		Where("NOT EXISTS (?)", b.NewSelect().Model(model).ColumnExpr("1").Where("subject_id = ?", b.arg("session")))
	q := b.NewInsert().With("first", first).Model(model).TableExpr("first").Returning("NULL")
	for _, f := range fields {
		kind := "TEXT"
		if f.IndirectType.Kind() != reflect.String {
			kind = "BIGINT"
		}
		first.ColumnExpr("CAST(? AS "+kind+") AS ?", b.column(f), bun.Ident(f.Name))
		q.Column(f.Name)
	}
	return q
})

// Events returns the store of the journal.
func (d *DB) Events() domain.Shelf[domain.LifecycleEvent] { return events.on(d) }

const eventsTable = "lifecycle_events"

var (
	events = &kind[domain.LifecycleEvent, eventRow]{
		table: tableOf[eventRow](), schema: domain.EventSchema, read: domain.EventValue, record: eventRecord,
		columns: map[string]column{
			"_id": {name: "id"}, "tx": {name: "tx"}, "seq": {name: "seq"}, "name": {name: "name"},
			"subjectKind": {name: "subject_kind"}, "subjectId": {name: "subject_id"}, "occurredAt": {name: "occurred_at"},
			"actor": {name: "NULLIF(actor_id, '')", null: true},
			"from":  {name: "NULLIF(from_state, '')", null: true}, "to": {name: "NULLIF(to_state, '')", null: true},
			"firstUser": {name: "first_user", null: true}, "secondUser": {name: "second_user", null: true},
		},
	}
	// addEvent adds an event. In a transaction of several units, events keep their sequence.
	addEvent = fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*eventRow)(nil)) }).locking(eventsTable, "")
)

// Timelines returns a span of the journal of each record. The query also reads the first event of each record, which
// contains the total if the span is empty; it is dropped if it is outside the span.
func (d *DB) Timelines(ctx context.Context, subjectIDs []string, span domain.Span) (map[string]*domain.TimelineSpan, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]*domain.TimelineSpan{}
	for _, some := range chunks(subjectIDs) {
		rows, err := search[timelineRow](ctx, d, func(b *builder) schema.QueryAppender { return timelines(b, some, span) })
		if err != nil {
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

// timelineRow is an event with its position in the journal of its record, and the positions before and at the end of
// the span.
type timelineRow struct {
	eventRow
	Place  int64 `bun:"place"`
	Low    int64 `bun:"low"`
	High   int64 `bun:"high"`
	Total  int64 `bun:"total"`
	Within bool  `bun:"within"`
}

func timelines(b *builder, subjectIDs []string, span domain.Span) schema.QueryAppender {
	model := (*eventRow)(nil)
	all := b.NewSelect().
		Model(model).
		ColumnExpr("?TableColumns").
		ColumnExpr("row_number() OVER (PARTITION BY subject_id ORDER BY seq) AS place")
	if span.After != nil {
		all.ColumnExpr("sum(CASE WHEN seq <= ? THEN 1 ELSE 0 END) OVER (PARTITION BY subject_id) AS low", b.value(*span.After))
	} else {
		all.ColumnExpr("0 AS low")
	}
	if span.Before != nil {
		all.ColumnExpr("sum(CASE WHEN seq < ? THEN 1 ELSE 0 END) OVER (PARTITION BY subject_id) AS high", b.value(*span.Before))
	} else {
		all.ColumnExpr("count(*) OVER (PARTITION BY subject_id) AS high")
	}
	all.ColumnExpr("count(*) OVER (PARTITION BY subject_id) AS total").
		Where("?", b.among("subject_id", b.value(b.dialect.list(subjectIDs))))

	within, sizes := "place > low AND place <= high", []any{}
	if span.First != nil {
		within, sizes = within+" AND place <= low + ?", append(sizes, *span.First)
	}
	if span.Last != nil {
		within, sizes = within+" AND place > high - ?", append(sizes, *span.Last)
	}
	return b.NewSelect().ColumnExpr("e.*").ColumnExpr("("+within+") AS within", b.values(sizes)...).TableExpr("(?) AS e", all).
		Where("place = 1 OR "+within, b.values(sizes)...).OrderExpr("subject_id, place")
}

// spanStart returns the number of events before the span that follows the first low events and ends at high.
func spanStart(span domain.Span, low, high int64) int {
	high = max(low, high)
	if span.Last != nil {
		low = max(low, high-int64(*span.Last))
	}
	return int(low)
}
