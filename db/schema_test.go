package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestBothDatabasesHaveOneSchema compares tables, columns, nullability, and indexes with their columns.
func TestBothDatabasesHaveOneSchema(t *testing.T) {
	t.Parallel()
	schemas := map[string][]string{}
	for _, database := range testkit.Databases {
		at := database.URL(t)
		testkit.New(t, at)
		driver, name, texts := "pgx", at, []string{
			"SELECT table_name || '.' || column_name || ' ' || is_nullable FROM information_schema.columns WHERE table_schema = 'public'",
			"SELECT indexname || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public'",
		}
		if path, ok := strings.CutPrefix(at, "sqlite://"); ok {
			driver, name, texts = "sqlite", "file:"+path, []string{
				`SELECT m.name || '.' || c.name || ' ' || CASE WHEN c."notnull" OR c.pk THEN 'NO' ELSE 'YES' END
				   FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
				"SELECT name || ' ' || sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
			}
		}
		d, err := sql.Open(driver, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		for _, text := range texts {
			schemas[database.Name] = append(schemas[database.Name], oneColumn(t, d, text)...)
		}
		slices.Sort(schemas[database.Name])
	}
	if a, b := schemas["sqlite"], schemas["postgres"]; !slices.Equal(a, b) {
		t.Errorf("SQLite:\n%s\n\nPostgreSQL:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	if len(schemas["sqlite"]) < 100 {
		t.Errorf("only %d columns and indexes were found", len(schemas["sqlite"]))
	}
}

// oneColumn reads one column and normalizes index definitions.
func oneColumn(t *testing.T, d *sql.DB, text string) []string {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		name, definition, _ := strings.Cut(s, " ")
		if strings.HasSuffix(name, "_pkey") || strings.HasPrefix(name, "bun_") {
			continue // created by the database; created by bun
		}
		if _, columns, ok := strings.Cut(definition, "("); ok {
			columns, where, _ := strings.Cut(columns, " WHERE ")
			states := ""
			for _, word := range []string{"'sent'", "'pending'", "'sending'", "'active'", "'abandoned'", "IS NOT NULL"} {
				if strings.Contains(where, word) {
					states += word
				}
			}
			definition = fmt.Sprintf("(%s where %s unique %t", columns, states, strings.Contains(definition, "UNIQUE"))
		}
		out = append(out, name+" "+definition)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
