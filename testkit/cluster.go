//go:build unix

package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is a PostgreSQL cluster for one test, which the test may kill and restart. Acknowledged writes survive the
// end of its processes.
type Cluster struct {
	t              testing.TB
	who            *syscall.Credential
	dir, bin, data string
	port           int
	server         *exec.Cmd
}

// NewCluster creates a cluster and starts it. If PostgreSQL is not installed, the test is skipped, as in Postgres.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	bin, err := binaries()
	if errors.Is(err, errNoPostgres) {
		Without(t, "postgres", err)
	}
	c := &Cluster{t: t, bin: bin}
	if err == nil {
		c.dir, err = os.MkdirTemp("", "gatehouse-pg-")
	}
	if err == nil {
		c.data = filepath.Join(c.dir, "data")
		c.who, err = stranger(c.dir)
	}
	if err == nil {
		err = watch(c.dir)
	}
	if err == nil {
		err = initialise(c.who, c.dir, bin)
	}
	if err == nil {
		c.port, err = freePort()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		c.Kill()
		_ = os.RemoveAll(c.dir)
	})
	return c
}

// Address returns the address on which the server listens.
func (c *Cluster) Address() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

// URL returns the URL of the database at an address that reaches the server.
func (c *Cluster) URL(address string) string {
	return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", address)
}

// Start starts the server and waits until it accepts connections. After Kill, it retries while old processes end.
func (c *Cluster) Start() {
	c.t.Helper()
	for range 50 {
		c.server = serve(c.who, c.dir, filepath.Join(c.bin, "postgres"), c.data, c.port, "synchronous_commit=on")
		if started(c.server, c.URL(c.Address())) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	c.t.Fatalf("testkit: PostgreSQL did not start: %s", log)
}

// Kill kills the main process of the server and waits until its child processes have ended: until then they continue to
// serve open connections.
func (c *Cluster) Kill() {
	pid, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	n, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || n != c.server.Process.Pid {
		return
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", n, n))
	_ = syscall.Kill(n, syscall.SIGKILL)
	Eventually(c.t, "the processes of PostgreSQL end", func() bool {
		for _, child := range strings.Fields(string(children)) {
			stat, err := os.ReadFile("/proc/" + child + "/stat")
			if _, rest, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(rest, "Z") {
				return false
			}
		}
		return true
	})
}
