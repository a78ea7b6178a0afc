// Package faults breaks the built program, and what it depends on, from outside: the process is killed and stopped,
// the database dies and falls silent, mail server and providers fail, the disk fills up. Each test then compares what
// clients were told with what is stored. docs/reliability.md says what is promised and what was measured.
//
// It knows the program's commands, doors and tables, and nothing of its packages. The short form runs with all other
// tests; GATEHOUSE_FAULTS=long is the long one (make faults). GATEHOUSE_FAULTS_SEED repeats a run's choices.
package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/gatehouse/gatehouse/cli" // a change of the program is a change of its tests to the test cache
	"github.com/gatehouse/gatehouse/testkit"
)

var (
	long = os.Getenv("GATEHOUSE_FAULTS") == "long"
	seed = func() uint64 {
		if n, err := strconv.ParseUint(os.Getenv("GATEHOUSE_FAULTS_SEED"), 10, 64); err == nil {
			return n
		}
		if !long {
			return 1
		}
		return rand.Uint64() >> 32
	}()
)

// often is how many times something is done: in the long form, in the short one, and in the short one under the race
// detector, where everything is several times as slow.
func often(inLong, inShort, raced int) int {
	switch {
	case long:
		return inLong
	case raceDetector:
		return raced
	}
	return inShort
}

// binary is the program; under the race detector built with it, so that its own races are found too.
// GATEHOUSE_FAULTS_BINARY names another build of it.
func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("GATEHOUSE_FAULTS_BINARY"); path != "" {
		return path
	}
	if raceDetector {
		return testkit.Program(t, "-race")
	}
	return testkit.Program(t)
}

func TestMain(m *testing.M) {
	fmt.Printf("GATEHOUSE_FAULTS_SEED=%d\n", seed)
	testkit.Main(m)
}

// chance gives the test's own random choices: the same for the same seed, whatever else runs.
func chance(t *testing.T) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, t.Name())
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// between is a time between two.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// world is a folder with its settings, in which servers and commands run.
type world struct {
	t        *testing.T
	dir      string
	env      []string
	database string
	// alice invites, dora is invited, root may do everything.
	alice, dora, root string
}

// newWorld makes one. database is empty for an embedded file.
func newWorld(t *testing.T, database string, env ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), database: database}
	if database == "" {
		w.database = "sqlite://" + filepath.Join(w.dir, "gatehouse-data", "gatehouse.db")
	}
	w.env = testkit.Environment(w.dir, append([]string{
		"GATEHOUSE_DATABASE_URL=" + w.database, "GATEHOUSE_LOG_FORMAT=json", "GATEHOUSE_LOG_LEVEL=warn", "GATEHOUSE_VERIFY_RATE=1000000/60s", "GATEHOUSE_INVITATION_RESEND_LIMIT=1000000",
		"GATEHOUSE_CODE_SEND_LIMIT=1000000/1h", "GATEHOUSE_DRAIN_DELAY=300ms", "GORACE=exitcode=66",
	}, env...)...)
	w.alice = w.token("alice", "banking/full profiles/full")
	w.dora = w.token("dora", "banking/full")
	w.root = w.token("root", "banking/full profiles/full admin/full signup")
	return w
}

func (w *world) token(subject, scope string) string {
	return w.must("token", "--subject", subject, "--scope", scope, "--ttl", "12h")
}

// must runs a command that is expected to work.
func (w *world) must(args ...string) string {
	w.t.Helper()
	out, errs, status := testkit.Run(w.t, binary(w.t), w.dir, w.env, "", args...)
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
	// ready is how long it took from its start until it was ready, and work the time of processors that this cost; 0
	// where the system does not say.
	ready, work time.Duration
}

