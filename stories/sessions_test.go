package stories

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/testkit"
)

// bank is a running installation with its login service.
type bank struct {
	*testing.T
	*world
	// servers are all instances: two on PostgreSQL, one on SQLite.
	servers []*server
	// admin is the token of the login service.
	admin string
}

// eachBank tells a story on both databases. The instances start at once, on an empty database.
func eachBank(t *testing.T, story func(b *bank), env ...string) {
	t.Helper()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, env...)
			b := &bank{T: t, world: w, servers: make([]*server, 1)}
			if database.Name == "postgres" {
				w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+database.URL(t))
				b.servers = make([]*server, 2)
			}
			var wg sync.WaitGroup
			for i := range b.servers {
				wg.Go(func() { b.servers[i] = w.serve() })
			}
			wg.Wait()
			if t.Failed() {
				t.FailNow()
			}
			b.admin = w.must("token", "--subject", "login-service", "--scope", "admin/full")
			story(b)
		})
	}
}

// first is the instance that is asked, other the one that hears of it.
func (b *bank) first() *server { return b.servers[0] }
func (b *bank) other() *server { return b.servers[len(b.servers)-1] }

// mutate runs a mutation of one input as the login service, expects no problem, and gives the payload.
func (b *bank) mutate(s *server, name, selection string, input map[string]any) map[string]any {
	b.T.Helper()
	kind := strings.ToUpper(name[:1]) + name[1:] + "Input!"
	r := s.gql(b.admin, fmt.Sprintf("mutation($input: %s) { it: %s(input: $input) { %s problems { code message } } }", kind, name, selection),
		map[string]any{"input": input})
	payload, _ := r.at(b.T, "data", "it").(map[string]any)
	if problems, _ := payload["problems"].([]any); payload == nil || len(problems) > 0 {
		b.T.Fatalf("%s: %s", name, r.body)
	}
	return payload
}

// login signs a user in and gives the id of the session.
func (b *bank) login(input map[string]any) string {
	b.T.Helper()
	session, _ := b.mutate(b.first(), "createSession", "session { id status }", input)["session"].(map[string]any)
	id, _ := session["id"].(string)
	if session["status"] != "ACTIVE" || !strings.HasPrefix(id, "sess_") {
		b.T.Fatalf("a login gives %v", session)
	}
	return id
}

// sessionToken asks an instance for a token of the session.
func (b *bank) sessionToken(s *server, session string) string {
	b.T.Helper()
	jwt, _ := b.mutate(s, "createSessionToken", "jwt", map[string]any{"sessionId": session})["jwt"].(string)
	return jwt
}

// published gives the public keys of an instance, and their kids.
func published(s *server) (set jwk.Set, kids []string) {
	s.t.Helper()
	r := s.send("GET", "/.well-known/jwks.json", "")
	set, err := jwk.Parse([]byte(r.body))
	if err != nil || r.status != http.StatusOK || !strings.Contains(r.header.Get("Cache-Control"), "max-age=60") {
		s.t.Fatalf("the JWKS: %d %v %v", r.status, r.header, err)
	}
	for i := range set.Len() {
		key, _ := set.Key(i)
		kid, _ := key.KeyID()
		kids = append(kids, kid)
	}
	return set, kids
}

// claims verifies a token as a service of the bank does, with the published keys and nothing else.
func claims(s *server, jwt string) (header, payload map[string]any) {
	s.t.Helper()
	set, _ := published(s)
	body, err := jws.Verify([]byte(jwt), jws.WithKeySet(set))
	if err != nil {
		s.t.Errorf("a token is not verified by the published keys: %v", err)
		return nil, nil
	}
	message, err := jws.ParseString(jwt)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := json.Marshal(message.Signatures()[0].ProtectedHeaders())
	if err != nil || json.Unmarshal(raw, &header) != nil || json.Unmarshal(body, &payload) != nil {
		s.t.Fatal("a token that is no JSON")
	}
	return header, payload
}

// within asks until it is so, for a second. A busy machine is given as much more time as it makes the asking slower,
// which takes some milliseconds on an idle one.
func within(t *testing.T, claim string, so func() bool) {
	t.Helper()
	for begun, slowest := time.Now(), time.Duration(0); ; time.Sleep(20 * time.Millisecond) {
		asked := time.Now()
		if so() {
			return
		}
		slowest = max(slowest, time.Since(asked))
		if asked.Sub(begun) > time.Second+100*slowest {
			t.Fatalf("not within a second, where asking takes up to %s: %s", slowest, claim)
		}
	}
}

// believes reports whether the server takes the bearer for a caller.
func believes(s *server, bearer string) bool {
	s.t.Helper()
	r := s.send("POST", "/graphql", `{"query":"{ viewer { id } }"}`, "Authorization: Bearer "+bearer)
	if r.at(s.t, "errors") == nil {
		return true
	}
	if code := r.at(s.t, "errors", 0, "extensions", "code"); code != "UNAUTHENTICATED" {
		s.t.Errorf("a token that is not believed is answered with %v", code)
	}
	return false
}

