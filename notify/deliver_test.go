package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// senderFunc is a sender that a test scripts.
type senderFunc func(ctx context.Context, m *domain.Message) error

func (f senderFunc) Send(ctx context.Context, m *domain.Message) error { return f(ctx, m) }

// journal is a log that is safe to read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// deliver starts a deliverer of mails and stops it at the end of the test.
func deliver(t *testing.T, box *outbox, s Sender, change func(*Options)) *Deliverer {
	t.Helper()
	o := Options{
		Outbox: box, Senders: map[domain.Channel]Sender{domain.ChannelEmail: s}, Now: box.Now, Log: quiet(), Poll: 20 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	d := NewDeliverer(o)
	d.Start()
	t.Cleanup(func() { _ = d.Stop(context.Background()) })
	return d
}

func TestDeliverer(t *testing.T) {
	t.Parallel()

	t.Run("a passing failure is tried again, later each time, and at last given up", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"))
		var log journal
		deliver(t, box, senderFunc(func(context.Context, *domain.Message) error {
			return &Failure{Stage: "rcpt", Code: 451, Enhanced: "4.3.0"}
		}), func(o *Options) { o.Log = log.logger() })
		for i, delay := range defaultDelays {
			want(t, box.ended, "retry msg_1")
			m := box.get("msg_1")
			if m.Attempts != i+1 || m.Failure != "rcpt 451 4.3.0" {
				t.Fatalf("after attempt %d: %+v", i+1, m)
			}
			if pause := m.NextAt.Sub(box.Now()); pause < delay*8/10 || pause > delay*12/10 {
				t.Fatalf("pause %d is %v, want about %v", i+1, pause, delay)
			}
			box.pass(delay * 13 / 10)
		}
		want(t, box.ended, "dead msg_1")
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "msg_1") {
			t.Errorf("a dead message must be logged as an error with its id:\n%s", log.String())
		}
		if day := box.Now().Sub(startTime); day < 20*time.Hour || day > 33*time.Hour {
			t.Errorf("given up after %v, want about a day", day)
		}
	})

	t.Run("a permanent failure is given up at once", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"))
		var seen []string
		d := deliver(t, box, senderFunc(func(context.Context, *domain.Message) error {
			return fmt.Errorf("no such mailbox bob@example.com: %w", &Failure{Stage: "recipient", Permanent: true})
		}), func(o *Options) {
			o.Observe = func(channel, outcome string) { seen = append(seen, channel+" "+outcome) }
		})
		want(t, box.ended, "dead msg_1")
		if f := box.get("msg_1").Failure; f == "" || strings.Contains(f, "bob") {
			t.Errorf("stored failure %q", f)
		}
		_ = d.Stop(t.Context())
		if len(seen) != 1 || seen[0] != "email dead" {
			t.Errorf("observed %q", seen)
		}
	})

	t.Run("no log line holds an address, a name or a key, whatever a sender says", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"), invitation("msg_2"))
		var log journal
		d := deliver(t, box, senderFunc(func(_ context.Context, m *domain.Message) error {
			if m.ID == "msg_1" {
				panic("cannot mail " + m.To)
			}
			return errors.New("cannot mail " + m.To + m.Values["link"] + m.Values["inviter"])
		}), func(o *Options) { o.Log, o.Workers = log.logger(), 1 })
		want(t, box.ended, "retry msg_1")
		want(t, box.ended, "retry msg_2")
		_ = d.Stop(t.Context())
		all := log.String() + box.get("msg_1").Failure + box.get("msg_2").Failure
		for _, private := range []string{"bob@", "0011223344", "Alice"} {
			if strings.Contains(all, private) {
				t.Errorf("%q is in:\n%s", private, all)
			}
		}
	})

	t.Run("a new message is handed over when the outbox says so, not at the next poll", func(t *testing.T) {
		t.Parallel()
		box := newOutbox()
		deliver(t, box, senderFunc(func(context.Context, *domain.Message) error { return nil }), func(o *Options) { o.Poll = time.Hour })
		box.add(invitation("msg_1"))
		want(t, box.ended, "sent msg_1")
	})

	t.Run("messages without a way out wait for an instance that has one", func(t *testing.T) {
		t.Parallel()
		m := invitation("msg_1")
		m.Channel = domain.ChannelSMS
		box := newOutbox(m)
		deliver(t, box, senderFunc(func(context.Context, *domain.Message) error { return nil }), nil)
		want(t, box.ended, "retry msg_1")
	})

	t.Run("so many are on their way at once as there are workers", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"), invitation("msg_2"), invitation("msg_3"))
		entered, leave := make(chan string), make(chan struct{})
		deliver(t, box, senderFunc(func(_ context.Context, m *domain.Message) error {
			entered <- m.ID
			<-leave
			return nil
		}), func(o *Options) { o.Workers = 2 })
		<-entered
		<-entered
		select {
		case id := <-entered:
			t.Fatalf("%s exceeds the number of workers", id)
		case <-box.woken: // consume the wake-up; the dispatcher waits for a free worker
		default:
		}
		if box.get("msg_3").State != domain.MessagePending {
			t.Error("a message was claimed without a free worker")
		}
		close(leave)
		<-entered
	})

	t.Run("an outage of the outbox is logged once and waited out", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"))
		box.down = true
		var log journal
		d := deliver(t, box, senderFunc(func(context.Context, *domain.Message) error { return nil }), func(o *Options) { o.Log = log.logger() })
		want(t, box.ended, "down")
		want(t, box.ended, "down")
		box.set(func(o *outbox) { o.down = false })
		want(t, box.ended, "sent msg_1")
		_ = d.Stop(t.Context())
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d error lines:\n%s", n, log.String())
		}
	})

	t.Run("a report that meets an outage is made again", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"))
		deliver(t, box, senderFunc(func(context.Context, *domain.Message) error {
			box.set(func(o *outbox) { o.down = true })
			return nil
		}), func(o *Options) { o.Poll, o.Workers = time.Hour, 1 })
		want(t, box.ended, "down")
		box.set(func(o *outbox) { o.down = false })
		want(t, box.ended, "sent msg_1")
		if n := box.get("msg_1").Attempts; n != 1 {
			t.Errorf("sent %d times", n)
		}
	})

	t.Run("stop finishes what is in hand and takes nothing more", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"), invitation("msg_2"))
		entered, leave := make(chan struct{}), make(chan struct{})
		d := deliver(t, box, senderFunc(func(context.Context, *domain.Message) error {
			entered <- struct{}{}
			<-leave
			return nil
		}), func(o *Options) { o.Workers = 1 })
		<-entered
		stopped := make(chan error)
		go func() { stopped <- d.Stop(context.Background()) }()
		<-d.stop
		close(leave)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		want(t, box.ended, "sent msg_1")
		if box.get("msg_2").Attempts != 0 {
			t.Error("a message was claimed after the stop")
		}
	})

	t.Run("a stop that may not wait puts back what is in hand", func(t *testing.T) {
		t.Parallel()
		box := newOutbox(invitation("msg_1"))
		entered := make(chan struct{})
		d := deliver(t, box, senderFunc(func(ctx context.Context, _ *domain.Message) error {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}), nil)
		<-entered
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := d.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		want(t, box.ended, "retry msg_1")
	})
}
