package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

type place int64

func (p place) Before(q place) bool { return p < q }

type event struct {
	at     place
	topics []string
	ends   string
}

// memory is a feed in memory. Events of the last hidden positions are pending.
type memory struct {
	mu     sync.Mutex
	events []*event
	hidden int
	notify func()
	now    time.Time
}

func (m *memory) settled() []*event { return m.events[:len(m.events)-m.hidden] }

func (m *memory) End(context.Context) (place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return place(len(m.settled())), nil
}

func (m *memory) Read(_ context.Context, after place, limit int) ([]*event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.settled()
	if int(after) >= len(rest) {
		return nil, nil
	}
	rest = rest[after:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (m *memory) Pending(_ context.Context, after place) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(after) < len(m.events), nil
}

func (m *memory) Watch(ctx context.Context, notify func()) {
	m.mu.Lock()
	m.notify = notify
	m.mu.Unlock()
	notify()
	<-ctx.Done()
}

func (m *memory) Position(e *event) place  { return e.at }
func (m *memory) Topics(e *event) []string { return e.topics }
func (m *memory) Ends(e *event) string     { return e.ends }

func (m *memory) Ended(_ context.Context, keys []string) ([]string, error) { return keys, nil }

func (m *memory) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// publish appends n events of a topic and returns their positions.
func (m *memory) publish(topic string, n int) (at []place) {
	m.mu.Lock()
	for range n {
		p := place(len(m.events) + 1)
		m.events = append(m.events, &event{at: p, topics: []string{topic}})
		at = append(at, p)
	}
	m.mu.Unlock()
	m.ring()
	return at
}

func (m *memory) ring() {
	m.mu.Lock()
	notify := m.notify
	m.mu.Unlock()
	if notify != nil {
		notify()
	}
}

// options returns the options of a subscription to a topic, or to all events if it is empty.
func (m *memory) options(topic string) Options[place, *event] {
	return Options[place, *event]{
		All: topic == "", Topic: topic,
		Select: func(e *event) bool { return topic == "" || slices.Contains(e.topics, topic) },
		Missed: func(ctx context.Context, after, upTo place, limit int) ([]*event, error) {
			found, err := m.Read(ctx, after, limit)
			return slices.DeleteFunc(found, func(e *event) bool { return upTo < e.at }), err
		},
	}
}

// limit is the maximum number of subscriptions to one topic.
const limit = 4

func newHub(t testing.TB) (*memory, *Hub[place, *event]) {
	t.Helper()
	m := &memory{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h := New(m, m.clock, limit)
	t.Cleanup(h.Stop)
	return m, h
}

func subscribe(t testing.TB, h *Hub[place, *event], o Options[place, *event]) *Subscription[place, *event] {
	t.Helper()
	s, err := h.Subscribe(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func receive(t testing.TB, s *Subscription[place, *event], n int) (at []place) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range n {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(at), n, err)
		}
		at = append(at, e.at)
	}
	return at
}

// However far a subscription is behind (its queue, the events in memory, or all of them), it receives each event of its
// topic once and in order, and does not delay others.
func TestSlowSubscriptionMissesNothing(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	slow, quick, other := subscribe(t, h, m.options("a")), subscribe(t, h, m.options("")), subscribe(t, h, m.options("b"))
	for _, n := range []int{1, queueSize + 1, 300, window, 3 * window} {
		want := m.publish("a", n)
		if got := receive(t, quick, n); !slices.Equal(got, want) {
			t.Errorf("%d events: the quick subscription received %d, or in another order", n, len(got))
		}
		if got := receive(t, slow, n); !slices.Equal(got, want) {
			t.Errorf("%d events: the slow subscription received %d, or in another order", n, len(got))
		}
	}
	want := m.publish("b", 1)
	if got := receive(t, other, 1); !slices.Equal(got, want) {
		t.Errorf("the subscription to another topic received %v, want %v", got, want)
	}
	begin := place(0)
	o := m.options("")
	o.After = &begin
	if got := receive(t, subscribe(t, h, o), 2*window); got[0] != 1 || got[2*window-1] != 2*window {
		t.Errorf("from the beginning: %v to %v", got[0], got[2*window-1])
	}
}

// Events arrive while a subscription catches up.
func TestCatchUpDuringDelivery(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	const rounds, size = 200, 50
	begin := place(0)
	o := m.options("a")
	o.After = &begin
	var all []*Subscription[place, *event]
	for range 3 {
		all = append(all, subscribe(t, h, o))
	}
	var publisher, readers sync.WaitGroup
	publisher.Go(func() {
		for range rounds {
			m.publish("a", size)
		}
	})
	for _, s := range all {
		readers.Go(func() {
			for want := place(1); want <= rounds*size; want++ {
				e, err := s.Next(t.Context())
				if err != nil || e.at != want {
					t.Errorf("received %v, %v; want %d", e, err, want)
					return
				}
			}
		})
	}
	publisher.Wait()
	readers.Wait()
}

// The hub polls while events are pending: no notification follows when they become readable.
func TestPendingEventsArrive(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	s := subscribe(t, h, m.options("a"))
	m.mu.Lock()
	m.hidden = 1
	m.mu.Unlock()
	m.publish("a", 2)
	receive(t, s, 1)
	m.mu.Lock()
	m.hidden = 0
	m.mu.Unlock()
	if got := receive(t, s, 1); got[0] != 2 {
		t.Errorf("received %v, want the pending event", got)
	}
}

// One topic cannot exhaust the memory. Subscriptions to other topics or to all events, and closed ones, do not count.
func TestLimitOfTopic(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	first := subscribe(t, h, m.options("a"))
	for range limit - 1 {
		subscribe(t, h, m.options("a"))
	}
	if _, err := h.Subscribe(t.Context(), m.options("a")); !errors.Is(err, ErrTooMany) || h.Subscriptions() != limit {
		t.Errorf("one more: %v, %d subscriptions", err, h.Subscriptions())
	}
	subscribe(t, h, m.options("b"))
	for range limit + 1 {
		subscribe(t, h, m.options(""))
	}
	first.Close()
	subscribe(t, h, m.options("a"))
}

// The reader ends with the last subscription; the next one starts at the end of the feed.
func TestSubscriptionsComeAndGo(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	var users sync.WaitGroup
	for n := range 8 {
		users.Go(func() {
			for range 20 {
				s, err := h.Subscribe(t.Context(), m.options(fmt.Sprint("user", n)))
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
				s.Close()
			}
		})
	}
	users.Wait()
	if n := h.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions are open", n)
	}
	m.publish("a", 3)
	s := subscribe(t, h, m.options("a"))
	want := m.publish("a", 2)
	if got := receive(t, s, 2); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	h.Stop()
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("after Stop, Next returns %v", err)
	}
	if _, err := h.Subscribe(t.Context(), m.options("a")); !errors.Is(err, ErrStopped) {
		t.Errorf("after Stop, Subscribe returns %v", err)
	}
}

