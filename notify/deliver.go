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

// Options configures a Deliverer. A zero field takes the default stated in its comment.
type Options struct {
	Outbox domain.Outbox
	// Senders maps each channel to its sender. A message of a channel without a sender stays in the outbox for an
	// instance that has one.
	Senders map[domain.Channel]Sender
	// Now is the injected clock. The durations below are measured with the monotonic clock, so a fixed Now does not
	// stop delivery.
	Now func() time.Time
	Log *slog.Logger
	// Workers is the maximum number of concurrent sends; the default is 4.
	Workers int
	// Poll is the interval between reads of the outbox without a wake-up, because other instances write messages too
	// and postponed messages become due; the default is 2 s.
	Poll time.Duration
	// SendTimeout limits one send; the default is 35 s, slightly more than the senders' own deadline.
	SendTimeout time.Duration
	// Lease is how long a claimed message is reserved for this instance; the default is 2 min. It is longer than
	// SendTimeout and the reports after it, so that two workers never hold the same message unless one of them has
	// died.
	Lease time.Duration
	// Delays are the pauses before the second attempt, the third, and so on. A message is dead after len(Delays)+1
	// attempts. The default is twelve attempts within a day.
	Delays []time.Duration
	// Observe is called at the end of each attempt with the channel and the outcome: sent, retried or dead.
	Observe func(channel, outcome string)
}

// The outcomes of an attempt, as passed to Observe.
const (
	OutcomeSent    = "sent"
	OutcomeRetried = "retried"
	OutcomeDead    = "dead"
)

// Twelve attempts within a day: frequent while a mail server restarts, rare while an operator repairs it.
var defaultDelays = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	2 * time.Hour, 4 * time.Hour, 5 * time.Hour, 5 * time.Hour, 6 * time.Hour,
}

const (
	// reportTimeout limits one attempt to record an outcome in the outbox.
	reportTimeout = 5 * time.Second
	// maxOutagePause is the longest pause between reads of an outbox that is unavailable.
	maxOutagePause = 30 * time.Second
)

// Deliverer claims messages from the outbox and sends them. Any number of instances may share an outbox.
type Deliverer struct {
	options Options
	slots   chan struct{}

	stop     chan struct{}
	stopOnce sync.Once
	started  bool
	running  sync.WaitGroup
	// sendCtx is the context of all sends in progress; abort cancels it.
	sendCtx context.Context //nolint:containedctx // it lives as long as the deliverer, and Stop ends it
	abort   context.CancelFunc
}

// NewDeliverer returns a deliverer. It is idle until Start is called.
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
	sendCtx, abort := context.WithCancel(context.Background())
	return &Deliverer{options: o, slots: make(chan struct{}, o.Workers), stop: make(chan struct{}), sendCtx: sendCtx, abort: abort}
}

// Start begins delivery. It must be called at most once.
func (d *Deliverer) Start() {
	if d.started {
		panic("notify: Start was called twice")
	}
	d.started = true
	d.running.Go(d.dispatch)
}

// Stop stops claiming messages and waits for the sends in progress. If ctx ends first, Stop cancels them, returns their
// messages to the outbox, and returns the error of ctx.
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
		<-done // at most the duration of one report
		return ctx.Err()
	}
}

// dispatch claims as many messages as there are free workers, so that no message waits in memory while its lease runs.
func (d *Deliverer) dispatch() {
	outage := time.Duration(0)
	for {
		free := d.takeSlots()
		if free == 0 {
			return // stopped
		}
		messages, err := d.options.Outbox.Claim(d.sendCtx, d.options.Now(), d.options.Lease, free)
		for i := len(messages); i < free; i++ {
			<-d.slots
		}
		for _, m := range messages {
			d.running.Go(func() {
				defer func() { <-d.slots }()
				d.deliver(m)
			})
		}
		if err != nil {
			if outage == 0 {
				d.options.Log.Error("outbox out of reach; delivery waits for it", "error", err)
			}
			outage = min(max(2*outage, 500*time.Millisecond), maxOutagePause)
			if !d.pause(outage, nil) {
				return
			}
			continue
		}
		if outage > 0 {
			d.options.Log.Info("outbox within reach again")
			outage = 0
		}
		if len(messages) == free {
			continue // there may be more
		}
		if !d.pause(d.options.Poll, d.options.Outbox.Woken()) {
			return
		}
	}
}

// takeSlots waits for a free worker and then takes all free slots. It returns their number, or 0 after Stop.
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

// pause waits for length or until woken. It returns false after Stop.
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

// deliver makes one attempt and records its outcome in the outbox.
func (d *Deliverer) deliver(m *domain.Message) {
	err := d.send(m)
	failure := ""
	if err != nil {
		failure = failureText(err)
	}
	outcome := OutcomeSent
	switch {
	case err == nil:
		d.report(m, func(ctx context.Context) error { return d.options.Outbox.Sent(ctx, m, d.options.Now()) })
	case IsPermanent(err) || m.Attempts > len(d.options.Delays):
		outcome = OutcomeDead
		d.options.Log.Error("message given up", "message", m.ID, "failure", failure)
		d.report(m, func(ctx context.Context) error { return d.options.Outbox.Bury(ctx, m, d.options.Now(), failure) })
	default:
		outcome = OutcomeRetried
		delay := d.delay(m.Attempts)
		d.options.Log.Warn("message put off", "message", m.ID, "attempt", m.Attempts, "failure", failure, "for", delay.Round(time.Second))
		d.report(m, func(ctx context.Context) error {
			return d.options.Outbox.Retry(ctx, m, d.options.Now().Add(delay), failure)
		})
	}
	d.options.Observe(string(m.Channel), outcome)
}

func (d *Deliverer) send(m *domain.Message) (err error) {
	// An expired code is useless, and a late one is confusing.
	until, parseErr := time.Parse(time.RFC3339, m.Values["expires"])
	if parseErr == nil && m.Template != "invitation" && !d.options.Now().Before(until) {
		return &Failure{Stage: "expired", Reason: "the content has expired", Permanent: true}
	}
	sender := d.options.Senders[m.Channel]
	if sender == nil {
		return &Failure{Stage: "channel", Reason: "no sender on this instance"}
	}
	ctx, cancel := context.WithTimeout(d.sendCtx, d.options.SendTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = &Failure{Stage: "send", Reason: fmt.Sprintf("panic: %T", r)}
		}
	}()
	return sender.Send(ctx, m)
}

// delay returns the pause after an attempt with a jitter of ±20 %, so that messages that failed together are not
// retried together.
func (d *Deliverer) delay(attempt int) time.Duration {
	base := d.options.Delays[min(max(attempt, 1), len(d.options.Delays))-1]
	return time.Duration(float64(base) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // nothing secret
}

// report records the outcome of an attempt in the outbox and retries while the outbox is unavailable. A message whose
// outcome is not recorded is sent again after its lease, under the same id. A report is not cancelled with the send.
func (d *Deliverer) report(m *domain.Message, update func(context.Context) error) {
	for pause := 250 * time.Millisecond; ; pause *= 4 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.sendCtx), reportTimeout)
		err := update(ctx)
		cancel()
		if err == nil {
			return
		}
		// Three attempts; during an aborted stop, one.
		if pause > 4*time.Second || d.sendCtx.Err() != nil {
			d.options.Log.Error("outbox out of reach; a message may be handed over again", "message", m.ID, "error", err)
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-d.sendCtx.Done():
		}
		t.Stop()
	}
}
