package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSkippedSteps: an order with a customer updates the customer in the same unit; for an order without one the step
// is not executed. The step writes a log, which shows whether it was executed.
func TestSkippedSteps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := connect(file, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	exec := func(text string) {
		t.Helper()
		if _, err := c.exec(text); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE orders (id TEXT, customer TEXT)")
	exec("CREATE TABLE log (entry TEXT)")
	exec("INSERT INTO orders VALUES ('o1', 'c1'), ('o2', NULL)")
	unit := func(id string) []Step {
		return []Step{
			{Statement: Statement{Text: "UPDATE orders SET id = id WHERE id = ? RETURNING *"}, Args: []any{id}, Returns: true},
			{Statement: Statement{Text: "INSERT INTO log VALUES (?)"}, Args: []any{id}, SkipIfNull: "customer"},
		}
	}
	for id, want := range map[string]int64{"o1": 1, "o2": 0, "o3": 1} { // a missing row is not NULL
		results, err := c.execute(unit(id))
		if err != nil || len(results) != 2 || results[1].Changed != want {
			t.Errorf("%s: %+v, %v; want %d changed rows", id, results, err, want)
		}
	}
}
