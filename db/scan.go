package db

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// sink takes rows into what a caller wants to have filled: a slice of row structs, a slice of values, or one value.
// Values go from the driver into the fields without a stop between, for that stop was most of what a read cost.
type sink struct {
	list  reflect.Value // the slice; invalid for one value
	value reflect.Value // the one value
	rows  int
	// fields are those of a row struct by column; nil for values.
	fields [][]int
}

func newSink(dest any) *sink {
	v := reflect.ValueOf(dest).Elem()
	if v.Kind() == reflect.Slice && v.Type() != bytesType {
		return &sink{list: v}
	}
	return &sink{value: v}
}

var bytesType = reflect.TypeFor[[]byte]()

// layouts are the fields of row structs by their columns, by type.
var layouts sync.Map

// fieldsOf are the fields of a row struct by their columns, as their tags say; those of a row struct within it too.
func fieldsOf(of reflect.Type) map[string][]int {
	if known, ok := layouts.Load(of); ok {
		return known.(map[string][]int)
	}
	made := map[string][]int{}
	for _, field := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(field.Tag.Get("bun"), ","); name != "" && !strings.Contains(name, ":") {
			made[name] = field.Index
		}
	}
	known, _ := layouts.LoadOrStore(of, made)
	return known.(map[string][]int)
}

// columns says which columns come.
func (s *sink) columns(count int, name func(int) string) error {
	if !s.list.IsValid() || s.list.Type().Elem().Kind() != reflect.Struct {
		if count != 1 {
			return fmt.Errorf("db: %d columns for one value", count)
		}
		return nil
	}
	known := fieldsOf(s.list.Type().Elem())
	s.fields = make([][]int, count)
	for i := range s.fields {
		at, ok := known[name(i)]
		if !ok {
			return fmt.Errorf("db: the row has no field for the column %s", name(i))
		}
		s.fields[i] = at
	}
	return nil
}

// add makes room for a row.
func (s *sink) add() {
	s.rows++
	if s.list.IsValid() {
		n := s.list.Len()
		if n == s.list.Cap() {
			s.list.Grow(max(1, n))
		}
		s.list.SetLen(n + 1)
		s.list.Index(n).SetZero()
	}
}

// cell is where a column of the newest row goes.
func (s *sink) cell(column int) reflect.Value {
	if !s.list.IsValid() {
		return s.value
	}
	row := s.list.Index(s.list.Len() - 1)
	if s.fields == nil {
		return row
	}
	return row.FieldByIndex(s.fields[column])
}

// end says whether a value was to come and did not.
func (s *sink) end() error {
	if s.rows == 0 && !s.list.IsValid() {
		return sql.ErrNoRows
	}
	return nil
}

// target is the cell itself, or what it points to from now on.
func target(cell reflect.Value) reflect.Value {
	if cell.Kind() == reflect.Pointer {
		cell.Set(reflect.New(cell.Type().Elem()))
		return cell.Elem()
	}
	return cell
}

// fromPostgres reads all rows. Binary columns are read here, others by pgx.
func (s *sink) fromPostgres(rows pgx.Rows) error {
	defer rows.Close()
	described := rows.FieldDescriptions()
	if described == nil { // an error, which Err tells
		rows.Next()
		return rows.Err()
	}
	if err := s.columns(len(described), func(i int) string { return described[i].Name }); err != nil {
		return err
	}
	binaries := true
	for i := range described {
		binaries = binaries && described[i].Format == pgx.BinaryFormatCode
	}
	var into []any
	for rows.Next() {
		s.add()
		if !binaries {
			into = into[:0]
			for i := range described {
				into = append(into, s.cell(i).Addr().Interface())
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			continue
		}
		for i, raw := range rows.RawValues() {
			if raw == nil {
				continue // the zero value
			}
			if err := setBinary(target(s.cell(i)), raw); err != nil {
				return fmt.Errorf("db: column %s: %w", described[i].Name, err)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return s.end()
}

// setBinary reads the binary form of a value of PostgreSQL.
func setBinary(cell reflect.Value, raw []byte) error {
	switch cell.Kind() {
	case reflect.String:
		cell.SetString(string(raw))
		return nil
	case reflect.Int, reflect.Int64:
		switch len(raw) {
		case 8:
			cell.SetInt(int64(binary.BigEndian.Uint64(raw))) //nolint:gosec // its bits
			return nil
		case 4:
			cell.SetInt(int64(int32(binary.BigEndian.Uint32(raw)))) //nolint:gosec // its bits
			return nil
		}
	case reflect.Bool:
		cell.SetBool(len(raw) == 1 && raw[0] == 1)
		return nil
	case reflect.Slice:
		if cell.Type() == bytesType {
			cell.SetBytes(slices.Concat(raw, []byte{})) // never nil: nil is what is missing
			return nil
		}
	default:
	}
	return fmt.Errorf("no way from %d bytes to %s", len(raw), cell.Type())
}