// A subscription ends through an event, a periodic check, its expiry, its context, or Close.
func TestEnds(t *testing.T) {
	t.Parallel()
	m, h := newHub(t)
	next := func(s *Subscription[place, *event]) error {
		_, err := s.Next(t.Context())
		return err
	}
	o := m.options("a")
	o.Key = "session"
	s, other := subscribe(t, h, o), subscribe(t, h, m.options("a"))
	m.mu.Lock()
	m.events = append(m.events, &event{at: 1, topics: []string{"b"}, ends: "session"})
	m.mu.Unlock()
	m.ring()
	if err := next(s); !errors.Is(err, ErrEnded) {
		t.Errorf("after the event: %v", err)
	}

	s = subscribe(t, h, o)
	h.reader.recheck(t.Context())
	if err := next(s); !errors.Is(err, ErrEnded) {
		t.Errorf("after the check: %v", err)
	}
	m.publish("a", 1)
	receive(t, other, 1)

	o = m.options("a")
	o.ExpiresAt = m.clock().Add(time.Millisecond)
	s = subscribe(t, h, o)
	m.mu.Lock()
	m.now = m.now.Add(time.Hour)
	m.mu.Unlock()
	if err := next(s); !errors.Is(err, ErrExpired) {
		t.Errorf("after the expiry: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := other.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	other.Close()
	if err := next(other); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// BenchmarkDeliver delivers ten events to a hundred subscriptions of one topic.
func BenchmarkDeliver(b *testing.B) {
	m := &memory{}
	h := New(m, m.clock, 100)
	defer h.Stop()
	var all []*Subscription[place, *event]
	for range 100 {
		all = append(all, subscribe(b, h, m.options("a")))
	}
	b.ReportAllocs()
	events, at := make([]*event, 10), place(0)
	for b.Loop() {
		for i := range events {
			at++
			events[i] = &event{at: at, topics: []string{"a"}}
		}
		h.reader.deliver(events)
		for _, s := range all {
			for range events {
				if _, err := s.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
