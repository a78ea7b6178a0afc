package db_test

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestTheTablesFollowTheMachines compares the CHECK on the state of each table with the states of its state machine,
// and finds kinds of records without a table.
func TestTheTablesFollowTheMachines(t *testing.T) {
	t.Parallel()
	tables := db.RecordTables()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			at := database.URL(t)
			testkit.New(t, at)
			driver, name := "pgx", at
			text := "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::regclass"
			if path, ok := strings.CutPrefix(at, "sqlite://"); ok {
				driver, name, text = "sqlite", "file:"+path, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = $1"
			}
			d, err := sql.Open(driver, name)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for _, machine := range domain.Lifecycles() {
				table, ok := tables[domain.Kind(machine.Name)]
				if !ok {
					t.Errorf("%s has no table", machine.Name)
					continue
				}
				var want []string
				for _, s := range machine.States {
					want = append(want, s.Name)
				}
				slices.Sort(want)
				if got := statesOf(t, d, text, table.Name); !slices.Equal(got, want) {
					t.Errorf("the table %s accepts the states %v, the machine has %v", table.Name, got, want)
				}
				if erases := slices.ContainsFunc(machine.Transitions, func(r lifecycle.MapRow) bool { return r.Erases }); erases != table.Erases {
					t.Errorf("a transition of %s erases the record: %t; its table can: %t", machine.Name, erases, table.Erases)
				}
			}
		})
	}
}

// statesOf returns the states that the CHECK of a table lists.
func statesOf(t *testing.T, d *sql.DB, text, table string) []string {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), text, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var definition string
		if err := rows.Scan(&definition); err != nil {
			t.Fatal(err)
		}
		check := regexp.MustCompile(`CHECK \(+state (?:= |IN )[^)]*`).FindString(definition)
		if check == "" {
			continue
		}
		var out []string
		for _, word := range regexp.MustCompile(`'([^']*)'`).FindAllStringSubmatch(check, -1) {
			out = append(out, word[1])
		}
		slices.Sort(out)
		return out
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return nil
}
