package provider_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/testkit"
)

// publish writes a list of people of the published layout, at a time.
func publish(t *testing.T, dir string, at time.Time, people int, without ...string) {
	t.Helper()
	var sdn strings.Builder
	for n := range people {
		fmt.Fprintf(&sdn, `%d,"EXAMPLE%c, Person","individual","X",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 01 Feb 1980; POB "`+"\r\n", n+1, 'A'+n)
	}
	files := map[string]string{
		"sdn.csv": sdn.String() + "\x1a", "add.csv": "1,1,\"1 Lane\",\"Durham\",\"US\",-0- \r\n\x1a",
		"alt.csv": "1,1,\"aka\",\"ANOTHER, Name\",-0- \r\n\x1a", "sdn_comments.csv": "1,\"Durham; a.k.a. 'THE REMARK'; alt. DOB 1981.\"\r\n\x1a",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range without {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThePublishedListIsTakenOnlyWhole: files that are incomplete, older or much shorter do not replace the list in force,
// which is that of the database for every instance, until an operator accepts their loss.
func TestThePublishedListIsTakenOnlyWhole(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
			day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			lists := provider.NewLists(k.DB, dir, k.Clock.Now, quiet)
			held := func() *provider.Held {
				t.Helper()
				k.Clock.Pass(time.Minute)
				h, err := lists.Current(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return h
			}
			if _, err := lists.Current(t.Context()); err == nil || lists.Refused() == nil {
				t.Error("an empty folder is a list")
			}
			publish(t, dir, day, 14, "alt.csv")
			k.Clock.Pass(time.Minute)
			if _, err := lists.Current(t.Context()); err == nil {
				t.Error("a set without ALT.CSV is a list")
			}
			publish(t, dir, day, 14)
			first := held()
			if s := first.Stamp; s.Entries != 14 || s.List != "sdn" || !s.PublishedAt.Equal(day) || len(s.Hash) != 64 || lists.Refused() != nil {
				t.Errorf("the list: %+v, %+v", s, lists.Refused())
			}
			for _, name := range []string{"Another Name", "The Remark"} {
				if found := first.Names(risk.GovernmentWatchlist, name, "1981-05-05", 0.9); len(found) != 1 {
					t.Errorf("%s is not found", name)
				}
			}
			refused := func(claim, reason string) *provider.Refusal {
				t.Helper()
				h := held()
				r := lists.Refused()
				if h.Stamp.Hash != first.Stamp.Hash || r == nil || !strings.Contains(r.Reason, reason) {
					t.Errorf("%s: %+v, refused as %+v", claim, h.Stamp, r)
				}
				return r
			}
			publish(t, dir, day.Add(time.Hour), 14, "add.csv")
			refused("a missing file", "ADD.CSV")
			publish(t, dir, day.Add(-time.Hour), 15)
			refused("an older list", "older")
			publish(t, dir, day.Add(2*time.Hour), 12)
			short := refused("a short list", "lack 2 of the 14")

			again := provider.NewLists(k.DB, filepath.Join(dir, "gone"), k.Clock.Now, quiet)
			if h, err := again.Current(t.Context()); err != nil || h.Stamp.Hash != first.Stamp.Hash {
				t.Errorf("an instance without the files: %v", err)
			}
			if r, err := provider.Load(t.Context(), k.DB, dir, "another hash", k.Clock.Now(), quiet); err != nil || r == nil {
				t.Errorf("accepted by another hash: %v", err)
			}
			if r, err := provider.Load(t.Context(), k.DB, dir, short.Hash, k.Clock.Now(), quiet); err != nil || r != nil {
				t.Errorf("accepted: %+v %v", r, err)
			}
			if h := held(); h.Stamp.Entries != 12 || lists.Refused() != nil {
				t.Errorf("after it was accepted: %+v, %+v", h.Stamp, lists.Refused())
			}
			if h, err := again.Current(t.Context()); err != nil || h.Stamp.Entries != 12 {
				t.Errorf("on the other instance: %+v %v", h, err)
			}
			publish(t, dir, day.Add(3*time.Hour), 13, "sdn_comments.csv")
			if h := held(); h.Stamp.Entries != 13 || lists.Refused() != nil {
				t.Errorf("without comments: %+v, %+v", h.Stamp, lists.Refused())
			}
		})
	}
}
