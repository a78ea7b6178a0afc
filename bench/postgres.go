//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a temporary cluster. Unlike that of the tests it syncs to disk.
type postgres struct {
	bin string
	dir string
	url string
	cmd *exec.Cmd
	end chan struct{}
	// connecting is how long pgbench last needed to open its connections.
	connecting time.Duration
	unleash    func()
}

// errNoPostgres is the reason for skipping PostgreSQL.
var errNoPostgres = errors.New("PostgreSQL is not installed (looked for initdb and pgbench)")

func startPostgres(ctx context.Context, sharedBuffers string) (_ *postgres, err error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(candidates, func(a, b string) int {
		x, _ := strconv.Atoi(strings.Split(a, "/")[4])
		y, _ := strconv.Atoi(strings.Split(b, "/")[4])
		return y - x
	})
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, path)
	}
	if len(candidates) == 0 {
		return nil, errNoPostgres
	}
	p := &postgres{bin: filepath.Dir(candidates[0]), end: make(chan struct{})}
	if p.dir, err = os.MkdirTemp("", "gatehouse-bench-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(p.dir)
		}
	}()
	credential, err := unprivilegedUser(p.dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(p.dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(p.bin, name), args...)
		cmd.Dir, cmd.Env = p.dir, append(plainEnvironment(), "HOME="+p.dir, "LC_ALL=C")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
		return cmd
	}
	out, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	args := []string{"-D", data}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + port, "unix_socket_directories=" + p.dir, "shared_buffers=" + sharedBuffers,
		"fsync=on", "synchronous_commit=on", "max_connections=200", "max_wal_size=4GB", "checkpoint_timeout=15min",
	} {
		args = append(args, "-c", setting)
	}
	p.cmd = run("postgres", args...)
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		_ = log.Close()
		close(p.end)
	}()
	if p.unleash, err = tether(p.pid(), "QUIT", p.dir); err != nil {
		p.unleash = func() {}
		p.stop()
		return nil, err
	}
	p.url = "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable"
	for range 200 {
		if err = p.exec(ctx, "SELECT 1"); err == nil {
			return p, nil
		}
		select {
		case <-p.end:
			p.unleash()
			output, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("PostgreSQL did not start: %s", output)
		case <-time.After(100 * time.Millisecond):
		}
	}
	p.stop()
	return nil, err
}

func (p *postgres) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.end:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.end
	}
	p.unleash()
	_ = os.RemoveAll(p.dir)
}

func (p *postgres) pid() int { return p.cmd.Process.Pid }

// exec executes statements in order.
func (p *postgres) exec(ctx context.Context, statements ...string) error {
	return execute(ctx, p.url, statements...)
}

// execute executes statements in order in the database of the URL.
func execute(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// unprivilegedUser returns the credential to run PostgreSQL with, which refuses to run as root. It changes the owner of
// the directory.
func unprivilegedUser(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nil means the current user
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL cannot run as root, and there is no user nobody")
}

// script is a script for pgbench.
type script struct{ name, text string }

// scripts returns the statements of the product, verbatim, with the values that its rows use.
func (w world) scripts() []script {
	const (
		session    = "id, version, created_at, updated_at, state, user_id, client_id, handle_hash, tasks, last_active_at, abandon_at, expire_at, ended_at, end_reason, ended_by, organization_id, ip_address, user_agent, watch_at"
		invitation = "id, version, created_at, updated_at, state, type, email_address, email_address_index, first_name, last_name, identification, inviter_full_name, account_uri, organization_uri, organization_role, secret_hash, mail_key_hash, verification_count, failed_count, resend_count, expires_at, created_by, customer_id, customer_group, accepted_by, account_id, organization_id"
	)
	draw := func(from, to int) string { return fmt.Sprintf("\\set n random(%d, %d)\n", firstID+from, firstID+to-1) }
	touch := func(id string) string {
		now := time.Now()
		return fmt.Sprintf("\\set at %d + :n\n\\set until %d + :n\n", now.UnixMicro(), now.Add(24*time.Hour).UnixMicro()) +
			"%sUPDATE sessions SET last_active_at = CASE WHEN last_active_at > :at THEN last_active_at ELSE :at END, " +
			"abandon_at = CASE WHEN :until >= expire_at THEN expire_at WHEN :until > abandon_at THEN :until ELSE abandon_at END " +
			"WHERE id = " + id + " AND state IN ('active', 'pending') AND abandon_at > :at AND expire_at > :at RETURNING " + session + ";\n"
	}
	sess := "'" + sessionID + "' || :n"
	return []script{
		{"R1", draw(0, w.rows) + "SELECT " + session + " FROM sessions WHERE id = " + sess + ";\n"},
		{"R2", draw(0, w.lastCursor()) + fmt.Sprintf("\\set at %d + (:n - %d) * %d\n", w.begin.UnixMicro(), firstID, invitedGap.Microseconds()) +
			"SELECT " + invitation + " FROM invitations WHERE state = 'sent' AND (created_at, id) > (:at, '" + inviteID + "' || :n) " +
			"ORDER BY created_at, id LIMIT 51;\n"},
		{"W1", draw(0, w.rows) + fmt.Sprintf(touch(sess), "")},
		{"W1c", draw(w.rows+callerSessions, w.rows+w.onClients) + "BEGIN;\n" +
			fmt.Sprintf(touch(sess), "UPDATE clients SET last_active_session_id = "+sess+", updated_at = CASE WHEN updated_at > :at THEN updated_at ELSE :at END "+
				"WHERE id = (SELECT client_id FROM sessions WHERE id = "+sess+");\n") + "COMMIT;\n"},
	}
}

// lastCursor leaves enough invitations after the last cursor for a full page.
func (w world) lastCursor() int { return max(1, w.rows-200) }

// pgbench runs a script for whole seconds and returns its rate, its mean latency and the number of transactions.
// pgbench excludes the time to connect from the rate but not from its running time, so that time is added, and a run
// that had too little time left is repeated.
func (p *postgres) pgbench(ctx context.Context, file string, d time.Duration) (rate float64, mean time.Duration, done int64, err error) {
	for range 4 {
		seconds := int((d + p.connecting + 3*time.Second/2) / time.Second)
		cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "pgbench"), "-n", "-M", "prepared", "-c", strconv.Itoa(connections), "-j", "2",
			"-T", strconv.Itoa(seconds), "-f", file, p.url)
		cmd.Env = plainEnvironment()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return 0, 0, 0, fmt.Errorf("pgbench: %w: %s", err, out)
		}
		var latency float64
		connecting := float64(seconds * 1000)
		for line := range strings.Lines(string(out)) {
			_ = scanned(line, "tps = %f", &rate) || scanned(line, "number of transactions actually processed: %d", &done) ||
				scanned(line, "latency average = %f ms", &latency) || scanned(line, "initial connection time = %f ms", &connecting)
		}
		p.connecting = time.Duration(connecting * float64(time.Millisecond))
		if rate > 0 && done > 0 && time.Duration(seconds)*time.Second-p.connecting >= d/2 {
			return rate, time.Duration(latency * float64(time.Millisecond)), done, nil
		}
	}
	return 0, 0, 0, errors.New("pgbench could not connect in time")
}

// waitForBackends waits until there are at most the given number of processes. A backend that exits releases each page
// of shared_buffers that it has used; many that do so at once would take most of a second from the next row.
func (p *postgres) waitForBackends(ctx context.Context, processes int) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline) && len(children(p.pid())) > processes; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func scanned(line, format string, into any) bool {
	_, err := fmt.Sscanf(line, format, into)
	return err == nil
}
