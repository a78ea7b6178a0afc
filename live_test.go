package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/testkit"
)

// happening is an event as a subscriber gets it, or the last word of a stream.
type happening struct {
	Cursor, Name, SubjectID string
	// err is the code of an error, done what ended the stream: complete, cut, or the code that closed a WebSocket.
	err, done string
}

// patience is for what comes at once on a machine that has nothing else to do.
const patience = 30 * time.Second

// stream is a subscription that is read in the background.
type stream struct {
	t     testing.TB
	come  chan happening
	close func()
}

const following = `subscription($after: String) { it: lifecycleEvents(after: $after) { cursor name subjectId } }`

// read gives what comes; the test fails where nothing does.
func (s *stream) read() happening {
	s.t.Helper()
	select {
	case h := <-s.come:
		return h
	case <-time.After(patience):
		s.t.Fatal("nothing came")
		return happening{}
	}
}

// event gives the next event.
func (s *stream) event() happening {
	s.t.Helper()
	h := s.read()
	if h.err != "" || h.done != "" {
		s.t.Fatalf("the stream ended: %+v", h)
	}
	return h
}

// ends reads to the end, and says how it came: the code of the last error, and what closed the stream.
func (s *stream) ends() (err, done string) {
	s.t.Helper()
	for {
		h := s.read()
		if h.err != "" {
			err = h.err
		}
		if h.done != "" {
			return err, h.done
		}
	}
}

// answered reads the payload of a message.
func answered(payload []byte) happening {
	var body struct {
		Data   struct{ It happening }
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		return happening{err: err.Error()}
	}
	if len(body.Errors) > 0 {
		return happening{err: body.Errors[0].Extensions.Code}
	}
	return body.Data.It
}

// open subscribes over server-sent events, with header lines.
func (s *server) open(token, query string, variables map[string]any, header ...string) *stream {
	s.t.Helper()
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range append(header, "Authorization: Bearer "+token, "Accept: text/event-stream", "Content-Type: application/json") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, _ := io.ReadAll(res.Body)
		s.t.Fatalf("%s: %d %s", query, res.StatusCode, text)
	}
	out := &stream{t: s.t, come: make(chan happening, 10000), close: cancel}
	go func() {
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		name, id := "", ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case field == "event":
				name = value
			case field == "id":
				id = value
			case field == "data" && name == "complete":
				out.come <- happening{done: "complete"}
				return
			case field == "data":
				h := answered([]byte(value))
				if h.err == "" && h.Cursor != id {
					h.err = fmt.Sprintf("the id is %q and the cursor %q", id, h.Cursor)
				}
				out.come <- h
			}
		}
		out.come <- happening{done: "cut"}
	}()
	return out
}

// dial connects a WebSocket and waits for the acknowledgement.
func (s *server) dial(token string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	say(s.t, conn, fmt.Sprintf(`{"type":"connection_init","payload":{"Authorization":"Bearer %s"}}`, token))
	if m := heard(s.t, conn); m != `{"type":"connection_ack"}` {
		s.t.Fatal(m)
	}
	return conn
}

