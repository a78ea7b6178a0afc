// Package live distributes the events of a feed to subscriptions. One goroutine reads the feed for all subscriptions
// of a process, and only while there are any. It never waits for a slow subscription.
//
// The package has no rules. It knows events and positions as type parameters only; its user decides who receives which
// event.
package live

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Errors of an ended or refused subscription. No event is lost: a new subscription can continue after the last
// position.
var (
	// ErrStopped means that the hub is stopped.
	ErrStopped = errors.New("live: the hub is stopped")
	// ErrClosed means that the subscription was closed.
	ErrClosed = errors.New("live: the subscription is closed")
	// ErrEnded means that the key of the subscription has ended.
	ErrEnded = errors.New("live: the key of the subscription has ended")
	// ErrExpired means that the subscription has expired.
	ErrExpired = errors.New("live: the subscription has expired")
	// ErrTooMany means that the topic has the maximum number of subscriptions.
	ErrTooMany = errors.New("live: too many subscriptions to this topic")
)

const (
	// window is the minimum number of the newest events kept in memory for subscriptions that are a little behind.
	window = 1024
	// queueSize is the maximum number of events queued for one subscription. A slower one reads the feed itself.
	queueSize = 64
	// portion is the maximum number of events in one read.
	portion = 200
	// maxPause is the longest pause between reads while events are pending.
	maxPause = 50 * time.Millisecond
	// recheckInterval is the time between two calls of Feed.Ended.
	recheckInterval = time.Minute
)

// Position is a position in a feed.
type Position[P any] interface {
	// Before reports whether the position comes before p.
	Before(p P) bool
}

// Feed is an ordered sequence of events that only grows.
type Feed[P Position[P], E any] interface {
	// End returns the position of the newest event.
	End(ctx context.Context) (P, error)
	// Read returns at most limit events after a position, oldest first.
	Read(ctx context.Context, after P, limit int) ([]E, error)
	// Pending reports whether events after the position exist that Read does not return yet.
	Pending(ctx context.Context, after P) (bool, error)
	// Watch calls notify when there may be new events, until the context ends. At most one call is active.
	Watch(ctx context.Context, notify func())
	// Position returns the position of an event.
	Position(e E) P
	// Topics returns the topics of an event.
	Topics(e E) []string
	// Ends returns the key of the subscriptions that end with the event, or "".
	Ends(e E) string
	// Ended returns the keys whose subscriptions must end. The hub calls it at intervals, because not every end is an
	// event.
	Ended(ctx context.Context, keys []string) ([]string, error)
}

// Hub distributes the events of a feed to its subscriptions.
type Hub[P Position[P], E any] struct {
	feed Feed[P, E]
	now  func() time.Time
	// perTopic is the maximum number of subscriptions to one topic.
	perTopic int

	running context.Context // the lifetime of the hub itself
	stop    context.CancelFunc

	mu     sync.Mutex
	reader *reader[P, E]
}

// New returns a hub that permits perTopic concurrent subscriptions to one topic.
func New[P Position[P], E any](feed Feed[P, E], now func() time.Time, perTopic int) *Hub[P, E] {
	h := &Hub[P, E]{feed: feed, now: now, perTopic: perTopic}
	h.running, h.stop = context.WithCancel(context.Background())
	return h
}

// Stop ends all subscriptions, and makes the hub refuse new ones.
func (h *Hub[P, E]) Stop() { h.stop() }

// Running returns a context that Stop cancels.
func (h *Hub[P, E]) Running() context.Context { return h.running }

// Subscriptions returns the number of open subscriptions.
func (h *Hub[P, E]) Subscriptions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reader == nil {
		return 0
	}
	return h.reader.subscriptions
}

// Subscribe starts a subscription.
// It fails with ErrStopped, with ErrTooMany, and with the errors of Feed.End.
func (h *Hub[P, E]) Subscribe(ctx context.Context, o Options[P, E]) (*Subscription[P, E], error) {
	for {
		s, err := h.add(o)
		if s != nil || err != nil {
			return s, err
		}
		at, err := h.feed.End(ctx)
		if err != nil {
			return nil, err
		}
		h.start(at)
	}
}

// add adds a subscription to the reader, or returns nil if there is no reader.
func (h *Hub[P, E]) add(o Options[P, E]) (*Subscription[P, E], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.reader
	switch {
	case h.running.Err() != nil:
		return nil, ErrStopped
	case r == nil:
		return nil, nil
	case !o.All && len(r.byTopic[o.Topic]) >= h.perTopic:
		return nil, ErrTooMany
	}
	s := &Subscription[P, E]{options: o, hub: h, reader: r, at: r.at, wake: make(chan struct{}, 1)}
	if o.After != nil {
		s.at, s.behind = *o.After, true
	}
	if !o.ExpiresAt.IsZero() {
		s.expiry = time.NewTimer(o.ExpiresAt.Sub(h.now()))
	}
	r.add(s)
	return s, nil
}

