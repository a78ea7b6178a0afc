package stories

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestLiveResumes: what was missed while the connection was down comes first, then what is new; nothing twice. On
// PostgreSQL it happens on one instance and is seen on the other.
func TestLiveResumes(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		for name, open := range map[string]func(s *server, after any) *stream{
			"server-sent events": func(s *server, after any) *stream {
				return s.open(b.admin, following, map[string]any{"after": after})
			},
			"server-sent events, with Last-Event-ID": func(s *server, after any) *stream {
				if after == nil {
					return s.open(b.admin, following, nil)
				}
				return s.open(b.admin, following, nil, "Last-Event-ID: "+after.(string))
			},
			"WebSocket": func(s *server, after any) *stream {
				return s.openSocket(b.admin, map[string]any{"after": after})
			},
		} {
			user := "resumes"
			_, cursor := b.enter(user)
			if name != "WebSocket" { // which does not say when it has begun
				live := open(b.other(), nil)
				first := b.login(map[string]any{"userId": user})
				if h := live.event(); h.SubjectID != first || h.Name != "createSession" {
					b.Errorf("%s: the first event is %+v", name, h)
				} else {
					cursor = h.Cursor
				}
				live.close()
			}
			var want []string
			for range 3 { // nobody listens
				want = append(want, b.login(map[string]any{"userId": user}))
			}
			live := open(b.other(), cursor)
			for _, id := range want {
				if h := live.event(); h.SubjectID != id {
					b.Errorf("%s: %+v instead of the missed %s", name, h, id)
				}
			}
			id := b.login(map[string]any{"userId": user})
			if h := live.event(); h.SubjectID != id {
				b.Errorf("%s: %+v instead of the new %s", name, h, id)
			}
			live.close()
		}
	})
}

// enter is login, and waits until the feed has it: other transactions of the cluster may keep it back for a moment.
func (b *bank) enter(user string) (session, cursor string) {
	b.T.Helper()
	session = b.login(map[string]any{"userId": user})
	testkit.Eventually(b.T, "an event comes into the feed", func() bool {
		for _, h := range slices.Backward(b.other().history(b.admin)) {
			if h.SubjectID == session {
				cursor = h.Cursor
				return true
			}
		}
		return false
	})
	return session, cursor
}

// TestLiveShowsWhatConcernsTheCaller: nobody sees what does not concern them, an administrator all.
func TestLiveShowsWhatConcernsTheCaller(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		alice, bob := b.must("token", "--subject", "alice", "--scope", "banking/full"), b.must("token", "--subject", "bob", "--scope", "banking/read")
		streams := map[string]*stream{
			"alice": b.other().open(alice, following, nil), "bob": b.other().open(bob, following, nil), "admin": b.other().open(b.admin, following, nil),
			"alice's invitations": b.other().open(alice, `subscription { it: invitationEvents { cursor name subjectId } }`, nil),
			"alice's sessions":    b.other().open(alice, `subscription { it: sessionEvents(where: {name: {eq: "endSession"}}) { cursor name subjectId } }`, nil),
			"ended, by admin":     b.other().open(b.admin, `subscription { it: sessionEvents(where: {to: {in: [ENDED]}}) { cursor name subjectId } }`, nil),
			"quizzes, by admin":   b.other().open(b.admin, `subscription { it: quizEvents { cursor name subjectId } }`, nil),
			"requests of alice":   b.other().open(alice, `subscription { it: twoFactorRequestEvents { cursor name subjectId } }`, nil),
		}
		invitation := b.first().invite(alice)
		hers, his := b.login(map[string]any{"userId": "alice"}), b.login(map[string]any{"userId": "bob"})
		b.mutate(b.first(), "endSession", "session { id }", map[string]any{"sessionId": hers})
		b.mutate(b.first(), "endSession", "session { id }", map[string]any{"sessionId": his})
		for name, want := range map[string][]string{
			"alice": {invitation, hers, hers}, "bob": {his, his}, "admin": {invitation, hers, his, hers, his}, "alice's invitations": {invitation},
			"alice's sessions": {hers}, "ended, by admin": {hers, his},
		} {
			var got []string
			for range want {
				got = append(got, streams[name].event().SubjectID)
			}
			if !slices.Equal(got, want) {
				b.Errorf("%s sees %v, not %v", name, got, want)
			}
		}
		for name, s := range streams {
			select {
			case h := <-s.come:
				b.Errorf("%s sees also %+v", name, h)
			default:
			}
		}
		// The list shows the same.
		var listed []string
		for _, h := range b.other().history(bob) {
			listed = append(listed, h.SubjectID)
		}
		if !slices.Equal(listed, []string{"sess_demo_bob", his, his}) {
			b.Errorf("bob's list is %v", listed)
		}
		// Without the scope, and without a token, nothing begins.
		scopeless := b.must("token", "--subject", "alice", "--scope", "profiles/read")
		for _, c := range []struct {
			token, query, code string
			status             int
		}{
			{scopeless, `subscription { invitationEvents { id } }`, "FORBIDDEN", 403},
			{alice, `subscription { quizEvents { id } }`, "FORBIDDEN", 403},
			{alice, `subscription { lifecycleEvents(after: "elsewhere") { id } }`, "BAD_DOCUMENT", 400},
			{alice, `subscription { lifecycleEvents(after: "7fffffff.1") { id } }`, "BAD_DOCUMENT", 400},
			{alice, `subscription { a: lifecycleEvents { id } b: sessionEvents { id } }`, "BAD_DOCUMENT", 400},
			{"", `subscription { lifecycleEvents { id } }`, "UNAUTHENTICATED", 401},
		} {
			body, _ := json.Marshal(map[string]any{"query": c.query})
			header := []string{"Accept: text/event-stream"}
			if c.token != "" {
				header = append(header, "Authorization: Bearer "+c.token)
			}
			r := b.first().send("POST", "/graphql", string(body), header...)
			if r.status != c.status || r.at(b.T, "errors", 0, "extensions", "code") != c.code {
				b.Errorf("%s: %d %s", c.query, r.status, r.body)
			}
		}
		if r := b.first().send("POST", "/graphql", `{"query":"subscription { lifecycleEvents { id } }"}`, "Authorization: Bearer "+alice); r.status != 406 {
			b.Errorf("a subscription for JSON: %d %s", r.status, r.body)
		}
	})
}

