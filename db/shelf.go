package db

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// batch is how many rows are read at once where all candidates have to be looked at.
const batch = 500

// shelf keeps the records R as rows W.
type shelf[R, W any] struct {
	db     *DB
	table  *table
	schema listing.Schema
	read   listing.Reader[R]
	// columns are those of the schema's fields that the database can evaluate.
	columns map[string]column
	// record opens a row.
	record func(*seal.Keyring, *W) (*R, error)
	// due says which rows have a clock transition before them, and when; empty where the records have none.
	due []deadline
}

// deadline is a column that holds the time of a clock transition, for the rows where the condition is true: those of an
// index.
type deadline struct {
	at, where, index string
	// watch is the column of the index, where that is another one: at moves often, watch is never later than it, and
	// follows when its time has come.
	watch string
}

// column is a listing field in the database.
type column struct {
	name string
	// null is set where it may be missing.
	null bool
	// floor is a column that is never greater, where there is one, and that an index has.
	floor string
	// index gives the blind index of a value, where the column holds one instead of the value.
	index func(k *seal.Keyring, value string) []byte
}

func (s *shelf[R, W]) records(ctx context.Context, rows []W) ([]*R, error) {
	keys, err := s.db.keys(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*R, 0, len(rows))
	for i := range rows {
		r, err := s.record(keys, &rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Get finds one record.
func (s *shelf[R, W]) Get(ctx context.Context, id string) (*R, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	found, err := row[W](ctx, s.db, s.table, id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, domain.ErrMissing
	}
	keys, err := s.db.keys(ctx)
	if err != nil {
		return nil, err
	}
	return s.record(keys, found)
}

// GetMany finds records by id.
func (s *shelf[R, W]) GetMany(ctx context.Context, ids []string) ([]*R, error) {
	var out []*R
	for _, some := range chunks(ids) {
		var rows []W
		text := fmt.Sprintf("SELECT %s FROM %s WHERE id IN (%s)", s.table.columns, s.table.name, marks(len(some)))
		if err := s.db.search(ctx, &rows, text, anys(some)...); err != nil {
			return nil, err
		}
		found, err := s.records(ctx, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Due lists ids of records whose clock transition is due. What was to be looked at now, and has moved on, is put off.
func (s *shelf[R, W]) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var due []dueRow
	for _, on := range s.due { // each has its own index, and its own limit
		some, err := s.dueBy(ctx, on, now, limit)
		if err != nil {
			return nil, err
		}
		due = append(due, some...)
	}
	slices.SortFunc(due, func(a, b dueRow) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	ids := make([]string, 0, limit)
	for _, row := range due[:min(limit, len(due))] {
		ids = append(ids, row.ID)
	}
	return ids, nil
}

// dueRow is a row whose look has come, and the time of its transition.
type dueRow struct {
	ID   string `bun:"id"`
	At   int64  `bun:"due_at"`
	Look int64  `bun:"look_at"`
}

// dueBy finds rows by one index: all of them up to the limit, however many are to be put off before them.
func (s *shelf[R, W]) dueBy(ctx context.Context, on deadline, now time.Time, limit int) (due []dueRow, err error) {
	by := cmp.Or(on.watch, on.at)
	text := fmt.Sprintf("SELECT id, %s AS due_at, %s AS look_at FROM %s%s WHERE %s AND %s <= ? AND (%s, id) > (?, ?) ORDER BY %s, id LIMIT ?",
		on.at, by, s.table.name, s.db.words.by(on.index), on.where, by, by, by)
	for last := (dueRow{Look: math.MinInt64}); ; {
		var rows []dueRow
		if err := s.db.query(ctx, &rows, text, micros(now), last.Look, last.ID, limit); err != nil {
			return nil, err
		}
		var early []string
		for _, r := range rows {
			if r.At > micros(now) {
				early = append(early, r.ID)
			} else {
				due = append(due, r)
			}
		}
		if len(early) > 0 {
			if err := s.putOff(ctx, on, early); err != nil {
				return nil, err
			}
		}
		if len(rows) < limit || len(due) >= limit {
			return due, nil
		}
		last = rows[len(rows)-1]
	}
}

// putOff moves the looks at rows to their time. Nobody is waited for: another instance, or a transition, may be at the
// same rows, and who finds them the next time puts them off.
func (s *shelf[R, W]) putOff(ctx context.Context, on deadline, ids []string) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("WITH early AS MATERIALIZED (SELECT id FROM %s WHERE id IN (%s)%s) UPDATE %s SET %s = %s WHERE id IN (SELECT id FROM early) AND %s < %s",
		s.table.name, s.db.words.elements, s.db.words.skipLocked, s.table.name, on.watch, on.at, on.watch, on.at)
	return s.db.write(ctx, func(t tx) error {
		_, err := t.exec(text, string(list))
		return err
	})
}

// List selects, orders and pages: in SQL where the database can do it exactly as package listing does, and else
// in memory, over the records that the part of the predicate it can evaluate leaves.
func (s *shelf[R, W]) List(ctx context.Context, q listing.Query) (listing.Page[R], error) {
	keys, err := s.db.keys(ctx)
	if err != nil {
		return listing.Page[R]{}, err
	}
	c := &compiler{schema: s.schema, columns: s.columns, keys: keys, elements: s.db.words.elements}
	plain, rest := c.split(q.Where)
	where := c.condition(plain)
	if rest == listing.True && c.sorts(q.Order) {
		return s.listSQL(ctx, c, where, q)
	}
	matched, err := s.matching(ctx, where, rest)
	if err != nil {
		return listing.Page[R]{}, err
	}
	return listing.Paginate(s.schema, s.read, matched, q)
}

// matching reads all candidates, portion by portion, and keeps those that match.
func (s *shelf[R, W]) matching(ctx context.Context, where clause, rest listing.Predicate) ([]*R, error) {
	var out []*R
	for last := ""; ; {
		from := where.and(clause{text: "id > ?", args: []any{last}})
		var rows []W
		text := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY id LIMIT %d", s.table.columns, s.table.name, from.text, batch)
		if err := s.db.search(ctx, &rows, text, from.args...); err != nil {
			return nil, err
		}
		found, err := s.records(ctx, rows)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if listing.Match(s.schema, rest, s.read, r) {
				out = append(out, r)
			}
		}
		if len(rows) < batch {
			return out, nil
		}
		last = s.read(found[len(found)-1], listing.IDField).(string)
	}
}

// listSQL is Paginate in the database.
func (s *shelf[R, W]) listSQL(ctx context.Context, c *compiler, where clause, q listing.Query) (page listing.Page[R], err error) {
	if q.WithCount {
		var count int64
		if err := s.db.search(ctx, &count, "SELECT count(*) FROM "+s.table.name+" WHERE "+where.text, where.args...); err != nil {
			return page, err
		}
		page.Count = int(count)
	}
	if q.Keyset() {
		return page, s.byKey(ctx, c, where, q, &page)
	}
	start, limit := max(0, q.Start), min(max(0, q.Limit), maxRows)
	rows, err := s.rows(ctx, where, fmt.Sprintf("ORDER BY %s LIMIT %d OFFSET %d", c.order(q.Order, false), limit+1, start))
	if err != nil {
		return page, err
	}
	page.HasPrevious = start > 0 && len(rows) > 0
	if start > 0 && len(rows) == 0 { // the page is past the end of a list that may be empty
		if page.HasPrevious, err = s.any(ctx, where); err != nil {
			return page, err
		}
	}
	if page.HasNext = len(rows) > limit; page.HasNext {
		rows = rows[:limit]
	}
	page.Items, err = s.records(ctx, rows)
	return page, err
}

// maxRows bounds a page far above what any caller may ask for.
const maxRows = 1 << 30

func (s *shelf[R, W]) byKey(ctx context.Context, c *compiler, where clause, q listing.Query, page *listing.Page[R]) error {
	// Boundaries of the range: beyond is the part of the list on the page's side of a cursor, outside the other.
	all := clause{text: "TRUE"}
	beyondAfter, beyondBefore := all, all
	outsideAfter, outsideBefore := clause{text: "FALSE"}, clause{text: "FALSE"}
	if q.After != "" {
		at, err := listing.DecodeCursor(s.schema, q.Order, "after", q.After)
		if err != nil {
			return err
		}
		beyondAfter, outsideAfter = c.beyond(q.Order, at, false, false), c.beyond(q.Order, at, true, true)
	}
	if q.Before != "" {
		at, err := listing.DecodeCursor(s.schema, q.Order, "before", q.Before)
		if err != nil {
			return err
		}
		beyondBefore, outsideBefore = c.beyond(q.Order, at, true, false), c.beyond(q.Order, at, false, true)
	}
	within := where.and(beyondAfter).and(beyondBefore)

	// One row more than asked for tells whether there is more.
	backward := q.First == nil && q.Last != nil
	size := maxRows
	switch {
	case q.First != nil:
		size = min(max(0, *q.First), maxRows)
	case q.Last != nil:
		size = min(max(0, *q.Last), maxRows)
	}
	rows, err := s.rows(ctx, within, fmt.Sprintf("ORDER BY %s LIMIT %d", c.order(q.Order, backward), size+1))
	if err != nil {
		return err
	}
	more := len(rows) > size
	rows = rows[:min(size, len(rows))]
	if backward {
		slices.Reverse(rows)
	}
	cutBefore, cutAfter := more && backward, more && !backward
	if q.First != nil && q.Last != nil && len(rows) > max(0, *q.Last) {
		rows, cutBefore = rows[len(rows)-max(0, *q.Last):], true
	}
	// Where the page reaches the end of the range, there is more on that side if there is anything outside it.
	page.HasPrevious, page.HasNext = cutBefore, cutAfter
	if !cutBefore && q.After != "" && !q.NoEnds {
		if page.HasPrevious, err = s.any(ctx, where.and(outsideAfter)); err != nil {
			return err
		}
	}
	if !cutAfter && q.Before != "" && !q.NoEnds {
		if page.HasNext, err = s.any(ctx, where.and(beyondAfter).and(outsideBefore)); err != nil {
			return err
		}
	}
	if page.Items, err = s.records(ctx, rows); err != nil {
		return err
	}
	for _, r := range page.Items {
		page.Cursors = append(page.Cursors, listing.EncodeCursor(s.schema, q.Order, s.read, r))
	}
	return nil
}

func (s *shelf[R, W]) rows(ctx context.Context, where clause, tail string) (rows []W, err error) {
	err = s.db.search(ctx, &rows, fmt.Sprintf("SELECT %s FROM %s WHERE %s %s", s.table.columns, s.table.name, where.text, tail), where.args...)
	return rows, err
}

// any reports whether a row matches.
func (s *shelf[R, W]) any(ctx context.Context, where clause) (bool, error) {
	var found bool
	err := s.db.search(ctx, &found, "SELECT EXISTS (SELECT 1 FROM "+s.table.name+" WHERE "+where.text+")", where.args...)
	return found, err
}
