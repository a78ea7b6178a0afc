package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestStopUnderLoad asks a busy server to end. Its clients keep their connections and go on asking until nobody
// answers: no request that it took is without an answer, and whatever it did not take has not been done.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		r := chance(t)
		s := w.serve()
		machines := s.lifecycles()
		c := newClients(t, w, 8, func() string { return s.url })
		c.begin()
		d := w.open()
		var stops []time.Duration
		for n := range often(20, 2, 1) {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c.run(ctx, 0)
			}()
			time.Sleep(between(r, 200*time.Millisecond, 600*time.Millisecond))
			start := time.Now()
			s.Stop()
			stops = append(stops, time.Since(start))
			cancel()
			<-ended
			s = w.serve()
			if len(c.pending) > 0 { // a connection that the system had taken for the server, and the server never saw
				for k, done := range c.audit(d, machines) {
					if done {
						t.Errorf("stop %d: %s %v was done, and its client has no answer", n+1, k.operation, k.input)
					}
				}
			}
			c.settle(c.audit(d, machines))
		}
		c.audit(d, machines)
		c.read()
		t.Logf("stops: %s; %s", spread(stops), c.tally())
		// A connection that the system completes in the one step between the last look into the listener's queue and its
		// end is reset; no program can help that, and nothing of such a request is done.
		if c.counts["without an answer"] > len(stops) {
			t.Errorf("%d requests had no answer: %s", c.counts["without an answer"], c.noAnswer)
		}
	})
}

// balancer hands requests to the instances that are ready, as a load balancer does that asks /readyz four times a
// second. It repeats a request on another instance only where no connection came about.
type balancer struct {
	mu        sync.Mutex
	instances []*instance
	next      int
	transport http.RoundTripper
	bad       atomic.Int64
	moved     atomic.Int64
}

type instance struct {
	url   string
	ready bool
}

func (b *balancer) add(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances = append(b.instances, &instance{url: url, ready: true})
}

func (b *balancer) remove(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, one := range b.instances {
		if one.url == url {
			b.instances = append(b.instances[:i:i], b.instances[i+1:]...)
			return
		}
	}
}

// watch asks every instance whether it is ready.
func (b *balancer) watch(ctx context.Context) {
	asking := &http.Client{Timeout: 2 * time.Second}
	for ctx.Err() == nil {
		b.mu.Lock()
		all := append([]*instance(nil), b.instances...)
		b.mu.Unlock()
		for _, one := range all {
			res, err := asking.Get(one.url + "/readyz")
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			b.mu.Lock()
			one.ready = err == nil && res.StatusCode == http.StatusOK
			b.mu.Unlock()
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func (b *balancer) choose(but string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, mustBeReady := range []bool{true, false} {
		for range b.instances {
			b.next++
			if one := b.instances[b.next%len(b.instances)]; (one.ready || !mustBeReady) && one.url != but {
				return one.url
			}
		}
	}
	return but
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	to := b.choose("")
	for try := 0; ; try++ {
		req, _ := http.NewRequest(r.Method, to+r.URL.Path, strings.NewReader(string(body)))
		req.Header = r.Header.Clone()
		res, err := b.transport.RoundTrip(req)
		if err != nil {
			if (answer{err: err}).refused() && try < 5 {
				b.moved.Add(1)
				to = b.choose(to)
				continue
			}
			b.bad.Add(1)
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
		_ = res.Body.Close()
		return
	}
}

// TestRollingRestarts replaces two instances on PostgreSQL one after the other, again and again, behind a balancer.
// No request fails.
func TestRollingRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.Postgres(t))
	b := &balancer{transport: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}}
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	go b.watch(watching)
	door := httptest.NewServer(b)
	defer door.Close()
	const delay = "GATEHOUSE_DRAIN_DELAY=3s" // the default
	running := []*server{w.serve(delay), w.serve(delay)}
	machines := running[0].lifecycles()
	for _, s := range running {
		b.add(s.url)
	}
	c := newClients(t, w, 6, func() string { return door.URL })
	c.begin()
	c.strict = true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(ctx, 5*time.Millisecond)
	}()
	var stops []time.Duration
	restarts := often(20, 2, 1)
	for n := range restarts {
		i := n % 2
		fresh := w.serve(delay)
		b.add(fresh.url)
		start := time.Now()
		_ = running[i].Cmd.Process.Signal(syscall.SIGTERM)
		testkit.Eventually(t, "the old instance ends", func() bool {
			select {
			case <-running[i].Ended:
				return true
			default:
				return false
			}
		})
		stops = append(stops, time.Since(start))
		if code := running[i].Cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("an instance ended with %d", code)
		}
		b.remove(running[i].url)
		running[i] = fresh
	}
	time.Sleep(300 * time.Millisecond)
	cancel()
	<-ended
	c.audit(w.open(), machines)
	c.read()
	t.Logf("%d restarts; stops: %s; moved to the other instance %d; failed %d; answers: %s; %s", restarts, spread(stops), b.moved.Load(), b.bad.Load(), spread(c.times), c.tally())
}
