package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// followed is for how long somebody who asked /readyz is taken to go on asking.
const followed = time.Minute

// silent is how long a connection may be there without a word before it counts as one that nobody uses.
const silent = 3 * time.Second

// every is how often a stop looks whether it can go on.
const every = 20 * time.Millisecond

// drain is the beginning of a stop: /readyz says no, each answer is the last one on its connection, and requests are
// still taken, until those who follow /readyz have had the time to send theirs elsewhere. Only then does the listener
// close, and http.Server.Shutdown end what is left: it closes idle connections whatever is on its way on them, and from
// its call on it reads no request that it would answer.
type drain struct {
	now     func() time.Time
	leaving atomic.Bool
	// lastAsked is when /readyz was asked, in microseconds.
	lastAsked atomic.Int64

	mu sync.Mutex
	// fresh are the connections without a request so far; open counts all that there are.
	fresh map[net.Conn]bool
	open  int
}

func newDrain(now func() time.Time) *drain { return &drain{now: now, fresh: map[net.Conn]bool{}} }

// begun reports whether a stop is under way.
func (d *drain) begun() bool { return d.leaving.Load() }

// asked notes that somebody follows /readyz.
func (d *drain) asked() { d.lastAsked.Store(d.now().UnixMicro()) }

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

// wait begins the stop and comes back when no more requests need be taken: after the delay, where somebody follows
// /readyz; else when no connection is left, or after a moment.
func (d *drain) wait(ctx context.Context, delay time.Duration) {
	d.leaving.Store(true)
	last := d.lastAsked.Load()
	awaited := last != 0 && d.now().Sub(time.UnixMicro(last)) < followed
	if !awaited {
		delay = min(delay, retiring)
	}
	within(ctx, delay, func() bool {
		open, _ := d.counts()
		return open == 0 && !awaited
	})
}

// close closes the listener and comes back when those that came last have sent what they came for. serve takes the
// connections that were still in its queue.
func (d *drain) close(ctx context.Context, l net.Listener, serve func(net.Listener) error) {
	if tcp, ok := l.(*net.TCPListener); ok {
		if last := emptied(tcp); len(last) > 0 {
			_ = serve(&few{Listener: l, conns: last}) // until there are no more of them
		}
	}
	_ = l.Close()
	within(ctx, silent, func() bool {
		_, fresh := d.counts()
		return fresh == 0
	})
	select { // what was just read is on its way to its handler
	case <-ctx.Done():
	case <-time.After(every):
	}
}

// few is a listener that gives the connections that it has.
type few struct {
	net.Listener
	conns []net.Conn
}

// Accept gives the next one.
func (f *few) Accept() (net.Conn, error) {
	if len(f.conns) == 0 {
		return nil, net.ErrClosed
	}
	c := f.conns[0]
	f.conns = f.conns[1:]
	return c, nil
}

// within waits until something holds, not longer than a time, looking now and then.
func within(ctx context.Context, most time.Duration, holds func() bool) {
	over := time.NewTimer(most)
	defer over.Stop()
	look := time.NewTicker(every)
	defer look.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-look.C:
		}
	}
}
