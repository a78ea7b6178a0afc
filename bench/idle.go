package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// idlers measures what connections cost that have had one GraphQL answer each and then wait.
func (b *bench) idlers(ctx context.Context, s *server) error {
	before := resident(s.pid())
	t := target{address: s.address}
	request := appendRequest(nil, "POST", "/graphql", "Content-Type: application/json\r\n", []byte(`{"query":"{version{version}}"}`))
	conns := make([]*connection, 0, b.idle)
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	b.say("%d idle connections", b.idle)
	for range b.idle {
		c, err := dial(ctx, s.address)
		if err != nil {
			return fmt.Errorf("after %d connections: %w", len(conns), err)
		}
		conns = append(conns, c)
		_ = c.conn.SetDeadline(time.Now().Add(patience))
		if err := c.exchange(request, t, "version"); err != nil {
			return fmt.Errorf("after %d connections: %w", len(conns), err)
		}
	}
	after := resident(s.pid())
	// They are still served.
	if err := conns[rand.IntN(len(conns))].exchange(request, t, "version"); err != nil {
		return err
	}
	b.note("Memory: the server had %.0f MB before, and %.0f MB with %d idle keep-alive connections, after one GraphQL answer on each: %.1f KiB for each.",
		float64(before)/1e6, float64(after)/1e6, b.idle, float64(after-before)/1024/float64(b.idle))
	return nil
}
