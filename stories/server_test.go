package stories

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/gatehouse/gatehouse/cli" // a change of the program is a change of its tests to the test cache
	"github.com/gatehouse/gatehouse/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a folder with its settings, in which commands and servers run.
type world struct {
	t   testing.TB
	dir string
	env []string
}

func newWorld(t testing.TB, env ...string) *world {
	t.Helper()
	dir := t.TempDir()
	return &world{t: t, dir: dir, env: testkit.Environment(dir, env...)}
}

// run runs a command to its end.
func (w *world) run(stdin string, args ...string) (stdout, stderr string, status int) {
	w.t.Helper()
	return testkit.Run(w.t, testkit.Program(w.t), w.dir, w.env, stdin, args...)
}

// must runs a command that is expected to work, and gives its output without the line's end.
func (w *world) must(args ...string) string {
	w.t.Helper()
	out, errs, status := w.run("", args...)
	if status != 0 {
		w.t.Fatalf("gatehouse %s: status %d: %s", strings.Join(args, " "), status, errs)
	}
	return strings.TrimSpace(out)
}

// server is a running server.
type server struct {
	*world
	*testkit.Process
	url string
}

func (w *world) serve(args ...string) *server {
	w.t.Helper()
	p := testkit.Start(w.t, testkit.Program(w.t), w.dir, w.env, args...)
	return &server{world: w, Process: p, url: p.URL()}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// json reads the reply into a tree and gives what is at the path.
func (r reply) at(t testing.TB, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("status %d, no JSON: %s", r.status, r.body)
	}
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			a, _ := v.([]any)
			if k >= len(a) {
				t.Fatalf("no %v in %s", path, r.body)
			}
			v = a[k]
		}
	}
	return v
}

// send makes a request. header are name: value lines.
func (s *server) send(method, path, body string, header ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(raw)}
}

func (s *server) token(subject, scope string) string {
	return s.must("token", "--subject", subject, "--scope", scope)
}

// gql runs a document and gives the data; it expects no top-level error.
func (s *server) gql(token, query string, variables map[string]any) reply {
	s.t.Helper()
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	header := []string{}
	if token != "" {
		header = append(header, "Authorization: Bearer "+token)
	}
	r := s.send("POST", "/graphql", string(body), header...)
	if r.status != http.StatusOK || r.at(s.t, "errors") != nil {
		s.t.Fatalf("%s: status %d: %s", query, r.status, r.body)
	}
	return r
}

const createMutation = `mutation($secret: String!) { createInvitation(input: {type: JOINT, accountUri: "/accounts/accounts/acc-alice",
	emailAddress: "dora@example.net", inviterFullName: "Alice Doe", sharedSecret: $secret}) { invitation { id state version } problems { code message } replayed } }`