// start starts a reader at a position, unless there is one.
func (h *Hub[P, E]) start(at P) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reader != nil || h.running.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(h.running)
	r := &reader[P, E]{
		hub: h, cancel: cancel, wake: make(chan struct{}, 1), at: at, floor: at,
		all: set[P, E]{}, byTopic: map[string]set[P, E]{}, byKey: map[string]set[P, E]{},
	}
	h.reader = r
	go h.feed.Watch(ctx, func() { signal(r.wake) })
	go r.run(ctx)
}

// reader reads the feed from the first subscription to the last. Hub.mu guards its fields.
type reader[P Position[P], E any] struct {
	hub    *Hub[P, E]
	cancel context.CancelFunc
	wake   chan struct{}

	// at is the position of the last event that was read.
	at P
	// recent holds the newest events: all events after floor.
	recent []E
	floor  P

	subscriptions  int
	all            set[P, E]
	byTopic, byKey map[string]set[P, E]
}

type set[P Position[P], E any] map[*Subscription[P, E]]struct{}

// add and remove are called with Hub.mu held.
func (r *reader[P, E]) add(s *Subscription[P, E]) {
	r.subscriptions++
	if s.options.All {
		r.all[s] = struct{}{}
	} else {
		put(r.byTopic, s.options.Topic, s)
	}
	if s.options.Key != "" {
		put(r.byKey, s.options.Key, s)
	}
}

func (r *reader[P, E]) remove(s *Subscription[P, E]) {
	r.subscriptions--
	delete(r.all, s)
	drop(r.byTopic, s.options.Topic, s)
	drop(r.byKey, s.options.Key, s)
	if r.subscriptions == 0 {
		r.cancel()
		if r.hub.reader == r {
			r.hub.reader = nil
		}
	}
}

func put[P Position[P], E any](in map[string]set[P, E], key string, s *Subscription[P, E]) {
	if in[key] == nil {
		in[key] = set[P, E]{}
	}
	in[key][s] = struct{}{}
}

func drop[P Position[P], E any](from map[string]set[P, E], key string, s *Subscription[P, E]) {
	delete(from[key], s)
	if len(from[key]) == 0 {
		delete(from, key)
	}
}

// signal sends without blocking: a pending signal is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run reads after each notification, until the context ends.
func (r *reader[P, E]) run(ctx context.Context) {
	recheck := time.NewTicker(recheckInterval)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			r.read(ctx)
		case <-recheck.C:
			r.recheck(ctx)
		}
	}
}

// read reads to the end of the feed, and polls while events are pending. After an error it returns: the next
// notification comes soon, and the position is kept.
func (r *reader[P, E]) read(ctx context.Context) {
	feed, pause := r.hub.feed, time.Millisecond
	for ctx.Err() == nil {
		r.hub.mu.Lock()
		at := r.at
		r.hub.mu.Unlock()
		events, err := feed.Read(ctx, at, portion)
		if err != nil {
			return
		}
		if len(events) > 0 {
			at = feed.Position(events[len(events)-1])
			r.deliver(events)
			pause = time.Millisecond
		}
		if len(events) == portion {
			continue
		}
		if pending, err := feed.Pending(ctx, at); err != nil || !pending {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// deliver queues events for the subscriptions to their topics.
func (r *reader[P, E]) deliver(events []E) {
	feed := r.hub.feed
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	for _, e := range events {
		r.at = feed.Position(e)
		if len(r.recent) >= 2*window { // dropping half at a time copies each event once
			r.floor = feed.Position(r.recent[window-1])
			r.recent = slices.Clone(r.recent[window:])
		}
		r.recent = append(r.recent, e)
		for s := range r.all {
			s.queueEvent(e)
		}
		for _, topic := range feed.Topics(e) {
			for s := range r.byTopic[topic] {
				s.queueEvent(e)
			}
		}
		if key := feed.Ends(e); key != "" {
			r.end(key)
		}
	}
}

// end ends the subscriptions of a key. It is called with Hub.mu held.
func (r *reader[P, E]) end(key string) {
	for s := range r.byKey[key] {
		s.ended = true
		signal(s.wake)
	}
}

// recheck ends the subscriptions whose keys have ended without an event.
func (r *reader[P, E]) recheck(ctx context.Context) {
	r.hub.mu.Lock()
	keys := make([]string, 0, len(r.byKey))
	for key := range r.byKey {
		keys = append(keys, key)
	}
	r.hub.mu.Unlock()
	ended, err := r.hub.feed.Ended(ctx, keys)
	if err != nil {
		return // the next call checks again
	}
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	for _, key := range ended {
		r.end(key)
	}
}
