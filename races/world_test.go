package races

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	_ "github.com/gatehouse/gatehouse/cli" // a change of the program is a change of its tests to the test cache
	"github.com/gatehouse/gatehouse/testkit"
)

func TestMain(m *testing.M) {
	// Walks: so many for each kind of record and database, where the command line does not say otherwise.
	walks := "4"
	if long() {
		walks = "100"
	}
	if err := errors.Join(flag.Set("rapid.checks", walks), flag.Set("rapid.nofailfile", "true")); err != nil {
		panic(err)
	}
	testkit.Main(m)
}

// long reports whether the long form was asked for.
func long() bool { return os.Getenv("GATEHOUSE_FAULTS") == "long" }

// seed is that of GATEHOUSE_SEED, or a fixed one.
func seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("GATEHOUSE_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal("GATEHOUSE_SEED is no number")
	}
	return n
}

// bank is a running installation: one instance on SQLite, two on PostgreSQL.
type bank struct {
	testing.TB
	name string
	dir  string
	env  []string
	// urls are those of the instances.
	urls []string
	// processes are the instances themselves.
	processes []*testkit.Process
	// key is an API key.
	key    string
	client *http.Client
	// people is the number of people who were taken for quizzes.
	people int
	tokens sync.Map
}

// eachBank runs a test on both databases.
func eachBank(t *testing.T, story func(t *testing.T, b *bank), env ...string) {
	t.Helper()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			story(t, openBank(t, database.Name, database.URL, env...))
		})
	}
}

func openBank(t testing.TB, name string, url func(testing.TB) string, env ...string) *bank {
	t.Helper()
	dir := t.TempDir()
	b := &bank{TB: t, name: name, dir: dir, env: testkit.Environment(dir, append([]string{
		"GATEHOUSE_VERIFY_RATE=100000000/1s", "GATEHOUSE_CODE_RATE=100000000/1s", "GATEHOUSE_CODE_SEND_LIMIT=100000000/1s",
	}, env...)...)}
	b.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	t.Cleanup(b.client.CloseIdleConnections)
	instances := 1
	if name == "postgres" {
		b.env = append(b.env, "GATEHOUSE_DATABASE_URL="+url(t))
		instances = 2
	}
	for range instances {
		b.serve()
	}
	b.key = b.must("apikey", "create", "--name", "races")
	return b
}

// serve starts another instance.
func (b *bank) serve() {
	b.Helper()
	p := testkit.Start(b, testkit.Program(b), b.dir, b.env)
	b.processes, b.urls = append(b.processes, p), append(b.urls, p.URL())
}

// run runs a command of the program to its end.
func (b *bank) run(stdin string, args ...string) (stdout, stderr string, status int) {
	b.Helper()
	return testkit.Run(b, testkit.Program(b), b.dir, b.env, stdin, args...)
}

func (b *bank) must(args ...string) string {
	b.Helper()
	out, errs, status := b.run("", args...)
	if status != 0 {
		b.Fatalf("gatehouse %s: status %d: %s", strings.Join(args, " "), status, errs)
	}
	return strings.TrimSpace(out)
}

// token gives an access token of a user, the same one each time. claims are "name=value". The key of the development
// issuer lies in the data folder, and the token is made here.
func (b *bank) token(subject, scope string, claims ...string) string {
	b.Helper()
	name := strings.Join(append([]string{subject, scope}, claims...), "\n")
	if known, ok := b.tokens.Load(name); ok {
		return known.(string)
	}
	more := map[string]string{}
	for _, c := range claims {
		name, value, _ := strings.Cut(c, "=")
		more[name] = value
	}
	issuer, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: filepath.Join(b.dir, "gatehouse-data"), Now: testkit.Now})
	if err != nil {
		b.Fatal(err)
	}
	made, err := issuer.Issue(auth.TokenRequest{Subject: subject, Scope: scope, TTL: 12 * time.Hour, Claims: more})
	if err != nil {
		b.Fatal(err)
	}
	b.tokens.Store(name, made)
	return made
}