func TestSessionTokens(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		s, t := b.first(), b.T
		key := b.must("apikey", "create", "--name", "backend")
		browser := b.must("token", "--kind", "client", "--client-id", "browser-1")
		session := b.login(map[string]any{"userId": "alice", "clientId": "browser-1"})
		jwt := b.sessionToken(s, session)
		for _, at := range b.servers {
			h, c := claims(at, jwt)
			kid, _ := h["kid"].(string)
			iat, _ := c["iat"].(float64)
			if h["alg"] != "RS256" || h["typ"] != "JWT" || h["cat"] != "cl_B7d4PD111AAA" || h["oiat"] != iat || !strings.HasPrefix(kid, "ins_") {
				t.Errorf("header: %v", h)
			}
			if c["iss"] != s.url || c["sub"] != "alice" || c["sid"] != session || c["exp"] != iat+60 || iat > float64(testkit.Now().Unix()) || c["v"] != 2.0 {
				t.Errorf("claims: %v", c)
			}
			if believes(at, jwt) || believes(at, browser) {
				t.Error("a session token or a client token is taken for an access token")
			}
		}

		// The browser's own road: its token opens its sessions and no others.
		own := "/v1/client/sessions/" + session
		if r := s.send("GET", own+"?_is_native=1", "", "Authorization: "+browser); r.status != http.StatusOK || r.at(t, "response", "id") != session {
			t.Errorf("the browser's session: %d %s", r.status, r.body)
		}
		stranger := b.must("token", "--kind", "client", "--client-id", "browser-2")
		for _, bearer := range []string{stranger, jwt, b.admin} {
			if r := s.send("GET", own+"?_is_native=1", "", "Authorization: Bearer "+bearer); r.status != http.StatusNotFound && r.status != http.StatusUnauthorized {
				t.Errorf("another credential: %d %s", r.status, r.body)
			}
		}

		// The key set as server kits ask for it.
		public := s.send("GET", "/.well-known/jwks.json", "").body
		customer := b.must("token", "--subject", "alice", "--scope", "banking/full")
		for _, c := range []struct {
			claim, header string
			want          int
		}{
			{"an API key as the bearer", "Authorization: Bearer " + key, http.StatusOK},
			{"an API key", "API-Key: " + key, http.StatusOK},
			{"an administrator", "Authorization: Bearer " + b.admin, http.StatusOK},
			{"nobody", "X-Nobody: -", http.StatusUnauthorized},
			{"an unknown key", "Authorization: Bearer gh_nonsense", http.StatusUnauthorized},
			{"a customer", "Authorization: Bearer " + customer, http.StatusUnauthorized},
			{"a client token", "Authorization: Bearer " + browser, http.StatusUnauthorized},
			{"a session token", "Authorization: Bearer " + jwt, http.StatusUnauthorized},
		} {
			r := s.send("GET", "/v1/jwks", "", c.header)
			if r.status != c.want || c.want == http.StatusOK && r.body != public || c.want != http.StatusOK && r.at(t, "errors", 0, "code") != "authentication_invalid" {
				t.Errorf("%s: %d %s", c.claim, r.status, r.body)
			}
		}
		if r := s.send("GET", "/invitations/", "", "Authorization: Bearer "+key); r.status != http.StatusUnauthorized {
			t.Errorf("elsewhere an API key is no bearer token: %d", r.status)
		}
		for _, at := range b.servers {
			log := at.Log.String()
			for _, secret := range []string{jwt, browser, b.admin, key} {
				if strings.Contains(log, secret) || strings.Contains(log, secret[strings.LastIndex(secret, ".")+1:]) {
					t.Errorf("the log holds a token or a key:\n%s", log)
				}
			}
		}
	})
}

