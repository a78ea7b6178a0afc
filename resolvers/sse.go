package resolvers

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// typeEvents is the media type of server-sent events. Subscriptions follow the protocol GraphQL over SSE in distinct
// connections mode: events named next and complete.
const typeEvents = "text/event-stream"

const (
	// heartbeatInterval is how often an idle stream is sent a comment, so that proxies do not close it.
	heartbeatInterval = 15 * time.Second
	// stallTimeout is how long a write may block before the client is disconnected.
	stallTimeout = 30 * time.Second
)

// acceptsEvents reports whether the caller accepts server-sent events.
func acceptsEvents(accept []string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(accept, ","), ","), func(part string) bool {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil || name != typeEvents {
			return false
		}
		q, ok := parameters["q"]
		weight, err := strconv.ParseFloat(q, 64)
		return !ok || err == nil && weight > 0
	})
}

// stream serves a subscription as server-sent events until it ends.
func (h *handler) stream(a *answer, r *http.Request, op *graphql.OperationContext) {
	if !a.events {
		a.fail(http.StatusNotAcceptable, refusal(codeBadDocument, "Subscribe with Accept: "+typeEvents+", or over WebSocket."))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var after *string
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = &id
	}
	s, errs := h.subscribe(ctx, op, "sse", after)
	if errs != nil {
		a.request(errs)
		return
	}
	defer s.end()
	w := openEvents(a.w, cancel)
	defer w.close()
	for {
		body, cursor, last := s.wait()
		switch {
		case body != nil:
			w.next(body, cursor)
			continue
		case last != nil:
			w.next(bodyOf(gqlerror.List{last}, nil), "")
			w.complete()
		case !s.stopping():
			w.complete()
		}
		return // without "complete" if the server stops: the client reconnects and continues from its cursor
	}
}

// writeSingle responds to a query or a mutation of a caller that accepts only events.
func (a *answer) writeSingle(reply *graphql.Response) {
	w := openEvents(a.w, func() {})
	defer w.close()
	w.next(bodyOf(reply.Errors, reply.Data), "")
	w.complete()
}

// eventWriter writes server-sent events.
type eventWriter struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	// failed is called if a write fails.
	failed func()
	beat   *time.Timer
	closed bool
}

// openEvents begins the response. The time limits of the connection apply to requests that end, so they are removed.
func openEvents(w http.ResponseWriter, failed func()) *eventWriter {
	e := &eventWriter{w: w, control: http.NewResponseController(w), failed: failed}
	_ = e.control.SetReadDeadline(time.Time{})
	_ = e.control.SetWriteDeadline(time.Time{})
	header := w.Header()
	header.Set("Content-Type", typeEvents+"; charset=utf-8")
	header.Set("X-Accel-Buffering", "no") // nginx would buffer events
	w.WriteHeader(http.StatusOK)
	e.beat = time.AfterFunc(heartbeatInterval, e.comment)
	e.comment()
	return e
}

func (e *eventWriter) next(body []byte, cursor string) {
	var b strings.Builder
	b.Grow(len(body) + len(cursor) + 32)
	b.WriteString("event: next\n")
	if cursor != "" {
		b.WriteString("id: " + cursor + "\n")
	}
	b.WriteString("data: ")
	b.Write(body) // one line
	b.WriteString("\n\n")
	e.write(b.String())
}

func (e *eventWriter) complete() { e.write("event: complete\ndata:\n\n") }

// comment keeps the connection alive.
func (e *eventWriter) comment() { e.write(":\n\n") }

func (e *eventWriter) write(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	// A deadline in the past interrupts a write that takes too long.
	stall := time.AfterFunc(stallTimeout, func() { _ = e.control.SetWriteDeadline(time.Unix(1, 0)) })
	defer stall.Stop()
	_, err := e.w.Write([]byte(text))
	if err == nil {
		err = e.control.Flush()
	}
	if err != nil {
		e.closed = true
		e.failed()
		return
	}
	e.beat.Reset(heartbeatInterval)
}

func (e *eventWriter) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.beat.Stop()
}
