package notify

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// startTime is the time at which each test begins.
var startTime = time.Date(2026, 11, 25, 9, 30, 0, 123456000, time.UTC)

// outbox is an in-memory outbox with its own clock. It reports the outcome of each message on ended.
type outbox struct {
	mu       sync.Mutex
	now      time.Time
	messages []*domain.Message
	leases   map[string]time.Time
	down     bool
	woken    chan struct{}
	ended    chan string
}

func newOutbox(messages ...*domain.Message) *outbox {
	return &outbox{
		now: startTime, messages: messages, leases: map[string]time.Time{},
		woken: make(chan struct{}, 1), ended: make(chan string, 100),
	}
}

var errDown = errors.New("connection refused")

func (o *outbox) Now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *outbox) set(change func(*outbox)) {
	o.mu.Lock()
	change(o)
	o.mu.Unlock()
	select {
	case o.woken <- struct{}{}:
	default:
	}
}

func (o *outbox) pass(d time.Duration) { o.set(func(o *outbox) { o.now = o.now.Add(d) }) }

func (o *outbox) add(m *domain.Message) {
	o.set(func(o *outbox) { o.messages = append(o.messages, m) })
}

func (o *outbox) Claim(_ context.Context, now time.Time, lease time.Duration, limit int) ([]*domain.Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		o.ended <- "down"
		return nil, errDown
	}
	var out []*domain.Message
	for _, m := range o.messages {
		due := m.State == domain.MessagePending && !m.NextAt.After(now) ||
			m.State == domain.MessageSending && o.leases[m.ID].Before(now)
		if !due || len(out) == limit {
			continue
		}
		m.State = domain.MessageSending
		m.Attempts++
		o.leases[m.ID] = now.Add(lease)
		c := *m
		out = append(out, &c)
	}
	return out, nil
}

func (o *outbox) end(m *domain.Message, state domain.MessageState, at time.Time, failure, word string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		o.ended <- "down"
		return errDown
	}
	for _, kept := range o.messages {
		if kept.ID == m.ID {
			kept.State, kept.NextAt, kept.Failure = state, at, failure
		}
	}
	o.ended <- word + " " + m.ID
	return nil
}

func (o *outbox) Sent(_ context.Context, m *domain.Message, at time.Time) error {
	return o.end(m, domain.MessageSent, at, "", "sent")
}

func (o *outbox) Retry(_ context.Context, m *domain.Message, at time.Time, failure string) error {
	return o.end(m, domain.MessagePending, at, failure, "retry")
}

func (o *outbox) Bury(_ context.Context, m *domain.Message, at time.Time, failure string) error {
	return o.end(m, domain.MessageDead, at, failure, "dead")
}

func (o *outbox) Messages(context.Context, domain.MessageState, int) ([]*domain.Message, error) {
	return nil, nil
}
func (o *outbox) Revive(context.Context, string, time.Time) error { return domain.ErrMissing }
func (o *outbox) Tally(context.Context) (map[domain.MessageState]int, error) {
	return map[domain.MessageState]int{}, nil
}
func (o *outbox) Woken() <-chan struct{} { return o.woken }

// get returns a copy of a stored message.
func (o *outbox) get(id string) domain.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.messages {
		if m.ID == id {
			return *m
		}
	}
	return domain.Message{}
}

// want waits for the next outcome.
func want(t *testing.T, ends <-chan string, expected string) {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	select {
	case got := <-ends:
		if got != expected {
			t.Fatalf("got %q, want %q", got, expected)
		}
	case <-timeout.C:
		t.Fatalf("nothing happened, want %q", expected)
	}
}

func invitation(id string) *domain.Message {
	return &domain.Message{
		ID: id, Channel: domain.ChannelEmail, Template: "invitation", To: "bob@example.com",
		Values: map[string]string{
			"link":    "https://bank.example/invite?invitationId=inv_01&key=00112233445566778899aabbccddeeff",
			"inviter": "Alice Moreau", "type": "joint", "expires": "2026-12-25T09:30:00Z", "institution": "First Bank",
		},
		SubjectID: "inv_01", CreatedAt: startTime, State: domain.MessagePending, NextAt: startTime,
	}
}