// TestLiveEndsWithTheSession: with the session, or the token, that it began with.
func TestLiveEndsWithTheSession(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		session, _ := b.enter("alice")
		token := b.must("token", "--subject", "alice", "--scope", "banking/full", "--claim", "sid="+session)
		events, socket := b.other().open(token, following, nil), b.other().openSocket(token, nil)
		if id := b.login(map[string]any{"userId": "alice"}); events.event().SubjectID != id || socket.event().SubjectID != id {
			b.Error("the streams do not work")
		}
		b.mutate(b.first(), "terminateSession", "session { status }", map[string]any{"sessionId": session})
		if err, done := events.ends(); err != "UNAUTHENTICATED" || done != "complete" {
			b.Errorf("after the session the events end with %s, %s", err, done)
		}
		if err, done := socket.ends(); err != "UNAUTHENTICATED" || done != "4403" {
			b.Errorf("after the session the socket ends with %s, %s", err, done)
		}

		soon := b.must("token", "--subject", "alice", "--scope", "banking/full", "--ttl", "15s")
		events, socket = b.other().open(soon, following, nil), b.other().openSocket(soon, nil)
		if err, done := events.ends(); err != "UNAUTHENTICATED" || done != "complete" {
			b.Errorf("after the token the events end with %s, %s", err, done)
		}
		if err, done := socket.ends(); err != "UNAUTHENTICATED" || done != "4403" {
			b.Errorf("after the token the socket ends with %s, %s", err, done)
		}
	})
}

// TestLiveEndsWithTheServer: open streams do not keep a server from stopping, and are told to come again.
func TestLiveEndsWithTheServer(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		s := b.other()
		events, socket := s.open(b.admin, following, nil), s.openSocket(b.admin, nil)
		idle := s.dial(b.admin)
		b.login(map[string]any{"userId": "alice"})
		last := events.event().Cursor
		socket.event()
		began := time.Now()
		s.Stop()
		if took := time.Since(began); took > 28*time.Second { // a stop that waits for streams takes 30
			b.Errorf("the server took %v to stop", took)
		}
		if err, done := events.ends(); err != "" || done != "cut" {
			b.Errorf("the events end with %q, %s", err, done)
		}
		if err, done := socket.ends(); err != "" || done != "1001" {
			b.Errorf("the socket ends with %q, %s", err, done)
		}
		if code := heard(b.T, idle); code != "1001" {
			b.Errorf("the idle socket ends with %s", code)
		}
		if log := s.Log.String(); strings.Count(log, `msg="subscription ended"`) != 2 || strings.Contains(log, b.admin) {
			b.Errorf("each subscription is a line of the log, without the token:\n%s", log)
		}
		again := b.serve()
		var id string
		r := again.gql(b.admin, `mutation { createSession(input: {userId: "bob"}) { session { id } } }`, nil)
		id, _ = r.at(b.T, "data", "createSession", "session", "id").(string)
		if h := again.open(b.admin, following, map[string]any{"after": last}).event(); h.SubjectID != id {
			b.Errorf("after the restart comes %+v, not %s", h, id)
		}
	})
}

