//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a running program under measurement.
type server struct {
	cmd     *exec.Cmd
	address string
	// admin is the address of Gatehouse's second listener, which serves the bare handler.
	admin string
	// database is the process id of the database's first process; 0 if the database runs in the server.
	database int
	ended    chan struct{}
	log      *os.File
	unleash  func()
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the program as an operator would, and kills it after a timeout.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.unleash()
	_ = s.log.Close()
}

// tether ends a process, and removes its directory if one is given, when this program has ended in any way: a shell
// waits for the end of its input. Call unleash once the process has ended.
func tether(pid int, signal, dir string) (unleash func(), err error) {
	cmd := exec.Command("sh", "-c", `read _; kill -"$1" "$0" 2>/dev/null; [ -z "$2" ] || { sleep 2; rm -rf "$2"; }`, strconv.Itoa(pid), signal, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal must not reach it
	held, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = held.Close()
		_ = cmd.Wait()
	}, nil
}

// launch starts a program and waits until it responds 200 at the path ready.
func launch(ctx context.Context, dir, name string, env []string, ready string, program string, args ...string) (*server, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(program, args...), ended: make(chan struct{}), log: log}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, log, log
	s.cmd.Env = append(plainEnvironment(), env...)
	if err := s.cmd.Start(); err != nil {
		_ = log.Close()
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	if s.unleash, err = tether(s.pid(), "TERM", ""); err != nil {
		s.unleash = func() {}
		s.stop()
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		answer, err := http.Get(ready)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode < 500 {
				return s, nil
			}
		}
		select {
		case <-s.ended:
			s.unleash()
			output, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s exited during startup: %s", name, output)
		case <-ctx.Done():
			s.stop()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			output, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s does not respond: %s", name, output)
		}
	}
}

// plainEnvironment returns the environment without the user's settings, except those of the Go runtime.
func plainEnvironment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GATEHOUSE_") && !strings.HasPrefix(v, "OTEL_") && !strings.HasPrefix(v, "PG") {
			out = append(out, v)
		}
	}
	return out
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// gatehouse is an installation of the product: program, settings and data.
type gatehouse struct {
	program string
	dir     string
	env     []string
	// url is the URL of the database.
	url string
}

// The settings of every installation: sessions outlive the measurement, and the access log is off. Everything else is
// the default, including limits and the cost of hashes.
func newGatehouse(program, dir, url, key string, more ...string) (*gatehouse, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if url == "" {
		url = "sqlite://" + filepath.Join(dir, "gatehouse.db")
	}
	g := &gatehouse{program: program, dir: dir, url: url}
	g.env = append([]string{
		"GATEHOUSE_DATA_DIR=" + dir, "GATEHOUSE_DATABASE_URL=" + url, "GATEHOUSE_ENCRYPTION_KEY=" + key,
		"GATEHOUSE_DEMO=false", "GATEHOUSE_LOG_LEVEL=error",
		"GATEHOUSE_SESSION_IDLE_TIMEOUT=24h", "GATEHOUSE_SESSION_MAX_LIFETIME=48h",
	}, more...)
	return g, nil
}

// command runs a command of the program and returns its output.
func (g *gatehouse) command(ctx context.Context, in io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Dir, cmd.Stdin, cmd.Env = g.dir, in, append(plainEnvironment(), g.env...)
	var stdout bytes.Buffer
	cmd.Stderr = &stdout
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("gatehouse %s: %w: %s", args[0], err, stdout.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// load migrates the database and imports the data.
func (g *gatehouse) load(ctx context.Context, w world) error {
	if _, err := g.command(ctx, nil, "migrate", "up"); err != nil {
		return err
	}
	in, out := io.Pipe()
	go func() { _ = out.CloseWithError(w.directory(out)) }()
	_, err := g.command(ctx, in, "import", "-")
	_ = in.CloseWithError(errors.New("the import has ended"))
	return err
}

// start starts the server.
func (g *gatehouse) start(ctx context.Context, name string) (*server, error) {
	address, err1 := freeAddress()
	admin, err2 := freeAddress()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	env := append(g.env[:len(g.env):len(g.env)], "GATEHOUSE_LISTEN="+address, "GATEHOUSE_ADMIN_LISTEN="+admin)
	s, err := launch(ctx, g.dir, name, env, "http://"+address+"/readyz", g.program, "serve")
	if err != nil {
		return nil, err
	}
	s.address, s.admin = address, admin
	return s, nil
}

// build builds the program as described in README.
func build(ctx context.Context, dir string) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "gatehouse")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(mod)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, nil
}

// pending reports whether mails are waiting, according to the metrics of the server.
func (s *server) pending(ctx context.Context) (waiting bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	for line := range strings.Lines(string(text)) {
		for _, state := range []string{"pending", "sending"} {
			if rest, ok := strings.CutPrefix(line, `gatehouse_messages{state="`+state+`"} `); ok && strings.TrimSpace(rest) != "0" {
				waiting = true
			}
		}
	}
	return waiting, err
}

// waitForMails waits until the mails of a row are sent, because they would take processor time from the next row.
func (s *server) waitForMails(ctx context.Context) {
	for range 200 {
		if waiting, err := s.pending(ctx); err != nil || !waiting {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