// TestABearerWhoseSessionIsOver: the session is named by its id or by the login service's handle, and ended through
// every door; each door refuses the token at once, and those of another instance within a second.
func TestABearerWhoseSessionIsOver(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		s, t := b.first(), b.T
		key := "API-Key: " + b.must("apikey", "create", "--name", "app")
		system := func(path, session string) {
			t.Helper()
			body, _ := json.Marshal(map[string]string{"sessionId": session})
			if r := s.send("POST", path, string(body), "Authorization: Bearer "+b.admin); r.status != http.StatusNoContent {
				t.Fatalf("%s: %d %s", path, r.status, r.body)
			}
		}
		refused := func(at *server, bearer string) bool {
			t.Helper()
			rest := at.send("GET", "/invitations/invitations", "", key, "Authorization: Bearer "+bearer)
			return !believes(at, bearer) && rest.status == http.StatusUnauthorized
		}
		for i, story := range []struct {
			claim string
			end   func(id, handle, own string)
		}{
			{"endSession by the customer", func(id, _, own string) {
				s.gql(own, `mutation($id: ID!) { endSession(input: {sessionId: $id}) { problems { code } } }`, map[string]any{"id": id})
			}},
			{"removeSession", func(id, _, _ string) { b.mutate(s, "removeSession", "session { id }", map[string]any{"sessionId": id}) }},
			{"terminateSession", func(id, _, _ string) {
				b.mutate(s, "terminateSession", "session { id }", map[string]any{"sessionId": id})
			}},
			{"the system API, by id", func(id, _, _ string) { system("/system/terminatedCustomerSessions", id) }},
			{"the system API, by handle", func(_, handle, _ string) { system("/system/terminatedCustomerSessions", handle) }},
		} {
			handle := fmt.Sprintf("login#1#%016x#%s", i, strings.Repeat("f", 89))
			id := b.login(map[string]any{"userId": "alice", "handle": handle})
			other := b.login(map[string]any{"userId": "alice"})
			var bearers []string
			for _, sid := range []string{id, handle} {
				bearers = append(bearers, b.must("token", "--subject", "alice", "--scope", "banking/full", "--claim", "sid="+sid))
			}
			free := b.must("token", "--subject", "alice", "--scope", "banking/full", "--claim", "sid=nobody-has-this")
			kept := b.must("token", "--subject", "alice", "--scope", "banking/full", "--claim", "sid="+other)
			for _, at := range b.servers {
				for _, bearer := range append([]string{free, kept}, bearers...) {
					if !believes(at, bearer) {
						t.Fatalf("%s: a good token is refused", story.claim)
					}
				}
			}
			story.end(id, handle, bearers[0])
			for _, bearer := range bearers {
				if !refused(s, bearer) {
					t.Errorf("%s: the token is still believed", story.claim)
				}
				within(t, story.claim+": the other instance refuses it", func() bool { return refused(b.other(), bearer) })
			}
			for _, bearer := range []string{free, kept} {
				if refused(s, bearer) || refused(b.other(), bearer) {
					t.Errorf("%s: the token of another session, or of none, is refused", story.claim)
				}
			}
		}
	})
}

// TestIdleAndRevived: without activity a token's session is over, and the system API brings it back.
func TestIdleAndRevived(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		s, t := b.first(), b.T
		id := b.login(map[string]any{"userId": "alice"})
		bearer := b.must("token", "--subject", "alice", "--claim", "sid="+id)
		if !believes(s, bearer) {
			t.Fatal("a fresh session is over")
		}
		testkit.Eventually(t, "requests alone do not keep a session alive", func() bool { return !believes(s, bearer) })
		body, _ := json.Marshal(map[string]string{"sessionId": id})
		if r := b.other().send("POST", "/system/resumedCustomerSessions", string(body), "Authorization: Bearer "+b.admin); r.status != http.StatusNoContent {
			t.Fatalf("resume: %d %s", r.status, r.body)
		}
		within(t, "the resumed session's token is believed", func() bool { return believes(s, bearer) })
	}, "GATEHOUSE_SESSION_IDLE_TIMEOUT=15s")
}

// TestRotation: running servers follow, and no token is lost on the way.
func TestRotation(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		t := b.T
		session := b.login(map[string]any{"userId": "alice"})
		_, before := published(b.first())
		if len(before) != 2 {
			t.Fatalf("a current and a next key: %v", before)
		}
		old := b.sessionToken(b.first(), session)
		out := b.must("keys", "rotate")
		if out != before[1] {
			t.Errorf("the key that was published as the next one signs now: %s, published %v", out, before)
		}
		for _, s := range b.servers {
			within(t, "an instance signs with the next key", func() bool {
				jwt := b.sessionToken(s, session)
				for _, at := range b.servers {
					claims(at, jwt)
				}
				h, _ := claims(s, jwt)
				return h["kid"] == before[1]
			})
			within(t, "an instance publishes the new next key", func() bool {
				_, kids := published(s)
				return len(kids) == 3
			})
			claims(s, old)
		}
		list := b.must("keys", "list")
		for kid, role := range map[string]string{before[0]: "old", before[1]: "current"} {
			found := false
			for line := range strings.Lines(list) {
				found = found || strings.Contains(line, kid) && strings.Contains(line, role)
			}
			if !found {
				t.Errorf("%s is %s:\n%s", kid, role, list)
			}
		}
		if strings.Count(list, "RS256") != 3 || strings.Contains(list, `"d"`) {
			t.Errorf("keys list:\n%s", list)
		}

		// Another algorithm at the next start; what was signed before stays good.
		b.env = append(b.env, "GATEHOUSE_SESSION_TOKEN_ALG=ES256")
		b.other().Stop()
		b.servers[len(b.servers)-1] = b.serve()
		jwt := b.sessionToken(b.other(), session)
		if h, _ := claims(b.other(), jwt); h["alg"] != "ES256" {
			t.Errorf("signed with %v", h["alg"])
		}
		claims(b.other(), old)
		within(t, "the instance that was not restarted follows", func() bool {
			h, _ := claims(b.first(), b.sessionToken(b.first(), session))
			return h["alg"] == "ES256"
		})
		for _, s := range b.servers {
			s.Stop()
		}
	})
}