// TestLiveListenerHeals: when the connection over which instances hear of one another is cut, nothing is lost, and it
// is made again.
func TestLiveListenerHeals(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		if len(b.servers) < 2 {
			return // one process hears of itself
		}
		var database string
		for _, e := range b.env {
			if v, ok := strings.CutPrefix(e, "GATEHOUSE_DATABASE_URL="); ok {
				database = v
			}
		}
		conn, err := pgx.Connect(b.Context(), database)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		listeners := func(kill string) (n int) {
			b.Helper()
			if err := conn.QueryRow(b.Context(), "SELECT count("+kill+") FROM pg_stat_activity WHERE application_name = 'gatehouse feed' AND datname = current_database()").Scan(&n); err != nil {
				b.Fatal(err)
			}
			return n
		}
		live := b.other().open(b.admin, following, nil)
		for round := range 5 {
			testkit.Eventually(b.T, fmt.Sprintf("round %d: one connection listens", round), func() bool { return listeners("*") == 1 })
			var ids []string
			for n := range 6 {
				if n == 3 {
					listeners("pg_terminate_backend(pid)")
				}
				ids = append(ids, b.login(map[string]any{"userId": "alice"}))
			}
			for _, id := range ids {
				if h := live.event(); h.SubjectID != id {
					b.Fatalf("round %d: %+v, not %s", round, h, id)
				}
			}
		}
		live.close()
		testkit.Eventually(b.T, "the connection ends with the last subscription", func() bool { return listeners("*") == 0 })
	})
}

// TestEventSource: a GET subscribes too, and goes on after the Last-Event-ID, whatever the address says. Who takes
// nothing but events gets queries as events, and mutations not by GET.
func TestEventSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	admin := w.must("token", "--subject", "login", "--scope", "admin/full")
	all := s.history(admin)
	get := func(query string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/graphql?"+url.Values{"query": {query}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range append(header, "Authorization: Bearer "+admin, "Accept: text/event-stream") {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	lines := bufio.NewScanner(get(`subscription { lifecycleEvents(after: "0.0") { name } }`, "Last-Event-ID: "+all[0].Cursor).Body)
	for _, want := range []string{":", "", "event: next", "id: " + all[1].Cursor, `data: {"data":{"lifecycleEvents":{"name":"createSession"}}}`, ""} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("%q instead of %q", lines.Text(), want)
		}
	}
	text, _ := io.ReadAll(get(`{ viewer { id } }`).Body)
	if want := ":\n\nevent: next\ndata: {\"data\":{\"viewer\":{\"id\":\"login\"}}}\n\nevent: complete\ndata:\n\n"; string(text) != want {
		t.Errorf("a query gives %q", text)
	}
	if res := get(`mutation { createSession(input: {userId: "alice"}) { replayed } }`); res.StatusCode != 405 {
		t.Errorf("a mutation by GET: %d", res.StatusCode)
	}
	if res := get(`subscription { lifecycleEvents { name } }`, "Last-Event-ID: nothing"); res.StatusCode != 400 {
		t.Errorf("a Last-Event-ID that is none: %d", res.StatusCode)
	}
}

// TestLiveIsCompleteAndInOrder: many write at once, on all instances, and followers that came early, late and by both
// ways see the same: each event once, in the order of the feed.
func TestLiveIsCompleteAndInOrder(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		_, cursor := b.enter("alice")
		before := b.first().history(b.admin)
		const writers, each = 8, 12
		var followers []*stream
		join := func(s *server) {
			followers = append(followers, s.open(b.admin, following, map[string]any{"after": cursor}), s.openSocket(b.admin, map[string]any{"after": cursor}))
		}
		join(b.first())
		join(b.other())
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				s := b.servers[n%len(b.servers)]
				for range each {
					r := s.gql(b.admin, `mutation($u: ID!) { createSession(input: {userId: $u}) { session { id } problems { code } } }`, map[string]any{"u": fmt.Sprint("user-", n)})
					id, _ := r.at(t, "data", "createSession", "session", "id").(string)
					s.gql(b.admin, `mutation($id: ID!) { endSession(input: {sessionId: $id}) { problems { code } } }`, map[string]any{"id": id})
				}
			})
		}
		join(b.other()) // in the middle of it
		wg.Wait()
		join(b.first())
		const want = 2 * writers * each
		var first []happening
		for n, f := range followers {
			var got []happening
			for range want {
				got = append(got, f.event())
			}
			select {
			case h := <-f.come:
				b.Errorf("follower %d: one too many: %+v", n, h)
			default:
			}
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				b.Errorf("follower %d sees another order", n)
			}
		}
		listed := b.first().history(b.admin)[len(before):]
		if !slices.Equal(listed, first) {
			b.Errorf("the list and the streams differ: %d and %d events", len(listed), len(first))
		}
	})
}

// TestLiveThousand: a thousand subscribers, half of them over WebSocket, get one event.
func TestLiveThousand(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		const many = 1000
		var wg sync.WaitGroup
		streams := make([]*stream, many)
		for worker := range 8 {
			wg.Go(func() {
				for n := worker; n < many; n += 8 {
					if n%2 == 0 {
						streams[n] = b.other().open(b.admin, following, nil)
					} else {
						streams[n] = b.other().openSocket(b.admin, nil)
					}
				}
			})
		}
		wg.Wait()
		id := b.login(map[string]any{"userId": "alice"})
		for _, s := range streams {
			if h := s.event(); h.SubjectID != id {
				b.Errorf("%+v, not %s", h, id)
			}
		}
	})
}
