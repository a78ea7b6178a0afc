package db

import (
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/seal"
)

// TestADecoyIsWrittenAmongOthers: a unit with a step without a lock order is written in a transaction of its own, and
// the duration of the call would reveal that the id is unknown.
func TestADecoyIsWrittenAmongOthers(t *testing.T) {
	t.Parallel()
	kek := seal.NewKey()
	wrapped, err := seal.NewKeysets(kek)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Open(kek, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	for _, dialect := range []*dialect{sqliteDialect, postgresDialect} {
		d := &DB{options: Options{Now: func() time.Time { return time.Unix(1, 0) }}, dialect: dialect, bun: bun.NewDB(nil, dialect.schema())}
		u := &unit{db: d}
		if err := u.decoy(keys); err != nil || u.err != nil || len(u.steps) != 2 {
			t.Fatal(len(u.steps), err, u.err)
		}
		for _, s := range u.steps {
			if s.Order == "" {
				t.Errorf("%s has no lock order", s.Text)
			}
			if !strings.HasPrefix(s.Text, `UPDATE "decoys" AS `) && !strings.HasPrefix(s.Text, `INSERT INTO "decoy_events" AS `) {
				t.Errorf("%s is no decoy", s.Text)
			}
		}
	}
}
