package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestSigningKeys: keys move from one role to the next, even with concurrent callers, and their private halves are
// sealed and later deleted.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			ctx, at := context.Background(), testkit.Epoch
			key := func(id, role string) db.SigningKey {
				return db.SigningKey{
					ID: id, Algorithm: "RS256", Role: role, Public: []byte(`{"kid":"` + id + `"}`), Private: []byte("private half of " + id),
					CreatedAt: at.Add(1234 * time.Microsecond),
				}
			}
			change := func(c db.SigningKeyChange) error {
				c.At, c.Forget = at, at.Add(-10*time.Second)
				return k.DB.ChangeSigningKeys(ctx, c)
			}
			roles := func() string {
				t.Helper()
				keys, err := k.DB.SigningKeys(ctx)
				if err != nil {
					t.Fatal(err)
				}
				out := map[string]string{}
				for _, s := range keys {
					out[s.ID] = s.Role
					if s.Role == "old" && (s.Private != nil || !s.RetiredAt.Equal(at)) || s.Role != "old" && !bytes.Equal(s.Private, []byte("private half of "+s.ID)) {
						t.Errorf("%+v", s)
					}
				}
				return fmt.Sprint(out)
			}
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					switch err := change(db.SigningKeyChange{Add: []db.SigningKey{key(fmt.Sprint("a", i), "current"), key(fmt.Sprint("b", i), "next")}}); {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, domain.ErrStale):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			keys, err := k.DB.SigningKeys(ctx)
			if err != nil || won.Load() != 1 || len(keys) != 2 || !keys[0].CreatedAt.Equal(at.Add(1234*time.Microsecond)) || !keys[0].LastExpiry.IsZero() {
				t.Fatalf("of four first starts one makes the keys: %d, %+v, %v", won.Load(), keys, err)
			}
			current, next := keys[0].ID, keys[1].ID
			if keys[0].Role == "next" {
				current, next = next, current
			}
			before := roles()
			for claim, c := range map[string]db.SigningKeyChange{
				"a key that is next is not retired":      {Retire: next},
				"a key that is current is not promoted":  {Promote: current},
				"a key that is current is not dropped":   {Drop: current},
				"there are no two next keys":             {Add: []db.SigningKey{key("c", "next")}},
				"there are no two current keys":          {Promote: next},
				"a change is made whole or not at all":   {Retire: current, Promote: next, Add: []db.SigningKey{key("c", "current")}},
				"what is not there is not moved":         {Retire: current, Promote: "nobody"},
				"an id that is taken is not given again": {Retire: current, Add: []db.SigningKey{key(next, "current")}},
			} {
				if err := change(c); err == nil {
					t.Errorf("%s, but was", claim)
				}
			}
			if got := roles(); got != before {
				t.Errorf("a failed change modified %s to %s", before, got)
			}
			if err := k.DB.ExtendSigningKey(ctx, current, at.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := k.DB.ExtendSigningKey(ctx, current, at.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if err := k.DB.ExtendSigningKey(ctx, "nobody", at); !errors.Is(err, domain.ErrMissing) {
				t.Errorf("a removed key: %v", err)
			}
			if err := change(db.SigningKeyChange{Retire: current, Promote: next, Add: []db.SigningKey{key("c", "next")}}); err != nil {
				t.Fatal(err)
			}
			if got := roles(); got != fmt.Sprint(map[string]string{current: "old", next: "current", "c": "next"}) {
				t.Error(got)
			}
			keys, err = k.DB.SigningKeys(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range keys {
				if s.ID == current && !s.LastExpiry.Equal(at.Add(time.Hour)) || s.ID == next && !s.SignsFrom.Equal(at) {
					t.Errorf("%+v", s)
				}
			}
			at = at.Add(2 * time.Hour)
			if err := change(db.SigningKeyChange{Drop: "c", Add: []db.SigningKey{key("d", "next")}}); err != nil {
				t.Fatal(err)
			}
			if got := roles(); got != fmt.Sprint(map[string]string{next: "current", "d": "next"}) {
				t.Errorf("expired keys are not removed: %s", got)
			}
		})
	}
}
