package stories

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

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
