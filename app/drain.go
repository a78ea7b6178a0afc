package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// pollWindow is how long after a request to /readyz a client is assumed to poll it.
const pollWindow = time.Minute

// silenceLimit is how long a connection may be silent before it counts as unused.
const silenceLimit = 3 * time.Second

// checkInterval is the interval at which a stop checks whether it can continue.
const checkInterval = 20 * time.Millisecond

// drain is the first phase of a stop: /readyz reports failure, each response closes its connection, and requests are
// still accepted until the clients that poll /readyz have had time to send theirs elsewhere. Only then does the
// listener close and http.Server.Shutdown end the rest: it closes idle connections even if a request is in transit, and
// after it is called the server responds to no new request.
type drain struct {
	now     func() time.Time
	leaving atomic.Bool
	// lastPoll is the time of the last request to /readyz, in microseconds.
	lastPoll atomic.Int64

	mu sync.Mutex
	// fresh holds the connections without a request so far; open counts all connections.
	fresh map[net.Conn]bool
	open  int
}

func newDrain(now func() time.Time) *drain { return &drain{now: now, fresh: map[net.Conn]bool{}} }

// inProgress reports whether a stop is in progress.
func (d *drain) inProgress() bool { return d.leaving.Load() }

// recordPoll records a request to /readyz.
func (d *drain) recordPoll() { d.lastPoll.Store(d.now().UnixMicro()) }

// note counts connections.
func (d *drain) note(c net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch state {
	case http.StateNew:
		d.open++
		d.fresh[c] = true
		return
	case http.StateClosed, http.StateHijacked:
		d.open--
	case http.StateActive, http.StateIdle:
	}
	delete(d.fresh, c)
}

func (d *drain) counts() (open, fresh int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, len(d.fresh)
}

// wait begins the stop and returns when no more requests need to be accepted: after the delay if a client polls
// /readyz, and otherwise when no connection is left, or after drainTime.
func (d *drain) wait(ctx context.Context, delay time.Duration) {
	d.leaving.Store(true)
	last := d.lastPoll.Load()
	awaited := last != 0 && d.now().Sub(time.UnixMicro(last)) < pollWindow
	if !awaited {
		delay = min(delay, drainTime)
	}
	waitFor(ctx, delay, func() bool {
		open, _ := d.counts()
		return open == 0 && !awaited
	})
}

// close closes the listener and returns when the last connections have sent their requests. serve receives the
// connections that were still in the accept queue.
func (d *drain) close(ctx context.Context, l net.Listener, serve func(net.Listener) error) {
	if tcp, ok := l.(*net.TCPListener); ok {
		if last := drainQueue(tcp); len(last) > 0 {
			_ = serve(&fixedListener{Listener: l, conns: last}) // returns when there are no more connections
		}
	}
	_ = l.Close()
	waitFor(ctx, silenceLimit, func() bool {
		_, fresh := d.counts()
		return fresh == 0
	})
	select { // give requests that were just read time to reach their handlers
	case <-ctx.Done():
	case <-time.After(checkInterval):
	}
}

// fixedListener is a listener for a fixed set of connections.
type fixedListener struct {
	net.Listener
	conns []net.Conn
}

// Accept returns the next connection.
func (f *fixedListener) Accept() (net.Conn, error) {
	if len(f.conns) == 0 {
		return nil, net.ErrClosed
	}
	c := f.conns[0]
	f.conns = f.conns[1:]
	return c, nil
}

// waitFor waits until the condition holds, at most for limit. It polls.
func waitFor(ctx context.Context, limit time.Duration, holds func() bool) {
	over := time.NewTimer(limit)
	defer over.Stop()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-ticker.C:
		}
	}
}