func say(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// heard gives the next message, or the code that closed the connection.
func heard(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, text, err := conn.Read(ctx)
	if err != nil {
		return strconv.Itoa(int(websocket.CloseStatus(err)))
	}
	return string(text)
}

// openSocket subscribes over WebSocket.
func (s *server) openSocket(token, query string, variables map[string]any) *stream {
	s.t.Helper()
	if variables["after"] == nil { // nothing says when it has begun, so it begins where the feed ends now
		after := "0.0"
		if all := s.history(token); len(all) > 0 {
			after = all[len(all)-1].Cursor
		}
		variables = map[string]any{"after": after}
	}
	conn := s.dial(token)
	body, _ := json.Marshal(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": query, "variables": variables}})
	say(s.t, conn, string(body))
	out := &stream{t: s.t, come: make(chan happening, 10000), close: func() { _ = conn.CloseNow() }}
	go func() {
		for {
			_, text, err := conn.Read(context.Background())
			if err != nil {
				out.come <- happening{done: strconv.Itoa(int(websocket.CloseStatus(err)))}
				return
			}
			var m struct {
				Type    string
				Payload json.RawMessage
			}
			_ = json.Unmarshal(text, &m)
			switch m.Type {
			case "next":
				out.come <- answered(m.Payload)
			case "error":
				out.come <- answered([]byte(`{"errors":` + string(m.Payload) + `}`))
			case "complete":
				out.come <- happening{done: "complete"}
				return
			}
		}
	}()
	return out
}

// history is the whole feed, as the list has it.
func (s *server) history(token string) []happening {
	s.t.Helper()
	var out []happening
	for after := any(nil); ; {
		r := s.gql(token, `query($after: String) { lifecycleEvents(first: 100, after: $after) { nodes { cursor name subjectId } pageInfo { hasNextPage endCursor } } }`,
			map[string]any{"after": after})
		var body struct {
			Data struct {
				LifecycleEvents struct {
					Nodes    []happening
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			s.t.Fatal(err)
		}
		page := body.Data.LifecycleEvents
		out = append(out, page.Nodes...)
		if !page.PageInfo.HasNextPage {
			return out
		}
		after = page.PageInfo.EndCursor
	}
}

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
				return s.openSocket(b.admin, following, map[string]any{"after": after})
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
	for late := time.After(patience); ; {
		for _, h := range slices.Backward(b.other().history(b.admin)) {
			if h.SubjectID == session {
				return session, h.Cursor
			}
		}
		select {
		case <-late:
			b.T.Fatal("an event does not come into the feed")
		case <-time.After(5 * time.Millisecond):
		}
	}
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
		events, socket := b.other().open(token, following, nil), b.other().openSocket(token, following, nil)
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

		soon := b.must("token", "--subject", "alice", "--scope", "banking/full", "--ttl", "4s")
		events, socket = b.other().open(soon, following, nil), b.other().openSocket(soon, following, nil)
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
		events, socket := s.open(b.admin, following, nil), s.openSocket(b.admin, following, nil)
		idle := s.dial(b.admin)
		b.login(map[string]any{"userId": "alice"})
		last := events.event().Cursor
		socket.event()
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 20*time.Second { // a stop that waits for streams takes 30
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
		if log := s.log.String(); strings.Count(log, `msg="subscription ended"`) != 2 || strings.Contains(log, b.admin) {
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
			for deadline := time.Now().Add(patience); listeners("*") != 1; {
				if time.Now().After(deadline) {
					b.Fatalf("round %d: %d listeners", round, listeners("*"))
				}
				time.Sleep(5 * time.Millisecond)
			}
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
		for deadline := time.Now().Add(patience); listeners("*") != 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatal("somebody listens although nobody follows")
			}
		}
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
			followers = append(followers, s.open(b.admin, following, map[string]any{"after": cursor}), s.openSocket(b.admin, following, map[string]any{"after": cursor}))
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
						streams[n] = b.other().openSocket(b.admin, following, nil)
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

// TestWebSocketProtocol: each wrong step of a client has its code.
func TestWebSocketProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	alice := w.must("token", "--subject", "alice", "--scope", "banking/full")
	address := "ws" + strings.TrimPrefix(s.url, "http") + "/graphql"
	bare := func(o *websocket.DialOptions) *websocket.Conn {
		t.Helper()
		conn, _, err := websocket.Dial(t.Context(), address, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}
	ours := &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}}
	subscribe := `{"id":"1","type":"subscribe","payload":{"query":"subscription { lifecycleEvents { id } }"}}`
	for name, c := range map[string]struct {
		begun bool
		says  []string
		hears string
	}{
		"no JSON":                      {true, []string{"hello"}, "4400"},
		"an unknown type":              {true, []string{`{"type":"start"}`}, "4400"},
		"a subscription without an id": {true, []string{`{"type":"subscribe","payload":{"query":"{ __typename }"}}`}, "4400"},
		"an operation before the init": {false, []string{subscribe}, "4401"},
		"a token that is none":         {false, []string{`{"type":"connection_init","payload":{"Authorization":"Bearer x"}}`}, "4403"},
		"a payload that is none":       {false, []string{`{"type":"connection_init","payload":[]}`}, "4400"},
		"the same id twice":            {true, []string{subscribe, subscribe}, "4409"},
		"a second init":                {true, []string{`{"type":"connection_init"}`}, "4429"},
		"too long a message":           {true, []string{`{"type":"ping","payload":{"x":"` + strings.Repeat("x", 70000) + `"}}`}, "1009"},
		"silence":                      {false, nil, "4408"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var conn *websocket.Conn
			if c.begun {
				conn = s.dial(alice)
			} else {
				conn = bare(ours)
			}
			for _, text := range c.says {
				_ = conn.Write(t.Context(), websocket.MessageText, []byte(text))
			}
			if got := heard(t, conn); got != c.hears {
				t.Errorf("the server answers %s, not %s", got, c.hears)
			}
		})
	}
	t.Run("another subprotocol", func(t *testing.T) {
		t.Parallel()
		if got := heard(t, bare(&websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})); got != "4406" {
			t.Error(got)
		}
	})
	t.Run("origins", func(t *testing.T) {
		t.Parallel()
		for origin, status := range map[string]int{"https://evil.example": 403, "null": 403, s.url: 101} {
			conn, res, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{
				Subprotocols: ours.Subprotocols, HTTPHeader: http.Header{"Origin": {origin}},
			})
			if err == nil {
				_ = conn.CloseNow()
			}
			if res == nil || res.StatusCode != status {
				t.Errorf("%s: %v %v", origin, res, err)
			}
		}
	})
	t.Run("a token that is refused, in the header", func(t *testing.T) {
		t.Parallel()
		_, res, _ := websocket.Dial(t.Context(), address, &websocket.DialOptions{
			Subprotocols: ours.Subprotocols, HTTPHeader: http.Header{"Authorization": {"Bearer x"}},
		})
		if res == nil || res.StatusCode != 401 {
			t.Errorf("%v", res)
		}
	})
	t.Run("queries, mutations and refusals", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(alice)
		ask := func(query string, want ...string) {
			t.Helper()
			body, _ := json.Marshal(map[string]any{"id": "q", "type": "subscribe", "payload": map[string]any{"query": query}})
			say(t, conn, string(body))
			for _, want := range want {
				if got := heard(t, conn); !strings.Contains(got, want) {
					t.Errorf("%s is answered by %s, without %s", query, got, want)
				}
			}
			// The id is free again when the server has cleaned up after the last message.
			for say(t, conn, `{"type":"ping"}`); heard(t, conn) != `{"type":"pong"}`; {
			}
			time.Sleep(20 * time.Millisecond)
		}
		ask(`{ viewer { id } }`, `{"type":"next","id":"q","payload":{"data":{"viewer":{"id":"alice"}}}}`, `{"type":"complete","id":"q"}`)
		ask(`{ nothing }`, `{"type":"error","id":"q","payload":[{`)
		ask(`mutation { createInvitation(input: {type: JOINT, accountUri: "/accounts/accounts/acc-alice", emailAddress: "d@example.net",
			inviterFullName: "A", sharedSecret: "correct horse battery"}) { invitation { state } } }`, `"state":"SENT"`, "complete")
		ask(`subscription { quizEvents { id } }`, `"code":"FORBIDDEN"`)
		ask(`subscription { lifecycleEvents(after: "x") { id } }`, `"code":"BAD_DOCUMENT"`)
		ask(`subscription { lifecycleEvents { `+strings.Repeat(`subject { ... on Session { client { lastActiveSession { `, 8)+` id `+strings.Repeat(` } } } }`, 8)+` } }`, `"code":"TOO_COMPLEX"`)
		ask(`{ __schema { queryType { name } } }`, "Query", "complete")
		// A subscription that is completed says nothing more.
		say(t, conn, subscribe)
		say(t, conn, `{"id":"1","type":"complete"}`)
		s.invite(alice)
		ask(`{ viewer { id } }`, `"alice"`, "complete")
	})
	t.Run("a session that is over", func(t *testing.T) {
		t.Parallel()
		admin := w.must("token", "--subject", "login", "--scope", "admin/full")
		r := s.gql(admin, `mutation { createSession(input: {userId: "carol"}) { session { id } } }`, nil)
		session, _ := r.at(t, "data", "createSession", "session", "id").(string)
		conn := s.dial(w.must("token", "--subject", "carol", "--scope", "banking/full", "--claim", "sid="+session))
		s.gql(admin, `mutation($id: ID!) { endSession(input: {sessionId: $id}) { problems { code } } }`, map[string]any{"id": session})
		say(t, conn, `{"id":"1","type":"subscribe","payload":{"query":"{ viewer { id } }"}}`)
		if got := heard(t, conn); !strings.Contains(got, "UNAUTHENTICATED") {
			t.Error(got)
		}
		if got := heard(t, conn); got != "4403" {
			t.Error(got)
		}
	})
}

