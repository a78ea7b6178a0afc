package db

import (
	"reflect"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
)

// RecordTable is the table of a kind of record.
type RecordTable struct {
	Name string
	// Erases is set if the table can delete a row of a version.
	Erases bool
}

// RecordTables returns the tables of all kinds of records that a unit may change.
func RecordTables() map[domain.Kind]RecordTable {
	out := map[domain.Kind]RecordTable{}
	for kind, k := range recordKinds {
		v := reflect.ValueOf(k).Elem()
		row := v.FieldByName("record").Type().In(1).Elem()
		model, _ := row.FieldByName("BaseModel")
		out[kind] = RecordTable{
			Name:   strings.TrimPrefix(strings.Split(model.Tag.Get("bun"), ",")[0], "table:"),
			Erases: !v.FieldByName("table").Elem().FieldByName("erase").IsNil(),
		}
	}
	return out
}
