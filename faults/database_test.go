package faults

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// door is a way in that needs the database.
type door struct {
	name, method, path, token string
	header                    []string
	body                      any
	healthy                   int
}

// doors are a read or a write of each dialect, and of GraphQL.
func (w *world) doors(s *server, session, invitation string) []*door {
	browser := w.must("token", "--kind", "client", "--client-id", "client_doors")
	key := []string{"API-Key", w.must("apikey", "create", "--name", "faults")}
	gql := func(query string, variables map[string]any) map[string]any {
		return map[string]any{"query": query, "variables": variables}
	}
	all := []*door{
		{name: "GraphQL query", method: "POST", path: "/graphql", token: w.alice, body: gql(`query($id: ID!) { invitation(id: $id) { state } }`, map[string]any{"id": invitation})},
		{name: "GraphQL mutation", method: "POST", path: "/graphql", token: w.root, body: gql(`mutation($id: ID!) { touchSession(input: {sessionId: $id}) { session { id } problems { code } } }`, map[string]any{"id": session})},
		{name: "Invitations", method: "GET", path: "/invitations/invitations/" + invitation, token: w.alice, header: key},
		{name: "Identity", method: "GET", path: "/identity/fraudRiskReports", token: w.root, header: key},
		{name: "Customer Sessions", method: "POST", path: "/system/resumedCustomerSessions", token: w.root, body: map[string]any{"sessionId": session}},
		{name: "Client Sessions", method: "GET", path: "/v1/client?_is_native=1", header: []string{"Authorization", browser}},
		{name: "User Sessions", method: "POST", path: "/sessions/auth/email/verify", token: w.root, body: map[string]any{"token": strings.Repeat("x", 43)}},
		{name: "readiness", method: "GET", path: "/readyz"},
	}
	for _, d := range all {
		a := send(quick, d.method, s.url+d.path, d.token, d.body, d.header...)
		if a.err != nil || a.status >= 500 || a.status == http.StatusUnauthorized || a.unavailable() {
			w.t.Fatalf("%s is not well to begin with: %v", d.name, a)
		}
		d.healthy = a.status
	}
	return all
}

// knock asks at every door at once and gives the answers.
func knock(s *server, doors []*door) map[*door]answer {
	patient := client(30 * time.Second)
	defer patient.CloseIdleConnections()
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[*door]answer{}
	for _, d := range doors {
		wg.Go(func() {
			a := send(patient, d.method, s.url+d.path, d.token, d.body, d.header...)
			mu.Lock()
			defer mu.Unlock()
			out[d] = a
		})
	}
	wg.Wait()
	return out
}

