package db

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/db/engine"
)

// table contains the statements that all record tables need.
type table struct {
	// byID reads the row with an id, byIDs those of a list of ids.
	byID, byIDs *statement
	// insert adds a row, unless its id is taken; update replaces a version of a row; hold locks a version of a row
	// until the end of the transaction. They are nil if the rows have no versions.
	insert, update, hold *statement
	// erase deletes a version of a row; nil if no transition erases the record.
	erase   *statement
	lookups [dialects]atomic.Pointer[engine.Lookup]
}

// tableOf declares the statements that read the row struct W.
func tableOf[W any]() *table {
	model := (*W)(nil)
	return &table{byID: byIDOf[W](), byIDs: fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model(model).Where("?", b.among("id", b.arg("ids")))
	})}
}

// versionedOf declares the statements of a row struct whose rows have versions, for the named table.
func versionedOf[W any](name string) *table {
	return versionedWith[W](name, fixed(func(b *builder) schema.QueryAppender { return update(b, (*W)(nil)) }).locking(name, "id").alone())
}

// versionedWith declares them with a custom update.
func versionedWith[W any](name string, update *statement) *table {
	t := tableOf[W]()
	t.insert, t.update = insertOf[W](name), update
	t.hold = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*W)(nil)).Set("version = version").Where(ofVersion, b.arg("id"), b.arg("version"))
	}).locking(name, "id").alone()
	return t
}

// erasableOf declares the statements of a row struct whose rows have versions, if a transition erases the record.
func erasableOf[W any](name string) *table {
	t := versionedOf[W](name)
	t.erase = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*W)(nil)).Where(ofVersion, b.arg("id"), b.arg("version"))
	})
	return t
}

// byIDOf declares the statement that reads the row with an id.
func byIDOf[W any]() *statement {
	return fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*W)(nil)).Where("id = ?", b.arg("id"))
	})
}

// insertOf declares the statement that adds a row, unless its id is taken.
func insertOf[W any](name string) *statement {
	return fixed(func(b *builder) schema.QueryAppender { return insertion(b, (*W)(nil)) }).locking(name, "id").alone()
}

// upsertOf declares the statement that adds a row, or replaces the one with its id.
func upsertOf[W any]() *statement {
	return fixed(func(b *builder) schema.QueryAppender { return insertionOrUpdate(b, (*W)(nil)) })
}

const ofVersion = "id = ? AND version = ?"

// update replaces a version of a row.
func update(b *builder, model any) *bun.UpdateQuery {
	q := b.NewUpdate().Model(model)
	for _, f := range updated(b.table(model)) {
		q.Set("? = ?", bun.Ident(f.Name), b.column(f))
	}
	return q.Where(ofVersion, b.arg("id"), b.arg("version"))
}

// inserted returns the fields that an INSERT writes: all except those that the database fills in (autoincrement,
// default).
func inserted(t *schema.Table) (fields []*schema.Field, filled []string) {
	for _, f := range t.Fields {
		if f.AutoIncrement || f.SQLDefault != "" {
			filled = append(filled, f.Name)
		} else {
			fields = append(fields, f)
		}
	}
	return fields, filled
}

// updated returns the fields that an UPDATE writes.
func updated(t *schema.Table) []*schema.Field {
	fields, _ := inserted(t)
	return slices.DeleteFunc(fields, func(f *schema.Field) bool { return f.Name == "id" || f.Name == "created_at" })
}

// insertion adds a row of the model. If the row already exists, it changes nothing and returns no error.
func insertion(b *builder, model any) *bun.InsertQuery {
	return newRow(b, model).On("CONFLICT DO NOTHING")
}

// insertionOrUpdate adds a row of the model, or replaces the one with its id.
func insertionOrUpdate(b *builder, model any) *bun.InsertQuery {
	q := newRow(b, model).On("CONFLICT (id) DO UPDATE")
	for _, f := range updated(b.table(model)) {
		replace(q, f.Name)
	}
	return q
}

// newRow builds an INSERT of all columns of the model. It returns no row unless columns are named.
func newRow(b *builder, model any, returned ...string) *bun.InsertQuery {
	fields, filled := inserted(b.table(model))
	q := b.NewInsert().Model(model).ExcludeColumn(filled...).Returning(cmp.Or(strings.Join(returned, ", "), "NULL"))
	for _, f := range fields {
		q.Value(f.Name, "?", b.column(f))
	}
	return q
}

// replace makes an upsert use the values of the new row.
func replace(q *bun.InsertQuery, columns ...string) *bun.InsertQuery {
	for _, c := range columns {
		q.Set("? = excluded.?", bun.Ident(c), bun.Ident(c))
	}
	return q
}

// lookup describes how the engine reads rows by id.
func (t *table) lookup(d *DB) (*engine.Lookup, error) {
	at := &t.lookups[d.dialect.number]
	if l := at.Load(); l != nil {
		return l, nil
	}
	one, err := t.byID.of(d)
	if err != nil {
		return nil, err
	}
	many, err := t.byIDs.of(d)
	if err != nil {
		return nil, err
	}
	at.CompareAndSwap(nil, &engine.Lookup{One: one.Statement, Many: many.Statement})
	return at.Load(), nil
}

// find returns the row with an id; nil if it does not exist.
func find[W any](ctx context.Context, d *DB, t *table, id string) (*W, error) {
	if d.inline {
		row, found, err := queryOne[W](ctx, d, t.byID, with("id", id))
		if err != nil || !found {
			return nil, err
		}
		return &row, nil
	}
	l, err := t.lookup(d)
	if err != nil {
		return nil, err
	}
	if d.options.Reads != nil {
		d.options.Reads(l.One.Text)
	}
	found, err := d.engine.Lookup(ctx, l, id)
	if err != nil || found.Values == nil {
		return nil, err
	}
	row := new(W)
	var scan scanner
	return row, scan.row(d, found, reflect.ValueOf(row).Elem())
}

// batch is the number of rows read at once when all candidates must be examined, and of ids per statement.
const batch = 500

// chunks splits the distinct ids into lists, one per statement.
func chunks(ids []string) [][]string {
	kept := make([]string, 0, len(ids))
	for _, id := range ids {
		if storable(id) {
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	return slices.Collect(slices.Chunk(slices.Compact(kept), batch))
}
