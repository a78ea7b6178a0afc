package db

import (
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/gatehouse/gatehouse/seal"
)

// TestADecoyIsWrittenAmongOthers: a step without a place makes its unit a transaction of its own, and an unknown id would
// be told by the time that this takes.
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
	d := &DB{options: Options{Now: func() time.Time { return time.Unix(1, 0) }}, reader: bun.NewDB(nil, sqlitedialect.New())}
	steps, err := d.decoy(keys)
	if err != nil || len(steps) != 2 {
		t.Fatal(len(steps), err)
	}
	for _, s := range steps {
		if s.place.rank == noPlace {
			t.Errorf("%s has no place", s.text)
		}
		if !strings.HasPrefix(s.text, "UPDATE decoys SET ") && !strings.HasPrefix(s.text, "INSERT INTO decoy_events (") {
			t.Errorf("%s is no decoy", s.text)
		}
	}
}
