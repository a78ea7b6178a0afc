package faults

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between the server and what it talks to, and does to the connections what networks do.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	turns *sync.Cond
	pairs map[*pair]bool
	// cut refuses: whatever connects is closed at once.
	cut bool
	// silent lets nothing through, neither way, and closes nothing.
	silent bool
	// late is how long each piece is held.
	late time.Duration
}

type pair struct {
	client, server net.Conn
	// lost is set where the network has forgotten the connection: nothing comes through any more, and nobody is told.
	lost, closed bool
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, pairs: map[*pair]bool{}}
	p.turns = sync.NewCond(&p.mu)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.join(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.set(func() { p.cut = true })
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// set changes what the network does.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	change()
	var ending []*pair
	if p.cut {
		for one := range p.pairs {
			one.closed = true
			ending = append(ending, one)
		}
	}
	p.turns.Broadcast()
	p.mu.Unlock()
	for _, one := range ending {
		_ = one.client.Close()
		_ = one.server.Close()
	}
}

// forget loses every connection that there is, without a word; new ones are fine.
func (p *proxy) forget() {
	p.set(func() {
		for one := range p.pairs {
			one.lost = true
		}
	})
}

func (p *proxy) join(c net.Conn) {
	p.mu.Lock()
	cut := p.cut
	p.mu.Unlock()
	if cut {
		_ = c.Close()
		return
	}
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = c.Close()
		return
	}
	one := &pair{client: c, server: s}
	p.mu.Lock()
	p.pairs[one] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(one, c, s) })
	both.Go(func() { p.pass(one, s, c) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, one)
	p.mu.Unlock()
}

// pass carries one direction.
func (p *proxy) pass(one *pair, from, to net.Conn) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.silent && !one.lost && !one.closed {
			p.turns.Wait()
		}
		lost, closed, late := one.lost, one.closed, p.late
		p.mu.Unlock()
		if closed || err != nil {
			return
		}
		if lost { // swallowed
			continue
		}
		time.Sleep(late)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