// serve starts a server and waits until it is ready.
func (w *world) serve(env ...string) *server {
	w.t.Helper()
	for {
		address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(w.t))
		start := time.Now()
		s := &server{world: w, url: "http://" + address}
		s.Process = testkit.Start(w.t, binary(w.t), w.dir, append(append(slices.Clone(w.env), "GATEHOUSE_LISTEN="+address), env...))
		testkit.Eventually(w.t, "a server is ready or ends", func() bool { return s.get("/readyz") == http.StatusOK || s.ended() })
		if s.ended() {
			if strings.Contains(s.Log.String(), "address already in use") {
				continue // somebody took the port in the meantime
			}
			w.t.Fatalf("the server ended at its start:\n%s", s.tail())
		}
		s.ready = time.Since(start)
		s.work = processorTime(s.Cmd.Process.Pid)
		w.t.Cleanup(func() {
			s.Kill()
			s.checkLog()
		})
		return s
	}
}

func (s *server) ended() bool {
	select {
	case <-s.Ended:
		return true
	default:
		return false
	}
}

// processorTime is what a process has used so far, where the system has /proc with its usual hundred ticks a second.
func processorTime(pid int) time.Duration {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (s *server) tail() string {
	text := s.Log.String()
	return text[max(0, len(text)-4000):]
}

// checkLog finds what no server may print, whatever fails around it.
func (s *server) checkLog() {
	text := s.Log.String()
	for _, bad := range []string{"DATA RACE", `"msg":"panic"`, "fatal error", "goroutine 1 ["} {
		if at := strings.Index(text, bad); at >= 0 {
			s.t.Errorf("the log says %q:\n%s", bad, text[max(0, at-200):min(len(text), at+4000)])
			return
		}
	}
}

// quick asks whether a server is there.
var quick = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (s *server) get(path string) int {
	res, err := quick.Get(s.url + path)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

// answer is what a client saw of its request.
type answer struct {
	status int
	body   string
	tree   map[string]any
	err    error
	took   time.Duration
}

// client is one that keeps its connections.
func client(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}
}

// send makes one request; body is JSON or nil.
func send(c *http.Client, method, url, token string, body any, header ...string) (a answer) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(raw))
	if err != nil {
		return answer{err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	start := time.Now()
	defer func() { a.took = time.Since(start) }()
	res, err := c.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	a = answer{status: res.StatusCode, body: string(text)}
	_ = json.Unmarshal(text, &a.tree)
	return a
}

// graphql makes one GraphQL request.
func graphql(c *http.Client, url, token, query string, variables map[string]any) answer {
	return send(c, http.MethodPost, url+"/graphql", token, map[string]any{"query": query, "variables": variables})
}

// refused reports whether no connection came about: nothing was sent.
func (a answer) refused() bool {
	var op *net.OpError
	return errors.As(a.err, &op) && op.Op == "dial"
}

// at gives what is at the path of the answer.
func (a answer) at(path ...any) any {
	var v any = a.tree
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l, _ := v.([]any)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

// text is at for a text.
func (a answer) text(path ...any) string {
	s, _ := a.at(path...).(string)
	return s
}

// unavailable reports whether the server said that it cannot do it now.
func (a answer) unavailable() bool {
	return a.status == http.StatusServiceUnavailable || a.text("errors", 0, "extensions", "code") == "UNAVAILABLE"
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.600s", a.status, a.body)
}

// forBoth runs a story on both databases.
func forBoth(t *testing.T, story func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		story(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		story(t, testkit.Postgres(t))
	})
}

// spread tells how times are distributed.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	s := slices.Clone(times)
	slices.Sort(s)
	at := func(q float64) time.Duration {
		return s[min(len(s)-1, int(q*float64(len(s))))].Round(time.Millisecond / 10)
	}
	return fmt.Sprintf("n %d, median %s, p95 %s, max %s", len(s), at(.5), at(.95), s[len(s)-1].Round(time.Millisecond/10))
}

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	s := slices.Clone(times)
	slices.Sort(s)
	return s[len(s)/2]
}