func (s *server) invite(token string) string {
	s.t.Helper()
	r := s.gql(token, createMutation, map[string]any{"secret": testkit.Secret})
	id, _ := r.at(s.t, "data", "createInvitation", "invitation", "id").(string)
	if id == "" {
		s.t.Fatal(r.body)
	}
	return id
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	out := s.Out.Await(t, `(?s)Playground: (\S+)\nToken: +(\S+)\nAPI key: +(\S+)\n`)
	if out[1] != s.url+"/" {
		t.Errorf("the playground is at %s, not %s", out[1], s.url)
	}
	if r := s.send("GET", "/", ""); r.status != 200 || !strings.Contains(r.body, "<html") {
		t.Errorf("the playground answers %d", r.status)
	}
	if r := s.gql(out[2], "{ viewer { id } }", nil); r.at(t, "data", "viewer", "id") != "alice" {
		t.Errorf("the token is alice's: %s", r.body)
	}
	s.invite(out[2]) // the demonstration directory is there
	if r := s.send("GET", "/invitations/", "", "API-Key: "+out[3]); r.status != 200 {
		t.Errorf("the key opens the REST API: %d %s", r.status, r.body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if r := s.send("GET", path, ""); r.status != 200 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if log := s.Log.String(); strings.Contains(log, out[2]) || strings.Contains(log, out[3]) || strings.Contains(log, "dora@") || strings.Contains(log, testkit.Secret) {
		t.Errorf("the log holds a token, a key, an address or a secret:\n%s", log)
	}
	info, err := os.Stat(filepath.Join(w.dir, "gatehouse-data"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory is the owner's alone: %v %v", info.Mode(), err)
	}
	s.Stop()
	again := w.serve()
	again.Out.Await(t, `(?s)Playground: .*gatehouse token --subject .*gatehouse apikey create`)
	if strings.Contains(again.Out.String(), "eyJ") {
		t.Error("a later start prints no token")
	}
	again.Stop()
}

// journal gives the timeline of an invitation as one line.
func (s *server) journal(token, id string) string {
	s.t.Helper()
	r := s.gql(token, `query($id: ID!) { invitation(id: $id) { timeline { nodes { name from to actor } } } }`, map[string]any{"id": id})
	nodes, _ := r.at(s.t, "data", "invitation", "timeline", "nodes").([]any)
	var out []string
	for _, n := range nodes {
		e := n.(map[string]any)
		out = append(out, fmt.Sprintf("%v %v->%v by %v", e["name"], e["from"], e["to"], e["actor"]))
	}
	return strings.Join(out, "\n")
}

// TestOneLifeThroughTwoDoors takes an invitation through its life by GraphQL and another by REST, on both databases,
// and compares what the journals say.
func TestOneLifeThroughTwoDoors(t *testing.T) {
	t.Parallel()
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if db.Name == "postgres" {
				w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+db.URL(t))
			}
			s := w.serve()
			key := "API-Key: " + w.must("apikey", "create", "--name", "test")
			alice, dora, root := s.token("alice", "banking/full"), s.token("dora", "banking/full"), s.token("root", "banking/full admin/full")

			byGraphQL := s.invite(alice)
			for _, step := range []struct{ token, mutation, want string }{
				{alice, `resendInvitation(input: {invitationId: $id})`, "SENT"},
				{alice, `updateInvitationSecret(input: {invitationId: $id, sharedSecret: "another secret"})`, "SENT"},
				{dora, `verifyInvitation(input: {invitationId: $id, sharedSecret: "a wrong secret"})`, ""},
				{dora, `verifyInvitation(input: {invitationId: $id, sharedSecret: "another secret"})`, "ACCEPTED"},
				{root, `completeInvitation(input: {invitationId: $id})`, "COMPLETED"},
			} {
				r := s.gql(step.token, `mutation($id: ID!) { it: `+step.mutation+` { invitation { state } problems { code } replayed } }`, map[string]any{"id": byGraphQL})
				if got, _ := r.at(t, "data", "it", "invitation", "state").(string); got != step.want {
					t.Fatalf("%s: %s", step.mutation, r.body)
				}
			}

			created := s.send("POST", "/invitations/invitations", `{"type":"joint","accountUri":"/accounts/accounts/acc-alice","emailAddress":"dora@example.net","inviterFullName":"Alice Doe","sharedSecret":"`+testkit.Secret+`"}`, key, "Authorization: Bearer "+alice)
			if created.status != 201 {
				t.Fatalf("%d %s", created.status, created.body)
			}
			byREST, _ := created.at(t, "_id").(string)
			for _, step := range []struct {
				token, method, path, body string
				want                      int
			}{
				{alice, "POST", "/invitations/sent?invitation=" + byREST, "", 200},
				{alice, "PATCH", "/invitations/invitations/" + byREST, `{"sharedSecret":"another secret"}`, 200},
				{dora, "POST", "/invitations/verifications", `{"invitationId":"` + byREST + `","sharedSecret":"a wrong secret"}`, 400},
				{dora, "POST", "/invitations/verifications", `{"invitationId":"` + byREST + `","sharedSecret":"another secret"}`, 200},
				{root, "POST", "/invitations/completed?invitation=" + byREST, "", 200},
				{alice, "POST", "/invitations/revoked?invitation=" + byREST, "", 409},
			} {
				if r := s.send(step.method, step.path, step.body, key, "Authorization: Bearer "+step.token); r.status != step.want {
					t.Fatalf("%s %s: %d %s", step.method, step.path, r.status, r.body)
				}
			}
			one, other := s.journal(root, byGraphQL), s.journal(root, byREST)
			if one != other || strings.Count(one, "\n") != 5 {
				t.Errorf("two doors, two journals:\n%s\n\n%s", one, other)
			}
			var mails []string
			testkit.Eventually(t, "each sends two mails", func() bool {
				mails, _ = filepath.Glob(filepath.Join(w.dir, "gatehouse-data", "outbox", "*.eml"))
				return len(mails) >= 4
			})
			if len(mails) != 4 {
				t.Errorf("more than two mails each: %v", mails)
			}
			for _, m := range mails {
				if raw, err := os.ReadFile(m); err != nil || bytes.Contains(raw, []byte("secret\"")) || bytes.Contains(raw, []byte(testkit.Secret)) || bytes.Contains(raw, []byte("another secret")) {
					t.Errorf("%s holds a secret: %v", m, err)
				}
			}
			s.Stop()
		})
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	file := filepath.Join(w.dir, "directory.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join([]string{
		`{"kind":"account","id":"acc-eve","owners":["eve"]}`,
		`{"kind":"account","owners":["eve"]}`,
		`not json`,
		``,
		`{"kind":"starship","id":"enterprise"}`,
		`{"kind":"account","id":"acc-bad","owners":"eve"}`,
		`{"kind":"organization","id":"org-eve","owners":["eve"],"signers":[]}`,
	}, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be repeated
		out, errs, status := w.run("", "import", file)
		if status != 1 || !strings.Contains(out, "loaded 2 records, rejected 4 lines") {
			t.Errorf("status %d: %s %s", status, out, errs)
		}
		for _, want := range []string{":2: id is missing", ":3: must be one JSON object", `:5: kind "starship" is unknown`, ":6: owners has the wrong type"} {
			if !strings.Contains(errs, file+want) {
				t.Errorf("%q is missing in:\n%s", want, errs)
			}
		}
	}
	r := s.gql(s.token("eve", "banking/full"), strings.Replace(createMutation, "acc-alice", "acc-eve", 1), map[string]any{"secret": testkit.Secret})
	if r.at(t, "data", "createInvitation", "invitation", "id") == nil {
		t.Errorf("what was imported takes effect at once: %s", r.body)
	}
	out, _, status := w.run(`{"kind":"account","id":"acc-2","owners":["eve"]}`+"\n", "import", "-")
	if status != 0 || !strings.Contains(out, "loaded 1 records") {
		t.Errorf("standard input: %d %s", status, out)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.WriteFile(filepath.Join(w.dir, "bad.yaml"), []byte("listen: 127.0.0.1:0\nlisten_to: me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim string
		args  []string
		env   string
		want  string
	}{
		{"an unknown flag", []string{"--nonsense"}, "", "--nonsense"},
		{"an unknown command", []string{"fly"}, "", "fly"},
		{"a bad value of a flag", []string{"--invitation-ttl", "soon"}, "", "--invitation-ttl"},
		{"a bad value of a variable", nil, "GATEHOUSE_VERIFY_RATE=many", "verify-rate"},
		{"an address for everybody without an issuer", []string{"--listen", "0.0.0.0:0"}, "", "GATEHOUSE_LISTEN"},
		{"a second listener for everybody", []string{"--admin-listen", ":9090"}, "", "GATEHOUSE_ADMIN_LISTEN"},
		{"a database nobody knows", nil, "GATEHOUSE_DATABASE_URL=mysql://x", "GATEHOUSE_DATABASE_URL"},
		{"a key that is none", nil, "GATEHOUSE_ENCRYPTION_KEY=c2hvcnQ=", "GATEHOUSE_ENCRYPTION_KEY"},
		{"an unknown setting in the file", []string{"--config", "bad.yaml"}, "", "listen-to"},
		{"a file that is not there", []string{"--config", "none.yaml"}, "", "none.yaml"},
		{"a token for nobody", []string{"token"}, "", "--subject"},
		{"a claim without a value", []string{"token", "--subject", "s", "--claim", "x"}, "", "--claim"},
		{"a token where an issuer makes them", []string{"token", "--subject", "s", "--hash-cost", "default", "--test-clock", "0s"}, "GATEHOUSE_ISSUER=https://issuer.example", "GATEHOUSE_ISSUER"},
		{"a moved clock with an issuer", []string{"--hash-cost", "default", "--test-clock", "+8760h"}, "GATEHOUSE_ISSUER=https://issuer.example", "GATEHOUSE_TEST_CLOCK"},
		{"quizzes that can be guessed", nil, "GATEHOUSE_QUIZ_LIMIT=5/24h", "GATEHOUSE_QUIZ_LIMIT"},
		{"quizzes that can be guessed in part", nil, "GATEHOUSE_QUIZ_PASS_SHARE=0.4", "GATEHOUSE_QUIZ_PASS_SHARE"},
		{"quizzes of three questions", nil, "GATEHOUSE_QUIZ_MIN_QUESTIONS=3", "GATEHOUSE_QUIZ_MIN_QUESTIONS"},
		{"cheap hashes with an issuer", nil, "GATEHOUSE_ISSUER=https://issuer.example", "GATEHOUSE_HASH_COST"},
	} {
		own := &world{t: t, dir: w.dir, env: w.env}
		if c.env != "" {
			own.env = append(own.env[:len(own.env):len(own.env)], c.env)
		}
		_, errs, status := own.run("", c.args...)
		if status != 2 || !strings.Contains(errs, c.want) || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
			t.Errorf("%s: status %d, %q", c.claim, status, errs)
		}
	}
	for _, args := range [][]string{{"--help"}, {"token", "--help"}, {"import", "--help"}, {"apikey", "create", "--help"}, {"migrate", "status", "--help"}, {"config", "--help"}, {"docs", "--help"}, {"version", "--help"}, {"sbom", "--help"}, {"serve", "--help"}, {"messages", "list", "--help"}} {
		if out, _, status := w.run("", args...); status != 0 || len(args) > 1 && !strings.Contains(out, "Example") {
			t.Errorf("%v: status %d: %s", args, status, out)
		}
	}
}

func TestConfigShowsWhereValuesComeFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "GATEHOUSE_INSTITUTION_NAME=Bank of Env", "GATEHOUSE_SMTP_URL=smtp://user:hunter2@mail.example:25")
	if err := os.WriteFile(filepath.Join(w.dir, "gatehouse.yaml"), []byte("institution-name: Bank of File\nmail_from: file@bank.example\ninvitation-ttl: 10h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := w.must("config", "--invitation-ttl", "5h")
	for _, want := range []string{
		`GATEHOUSE_INSTITUTION_NAME +Bank of Env +environment`, `GATEHOUSE_MAIL_FROM +file@bank.example +file gatehouse.yaml`,
		`GATEHOUSE_INVITATION_TTL +5h0m0s +flag --invitation-ttl`, `GATEHOUSE_VERIFY_RATE +20/1m0s +default`,
		`GATEHOUSE_SMTP_URL +smtp://user:\*+@mail.example:25 +environment`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Error("a password is shown")
	}
}

func TestForeignHostsAndOrigins(t *testing.T) {
	t.Parallel()
	s := newWorld(t, "GATEHOUSE_ALLOWED_ORIGINS=https://bank.example").serve()
	if r := s.send("GET", "/healthz", "", "Host: evil.example"); r.status != http.StatusMisdirectedRequest {
		t.Errorf("a foreign name is not answered to: %d", r.status)
	}
	if r := s.send("GET", "/healthz", "", "Host: localhost:1234"); r.status != 200 {
		t.Errorf("a loopback name is: %d", r.status)
	}
	r := s.send("OPTIONS", "/graphql", "", "Origin: https://bank.example", "Access-Control-Request-Method: POST")
	if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "https://bank.example" {
		t.Errorf("an allowed origin may call: %d %v", r.status, r.header)
	}
	r = s.send("OPTIONS", "/graphql", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
	if r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another may not: %d %v", r.status, r.header)
	}
}

func TestKeysAndRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	key := w.must("apikey", "create", "--name", "app")
	if _, errs, status := w.run("", "apikey", "create", "--name", "app"); status != 1 || !strings.Contains(errs, `"app"`) {
		t.Errorf("a name is taken once: %d %s", status, errs)
	}
	if out := w.must("apikey", "list"); !strings.Contains(out, "app") || strings.Contains(out, key) {
		t.Errorf("the list names it and does not show it:\n%s", out)
	}
	if r := s.send("GET", "/invitations/", "", "API-Key: "+key); r.status != 200 {
		t.Errorf("the key opens the door: %d", r.status)
	}
	w.must("apikey", "revoke", "--name", "app")
	if r := s.send("GET", "/invitations/", "", "API-Key: "+key); r.status != 401 || r.at(t, "_error", "type") != "invalidApiKey" {
		t.Errorf("revoked, it does not: %d %s", r.status, r.body)
	}
}

func TestWrongEncryptionKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve().Stop()
	w.env = append(w.env, "GATEHOUSE_ENCRYPTION_KEY=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=")
	_, errs, status := w.run("", "serve")
	if status == 0 || !strings.Contains(errs, "key") {
		t.Errorf("a key that does not open the data stops the start: %d %s", status, errs)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newWorld(t, "GATEHOUSE_ADMIN_LISTEN=127.0.0.1:0").serve()
	s.invite(s.token("alice", "banking/full"))
	admin := &server{world: s.world, url: "http://" + s.Log.Await(t, `admin listening" addr=(\S+)`)[1]}
	var r reply
	testkit.Eventually(t, "the request is counted", func() bool { // which happens after the answer
		r = admin.send("GET", "/metrics", "")
		return strings.Contains(r.body, `gatehouse_http_request_duration_seconds_count{door="/graphql"`)
	})
	for _, want := range []string{`gatehouse_http_request_duration_seconds_count{door="/graphql",method="POST",status="200"} 1`, `gatehouse_messages{state="dead"} 0`, "gatehouse_build_info", "go_goroutines"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if r := s.send("GET", "/metrics", ""); r.status == 200 {
		t.Error("the first listener shows no metrics")
	}
}

// TestManyStarts: four servers that find an empty database at once all come up, and share what they count.
func TestManyStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "GATEHOUSE_DATABASE_URL="+testkit.Postgres(t), "GATEHOUSE_VERIFY_RATE=4/1h")
	servers := make([]*server, 4)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { servers[i] = w.serve() })
	}
	wg.Wait()
	alice, dora := w.must("token", "--subject", "alice", "--scope", "banking/full"), w.must("token", "--subject", "dora", "--scope", "banking/full")
	id := servers[0].invite(alice)
	const wrong = `mutation($id: ID!) { verifyInvitation(input: {invitationId: $id, sharedSecret: "a wrong secret"}) { problems { code } } }`
	for i := range 5 {
		r := servers[i%4].gql(dora, wrong, map[string]any{"id": id})
		want := "INVITATION_VERIFICATION_FAILED"
		if i == 4 {
			want = "TOO_MANY_REQUESTS"
		}
		if got := r.at(t, "data", "verifyInvitation", "problems", 0, "code"); got != want {
			t.Errorf("try %d: %v, want %s", i, got, want)
		}
	}
	if r := servers[2].gql(alice, `query($id: ID!) { invitation(id: $id) { verificationCount } }`, map[string]any{"id": id}); r.at(t, "data", "invitation", "verificationCount") != 4.0 {
		t.Errorf("all count on the same row: %s", r.body)
	}
	for _, s := range servers {
		s.Stop()
	}
}

