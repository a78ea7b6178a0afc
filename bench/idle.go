//go:build unix

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// idlers measures the cost of idle connections after one GraphQL response each, on a server that has served nothing
// else.
func (b *bench) idlers(ctx context.Context) error {
	small := newWorld(callerSessions)
	g, err := newGatehouse(b.program, filepath.Join(b.dir, "idle"), "", newKey())
	if err != nil {
		return err
	}
	if err := g.load(ctx, small); err != nil {
		return err
	}
	auth, err := callers(ctx, g, false)
	if err != nil {
		return err
	}
	s, err := g.start(ctx, "idle")
	if err != nil {
		return err
	}
	defer s.stop()
	t := onSession(s, auth, documentR1, 0, small.rows)
	// What is allocated once, by the first requests, does not count as the cost of a connection.
	if _, err := drive(ctx, t, 1, 500*time.Millisecond); err != nil {
		return err
	}
	before := resident(s.pid())
	conns := make([]*connection, 0, b.idle)
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	b.logf("%d idle connections", b.idle)
	var out []byte
	ask := func(n int) error {
		var holds string
		out, holds = t.request(out[:0], n%connections, newRandom())
		_ = conns[n].conn.SetDeadline(time.Now().Add(responseTimeout))
		return conns[n].exchange(out, t, holds)
	}
	for n := range b.idle {
		c, err := dial(ctx, s.address)
		if err == nil {
			conns = append(conns, c)
			err = ask(n)
		}
		if err != nil {
			return fmt.Errorf("after %d idle connections: %w", n, err)
		}
	}
	after := resident(s.pid())
	if err := ask(b.idle / 2); err != nil { // they still work
		return fmt.Errorf("an idle connection is not served any more: %w", err)
	}
	b.note("Memory: %.0f MB with one connection, %.0f MB with %d idle keep-alive connections that have had one GraphQL answer each: %.1f KiB for each.",
		float64(before)/1e6, float64(after)/1e6, b.idle, float64(after-before)/1024/float64(b.idle))
	return nil
}
