package db

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// kind describes how the records R are stored as rows W.
type kind[R, W any] struct {
	*table
	schema listing.Schema
	read   listing.Reader[R]
	// columns are the schema fields that the database can evaluate.
	columns map[string]column
	// record opens a row.
	record func(*seal.Keyring, *W) (*R, error)
	// row seals a record.
	row func(*seal.Keyring, *R) (*W, error)
	// write adds the steps of a change; nil if a change consists of the row only.
	write func(w *unit, keys *seal.Keyring, t *table, r *R, c domain.Change) error
	// due are the clock transitions; empty if the records have none.
	due []*deadline
}

// recordKinds maps each kind of record that a unit can change to its row type.
var recordKinds = map[domain.Kind]interface {
	// change adds the steps that write a record.
	change(w *unit, keys *seal.Keyring, r domain.Record, c domain.Change) error
}{}

// recordsOf registers a kind of record.
func recordsOf[R, W any](k *kind[R, W]) *kind[R, W] {
	recordKinds[any((*R)(nil)).(domain.Record).Kind()] = k
	return k
}

func (k *kind[R, W]) change(w *unit, keys *seal.Keyring, r domain.Record, c domain.Change) error {
	record, ok := any(r).(*R)
	if !ok {
		return fmt.Errorf("db: %T is not the type of a %s", r, r.Kind())
	}
	if k.write != nil {
		return k.write(w, keys, k.table, record, c)
	}
	row, err := k.row(keys, record)
	return w.record(k.table, row, r.NodeID(), c, err)
}

// shelf contains the records of one kind.
type shelf[R, W any] struct {
	*kind[R, W]
	db *DB
}

// on returns the store of a database.
func (k *kind[R, W]) on(d *DB) *shelf[R, W] { return &shelf[R, W]{kind: k, db: d} }

// deadline is a column with the time of a clock transition, for the rows that match the condition of its index.
type deadline struct {
	at, where, index string
	// watch is the indexed column, if it is not at: at changes often; watch is never later than at, and is moved when
	// it is reached.
	watch string
	// due reads rows whose watch time has passed; putOff moves their watch time.
	due, putOff *statement
}

// deadlineOf declares the statements of a deadline.
func deadlineOf[W any](name string, on deadline) *deadline {
	model := (*W)(nil)
	by := cmp.Or(on.watch, on.at)
	on.due = fixed(func(b *builder) schema.QueryAppender {
		table, args := b.index(name, on.index)
		return b.NewSelect().Model(model).ModelTableExpr(table, args...).
			ColumnExpr("id, ? AS due_at, ? AS look_at", bun.Ident(on.at), bun.Ident(by)).
			Where(on.where).Where("? <= ?", bun.Ident(by), b.arg("now")).Where("(?, id) > (?, ?)", bun.Ident(by), b.arg("look"), b.arg("id")).
			OrderExpr("?, id LIMIT ?", bun.Ident(by), b.arg("limit")) // bun would write the number of a limit
	})
	if on.watch != "" {
		on.putOff = fixed(func(b *builder) schema.QueryAppender {
			early := b.NewSelect().Model(model).Column("id").Where("id IN (?)", b.dialect.elements(b, b.arg("ids")))
			if b.dialect.skipLocked != "" {
				early.For(b.dialect.skipLocked)
			}
			return b.NewUpdate().
				WithQuery(bun.NewWithQuery("early", early).Materialized()).
				Model(model).
				Set("? = ?", bun.Ident(on.watch), bun.Ident(on.at)).
				Where("id IN (?)", b.NewSelect().Column("id").TableExpr("early")).
				Where("? < ?", bun.Ident(on.watch), bun.Ident(on.at))
		})
	}
	return &on
}