// BenchmarkSubscribers holds idle subscribers, and says what each costs the server: memory by the kernel's count, and
// statements of the database. GATEHOUSE_SUBSCRIBERS is how many; the transports take turns.
func BenchmarkSubscribers(b *testing.B) {
	many, _ := strconv.Atoi(os.Getenv("GATEHOUSE_SUBSCRIBERS"))
	if many == 0 {
		many = 1000
	}
	for name, socket := range map[string]bool{"sse": false, "websocket": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			s := w.serve()
			admin := w.must("token", "--subject", "login", "--scope", "admin/full")
			s.gql(admin, `{ viewer { id } }`, nil)
			all := s.history(admin)
			from := map[string]any{"after": all[len(all)-1].Cursor}
			for b.Loop() {
				before := resident(b, s)
				streams := make([]*stream, many)
				for n := range streams {
					if socket {
						streams[n] = s.openSocket(admin, following, from)
					} else {
						streams[n] = s.open(admin, following, from)
					}
				}
				time.Sleep(2 * time.Second) // the collector has its turn
				b.ReportMetric(float64(resident(b, s)-before)/float64(many), "KiB/subscriber")
				began := time.Now()
				s.gql(admin, `mutation { createSession(input: {userId: "alice"}) { session { id } } }`, nil)
				for _, one := range streams {
					one.event()
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/event-to-all")
				for _, one := range streams {
					one.close()
				}
			}
		})
	}
}

// resident is the memory of the server in KiB.
func resident(b *testing.B, s *server) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		testkit.Without(b, "proc", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	b.Fatal(err)
	return 0
}
