package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for a condition that takes milliseconds on an idle machine. Only failing tests wait
// that long.
const Patience = 4 * time.Minute

// Eventually waits until the condition holds, and returns how long that took. The test fails if it does not hold
// within Patience.
func Eventually(t testing.TB, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > Patience {
			t.Fatalf("%s: not within %s", what, Patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begun)
}

var built struct {
	sync.Once
	path string
	err  error
}

// Program builds the program with flags of go build, once for each test process, and returns its path. The package
// under test must call Main in its TestMain, and must import cli, because Go's test cache considers imports only.
func Program(t testing.TB, flags ...string) string {
	t.Helper()
	built.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "gatehouse-test-*"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "gatehouse")
		cmd := exec.Command("go", append(append([]string{"build", "-o", built.path}, flags...), "github.com/gatehouse/gatehouse")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// Main runs the tests of a package and removes the program that Program built.
func Main(m *testing.M) {
	status := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// Environment returns the environment of a program that runs in dir: a free port, low-cost hashes, and the test
// switches of this process. A later setting overrides an earlier one.
func Environment(dir string, settings ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GATEHOUSE_LISTEN=127.0.0.1:0", "GATEHOUSE_HASH_COST=low", "GATEHOUSE_LOG_FORMAT=text",
	}
	for _, name := range []string{"GATEHOUSE_TEST_CLOCK", "GATEHOUSE_TEST_ENGINE"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return append(env, settings...)
}

// External returns the settings of a server with an external issuer, which refuses the test switches.
func External(issuer string) []string {
	return []string{"GATEHOUSE_ISSUER=" + issuer, "GATEHOUSE_HASH_COST=default", "GATEHOUSE_TEST_CLOCK=0s"}
}

// Run runs a command of the program and waits for its end.
func Run(t testing.TB, program, dir string, env []string, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, env, strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Output collects the output of a process.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the output.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await waits until the output matches the pattern, and returns the match and its groups.
func (o *Output) Await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var match []string
	defer func() {
		if match == nil {
			t.Logf("output:\n%s", o)
		}
	}()
	Eventually(t, fmt.Sprintf("%q is printed", pattern), func() bool {
		match = re.FindStringSubmatch(o.String())
		return match != nil
	})
	return match
}

// Process is a running server.
type Process struct {
	Cmd *exec.Cmd
	// Out and Log are its standard output and its standard error.
	Out, Log *Output
	// Ended is closed when the process has ended.
	Ended chan struct{}
	t     testing.TB
}

// Start starts a server, which is killed at the end of the test if it still runs.
func Start(t testing.TB, program, dir string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command(program, args...), Out: &Output{}, Log: &Output{}, Ended: make(chan struct{}), t: t}
	p.Cmd.Dir, p.Cmd.Env, p.Cmd.Stdout, p.Cmd.Stderr = dir, env, p.Out, p.Log
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Cmd.Wait()
		close(p.Ended)
	}()
	t.Cleanup(p.Kill)
	return p
}

// URL waits until the server listens and returns its base URL. The log must be in text format.
func (p *Process) URL() string {
	p.t.Helper()
	return "http://" + p.Log.Await(p.t, `msg=listening addr=(\S+)`)[1]
}

// Kill kills the process and waits for its end.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.Ended
}

// Stop stops the server with SIGTERM. The test fails if the server does not end with status 0.
func (p *Process) Stop() {
	p.t.Helper()
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(Patience):
		p.t.Fatalf("the server is still running %s after SIGTERM:\n%s", Patience, p.Log)
	}
	if status := p.Cmd.ProcessState.ExitCode(); status != 0 {
		p.t.Errorf("after SIGTERM the status is %d:\n%s", status, p.Log)
	}
}
