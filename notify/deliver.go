package notify

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// Options are what a Deliverer works with. What is zero takes the default that is named.
type Options struct {
	Outbox domain.Outbox
	// Senders are the ways out. A message whose channel has none stays for an instance that has one.
	Senders map[domain.Channel]Sender
	// Now is the one clock. The durations below are measured, so no clock that stands still stops delivery.
	Now func() time.Time
	Log *slog.Logger
	// Workers is how many messages are on their way at once; 4.
	Workers int
	// Poll is how long the outbox is left alone when nothing wakes the deliverer: other instances write messages
	// too, and put-off ones become due; 2 s.
	Poll time.Duration
	// SendTimeout ends a hand-over; 35 s, a little more than the senders' own deadline.
	SendTimeout time.Duration
	// Lease is for how long a claimed message is ours; 2 min, longer than SendTimeout and the reports after it, so
	// that no message is with two workers unless one of them is dead.
	Lease time.Duration
	// Delays are the pauses before the second attempt, the third, and so on; after one attempt more than there are
	// pauses the message is dead. The default is twelve attempts within a day.
	Delays []time.Duration
	// Observe hears of the end of each attempt: a channel, and sent, retried or dead.
	Observe func(channel, outcome string)
}

// The outcomes of an attempt, as Observe hears them.
const (
	OutcomeSent    = "sent"
	OutcomeRetried = "retried"
	OutcomeDead    = "dead"
)

// Twelve attempts within a day: soon while a mail server restarts, seldom while somebody repairs it.
var defaultDelays = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	2 * time.Hour, 4 * time.Hour, 5 * time.Hour, 5 * time.Hour, 6 * time.Hour,
}

const (
	// reportTimeout bounds one try to tell the outbox how an attempt ended.
	reportTimeout = 5 * time.Second
	// longestOutagePause is how long an outbox that is out of reach is left alone.
	longestOutagePause = 30 * time.Second
)

// Deliverer takes messages out of the outbox and hands them over. Any number of instances may share an outbox.
type Deliverer struct {
	o     Options
	slots chan struct{}

	stop     chan struct{}
	stopOnce sync.Once
	started  bool
	running  sync.WaitGroup
	// hands is the context of what is in hand; abort ends it.
	hands context.Context //nolint:containedctx // it lives as long as the deliverer, and Stop ends it
	abort context.CancelFunc
}

// NewDeliverer makes a deliverer. It does nothing before Start.
func NewDeliverer(o Options) *Deliverer {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Poll <= 0 {
		o.Poll = 2 * time.Second
	}
	if o.SendTimeout <= 0 {
		o.SendTimeout = sendDeadline + 5*time.Second
	}
	if o.Lease <= 0 {
		o.Lease = 2 * time.Minute
	}
	o.Lease = max(o.Lease, o.SendTimeout+30*time.Second)
	if len(o.Delays) == 0 {
		o.Delays = defaultDelays
	}
	if o.Observe == nil {
		o.Observe = func(string, string) {}
	}
	hands, abort := context.WithCancel(context.Background())
	return &Deliverer{o: o, slots: make(chan struct{}, o.Workers), stop: make(chan struct{}), hands: hands, abort: abort}
}

// Start begins to deliver. It is called once.
func (d *Deliverer) Start() {
	if d.started {
		panic("notify: a deliverer is started once")
	}
	d.started = true
	d.running.Go(d.dispatch)
}

// Stop takes no further message and waits for those in hand. When ctx ends first, it ends their hand-over too, puts
// them back, and gives the context's error.
func (d *Deliverer) Stop(ctx context.Context) error {
	d.stopOnce.Do(func() { close(d.stop) })
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		d.abort()
		return nil
	case <-ctx.Done():
		d.abort()
		<-done // at most the time of one report
		return ctx.Err()
	}
}