// TestTheCommandsBesideAServer are those that need none.
func TestTheCommandsBesideAServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.must("token", "--kind", "client", "--client-id", "phone")
	second := w.must("token", "--kind", "client", "--client-id", "phone")
	if first == second || strings.ContainsAny(first, " \n") {
		t.Error("each is a token of its own, and nothing else is printed")
	}
	s := w.serve()
	for _, token := range []string{first, second} {
		if r := s.send("GET", "/v1/client?_is_native=1", "", "Authorization: "+token); r.status != http.StatusOK || r.at(t, "response", "id") != "phone" {
			t.Errorf("a token of before is good: %d %s", r.status, r.body)
		}
	}
	s.Stop()
	w.env = append(w.env, testkit.External("https://login.bank.example")...)
	if out := w.must("token", "--kind", "client", "--client-id", "phone"); strings.Count(out, ".") != 2 {
		t.Error("with an external issuer client tokens are ours all the same")
	}
	if _, errs, status := w.run("", "token", "--subject", "alice"); status != 2 || !strings.Contains(errs, "GATEHOUSE_ISSUER") {
		t.Errorf("access tokens are not: %d %s", status, errs)
	}
	for _, c := range []struct {
		args []string
		env  string
		want string
	}{
		{[]string{"token", "--kind", "client"}, "", "--client-id"},
		{[]string{"token", "--kind", "client", "--client-id", "no spaces please"}, "", "--client-id"},
		{[]string{"token", "--kind", "client", "--client-id", "c", "--subject", "alice"}, "", "--subject"},
		{[]string{"token", "--kind", "client", "--client-id", "c", "--ttl", "2h"}, "", "--ttl"},
		{[]string{"token", "--kind", "other", "--client-id", "c"}, "", "--kind"},
		{[]string{"keys"}, "", "list"},
		{[]string{"keys", "rotate", "now"}, "", "now"},
		{nil, "GATEHOUSE_SESSION_TOKEN_ALG=HS256", "GATEHOUSE_SESSION_TOKEN_ALG"},
		{nil, "GATEHOUSE_SESSION_IDLE_TIMEOUT=0s", "GATEHOUSE_SESSION_IDLE_TIMEOUT"},
		{nil, "GATEHOUSE_SESSION_MAX_LIFETIME=-1h", "GATEHOUSE_SESSION_MAX_LIFETIME"},
		{nil, "GATEHOUSE_SESSION_TOKEN_TTL=10ms", "GATEHOUSE_SESSION_TOKEN_TTL"},
	} {
		bad := &world{t: t, dir: w.dir, env: w.env}
		if c.env != "" {
			bad.env = append(append([]string{}, w.env...), c.env)
		}
		_, errs, status := bad.run("", c.args...)
		if status != 2 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v %s: status %d: %s", c.args, c.env, status, errs)
		}
	}
	for _, args := range [][]string{{"keys"}, {"keys", "list"}, {"keys", "rotate"}, {"token"}} {
		if out := w.must(append(args, "--help")...); !strings.Contains(out, "Example:") {
			t.Errorf("%v --help has an example:\n%s", args, out)
		}
	}
}

// TestOrigins: the client session API answers browsers of other origins by itself, the others do as before.
func TestOrigins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "GATEHOUSE_ALLOWED_ORIGINS=https://bank.example|https://app.bank.example")
	s := w.serve()
	for origin, allowed := range map[string]bool{"https://bank.example": true, "https://app.bank.example": true, "https://evil.example": false, "null": false} {
		r := s.send("GET", "/v1/client", "", "Origin: "+origin)
		want := ""
		if allowed {
			want = origin
		}
		if got := r.header.Get("Access-Control-Allow-Origin"); got != want || len(r.header.Values("Access-Control-Allow-Origin")) > 1 {
			t.Errorf("%s: %q", origin, r.header.Values("Access-Control-Allow-Origin"))
		}
		if with := r.header.Get("Access-Control-Allow-Credentials"); (with == "true") != allowed {
			t.Errorf("%s: credentials %q", origin, with)
		}
		if graphql := s.send("POST", "/graphql", `{"query":"{ version { version } }"}`, "Origin: "+origin); graphql.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("GraphQL is called with cookies by nobody")
		}
	}
}
