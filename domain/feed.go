package domain

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// FeedPart is a part of the feed: what stands after one position, and not after another, oldest first.
type FeedPart struct {
	After, UpTo FeedPosition
	// Concerning selects the events that concern a user; empty: all.
	Concerning string
	// Where selects further; the store may give more than it selects.
	Where listing.Predicate
	Limit int
}

// Why a feed that somebody follows ends. Nothing of it is lost: it can be followed on from the last cursor.
var (
	// ErrStopping: this process is about to end.
	ErrStopping = errors.New("domain: the server is stopping")
	// ErrUnfollowed: the follower has closed it.
	ErrUnfollowed = errors.New("domain: the feed is not followed any more")
)

const (
	// liveWindow is how many of the newest events are kept for those who are a little behind.
	liveWindow = 1024
	// liveQueue is how many events wait for one follower. Who is slower reads them again, at his own pace.
	liveQueue = 64
	// livePortion is how many events are read at once.
	livePortion = 200
	// livePatience is the longest pause before events that wait for another transaction are looked for again.
	livePatience = 50 * time.Millisecond
	// LiveEach is how often a user may follow at once on one instance: each costs some memory. A person has a few
	// windows open; services follow as administrators, who are not counted.
	LiveEach = 100
	// liveRecheck is how often the sessions of all followers are looked at, beside what the feed itself says.
	liveRecheck = time.Minute
)

// Live brings new events to those who follow them. However many there are, one reader reads the feed, and only while
// somebody follows; events are handed to those whom they concern, and nobody is waited for.
type Live struct {
	service *Service
	// running ends with Stop.
	running context.Context // it is the life of the hub itself
	stop    context.CancelFunc

	mu     sync.Mutex
	reader *liveReader
}

// NewLive gives the hub of a process. The ports of the service must be set.
func NewLive(s *Service) *Live {
	l := &Live{service: s}
	l.running, l.stop = context.WithCancel(context.Background())
	return l
}

// Stop ends what everybody follows, and lets nobody follow any more.
func (l *Live) Stop() { l.stop() }

// Running is a context that Stop ends.
func (l *Live) Running() context.Context { return l.running }

// Followers counts who follows now.
func (l *Live) Followers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil {
		return 0
	}
	return l.reader.followers
}

// liveReader reads the feed from the first follower to the last. Everything in it is guarded by Live.mu.
type liveReader struct {
	live   *Live
	cancel context.CancelFunc
	rung   chan struct{}

	// at is up to where the feed has been read. Everything up to there is settled.
	at FeedPosition
	// window are the newest events, all that stand after floor.
	window []*LifecycleEvent
	floor  FeedPosition

	followers int
	// everything are those who see all, the others are found by what they follow with.
	everything map[*Following]struct{}
	byUser     map[string]map[*Following]struct{}
	bySession  map[string]map[*Following]struct{}
}

// Following is a feed that somebody follows. Its methods are for one goroutine, but Close.
type Following struct {
	live   *Live
	reader *liveReader
	actor  Actor
	where  listing.Predicate
	// sessionID is the session that the token speaks for; empty where there is none of ours.
	sessionID string
	expiry    *time.Timer

	// pos is up to where everything has been given. To catch up, backlog was read beyond it, and with that everything
	// up to read.
	pos, read FeedPosition
	backlog   []*LifecycleEvent
	// expired is set when the token's time is over.
	expired bool
	// wake says that there is something new among the following, which are guarded by Live.mu.
	wake  chan struct{}
	queue []*LifecycleEvent
	// behind is set where the queue has a gap: what stands after pos must be read again.
	behind bool
	// over is set when the session of the token is over.
	over, closed bool
}

// FollowInput is what somebody wants to follow.
type FollowInput struct {
	// Operation is the name of the subscription.
	Operation string
	// Where selects among what the caller may see; nil: all of it.
	Where listing.Predicate
	// After is the cursor to go on from; nil: from now on.
	After *string
}

