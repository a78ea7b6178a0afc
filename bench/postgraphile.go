//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// postgraphileVersion is the last release of version 4, which runs on Node 18 and later.
const postgraphileVersion = "4.14.1"

// errNoNode is the reason for skipping PostGraphile.
var errNoNode = errors.New("npm or node is not installed")

// startPostGraphile installs PostGraphile once into the user's cache directory, and starts it on the database.
func startPostGraphile(ctx context.Context, dir, cache, url string) (*server, error) {
	node, err1 := exec.LookPath("node")
	npm, err2 := exec.LookPath("npm")
	if errors.Join(err1, err2) != nil {
		return nil, errNoNode
	}
	home := filepath.Join(cache, "postgraphile-"+postgraphileVersion)
	program := filepath.Join(home, "node_modules", "postgraphile", "cli.js")
	if _, err := os.Stat(program); err != nil {
		if err := os.MkdirAll(home, 0o700); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--prefix", home, "postgraphile@"+postgraphileVersion)
		cmd.Dir = home
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("npm install postgraphile: %w: %s", err, out)
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	// Keep the connections open. Otherwise they all close ten seconds after a row, during the row of another system
	// (see waitForBackends).
	url += "&idleTimeoutMillis=3600000"
	s, err := launch(ctx, dir, "postgraphile", []string{"NODE_ENV=production"}, "http://"+address+"/", node, program,
		"--connection", url, "--schema", "public", "--host", "127.0.0.1", "--port", port, "--max-pool-size", "16",
		"--disable-graphiql", "--disable-query-log", "--no-ignore-rbac", "--timeout", "30000")
	if err != nil {
		return nil, err
	}
	s.address = address
	return s, nil
}