// goroutines asks the second listener how many there are.
func goroutines(admin string) int {
	a := send(quick, http.MethodGet, admin+"/debug/pprof/goroutine?debug=1", "", nil)
	m := regexp.MustCompile(`total (\d+)`).FindStringSubmatch(a.body)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// backends counts the server's connections in PostgreSQL, and those that are in an open transaction.
func backends(t *testing.T, d *sql.DB) (all, idle int) {
	row := rows(t, d, "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in%') FROM pg_stat_activity WHERE application_name = 'gatehouse'")[0]
	_, _ = fmt.Sscan(row[0], &all)
	_, _ = fmt.Sscan(row[1], &idle)
	return all, idle
}

// trouble is what befalls the way to the database.
type trouble struct {
	name       string
	begin, end func()
	// served: callers are served all the same. atOnce: it is over when it has begun.
	served, atOnce bool
	// quiet: nobody calls meanwhile, and a lone caller comes afterwards.
	quiet bool
	// lengthy: for the long form only.
	lengthy bool
}

// TestDatabaseTrouble cuts, silences and slows the network between the server and PostgreSQL, makes it forget
// connections, and kills PostgreSQL, each under load: callers hear soon and clearly that it cannot be done now, the
// server heals by itself, nothing that was acknowledged is lost, and nothing is left behind.
func TestDatabaseTrouble(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t)
	p := newProxy(t, cluster.Address())
	w := newWorld(t, cluster.URL(cluster.Address()))
	admin := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
	s := w.serve("GATEHOUSE_DATABASE_URL="+cluster.URL(p.address()), "GATEHOUSE_ADMIN_LISTEN="+admin)
	admin = "http://" + admin
	machines := s.lifecycles()
	c := newClients(t, w, 6, func() string { return s.url })
	c.begin()
	doors := w.doors(s, c.foreign("session"), c.foreign("invitation"))
	// What may be told to callers within how long; a busy machine makes everything late.
	soon, healed := 5*time.Second, 10*time.Second
	if !long {
		soon, healed = 25*time.Second, testkit.Patience
	}
	r := chance(t)
	troubles := []trouble{
		{name: "cut", begin: func() { p.set(func() { p.cut = true }) }, end: func() { p.set(func() { p.cut = false }) }},
		{name: "silence", begin: func() { p.set(func() { p.silent = true }) }, end: func() { p.set(func() { p.silent = false }) }},
		{name: "forgotten connections", begin: p.forget, end: func() {}, atOnce: true, lengthy: true},
		{name: "forgotten connections of a server at rest", begin: p.forget, end: func() {}, atOnce: true, quiet: true},
		{name: "latency of 200 ms", begin: func() { p.set(func() { p.late = 100 * time.Millisecond }) }, end: func() { p.set(func() { p.late = 0 }) }, served: true, lengthy: true},
		{name: "PostgreSQL killed", begin: cluster.Kill, end: cluster.Start},
	}
	if !long { // what takes longest is left to the long form
		troubles = slices.DeleteFunc(troubles, func(x trouble) bool { return x.lengthy })
	}
	if raceDetector && !long {
		troubles = troubles[1:3]
	}
	time.Sleep(time.Second)
	base := goroutines(admin)
	for round := range often(4, 1, 1) {
		for _, trouble := range troubles {
			d := w.open()
			c.slowest = 0
			before := c.counts["unavailable"]
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if !trouble.quiet {
					c.run(ctx, 20*time.Millisecond)
				}
			}()
			if trouble.quiet { // with connections that rest
				knock(s, doors)
				time.Sleep(2 * time.Second)
			}
			time.Sleep(between(r, 200*time.Millisecond, 500*time.Millisecond))
			_ = d.Close()
			trouble.begin()
			slowest := time.Duration(0)
			if !trouble.atOnce {
				time.Sleep(between(r, 0, 300*time.Millisecond))
				for door, a := range knock(s, doors) {
					slowest = max(slowest, a.took)
					switch {
					case a.err != nil:
						t.Errorf("%s, %s: no answer: %v", trouble.name, door.name, a)
					case trouble.served && (a.status != door.healthy || a.unavailable()):
						t.Errorf("%s, %s: %v", trouble.name, door.name, a)
					case !trouble.served && !a.unavailable():
						t.Errorf("%s, %s is not told that it is unavailable: %v", trouble.name, door.name, a)
					}
				}
				if got := s.get("/healthz"); got != http.StatusOK {
					t.Errorf("%s: the process is alive and says %d", trouble.name, got)
				}
			}
			time.Sleep(between(r, 0, time.Duration(often(8000, 500, 500))*time.Millisecond))
			trouble.end()
			start := time.Now()
			patient := client(30 * time.Second)
			for _, door := range doors { // one after the other: a lone caller meets every bad connection there is
				testkit.Eventually(t, door.name+" after "+trouble.name, func() bool {
					a := send(patient, door.method, s.url+door.path, door.token, door.body, door.header...)
					return a.err == nil && a.status == door.healthy && !a.unavailable()
				})
			}
			healing := time.Since(start)
			patient.CloseIdleConnections()
			time.Sleep(200 * time.Millisecond)
			cancel()
			<-ended
			c.mu.Lock()
			late, unavailable := c.slowest, c.counts["unavailable"]-before
			c.mu.Unlock()
			t.Logf("round %d, %s: told after at most %s at the doors and %s under load, %d times; healed after %s", round+1, trouble.name,
				slowest.Round(time.Millisecond), late.Round(time.Millisecond), unavailable, healing.Round(time.Millisecond))
			if worst := max(slowest, late); worst > soon && !trouble.served {
				t.Errorf("%s: a caller waited for %s", trouble.name, worst)
			}
			if healing > healed {
				t.Errorf("%s: healed after %s", trouble.name, healing)
			}
			d = w.open()
			c.settle(c.audit(d, machines))
			c.audit(d, machines)
			c.read()
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	// What came and went leaves nothing: neither in the server nor in the database.
	d := w.open()
	testkit.Eventually(t, fmt.Sprintf("the goroutines of the trouble end: %d before", base), func() bool {
		quick.CloseIdleConnections()
		return goroutines(admin) <= base+5
	})
	var all, idle int
	defer func() {
		if all > 20 || idle > 0 {
			t.Logf("%d connections are open, %d in a transaction", all, idle)
		}
	}()
	// A transaction may be open at the moment, for a sweep or a heartbeat; one that was left behind stays open.
	testkit.Eventually(t, "no transaction and no connection is left behind", func() bool {
		all, idle = backends(t, d)
		return all <= 20 && idle == 0
	})
	t.Logf("goroutines %d before, %d after; connections %d; %s", base, goroutines(admin), all, c.tally())
	s.Stop()
	testkit.Eventually(t, "its connections end with the server", func() bool { all, _ := backends(t, d); return all == 0 })
}