// Follow gives what happens from now on, or after a cursor. What the caller may see is decided for each event, with
// the rights of the token that it began with.
// Refuses with Unauthorized, SessionExpired, AccessDenied, InvalidInput, TooManyRequests (more than LiveEach of one user)
// and ServiceUnavailable.
func (s *Service) Follow(ctx context.Context, in FollowInput) (*Following, error) {
	if err := s.Permit(ctx, in.Operation); err != nil {
		return nil, err
	}
	if s.Live == nil {
		return nil, problem.New(problem.ServiceUnavailable).Because("Live events are not available.")
	}
	a := ActorFrom(ctx)
	f := &Following{live: s.Live, actor: a, where: in.Where, wake: make(chan struct{}, 1)}
	var after *FeedPosition
	if in.After != nil {
		at, err := ParseFeedPosition(*in.After)
		if err != nil {
			return nil, err
		}
		after = &at
	}
	if a.SessionID != "" {
		id, err := s.sessionID(ctx, a.SessionID)
		if err != nil {
			return nil, err
		}
		f.sessionID = id
	}
	if !a.ExpiresAt.IsZero() {
		f.expiry = time.NewTimer(a.ExpiresAt.Sub(s.Now()))
	}
	if err := s.Live.join(ctx, f, after); err != nil {
		f.stopTimer()
		return nil, err
	}
	// Once more, for what ended between the authentication and now: from here on the feed tells.
	if a.SessionID != "" {
		over, err := s.SessionOver(ctx, a.SessionID)
		if err == nil && over {
			err = problem.New(problem.SessionExpired)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// join begins to follow, after a position or from now on.
func (l *Live) join(ctx context.Context, f *Following, after *FeedPosition) error {
	for {
		l.mu.Lock()
		if l.running.Err() != nil {
			l.mu.Unlock()
			return problem.New(problem.ServiceUnavailable).From(ErrStopping)
		}
		if r := l.reader; r != nil {
			if !f.actor.SeesAll() && len(r.byUser[f.actor.ID]) >= LiveEach {
				l.mu.Unlock()
				return problem.Note(ctx, problem.New(problem.TooManyRequests).With("limit", LiveEach))
			}
			f.reader, f.pos = r, r.at
			if after != nil {
				f.pos, f.behind = *after, true
			}
			r.add(f)
			l.mu.Unlock()
			break
		}
		l.mu.Unlock()
		at, err := l.service.Store.FeedEnd(ctx)
		if err != nil {
			return err
		}
		l.mu.Lock()
		if l.reader == nil && l.running.Err() == nil {
			l.start(at)
		}
		l.mu.Unlock()
	}
	if after == nil || *after == (FeedPosition{}) {
		return nil
	}
	// A cursor names an event. One that does not is of another feed, and nothing might ever come after it.
	has, err := l.service.Store.FeedHas(ctx, *after)
	if err == nil && !has {
		err = problem.New(problem.InvalidInput).Because("This is not a cursor of the event feed.").At("after")
	}
	if err != nil {
		f.Close()
	}
	return err
}

func (l *Live) start(at FeedPosition) {
	ctx, cancel := context.WithCancel(l.running)
	r := &liveReader{
		live: l, cancel: cancel, rung: make(chan struct{}, 1), at: at, floor: at,
		everything: map[*Following]struct{}{}, byUser: map[string]map[*Following]struct{}{}, bySession: map[string]map[*Following]struct{}{},
	}
	l.reader = r
	go l.service.Store.FeedWatch(ctx, r.ring)
	go r.run(ctx)
}

// add and remove are called with Live.mu held.
func (r *liveReader) add(f *Following) {
	r.followers++
	if f.actor.SeesAll() {
		r.everything[f] = struct{}{}
	} else {
		put(r.byUser, f.actor.ID, f)
	}
	if f.sessionID != "" {
		put(r.bySession, f.sessionID, f)
	}
}

func (r *liveReader) remove(f *Following) {
	r.followers--
	delete(r.everything, f)
	drop(r.byUser, f.actor.ID, f)
	drop(r.bySession, f.sessionID, f)
	if r.followers == 0 {
		r.cancel()
		if r.live.reader == r {
			r.live.reader = nil
		}
	}
}

func put(in map[string]map[*Following]struct{}, key string, f *Following) {
	if in[key] == nil {
		in[key] = map[*Following]struct{}{}
	}
	in[key][f] = struct{}{}
}

func drop(from map[string]map[*Following]struct{}, key string, f *Following) {
	delete(from[key], f)
	if len(from[key]) == 0 {
		delete(from, key)
	}
}

func (r *liveReader) ring() { signal(r.rung) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run reads whenever it is rung.
func (r *liveReader) run(ctx context.Context) {
	recheck := time.NewTicker(liveRecheck)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.rung:
			r.read(ctx)
		case <-recheck.C:
			r.recheck(ctx)
		}
	}
}

// read goes on to the end of the feed. While events wait for a transaction that may still add one before them it
// looks again soon. An error ends it: the next ring comes soon, and the place is kept.
func (r *liveReader) read(ctx context.Context) {
	store, pause := r.live.service.Store, time.Millisecond
	for ctx.Err() == nil {
		r.live.mu.Lock()
		at := r.at
		r.live.mu.Unlock()
		events, err := store.Feed(ctx, at, livePortion)
		if err != nil {
			return
		}
		if len(events) > 0 {
			at = events[len(events)-1].Position
			r.hand(events)
			pause = time.Millisecond
		}
		if len(events) == livePortion {
			continue
		}
		if waits, err := store.FeedWaits(ctx, at); err != nil || !waits {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, livePatience)
	}
}

// hand gives events to those whom they concern.
func (r *liveReader) hand(events []*LifecycleEvent) {
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	for _, e := range events {
		r.at = e.Position
		if len(r.window) >= 2*liveWindow { // the older half goes at once, not one by one
			r.floor = r.window[liveWindow-1].Position
			r.window = slices.Clone(r.window[liveWindow:])
		}
		r.window = append(r.window, e)
		for f := range r.everything {
			f.offer(e)
		}
		for _, user := range e.Concerns {
			for f := range r.byUser[user] {
				f.offer(e)
			}
		}
		if e.SubjectKind == KindSession && !SessionState(e.To).Live() {
			for f := range r.bySession[e.SubjectID] {
				f.over = true
				signal(f.wake)
			}
		}
	}
}

// offer is called with Live.mu held. It waits for nobody.
func (f *Following) offer(e *LifecycleEvent) {
	switch {
	case f.behind:
	case len(f.queue) >= liveQueue:
		f.queue, f.behind = nil, true
	default:
		f.queue = append(f.queue, e)
	}
	signal(f.wake)
}

// recheck looks whether the sessions of the followers are still live, many at once.
func (r *liveReader) recheck(ctx context.Context) {
	r.live.mu.Lock()
	ids := make([]string, 0, len(r.bySession))
	for id := range r.bySession {
		ids = append(ids, id)
	}
	r.live.mu.Unlock()
	s := r.live.service
	found, err := s.Store.Sessions().GetMany(ctx, ids)
	if err != nil {
		return // the next time
	}
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	for _, session := range found {
		if settle(s, sessions, session).record.State.Live() {
			continue
		}
		for f := range r.bySession[session.ID] {
			f.over = true
			signal(f.wake)
		}
	}
}

// Next waits for the next event.
// Refuses with SessionExpired where the token or its session is over; fails with ErrStopping where the process is
// about to end, with ErrUnfollowed after Close, and with the error of the context.
func (f *Following) Next(ctx context.Context) (*LifecycleEvent, error) {
	var expiry <-chan time.Time
	if f.expiry != nil {
		expiry = f.expiry.C
	}
	for {
		if err := f.ended(); err != nil {
			return nil, err
		}
		e, caughtUp, err := f.take(ctx)
		if err != nil {
			return nil, err
		}
		if e != nil {
			if !f.pos.Before(e.Position) {
				continue
			}
			f.pos = e.Position
			if e.VisibleTo(f.actor) && listing.Match(EventSchema, f.where, EventValue, e) {
				return e, nil
			}
			continue
		}
		if !caughtUp {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.live.running.Done():
		case <-f.wake:
		case <-expiry:
			if left := f.actor.ExpiresAt.Sub(f.live.service.Now()); left > 0 {
				f.expiry.Reset(left)
			} else {
				f.expired = true
			}
		}
	}
}

// ended says why nothing more is given.
func (f *Following) ended() error {
	if f.live.running.Err() != nil {
		return ErrStopping
	}
	f.live.mu.Lock()
	over, closed := f.over, f.closed
	f.live.mu.Unlock()
	switch {
	case closed:
		return ErrUnfollowed
	case over:
		return problem.New(problem.SessionExpired).Because("The session of your token has ended.")
	case f.expired || !f.actor.ExpiresAt.IsZero() && !f.live.service.Now().Before(f.actor.ExpiresAt):
		return problem.New(problem.SessionExpired).Because("Your token has expired. Subscribe again with a new one, after the last cursor.")
	}
	return nil
}

// take gives what is next, as far as it is known to this process or has to be read; nil where there is nothing, and
// caughtUp where nothing is to be read either.
func (f *Following) take(ctx context.Context) (e *LifecycleEvent, caughtUp bool, err error) {
	if len(f.backlog) > 0 {
		e, f.backlog = f.backlog[0], f.backlog[1:]
		return e, false, nil
	}
	f.backlog = nil
	if f.pos.Before(f.read) {
		f.pos = f.read
	}
	f.live.mu.Lock()
	r := f.reader
	if !f.behind {
		defer f.live.mu.Unlock()
		if len(f.queue) == 0 {
			return nil, true, nil
		}
		if e, f.queue = f.queue[0], f.queue[1:]; len(f.queue) == 0 {
			f.queue = nil // an idle follower holds nothing
		}
		return e, false, nil
	}
	upTo := r.at
	if !f.pos.Before(r.floor) { // the window has it all
		from, _ := slices.BinarySearchFunc(r.window, f.pos, func(e *LifecycleEvent, pos FeedPosition) int {
			if pos.Before(e.Position) {
				return 1
			}
			return -1
		})
		for _, e := range r.window[from:] {
			if e.VisibleTo(f.actor) {
				f.queue = append(f.queue, e)
			}
		}
		f.behind = false
		f.live.mu.Unlock()
		return nil, false, nil
	}
	f.live.mu.Unlock()

	part := FeedPart{After: f.pos, UpTo: upTo, Where: f.where, Limit: livePortion}
	if !f.actor.SeesAll() {
		part.Concerning = f.actor.ID
	}
	events, err := f.live.service.Store.FeedPart(ctx, part)
	if err != nil {
		return nil, false, err
	}
	f.backlog = events
	if len(events) < livePortion {
		f.read = upTo
	}
	return nil, false, nil
}

// Close ends it. It may be called at any time, also twice.
func (f *Following) Close() {
	f.live.mu.Lock()
	defer f.live.mu.Unlock()
	if f.closed {
		return
	}
	f.closed, f.queue = true, nil
	f.stopTimer()
	f.reader.remove(f)
	signal(f.wake)
}

func (f *Following) stopTimer() {
	if f.expiry != nil {
		f.expiry.Stop()
	}
}
