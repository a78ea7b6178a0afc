package faults

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestKilled kills the server in mid-write, again and again, and looks each time at what clients were told and what is
// there: acknowledged writes are there, refused ones are not, and those without an answer are whole or absent.
func TestKilled(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		r := chance(t)
		s := w.serve()
		machines := s.lifecycles()
		c := newClients(t, w, 8, func() string { return s.url })
		c.begin()
		d := w.open()
		var ready, work []time.Duration
		kills := often(100, 4, 2)
		for n := range kills {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c.run(ctx, 0)
			}()
			time.Sleep(between(r, 150*time.Millisecond, 700*time.Millisecond))
			s.Kill()
			killed := time.Now()
			cancel()
			<-ended
			s = w.serve()
			ready, work = append(ready, s.ready), append(work, s.work)
			c.quiesce(d, killed)
			c.settle(c.audit(d, machines))
			if n%10 == 9 || n == kills-1 {
				c.audit(d, machines)
				c.read()
			}
			if t.Failed() {
				t.Fatalf("after kill %d", n+1)
			}
		}
		c.delivered(d, database == "" || long) // the lease of a dead worker is two minutes where others may be alive
		c.verifyTokens(s)
		s.Stop()
		c.audit(d, machines)
		if slow := slices.Max(ready); long && slow > 30*time.Second {
			t.Errorf("ready after %s", slow)
		}
		// A busy machine makes a start late, and not much more work.
		if median(work) > 2*time.Second && !raceDetector {
			t.Errorf("a start takes %s of a processor", median(work))
		}
		t.Logf("%d kills; ready again: %s; processor until then: %s; records %d; %s", kills, spread(ready), spread(work), len(c.records), c.tally())
	})
}

// quiesce waits until PostgreSQL has dealt with what the dead server left behind: a backend notices the end of its
// client a moment later.
func (c *clients) quiesce(d *sql.DB, killed time.Time) {
	if strings.HasPrefix(c.w.database, "sqlite") {
		return
	}
	testkit.Eventually(c.t, "the connections of the dead server end", func() bool {
		return rows(c.t, d, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse' "+
			"AND backend_start < to_timestamp(%d.%06d)", killed.Unix(), killed.Nanosecond()/1000))[0][0] == "0"
	})
}

// verifyTokens holds every session token against the keys that the server publishes now.
func (c *clients) verifyTokens(s *server) {
	c.t.Helper()
	keys, err := jwk.Parse([]byte(send(quick, "GET", s.url+"/.well-known/jwks.json", "", nil).body))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, token := range c.tokens {
		if _, err := jws.Verify([]byte(token), jws.WithKeySet(keys)); err != nil {
			c.t.Errorf("a token that was given is not good any more: %v", err)
			return
		}
	}
	c.counts["tokens verified"] = len(c.tokens)
}
