package testkit

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Without ends a test whose part is not there. It is a skip on a machine that has only Go, and a failure where
// GATEHOUSE_TEST_REQUIRE names the part, as the continuous integration does with all of them.
func Without(t testing.TB, part string, why any) {
	t.Helper()
	if slices.Contains(strings.FieldsFunc(os.Getenv("GATEHOUSE_TEST_REQUIRE"), separator), part) {
		t.Fatalf("GATEHOUSE_TEST_REQUIRE names %s, but: %v", part, why)
	}
	t.Skip(part, " is not there: ", why)
}