// TestStopFinishesWhatIsInFlight: a request whose body is being read when the stop begins is answered as always.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	alice := s.token("alice", "banking/full")
	body, _ := json.Marshal(map[string]any{"query": createMutation, "variables": map[string]any{"secret": testkit.Secret}})
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		host, alice, len(body))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // sent when the body is first read
		t.Fatalf("%q %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop()
	}()
	testkit.Eventually(t, "the stop begins", func() bool {
		res, err := http.Get(s.url + "/readyz")
		if err != nil {
			return true
		}
		_ = res.Body.Close()
		return res.StatusCode != http.StatusOK
	})
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if raw, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(raw), `"state":"SENT"`) {
		t.Errorf("the request in flight was answered with %s: %v", raw, err)
	}
	<-stopped
}

// TestLogLines: each line is JSON with the id of its request, which the answer carries too.
func TestLogLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "GATEHOUSE_LOG_FORMAT=json")
	p := testkit.Start(t, testkit.Program(t), w.dir, w.env)
	s := &server{world: w, Process: p, url: "http://" + p.Log.Await(t, `"msg":"listening".*"addr":"([^"]+)"`)[1]}
	if r := s.send("GET", "/healthz?secret=1", "", "X-Request-Id: my-own-id"); r.header.Get("X-Request-Id") != "my-own-id" {
		t.Errorf("the answer has another id: %v", r.header)
	}
	p.Log.Await(t, `"msg":"request".*\n`)
	for text := range strings.Lines(p.Log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("no JSON: %s", text)
		}
		if line["msg"] == "request" && (line["requestId"] != "my-own-id" || line["path"] != "/healthz" || strings.Contains(text, "secret")) {
			t.Errorf("%s", text)
		}
	}
}