// column describes a listing field in the database.
type column struct {
	name string
	// null is set if the column may be NULL.
	null bool
	// floor is an indexed column that is never greater, if one exists.
	floor string
	// index returns the blind index of a value, if the column contains blind indexes.
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

// Get returns one record.
func (s *shelf[R, W]) Get(ctx context.Context, id string) (*R, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	found, err := find[W](ctx, s.db, s.table, id)
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

// GetMany returns records by id.
func (s *shelf[R, W]) GetMany(ctx context.Context, ids []string) ([]*R, error) {
	var out []*R
	for _, some := range chunks(ids) {
		rows, err := query[W](ctx, s.db, s.byIDs, with("ids", s.db.dialect.list(some)))
		if err != nil {
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

// Due returns the ids of records whose clock transition is due. It moves the watch time of rows whose transition is now
// later.
func (s *shelf[R, W]) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var due []dueRow
	for _, on := range s.due { // each has its own index and limit
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

// dueRow is a row whose watch time has passed, with the time of its transition.
type dueRow struct {
	ID   string `bun:"id"`
	At   int64  `bun:"due_at"`
	Look int64  `bun:"look_at"`
}

// dueBy finds rows with one index: all of them up to the limit, even if many others must be put off first.
func (s *shelf[R, W]) dueBy(ctx context.Context, on *deadline, now time.Time, limit int) (due []dueRow, err error) {
	for last := (dueRow{Look: math.MinInt64}); ; {
		rows, err := query[dueRow](
			ctx, s.db, on.due, with("now", micros(now)), with("look", last.Look), with("id", last.ID), with("limit", limit),
		)
		if err != nil {
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
			// It does not wait for locks: another instance or a transition may hold the same rows, and the next caller
			// puts them off.
			if err := s.db.write(ctx, on.putOff, nil, with("ids", jsonList(early))); err != nil {
				return nil, err
			}
		}
		if len(rows) < limit || len(due) >= limit {
			return due, nil
		}
		last = rows[len(rows)-1]
	}
}

// List filters, orders and pages in SQL if the database can do so exactly as package listing does. Otherwise it does so
// in memory, after filtering by the part of the predicate that the database can evaluate.
func (s *shelf[R, W]) List(ctx context.Context, q listing.Query) (listing.Page[R], error) {
	keys, err := s.db.keys(ctx)
	if err != nil {
		return listing.Page[R]{}, err
	}
	c := &compiler{schema: s.schema, columns: s.columns, keys: keys}
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

// matching reads all candidates in batches and keeps those that match.
func (s *shelf[R, W]) matching(ctx context.Context, where clause, rest listing.Predicate) ([]*R, error) {
	var out []*R
	for last := ""; ; {
		from := where.and(clause{text: "id > ?", args: []any{last}})
		rows, err := s.rows(ctx, from, func(q *bun.SelectQuery) { q.OrderExpr("id").Limit(batch) })
		if err != nil {
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

// listSQL implements Paginate in the database.
func (s *shelf[R, W]) listSQL(ctx context.Context, c *compiler, where clause, q listing.Query) (page listing.Page[R], err error) {
	if q.WithCount {
		counts, err := search[int](ctx, s.db, func(b *builder) schema.QueryAppender { return s.selection(b, where).ColumnExpr("count(*)") })
		if err != nil {
			return page, err
		}
		page.Count = counts[0]
	}
	if q.Keyset() {
		return page, s.byKey(ctx, c, where, q, &page)
	}
	start, limit := max(0, q.Start), min(max(0, q.Limit), maxRows)
	rows, err := s.rows(ctx, where, func(sel *bun.SelectQuery) {
		sel.OrderExpr(c.order(q.Order, false)).Limit(int64(limit) + 1).Offset(int64(start))
	})
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

// maxRows is a page size far above what a caller may request.
const maxRows = 1 << 30

func (s *shelf[R, W]) byKey(ctx context.Context, c *compiler, where clause, q listing.Query, page *listing.Page[R]) error {
	// Boundaries of the range: beyond is the part of the list on the page's side of a cursor, outside is the other
	// part.
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

	// One additional row shows whether there are more.
	backward := q.First == nil && q.Last != nil
	size := maxRows
	switch {
	case q.First != nil:
		size = min(max(0, *q.First), maxRows)
	case q.Last != nil:
		size = min(max(0, *q.Last), maxRows)
	}
	rows, err := s.rows(ctx, within, func(sel *bun.SelectQuery) {
		sel.OrderExpr(c.order(q.Order, backward)).Limit(int64(size) + 1)
	})
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
	// If the page reaches the end of the range, there is more on that side if there are rows outside the range.
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

// selection returns a query for the rows that match.
func (s *shelf[R, W]) selection(b *builder, where clause) *bun.SelectQuery {
	return b.NewSelect().Model((*W)(nil)).Where(where.text, b.values(where.args)...)
}

func (s *shelf[R, W]) rows(ctx context.Context, where clause, page func(*bun.SelectQuery)) ([]W, error) {
	return search[W](ctx, s.db, func(b *builder) schema.QueryAppender {
		q := s.selection(b, where)
		page(q)
		return q
	})
}

// any reports whether a row matches.
func (s *shelf[R, W]) any(ctx context.Context, where clause) (bool, error) {
	found, err := search[bool](ctx, s.db, func(b *builder) schema.QueryAppender {
		return b.exists(s.selection(b, where))
	})
	return err == nil && found[0], err
}