// Scopes that give a customer, and an administrator, everything that is theirs.
const (
	customer = "banking/full profiles/full signup"
	admin    = "banking/full profiles/full admin/full"
)

// answer is what came back, whichever door it came from.
type answer struct {
	status int
	header http.Header
	body   string
	// tree is the body as JSON; nil where it is none.
	tree any
}

// at gives what is at a path of the JSON; nil where there is nothing.
func (a answer) at(path ...any) any { return at(a.tree, path...) }

func at(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			list, _ := v.([]any)
			if k >= len(list) {
				return nil
			}
			v = list[k]
		}
	}
	return v
}

func (a answer) text(path ...any) string {
	s, _ := a.at(path...).(string)
	return s
}

func (a answer) number(path ...any) int {
	n, _ := a.at(path...).(float64)
	return int(n)
}

// send makes a request of an instance. headers are "Name: value" lines. It may be called from any goroutine.
func (b *bank) send(instance int, method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, b.urls[instance]+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	out := answer{status: res.StatusCode, header: res.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &out.tree)
	if res.StatusCode >= 500 {
		return out, fmt.Errorf("%s %s: status %d: %s", method, path, res.StatusCode, raw)
	}
	return out, nil
}

// gql runs a document. A top-level error is an answer like any other.
func (b *bank) gql(instance int, token, document string, variables map[string]any) (answer, error) {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return answer{}, err
	}
	var headers []string
	if token != "" {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	return b.send(instance, http.MethodPost, "/graphql", string(body), headers...)
}

// mutate runs a mutation of one input, which it calls "it".
func (b *bank) mutate(instance int, token, name, selection string, input map[string]any) (answer, error) {
	kind := strings.ToUpper(name[:1]) + name[1:] + "Input!"
	return b.gql(instance, token, "mutation($input: "+kind+") { it: "+name+"(input: $input) { "+selection+" problems { code } replayed } }", map[string]any{"input": input})
}

// made runs a mutation that must be done, and gives its payload.
func (b *bank) made(token, name, selection string, input map[string]any) map[string]any {
	b.Helper()
	a, err := b.mutate(0, token, name, selection, input)
	payload, _ := a.at("data", "it").(map[string]any)
	if problems, _ := payload["problems"].([]any); err != nil || payload == nil || len(problems) > 0 {
		b.Fatalf("%s: %v %s", name, err, a.body)
	}
	return payload
}

// restCode is the refusal of a REST answer by the name it has in GraphQL; empty for none. The dialects have names of
// their own: camelCase words, URIs of such words, snake_case words and GraphQL's own.
func restCode(a answer) string {
	if a.status < 400 {
		return ""
	}
	for _, path := range [][]any{{"_error", "type"}, {"errors", 0, "code"}, {"code"}, {"type"}} {
		if name := a.text(path...); name != "" {
			name = strings.TrimSuffix(name, "/v1.0.0")
			return upper(name[strings.LastIndex(name, "/")+1:])
		}
	}
	return "STATUS_" + strconv.Itoa(a.status)
}

// upper turns a word of a REST dialect into the code that GraphQL has for it (the contract's rule for names).
func upper(name string) string {
	var out strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' && name != strings.ToUpper(name) {
			out.WriteByte('_')
		}
		out.WriteRune(r)
	}
	code := strings.ToUpper(out.String())
	switch {
	case strings.HasPrefix(code, "NO_SUCH_"), code == "INVALID_INVITATION_ID", code == "INVALID_SESSION_ID", code == "RESOURCE_NOT_FOUND":
		return "NOT_FOUND"
	case code == "IF_MATCH_HEADER_DOES_NOT_MATCH":
		return "VERSION_STALE"
	}
	return code
}

// instant is a time of an answer in milliseconds.
func instant(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return at.UnixMilli()
}
