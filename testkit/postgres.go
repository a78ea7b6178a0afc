//go:build unix

package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoPostgres means that PostgreSQL is not installed.
var errNoPostgres = errors.New("testkit: PostgreSQL is not installed")

var (
	databases atomic.Int64
	// cluster returns the URL of the server that this test process started.
	cluster = sync.OnceValues(startCluster)
)

// Postgres returns the URL of an empty database on the server of GATEHOUSE_TEST_DATABASE_URL or, if that is not set, in
// a cluster that this test process starts once. The cluster is removed however the process ends. Without either, the
// test is skipped, or fails if GATEHOUSE_TEST_REQUIRE names postgres.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("GATEHOUSE_TEST_DATABASE_URL")
	if server == "" {
		started, err := cluster()
		if errors.Is(err, errNoPostgres) {
			Without(t, "postgres", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		server = started
	}
	name := fmt.Sprintf("gatehouse_test_%d_%d", os.Getpid(), databases.Add(1))
	create := "CREATE DATABASE " + name + " TEMPLATE template0"
	err := administer(server, create+" STRATEGY file_copy") // four times as fast; since version 15
	if err != nil {
		err = administer(server, create)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := administer(server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("testkit: the database URL is malformed")
	}
	u.Path = "/" + name
	return u.String()
}

func separator(r rune) bool { return r == ',' || r == ' ' }

// administer runs one statement on the server.
func administer(server, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, text)
	return err
}

// binaries returns the directory with the programs of the newest installed PostgreSQL.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return "", errNoPostgres
		}
		found = []string{path}
	}
	return filepath.Dir(found[0]), nil
}

// startCluster creates a cluster, starts its server and returns the URL.
func startCluster() (string, error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "gatehouse-pg-")
	if err != nil {
		return "", err
	}
	who, err := stranger(dir)
	if err != nil {
		return "", err
	}
	if err := watch(dir); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := initialise(who, dir, bin); err != nil {
		return "", err
	}
	for range 5 { // another process may take the port before the server listens
		port, err := freePort()
		if err != nil {
			return "", err
		}
		server := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=30", port)
		if started(serve(who, dir, filepath.Join(bin, "postgres"), data, port), server) {
			return server, nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return "", fmt.Errorf("testkit: PostgreSQL did not start: %s", log)
}

// initialise creates the files of a cluster.
func initialise(who *syscall.Credential, dir, bin string) error {
	data := filepath.Join(dir, "data")
	// With a default collation that does not sort by code point, tests find columns that do not specify their collation.
	making := []string{"-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"}
	out, err := command(who, dir, filepath.Join(bin, "initdb"), append(making, "--locale-provider=icu", "--icu-locale=en-US")...).CombinedOutput()
	if err != nil { // built without ICU, or before version 15
		_ = os.RemoveAll(data)
		out, err = command(who, dir, filepath.Join(bin, "initdb"), making...).CombinedOutput()
	}
	if err != nil {
		return fmt.Errorf("testkit: initdb: %w: %s", err, out)
	}
	return nil
}

// stranger returns the user to run PostgreSQL as, because it refuses to run as root, and makes this user the owner of
// dir. It returns nil if this process does not run as root.
func stranger(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nil means the current user
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(found.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("testkit: PostgreSQL cannot run as root, and the users postgres and nobody do not exist")
}

// command returns a command that runs in a separate session, so that an interrupt from the terminal does not reach it.
func command(who *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C")
	return cmd
}

var holding sync.Mutex

// leashes keeps pipes open until this process ends; see watch.
var leashes []io.WriteCloser

// watch starts a shell that waits for the end of this process, then stops the server and removes dir.
func watch(dir string) error {
	cmd := command(nil, "/", "sh", "-c", `read _
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
rm -rf "$0"`, dir)
	leash, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	holding.Lock()
	leashes = append(leashes, leash)
	holding.Unlock()
	return cmd.Start()
}

// FreePort returns a free port below the ephemeral range, so that no outgoing connection takes the port while its
// server is down.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func freePort() (int, error) {
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port, nil
		}
	}
	return 0, errors.New("testkit: no free port")
}

// serve returns the command of a small server that does not wait for the disk.
func serve(who *syscall.Credential, dir, postgres, data string, port int, more ...string) *exec.Cmd {
	args := []string{"-D", data}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", fmt.Sprintf("port=%d", port), "unix_socket_directories=" + dir,
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=200",
		"autovacuum=off", "max_wal_senders=0", "wal_level=minimal", "jit=off",
	} {
		args = append(args, "-c", setting)
	}
	for _, setting := range more {
		args = append(args, "-c", setting)
	}
	cmd := command(who, dir, postgres, args...)
	if log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		cmd.Stdout, cmd.Stderr = log, log // stays open until this process ends; the server has its own handles
	}
	return cmd
}

// started starts the server and reports whether it accepts connections.
func started(cmd *exec.Cmd, server string) bool {
	if err := cmd.Start(); err != nil {
		return false
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for begun := time.Now(); time.Since(begun) < Patience; {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		conn, err := pgx.Connect(ctx, server)
		if err == nil {
			_ = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	return false
}
