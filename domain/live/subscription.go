package live

import (
	"context"
	"slices"
	"time"
)

// Options are the options of a subscription.
type Options[P Position[P], E any] struct {
	// All subscribes to all events; otherwise, Topic is the topic.
	All   bool
	Topic string
	// After is the position to continue from; nil starts at the end of the feed.
	After *P
	// Key identifies the dependency of the subscription (see Feed.Ends); empty for none.
	Key string
	// ExpiresAt is the time at which the subscription ends; zero means never.
	ExpiresAt time.Time
	// Select reports whether the subscription receives an event of its topic. It must not block.
	Select func(e E) bool
	// Missed returns at most limit events after one position, up to and including another one, oldest first. It must
	// return all events that Select selects, and may return others.
	Missed func(ctx context.Context, after, upTo P, limit int) ([]E, error)
}

// Subscription receives events. Only Close may be called concurrently with other methods.
type Subscription[P Position[P], E any] struct {
	options Options[P, E]
	hub     *Hub[P, E]
	reader  *reader[P, E]
	expiry  *time.Timer

	// at is the position up to which events have been delivered. backlog holds missed events after it, and missed is
	// the position up to which the missed events have been read.
	at, missed P
	backlog    []E
	expired    bool
	// wake signals a change of the fields below, which Hub.mu guards.
	wake  chan struct{}
	queue []E
	// behind is set if the queue is incomplete: the events after at must be read again.
	behind        bool
	ended, closed bool
}

// queueEvent queues an event, or marks the subscription as behind. It is called with Hub.mu held.
func (s *Subscription[P, E]) queueEvent(e E) {
	switch {
	case s.behind:
	case len(s.queue) >= queueSize:
		s.queue, s.behind = nil, true
	default:
		s.queue = append(s.queue, e)
	}
	signal(s.wake)
}

// Next waits for the next event.
// It fails with ErrStopped, ErrClosed, ErrEnded, ErrExpired, with the errors of Options.Missed and of the context.
func (s *Subscription[P, E]) Next(ctx context.Context) (E, error) {
	var none E
	var expiry <-chan time.Time
	if s.expiry != nil {
		expiry = s.expiry.C
	}
	for {
		if err := s.err(); err != nil {
			return none, err
		}
		e, result, err := s.take(ctx)
		switch {
		case err != nil:
			return none, err
		case result == taken:
			at := s.hub.feed.Position(e)
			if !s.at.Before(at) {
				continue
			}
			s.at = at
			if s.options.Select(e) {
				return e, nil
			}
			continue
		case result == refilled:
			continue
		}
		select {
		case <-ctx.Done():
			return none, ctx.Err()
		case <-s.hub.running.Done():
		case <-s.wake:
		case <-expiry:
			if left := s.options.ExpiresAt.Sub(s.hub.now()); left > 0 {
				s.expiry.Reset(left)
			} else {
				s.expired = true
			}
		}
	}
}

// err returns why the subscription has ended, or nil.
func (s *Subscription[P, E]) err() error {
	if s.hub.running.Err() != nil {
		return ErrStopped
	}
	s.hub.mu.Lock()
	ended, closed := s.ended, s.closed
	s.hub.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case ended:
		return ErrEnded
	case s.expired || !s.options.ExpiresAt.IsZero() && !s.hub.now().Before(s.options.ExpiresAt):
		return ErrExpired
	}
	return nil
}

// result is a result of take.
type result int

const (
	// empty means that there is no new event.
	empty result = iota
	// refilled means that missed events were read, and take must be called again.
	refilled
	// taken means that there is an event.
	taken
)

// take takes the next event from the backlog or the queue, and reads missed events.
func (s *Subscription[P, E]) take(ctx context.Context) (e E, _ result, err error) {
	if len(s.backlog) > 0 {
		e, s.backlog = s.backlog[0], s.backlog[1:]
		return e, taken, nil
	}
	s.backlog = nil
	if s.at.Before(s.missed) {
		s.at = s.missed
	}
	s.hub.mu.Lock()
	r := s.reader
	if !s.behind {
		defer s.hub.mu.Unlock()
		if len(s.queue) == 0 {
			return e, empty, nil
		}
		if e, s.queue = s.queue[0], s.queue[1:]; len(s.queue) == 0 {
			s.queue = nil // releases the memory of an idle subscription
		}
		return e, taken, nil
	}
	upTo := r.at
	if !s.at.Before(r.floor) { // all missed events are in memory
		missed := r.recent
		s.behind = false
		s.hub.mu.Unlock()
		from, _ := slices.BinarySearchFunc(missed, s.at, func(e E, at P) int {
			if at.Before(s.hub.feed.Position(e)) {
				return 1
			}
			return -1
		})
		for _, e := range missed[from:] { // a copy, because a slice of recent would keep all of it in memory
			if s.options.Select(e) {
				s.backlog = append(s.backlog, e)
			}
		}
		s.missed = upTo
		return e, refilled, nil
	}
	s.hub.mu.Unlock()

	events, err := s.options.Missed(ctx, s.at, upTo, portion)
	if err != nil {
		return e, empty, err
	}
	s.backlog = events
	if len(events) < portion {
		s.missed = upTo
	}
	return e, refilled, nil
}

// Close ends the subscription. It may be called at any time and more than once.
func (s *Subscription[P, E]) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.queue = true, nil
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.reader.remove(s)
	signal(s.wake)
}
