//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gatehouse/gatehouse/bench/people"
)

// startWatchman builds the peer in bench/peers/watchman, a module of its own, and starts it on the same list. It is left
// out where its modules cannot be had.
func startWatchman(ctx context.Context, dir string, listed []people.Listed) (search searcher, stop func(), err error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, nil, err
	}
	program := filepath.Join(dir, "watchman-peer")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "bench", "peers", "watchman")
	if out, err := build.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return nil, nil, fmt.Errorf("it cannot be built: %w: %s", err, first)
	}
	folder := filepath.Join(dir, "watchman-list")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, nil, err
	}
	if err := people.Write(folder, listed); err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, program, folder)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	lines := bufio.NewScanner(out)
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	if !lines.Scan() { // it says how many entries it has read
		stop()
		return nil, nil, fmt.Errorf("it has not read the list")
	}
	ask := json.NewEncoder(in)
	return func(p people.Person) []int {
		if ask.Encode(map[string]string{"name": p.First + " " + p.Last, "birthdate": p.Birthdate()}) != nil || !lines.Scan() {
			return nil
		}
		var found []int
		_ = json.Unmarshal(lines.Bytes(), &found)
		return found
	}, stop, nil
}
