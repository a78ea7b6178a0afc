package db

import (
	"strings"
	"testing"
)

// FuzzDatabaseURL: an error never contains the URL, which may contain a password.
func FuzzDatabaseURL(f *testing.F) {
	for _, seed := range []string{
		"", "sqlite:///var/lib/gatehouse.db", "sqlite://relative.db", "sqlite:///x?y=z", "postgres://user:hunter2@host/db", "postgres://a:1,b:2/db?sslmode=verify-full",
		"postgresql://%zz", "mysql://x", "postgres://user:hunter2@host:notaport/db", "://", "postgres://h/db?pool_max_conns=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := CheckURL(text)
		if err == nil {
			if !strings.HasPrefix(strings.ToLower(text), "sqlite:") && !strings.HasPrefix(strings.ToLower(text), "postgres") {
				t.Fatalf("%q is accepted", text)
			}
			return
		}
		if len(text) > 24 && strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("the error contains the URL: %v", err)
		}
	})
}
