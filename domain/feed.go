package domain

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/live"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// MaxSubscriptions is the maximum number of open subscriptions of a user on one instance: each one costs memory. A
// person has a few windows open; services subscribe as administrators, who are not limited.
const MaxSubscriptions = 100

// FeedPart is a part of the feed: the events after one position up to and including another one, oldest first.
type FeedPart struct {
	After, UpTo FeedPosition
	// Concerning selects the events that concern a user; empty: all.
	Concerning string
	// Where selects further; the store may return more than it selects.
	Where listing.Predicate
	Limit int
}

// Live is the hub of the subscriptions of a process.
type Live = live.Hub[FeedPosition, *LifecycleEvent]

// NewLive returns a hub. The ports of the service must be set.
func NewLive(s *Service) *Live { return live.New(liveFeed{s}, s.Now, MaxSubscriptions) }

// liveFeed is the feed as the hub reads it. The topics of an event are the users it concerns; the keys of subscriptions
// are sessions.
type liveFeed struct{ s *Service }

func (f liveFeed) End(ctx context.Context) (FeedPosition, error) { return f.s.Store.FeedEnd(ctx) }

func (f liveFeed) Read(ctx context.Context, after FeedPosition, limit int) ([]*LifecycleEvent, error) {
	return f.s.Store.Feed(ctx, after, limit)
}

func (f liveFeed) Pending(ctx context.Context, after FeedPosition) (bool, error) {
	return f.s.Store.FeedPending(ctx, after)
}

func (f liveFeed) Watch(ctx context.Context, notify func()) { f.s.Store.FeedWatch(ctx, notify) }

func (f liveFeed) Position(e *LifecycleEvent) FeedPosition { return e.Position }

func (f liveFeed) Topics(e *LifecycleEvent) []string { return e.Concerns }

func (f liveFeed) Ends(e *LifecycleEvent) string {
	if e.SubjectKind == KindSession && !SessionState(e.To).Live() {
		return e.SubjectID
	}
	return ""
}

func (f liveFeed) Ended(ctx context.Context, sessionIDs []string) (ended []string, err error) {
	found, err := f.s.Store.Sessions().GetMany(ctx, sessionIDs)
	for _, r := range found {
		if !settle(f.s, sessions, r).record.State.Live() {
			ended = append(ended, r.ID)
		}
	}
	return ended, err
}

// Subscription receives the events that its caller may see.
type Subscription struct {
	*live.Subscription[FeedPosition, *LifecycleEvent]
}

// FollowInput selects the events of a subscription.
type FollowInput struct {
	// Operation is the name of the subscription.
	Operation string
	// Where selects among the events that the caller may see; nil: all of them.
	Where listing.Predicate
	// After is the cursor to continue from; nil: from now on.
	After *string
}

// Follow starts a subscription to new events, or to those after a cursor. Whether the caller may see an event is
// decided for each one, with the rights of the token at the start.
// Refuses with Unauthorized, SessionExpired, AccessDenied, InvalidInput, TooManyRequests (more than MaxSubscriptions of
// one user) and ServiceUnavailable.
func (s *Service) Follow(ctx context.Context, in FollowInput) (*Subscription, error) {
	if err := s.Permit(ctx, in.Operation); err != nil {
		return nil, err
	}
	if s.Live == nil {
		return nil, problem.New(problem.ServiceUnavailable).Because("Live events are not available.")
	}
	a := ActorFrom(ctx)
	o := live.Options[FeedPosition, *LifecycleEvent]{
		All: a.SeesAll(), Topic: a.ID, ExpiresAt: a.ExpiresAt,
		Select: func(e *LifecycleEvent) bool {
			return e.VisibleTo(a) && listing.Match(EventSchema, in.Where, EventValue, e)
		},
		Missed: func(ctx context.Context, after, upTo FeedPosition, limit int) ([]*LifecycleEvent, error) {
			part := FeedPart{After: after, UpTo: upTo, Where: in.Where, Limit: limit}
			if !a.SeesAll() {
				part.Concerning = a.ID
			}
			return s.Store.FeedPart(ctx, part)
		},
	}
	if in.After != nil {
		at, err := ParseFeedPosition(*in.After)
		if err != nil {
			return nil, err
		}
		o.After = &at
	}
	if a.SessionID != "" {
		id, err := s.sessionID(ctx, a.SessionID)
		if err != nil {
			return nil, err
		}
		o.Key = id
	}
	sub, err := s.Live.Subscribe(ctx, o)
	switch {
	case errors.Is(err, live.ErrStopped):
		return nil, problem.New(problem.ServiceUnavailable).From(err)
	case errors.Is(err, live.ErrTooMany):
		return nil, problem.Note(ctx, problem.New(problem.TooManyRequests).With("limit", MaxSubscriptions))
	case err != nil:
		return nil, err
	}
	if err := s.checkSubscription(ctx, a, o.After); err != nil {
		sub.Close()
		return nil, err
	}
	return &Subscription{sub}, nil
}

// checkSubscription makes the checks that are reliable only after a subscription has started.
func (s *Service) checkSubscription(ctx context.Context, a Actor, after *FeedPosition) error {
	// A cursor must name an event: after a position of another feed, there might never be an event.
	if after != nil && *after != (FeedPosition{}) {
		if has, err := s.Store.FeedHas(ctx, *after); err != nil {
			return err
		} else if !has {
			return problem.New(problem.InvalidInput).Because("This is not a cursor of the event feed.").At("after")
		}
	}
	// The session may have ended between authentication and the start. From here on an event ends the subscription.
	if a.SessionID != "" {
		if over, err := s.SessionOver(ctx, a.SessionID); err != nil {
			return err
		} else if over {
			return problem.New(problem.SessionExpired)
		}
	}
	return nil
}

// Next waits for the next event.
// Refuses with SessionExpired (the token has expired, or its session has ended); fails with live.ErrStopped while the
// process stops, with live.ErrClosed after Close, and with the error of the context.
func (s *Subscription) Next(ctx context.Context) (*LifecycleEvent, error) {
	e, err := s.Subscription.Next(ctx)
	switch {
	case errors.Is(err, live.ErrEnded):
		return nil, problem.New(problem.SessionExpired).Because("The session of your token has ended.")
	case errors.Is(err, live.ErrExpired):
		return nil, problem.New(problem.SessionExpired).Because("Your token has expired. Subscribe again with a new one, after the last cursor.")
	}
	return e, err
}