// dispatch claims as many messages as there are free workers, so that none waits in memory while its lease runs.
func (d *Deliverer) dispatch() {
	outage := time.Duration(0)
	for {
		free := d.takeSlots()
		if free == 0 {
			return // stopped
		}
		claimed, err := d.o.Outbox.Claim(d.hands, d.o.Now(), d.o.Lease, free)
		for i := len(claimed); i < free; i++ {
			<-d.slots
		}
		for _, m := range claimed {
			d.running.Go(func() {
				defer func() { <-d.slots }()
				d.deliver(m)
			})
		}
		if err != nil {
			if outage == 0 {
				d.o.Log.Error("outbox out of reach; delivery waits for it", "error", err)
			}
			outage = min(max(2*outage, 500*time.Millisecond), longestOutagePause)
			if !d.pause(outage, nil) {
				return
			}
			continue
		}
		if outage > 0 {
			d.o.Log.Info("outbox within reach again")
			outage = 0
		}
		if len(claimed) == free {
			continue // there may be more
		}
		if !d.pause(d.o.Poll, d.o.Outbox.Woken()) {
			return
		}
	}
}

// takeSlots waits for a free worker and takes all that are free; 0 once the deliverer stops.
func (d *Deliverer) takeSlots() int {
	select {
	case <-d.stop:
		return 0
	default:
	}
	select {
	case <-d.stop:
		return 0
	case d.slots <- struct{}{}:
	}
	for n := 1; ; n++ {
		select {
		case d.slots <- struct{}{}:
		default:
			return n
		}
	}
}

// pause waits, until woken at the latest; false once the deliverer stops.
func (d *Deliverer) pause(length time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(length)
	defer t.Stop()
	select {
	case <-d.stop:
		return false
	case <-woken:
	case <-t.C:
	}
	return true
}

// deliver makes one attempt and tells the outbox how it ended.
func (d *Deliverer) deliver(m *domain.Message) {
	err := d.send(m)
	failure := ""
	if err != nil {
		failure = failureText(err)
	}
	outcome := OutcomeSent
	switch {
	case err == nil:
		d.report(m, func(ctx context.Context) error { return d.o.Outbox.Sent(ctx, m, d.o.Now()) })
	case IsPermanent(err) || m.Attempts > len(d.o.Delays):
		outcome = OutcomeDead
		d.o.Log.Error("message given up", "message", m.ID, "failure", failure)
		d.report(m, func(ctx context.Context) error { return d.o.Outbox.Bury(ctx, m, d.o.Now(), failure) })
	default:
		outcome = OutcomeRetried
		delay := d.delay(m.Attempts)
		d.o.Log.Warn("message put off", "message", m.ID, "attempt", m.Attempts, "failure", failure, "for", delay.Round(time.Second))
		d.report(m, func(ctx context.Context) error { return d.o.Outbox.Retry(ctx, m, d.o.Now().Add(delay), failure) })
	}
	d.o.Observe(string(m.Channel), outcome)
}

func (d *Deliverer) send(m *domain.Message) (err error) {
	// A code that is over helps nobody, and a late one confuses.
	if until, err := time.Parse(time.RFC3339, m.Values["expires"]); err == nil && m.Template != "invitation" && !d.o.Now().Before(until) {
		return &Failure{Stage: "expired", Reason: "its content is over", Permanent: true}
	}
	sender := d.o.Senders[m.Channel]
	if sender == nil {
		return &Failure{Stage: "channel", Reason: "not known to this instance"}
	}
	ctx, cancel := context.WithTimeout(d.hands, d.o.SendTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = &Failure{Stage: "send", Reason: fmt.Sprintf("panic: %T", r)}
		}
	}()
	return sender.Send(ctx, m)
}

// delay is the pause after an attempt, a fifth longer or shorter by chance, so that messages that failed together
// do not come back together.
func (d *Deliverer) delay(attempt int) time.Duration {
	base := d.o.Delays[min(max(attempt, 1), len(d.o.Delays))-1]
	return time.Duration(float64(base) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // nothing secret
}

// report tells the outbox how an attempt ended, and again while it is out of reach: what stays untold is handed
// over once more after its lease, under the same id. The report outlives an aborted hand-over.
func (d *Deliverer) report(m *domain.Message, tell func(context.Context) error) {
	for pause := 250 * time.Millisecond; ; pause *= 4 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.hands), reportTimeout)
		err := tell(ctx)
		cancel()
		if err == nil {
			return
		}
		// Three tries; at the last moment of a stop, one.
		if pause > 4*time.Second || d.hands.Err() != nil {
			d.o.Log.Error("outbox out of reach; a message may be handed over again", "message", m.ID, "error", err)
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-d.hands.Done():
		}
		t.Stop()
	}
}
