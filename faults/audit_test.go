package faults

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/gatehouse/gatehouse/testkit"
)

// tables are where the records of each kind are.
var tables = map[string]string{
	"invitation": "invitations", "session": "sessions", "emailVerification": "email_verifications", "phoneVerification": "phone_verifications",
	"device": "devices", "twoFactorRequest": "two_factor_requests", "contact": "contacts", "fraudRiskReport": "fraud_risk_reports", "quiz": "quizzes", "approval": "approvals",
}

// open opens the world's database beside the server.
func (w *world) open() *sql.DB {
	w.t.Helper()
	driver, name := "pgx", w.database
	if file, ok := strings.CutPrefix(w.database, "sqlite://"); ok {
		driver, name = "sqlite", "file:"+file+"?_pragma=busy_timeout(20000)"
	}
	d, err := sql.Open(driver, name)
	if err != nil {
		w.t.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	w.t.Cleanup(func() { _ = d.Close() })
	return d
}

// rows reads texts.
func rows(t *testing.T, d *sql.DB, query string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found, err := d.QueryContext(ctx, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	columns, _ := found.Columns()
	var out [][]string
	for found.Next() {
		row := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(row))
		for i := range row {
			texts[i] = row[i].String
		}
		out = append(out, texts)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// machine is a life as GraphQL tells it.
type machine struct {
	states map[string]bool
	steps  map[string]bool // "name from to"
}

// lifecycles asks the program for its machines.
func (s *server) lifecycles() map[string]machine {
	s.t.Helper()
	out := map[string]machine{}
	for kind := range tables {
		name := strings.ToUpper(kind)
		for _, word := range []string{"Verification", "FactorRequest", "RiskReport"} {
			if before, ok := strings.CutSuffix(kind, word); ok {
				name = map[string]string{"Verification": "_VERIFICATION", "FactorRequest": "_FACTOR_REQUEST", "RiskReport": "_RISK_REPORT"}[word]
				name = strings.ToUpper(before) + name
			}
		}
		a := graphql(quick, s.url, "", `query($of: LifecycleKind!) { lifecycle(of: $of) { states { name } transitions { name from to } } }`, map[string]any{"of": name})
		m := machine{states: map[string]bool{}, steps: map[string]bool{}}
		states, _ := a.at("data", "lifecycle", "states").([]any)
		for _, s := range states {
			m.states[plain(s.(map[string]any)["name"].(string))] = true
		}
		transitions, _ := a.at("data", "lifecycle", "transitions").([]any)
		for _, one := range transitions {
			step := one.(map[string]any)
			for _, from := range step["from"].([]any) {
				for _, to := range step["to"].([]any) {
					m.steps[fmt.Sprint(step["name"], " ", plain(from.(string)), " ", plain(to.(string)))] = true
				}
			}
		}
		if len(m.states) == 0 {
			s.t.Fatalf("%s has no states: %v", name, a)
		}
		out[kind] = m
	}
	return out
}

// within are operations that make the transition of another one as a part of their work.
var within = map[string]string{"endOtherSessions": "endSession"}

// stored is a record in its table, with its journal.
type stored struct {
	kind, state string
	version     int
	active      int64
	events      []string // name from to
	mails       int
}

// audit reads everything that is stored and finds what cannot be: a state or a step that the machine does not have, a
// version without its event or an event without its version, a mail without its transition; and what contradicts the
// clients. It gives for each call of unknown outcome whether it was done.
func (c *clients) audit(d *sql.DB, machines map[string]machine) map[*call]bool {
	c.t.Helper()
	t := c.t
	all := map[string]*stored{}
	for kind, table := range tables {
		active := "0"
		if kind == "session" {
			active = "last_active_at"
		}
		for _, row := range rows(t, d, "SELECT id, state, version, "+active+" FROM "+table) {
			s := &stored{kind: kind, state: plain(row[1])}
			_, _ = fmt.Sscan(row[2], &s.version)
			_, _ = fmt.Sscan(row[3], &s.active)
			all[row[0]] = s
			if !machines[kind].states[s.state] {
				t.Errorf("%s %s is in no state of its life: %s", kind, row[0], s.state)
			}
		}
	}
	gone := map[string]*stored{}
	for _, row := range rows(t, d, "SELECT subject_kind, subject_id, name, from_state, to_state, version FROM lifecycle_events ORDER BY subject_id, version, seq") {
		kind, id, name, from, to := row[0], row[1], row[2], plain(row[3]), plain(row[4])
		s := all[id]
		if s == nil {
			if s = gone[id]; s == nil {
				s = &stored{kind: kind}
				gone[id] = s
			}
		}
		version := 0
		_, _ = fmt.Sscan(row[5], &version)
		if version != len(s.events)+1 {
			t.Errorf("%s %s: the event %s of version %d follows %d others", kind, id, name, version, len(s.events))
		}
		before := ""
		if n := len(s.events); n > 0 {
			before = strings.Split(s.events[n-1], " ")[2]
		}
		if before != from && len(s.events) > 0 || from != "" && len(s.events) == 0 {
			t.Errorf("%s %s: %s goes from %q, and it was in %q", kind, id, name, from, before)
		}
		as := name
		if other := within[name]; other != "" {
			as = other
		}
		if from != "" && to != "" && !machines[kind].steps[as+" "+from+" "+to] {
			t.Errorf("%s %s: no such step: %s from %s to %s", kind, id, name, from, to)
		}
		s.events = append(s.events, name+" "+from+" "+to)
	}
	for id, s := range all {
		switch n := len(s.events); {
		case n == 0 && s.kind == "contact": // imported, and made no transition
		case n == 0 || n != s.version:
			t.Errorf("%s %s is of version %d and has %d events", s.kind, id, s.version, n)
		case !strings.HasSuffix(s.events[n-1], " "+s.state):
			t.Errorf("%s %s is %s after %s", s.kind, id, s.state, s.events[n-1])
		}
	}
	for id, s := range gone {
		if last := s.events[len(s.events)-1]; !strings.HasPrefix(last, "delete") {
			t.Errorf("%s %s is gone after %s", s.kind, id, last)
		}
	}
	for _, row := range rows(t, d, "SELECT subject_id, count(*) FROM messages GROUP BY subject_id") {
		n := 0
		_, _ = fmt.Sscan(row[1], &n)
		if s := all[row[0]]; s == nil {
			t.Errorf("%d messages about %s, which is not there", n, row[0])
		} else {
			s.mails = n
		}
	}
	for id, s := range all {
		want := 0
		for _, e := range s.events {
			for _, sends := range []string{"createInvitation ", "resendInvitation ", "requestEmailVerification ", "requestPhoneVerification "} {
				if strings.HasPrefix(e, sends) {
					want++
				}
			}
		}
		if s.mails != want {
			t.Errorf("%s %s has %d messages and %d transitions that ask for one", s.kind, id, s.mails, want)
		}
	}
	return c.compare(all, gone)
}

// compare holds what is stored against what the clients were told.
func (c *clients) compare(all, gone map[string]*stored) map[*call]bool {
	t := c.t
	maybe := map[*record]*call{}
	creations := map[string]int{}
	perhaps := map[*record]map[string]int{} // of shared records, by event
	for _, k := range c.pending {
		for _, e := range k.effects {
			switch {
			case e.r.shared:
				if perhaps[e.r] == nil {
					perhaps[e.r] = map[string]int{}
				}
				perhaps[e.r][e.event]++
			case e.r.id == "":
				creations[e.r.kind]++
			default:
				maybe[e.r] = k
			}
		}
	}
	known := map[string]bool{}
	outcome := map[*call]bool{}
	for _, r := range c.records {
		known[r.id] = true
		s := all[r.id]
		if s == nil {
			s = gone[r.id]
		}
		if s == nil {
			t.Errorf("%s %s was acknowledged and is not there", r.kind, r.id)
			continue
		}
		if r.others {
			continue
		}
		if r.shared {
			c.compareShared(r, s, perhaps[r])
			continue
		}
		if s.active < r.active.UnixMicro() && !r.active.IsZero() {
			t.Errorf("session %s was touched at %s, and is stored as active at %s", r.id, r.active, time.UnixMicro(s.active).UTC())
		}
		if slices.Equal(s.events, trimmed(r.events)) {
			if k := maybe[r]; k != nil {
				if was, seen := outcome[k]; seen && was {
					t.Errorf("%s %v is half done: nothing of it at %s", k.operation, k.input, r.id)
				}
				outcome[k] = false
			}
			if !r.gone && r.mails != s.mails && r.kind == "invitation" {
				t.Errorf("invitation %s: %d mails were acknowledged, and there are %d", r.id, r.mails, s.mails)
			}
			continue
		}
		k := maybe[r]
		if k == nil || len(s.events) != len(r.events)+1 || !slices.Equal(s.events[:len(r.events)], trimmed(r.events)) ||
			!strings.HasPrefix(s.events[len(r.events)], happening(k, r)+" ") {
			t.Errorf("%s %s: acknowledged was %q, stored is %q, open is %v", r.kind, r.id, r.events, s.events, k)
			continue
		}
		if was, seen := outcome[k]; seen && !was {
			t.Errorf("%s %v is half done: something of it at %s", k.operation, k.input, r.id)
		}
		outcome[k] = true
	}
	for id, s := range all {
		if known[id] || s.kind != "invitation" && s.kind != "session" || strings.HasPrefix(id, "sess_demo_") {
			continue
		}
		if creations[s.kind]--; creations[s.kind] < 0 {
			t.Errorf("%s %s is there, and nobody was told so, nor asked for it", s.kind, id)
		}
	}
	return outcome
}

// compareShared: each version that was told is stored with its event, and no more happened than was asked for.
func (c *clients) compareShared(r *record, s *stored, perhaps map[string]int) {
	counts := map[string]int{}
	for _, e := range s.events {
		counts[strings.Fields(e)[0]]++
	}
	for version, event := range r.told {
		if version > len(s.events) || !strings.HasPrefix(s.events[version-1], event+" ") {
			c.t.Errorf("%s %s: version %d was told as %s, stored are %d versions", r.kind, r.id, version, event, len(s.events))
		}
		counts[event]--
	}
	for event, more := range counts {
		if more > perhaps[event]+c.replayed[r.id+" "+event] {
			c.t.Errorf("%s %s: %d times %s that nobody was told, of %d open ones", r.kind, r.id, more, event, perhaps[event])
		}
	}
}

// happening is the event that a call makes at a record.
func happening(k *call, r *record) string {
	for _, e := range k.effects {
		if e.r == r {
			return e.event
		}
	}
	return "?"
}

// trimmed writes events as the tables give them.
func trimmed(events []string) []string {
	out := make([]string, 0, len(events))
	for _, e := range events {
		parts := strings.Split(e, " ")
		out = append(out, parts[0]+" "+plain(parts[1])+" "+plain(parts[2]))
	}
	return out
}

// read asks for every acknowledged record through the door, and compares what callers see. While clients are under way,
// a record that one of them has worked on meanwhile is left out.
func (c *clients) read() {
	c.t.Helper()
	by := client(20 * time.Second)
	defer by.CloseIdleConnections()
	standing := func(of []*record) []record {
		c.mu.Lock()
		defer c.mu.Unlock()
		out := make([]record, len(of))
		for i, r := range of {
			out[i] = *r
		}
		return out
	}
	c.mu.Lock()
	all := slices.Clone(c.records)
	c.mu.Unlock()
	for some := range slices.Chunk(all, 100) {
		before := standing(some)
		ids := make([]string, len(some))
		for i, r := range some {
			ids[i] = r.id
		}
		a := graphql(by, c.url(), c.w.root, `query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Invitation { state version } ... on Session { status version } } }`, map[string]any{"ids": ids})
		for i, r := range standing(some) {
			if b := before[i]; b.busy || b.version != r.version || b.gone != r.gone {
				continue
			}
			state := a.text("data", "nodes", i, "state") + a.text("data", "nodes", i, "status")
			version, _ := a.at("data", "nodes", i, "version").(float64)
			switch {
			case a.err != nil || a.at("errors") != nil:
				c.t.Fatalf("acknowledged records cannot be read: %v", a)
			case r.gone && a.at("data", "nodes", i) != nil:
				c.t.Errorf("invitation %s was erased and is there", r.id)
			case !r.gone && !r.busy && !r.shared && !r.others && (plain(state) != r.state || int(version) != r.version):
				c.t.Errorf("%s %s is read as %s of version %d; acknowledged was %s of version %d", r.kind, r.id, state, int(version), r.state, r.version)
			}
		}
	}
}

// delivered compares the development outbox with the messages: one file for each that was sent, and no other. With
// ofTheDead it waits for the leases of workers that were killed.
func (c *clients) delivered(d *sql.DB, ofTheDead bool) {
	c.t.Helper()
	left := func(states string) int {
		n := 0
		_, _ = fmt.Sscan(rows(c.t, d, "SELECT count(*) FROM messages WHERE state IN ("+states+")")[0][0], &n)
		return n
	}
	testkit.Eventually(c.t, "the outbox is handed over", func() bool { return left("'pending'") == 0 })
	if ofTheDead {
		testkit.Eventually(c.t, "the messages of dead workers are handed over", func() bool { return left("'pending', 'sending'") == 0 })
	}
	files := map[string]int{}
	names, _ := filepath.Glob(filepath.Join(c.w.dir, "gatehouse-data", "outbox", "*.eml"))
	for _, name := range names {
		_, id, _ := strings.Cut(filepath.Base(name), "-")
		files[strings.TrimSuffix(id, ".eml")]++
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			c.t.Errorf("%s is empty", name)
		}
	}
	sent := 0
	for _, row := range rows(c.t, d, "SELECT id, state FROM messages") {
		switch n := files[row[0]]; {
		case row[1] == "sent" && n != 1:
			c.t.Errorf("message %s was sent, and has %d files", row[0], n)
		case row[1] == "dead":
			c.t.Errorf("message %s was given up", row[0])
		case row[1] == "sent":
			sent++
		}
	}
	c.counts["mails"] = sent
	for id, n := range files {
		if n > 1 {
			c.t.Errorf("message %s has %d files", id, n)
		}
	}
	half, _ := filepath.Glob(filepath.Join(c.w.dir, "gatehouse-data", "outbox", ".*.tmp"))
	if left("'pending', 'sending'") == 0 && len(half) > 0 {
		c.t.Errorf("half-written files are left: %v", half)
	}
}
