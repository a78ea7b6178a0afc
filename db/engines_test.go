package db_test

import (
	"os"
	"os/exec"
	"testing"
)

const engineVariable = "GATEHOUSE_TEST_ENGINE"

// again reruns tests of this package with another engine.
func again(t *testing.T, engine, run string) {
	t.Helper()
	t.Parallel()
	if os.Getenv(engineVariable) != "" {
		return // this is the run with the other engine
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+run) //nolint:gosec // this binary
	c.Env = append(os.Environ(), engineVariable+"="+engine)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("with the engine %s: %v\n%s", engine, err, out)
	}
}

// TestPlainEngine: the suite passes without merged lookups, grouped units, the single writer and prepared statements.
func TestPlainEngine(t *testing.T) {
	again(t, "plain", "^(TestSQLite|TestPostgres)$")
}

// TestInlineValues: the suite passes if bun executes each statement in its usual way, with the values in the text. The
// arguments of the prepared statements therefore have the same effects; TestArguments compares the texts of all of
// them.
func TestInlineValues(t *testing.T) {
	again(t, "inline", "^(TestSQLite|TestPostgres|TestSigningKeys|TestImportOfDevicesAndPolicies|TestTheDatabaseKnowsTheStatesOfCodes)$")
}
