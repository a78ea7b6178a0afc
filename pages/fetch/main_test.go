package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutNpmNothingChanges(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "graphiql")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(folder, "graphiql.js")
	if err := os.WriteFile(kept, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, why := range []error{errNoNpm, errors.New("no network")} {
		if err := run(folder, func(string, ...string) error { return why }); err != nil {
			t.Error(err)
		}
	}
	if content, err := os.ReadFile(kept); err != nil || string(content) != "as it was" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestAnotherContentIsRefused(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "graphiql")
	err := run(folder, func(to string, _ ...string) error {
		return os.WriteFile(filepath.Join(to, "graphiql-4.1.2.tgz"), []byte("something else"), 0o600)
	})
	if err == nil || !strings.Contains(err.Error(), "graphiql@4.1.2: its content is sha512-") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("something was written")
	}
}

func TestAMapIsCut(t *testing.T) {
	t.Parallel()
	for have, want := range map[string]string{
		"a()\n//# sourceMappingURL=a.js.map":   "a()\n",
		"a()\n//# sourceMappingURL=a.js.map\n": "a()\n",
		"a('\n//# sourceMappingURL=x')\nb()\n": "a('\n//# sourceMappingURL=x')\nb()\n",
		"no map":                               "no map",
	} {
		if got := string(withoutMap([]byte(have))); got != want {
			t.Errorf("%q became %q", have, got)
		}
	}
}
