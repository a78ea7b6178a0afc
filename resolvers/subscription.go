package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/live"
)

// subscriptionState is shared by a transport and the resolver of its subscription: a channel of events cannot carry the
// cursor of an event or the reason for its end.
type subscriptionState struct {
	// after is the cursor of the last event that the subscriber received (Last-Event-ID), or nil.
	after *string
	// cursors has one entry for each event, in their order.
	cursors chan string

	mu    sync.Mutex
	begun bool
	err   error
}

type lineKey struct{}

// feed passes the events of the rules to the library.
func feed(ctx context.Context, s *domain.Service, in domain.FollowInput) (<-chan *domain.LifecycleEvent, error) {
	l, ok := ctx.Value(lineKey{}).(*subscriptionState)
	if !ok {
		return nil, errors.New("a subscription outside of a stream")
	}
	if l.after != nil {
		in.After = l.after
	}
	sub, err := s.Follow(ctx, in)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.begun = true
	l.mu.Unlock()
	events := make(chan *domain.LifecycleEvent)
	go func() {
		defer close(events)
		defer sub.Close()
		for {
			e, err := sub.Next(ctx)
			if err != nil {
				l.mu.Lock()
				l.err = err
				l.mu.Unlock()
				return
			}
			select {
			case l.cursors <- e.Position.Cursor():
			case <-ctx.Done():
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

// withEventLoaders gives each event of a subscription its own loaders, because each must be resolved with current data,
// and adds the path to errors below it.
func withEventLoaders(s *domain.Service) graphql.ResponseMiddleware {
	return func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		op := graphql.GetOperationContext(ctx)
		if op.Operation == nil || op.Operation.Operation != ast.Subscription {
			return next(ctx)
		}
		if root := rootsOf(op); len(root) == 1 {
			ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Subscription", Field: root[0], Args: map[string]any{}})
		}
		return next(context.WithValue(ctx, loadersKey{}, newLoaders(s)))
	}
}

// rootsOf returns the root fields of a subscription after its variables are applied.
func rootsOf(op *graphql.OperationContext) []graphql.CollectedField {
	return graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
}

// subscription is a subscription in progress.
type subscription struct {
	h    *handler
	ctx  context.Context // the context of the operation, with the same lifetime
	next graphql.ResponseHandler
	line *subscriptionState

	transport, field string
	start            time.Time
	events           int
	cause            string
}

// subscribe starts a subscription; the errors are those of a refused one.
func (h *handler) subscribe(
	ctx context.Context, op *graphql.OperationContext, transport string, after *string,
) (*subscription, gqlerror.List) {
	roots := rootsOf(op)
	if len(roots) != 1 || strings.HasPrefix(roots[0].Name, "__") {
		return nil, gqlerror.List{refusal(codeBadDocument, "A subscription must have exactly one root field.")}
	}
	s := &subscription{
		h: h, line: &subscriptionState{after: after, cursors: make(chan string, 1)}, transport: transport, field: roots[0].Name, start: h.now(),
		cause: "the subscriber disconnected",
	}
	s.next, s.ctx = h.executor.DispatchOperation(context.WithValue(ctx, lineKey{}, s.line), op)
	s.line.mu.Lock()
	begun := s.line.begun
	s.line.mu.Unlock()
	if begun {
		return s, nil
	}
	if reply := s.next(s.ctx); reply != nil && len(reply.Errors) > 0 {
		return nil, reply.Errors
	}
	return nil, gqlerror.List{h.present(ctx, context.Canceled)}
}

// wait returns the next event as JSON and its cursor. After the last one the body is nil, and the error, if any, is the
// last message to the subscriber.
func (s *subscription) wait() (body []byte, cursor string, last *gqlerror.Error) {
	reply := s.next(s.ctx)
	if reply != nil {
		s.events++
		return bodyOf(reply.Errors, reply.Data), <-s.line.cursors, nil
	}
	s.line.mu.Lock()
	err := s.line.err
	s.line.mu.Unlock()
	switch {
	case errors.Is(err, live.ErrStopped):
		s.cause = "the server is stopping"
	case s.ctx.Err() != nil || err == nil:
	default:
		last = s.h.present(s.ctx, err)
		s.cause, _ = last.Extensions["code"].(string)
	}
	return nil, "", last
}

// end ends the subscription.
func (s *subscription) end() {
	s.h.log.InfoContext(s.ctx, "subscription ended", "transport", s.transport, "field", s.field, "events", s.events,
		"ms", s.h.now().Sub(s.start).Milliseconds(), "reason", s.cause)
}

// stopping reports whether the server is stopping.
func (s *subscription) stopping() bool { return s.h.live.Running().Err() != nil }

// bodyOf returns a response as one line of JSON.
func bodyOf(errs gqlerror.List, data json.RawMessage) []byte {
	body, err := json.Marshal(struct {
		Errors gqlerror.List   `json:"errors,omitempty"`
		Data   json.RawMessage `json:"data,omitempty"`
	}{errs[:min(len(errs), maxErrors)], data})
	if err != nil {
		panic(err)
	}
	return body
}

// unauthenticated reports whether the errors include an invalid token of the caller.
func unauthenticated(errs ...*gqlerror.Error) bool {
	return slices.ContainsFunc(errs, func(e *gqlerror.Error) bool { return e.Extensions["code"] == codeUnauthenticated })
}
