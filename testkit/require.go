package testkit

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Without skips a test that requires a part that is not available. The test fails instead if GATEHOUSE_TEST_REQUIRE
// names the part; the continuous integration names all parts.
func Without(t testing.TB, part string, why any) {
	t.Helper()
	if slices.Contains(strings.FieldsFunc(os.Getenv("GATEHOUSE_TEST_REQUIRE"), separator), part) {
		t.Fatalf("GATEHOUSE_TEST_REQUIRE names %s, but: %v", part, why)
	}
	t.Skip(part, " is not available: ", why)
}
