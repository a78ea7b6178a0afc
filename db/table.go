package db

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/uptrace/bun/schema"
)

// table is what the tags of a row struct say, with the statements that every table needs.
type table struct {
	name   string
	fields []*schema.Field
	// columns is the list of a SELECT, insert adds a row, upsert adds or replaces one, update replaces one of a version.
	columns, insert, upsert, update string
	// byID reads the row of an id.
	byID string
	// set are the fields of update, all but those that never change.
	set []*schema.Field
}

// tableOf reads the tags of the row struct W. What the database fills in (autoincrement, default) is read, and
// never written. A row that is there already is not an error of insert: it changes no row.
func tableOf[W any](d *DB) *table {
	of := reflect.TypeFor[W]()
	if t, ok := d.tables.Load(of); ok {
		return t.(*table)
	}
	t, _ := d.tables.LoadOrStore(of, newTable(d.reader.Table(of)))
	return t.(*table)
}

func newTable(s *schema.Table) *table {
	t := &table{name: s.Name}
	var all, inserted, assigned, excluded []string
	for _, f := range s.Fields {
		all = append(all, f.Name)
		if f.AutoIncrement || f.SQLDefault != "" {
			continue
		}
		t.fields = append(t.fields, f)
		inserted = append(inserted, f.Name)
		if f.Name != "id" && f.Name != "created_at" {
			t.set = append(t.set, f)
			assigned = append(assigned, f.Name+" = ?")
			excluded = append(excluded, f.Name+" = excluded."+f.Name)
		}
	}
	t.columns = strings.Join(all, ", ")
	t.byID = "SELECT " + t.columns + " FROM " + t.name + " WHERE id = ?"
	add := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT ", t.name, strings.Join(inserted, ", "), marks(len(inserted)))
	t.insert, t.upsert = add+"DO NOTHING", add+"(id) DO UPDATE SET "+strings.Join(excluded, ", ")
	t.update = fmt.Sprintf("UPDATE %s SET %s WHERE id = ? AND version = ?", t.name, strings.Join(assigned, ", "))
	return t
}

// values are those of a row, a pointer to a row struct, in the order of the fields.
func values(row any, fields []*schema.Field) []any {
	v := reflect.ValueOf(row).Elem()
	out := make([]any, len(fields), len(fields)+2)
	for i, f := range fields {
		out[i] = argument(f.Value(v))
	}
	return out
}

// argument gives a value as both drivers take it: no pointers, and nil for what is missing.
func argument(v reflect.Value) any {
	pointer := v.Kind() == reflect.Pointer
	if (pointer || v.Kind() == reflect.Slice) && v.IsNil() {
		return nil
	}
	if pointer {
		v = v.Elem()
	}
	return v.Interface()
}

// inserting adds the row; miss is the error where its id is taken.
func (t *table) inserting(row any, miss error) step {
	return step{text: t.insert, args: values(row, t.fields), miss: miss}
}

// record is the place of a step that writes the row of an id.
func (t *table) record(id string) place {
	return place{rank: placeRecords, key: t.name + "/" + id, sole: true}
}

// upserting adds the row, or replaces the one of its id.
func (t *table) upserting(row any) step { return step{text: t.upsert, args: values(row, t.fields)} }

// updating replaces the row if it is of the version.
func (t *table) updating(row any, id string, was int, miss error) step {
	return step{text: t.update, args: append(values(row, t.set), id, was), miss: miss, place: t.record(id)}
}

// holding keeps the row as it is until the end of the transaction, if it is of the version.
func (t *table) holding(id string, was int, miss error) step {
	return step{text: "UPDATE " + t.name + " SET version = version WHERE id = ? AND version = ?", args: []any{id, was}, miss: miss, place: t.record(id)}
}

// deleting removes the row if it is of the version.
func (t *table) deleting(id string, was int, miss error) step {
	return step{text: "DELETE FROM " + t.name + " WHERE id = ? AND version = ?", args: []any{id, was}, miss: miss}
}

// chunks cuts ids, each once, into portions that fit into one statement.
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

// anys makes arguments of texts.
func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}
