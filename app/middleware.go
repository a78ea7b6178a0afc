package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// chain is the middleware of every request: request id, log and metrics, recovery, host, CORS. Authentication comes
// after it.
type chain struct {
	log     *slog.Logger
	now     func() time.Time
	caller  *prometheus.HistogramVec
	origins []string
	// secure is true if callers use https: browsers are then told to use nothing else.
	secure bool
	// hosts lists the accepted host names; empty accepts any.
	hosts []string
	// mark replaces ids in the log that must not be disclosed.
	mark func(id string) string
	// leaving reports whether a stop is in progress; nil for never.
	leaving func() bool
	// active counts the requests in progress, including those that became WebSockets.
	active sync.WaitGroup
}

// wait waits until no request is in progress or ctx ends.
func (c *chain) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		c.active.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		c.log.Warn("some streams were interrupted")
	}
}

// recorder records the status and the size of a response.
type recorder struct {
	http.ResponseWriter
	status  int
	size    int64
	leaving func() bool
}

func (r *recorder) WriteHeader(status int) {
	r.begin(status)
	r.ResponseWriter.WriteHeader(status)
}

// begin records the status. During a stop it closes the connection with the response, so that the client opens a new
// one for its next request, to a server that is still running.
func (r *recorder) begin(status int) {
	if r.status != 0 {
		return
	}
	r.status = status
	if r.leaving != nil && r.leaving() {
		r.Header().Set("Connection", "close")
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.begin(http.StatusOK)
	n, err := r.ResponseWriter.Write(b)
	r.size += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController access to flushing and hijacking.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// commonHeaders holds the headers of every response. Its values are shared and must not be modified.
var commonHeaders = http.Header{
	"X-Content-Type-Options": {"nosniff"},
	"Referrer-Policy":        {"no-referrer"},
	// The policy for responses that are not pages; pages set their own.
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
}

func (c *chain) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.active.Add(1)
		defer c.active.Done()
		start := c.now()
		id := requestID(r.Header.Get("X-Request-Id"))
		h := w.Header()
		maps.Copy(h, commonHeaders)
		h["X-Request-Id"] = []string{id}
		if c.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		rec := &recorder{ResponseWriter: w, leaving: c.leaving}
		ctx := withRequestID(r.Context(), id)
		var caller *callerRecord // nil if the line is not logged
		if c.log.Enabled(ctx, slog.LevelInfo) {
			caller = &callerRecord{}
			ctx = caller.attach(ctx)
		}
		r = r.WithContext(ctx)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
					panic(p)
				}
				c.log.Error("panic", "requestId", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "An internal error occurred. Id of this error: "+id, http.StatusInternalServerError)
				}
			}
			took := c.now().Sub(start)
			if !streamed(rec) { // the duration of a stream is not a response time
				c.caller.WithLabelValues(door(r.URL.Path), method(r.Method), strconv.Itoa(rec.status)).Observe(took.Seconds())
			}
			// The path only: a query may contain a key, a filter or an address.
			if caller == nil {
				return
			}
			c.log.LogAttrs(context.Background(), slog.LevelInfo, "request", append([]slog.Attr{
				slog.String("requestId", id), slog.String("method", method(r.Method)), slog.String("path", r.URL.Path),
				slog.Int("status", rec.status), slog.Int64("bytes", rec.size), slog.Float64("ms", float64(took.Microseconds())/1000),
			}, caller.attrs(c.mark)...)...)
		}()
		if !c.hosted(r.Host) {
			// DNS rebinding: a foreign page that resolves its own name to this address must not reach a developer's
			// server.
			http.Error(rec, "This server does not serve that host name.", http.StatusMisdirectedRequest)
			return
		}
		if !ownCORS(r.URL.Path) && c.cors(rec, r) {
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// streamed reports whether the response was an event stream.
func streamed(rec *recorder) bool {
	return rec.status == http.StatusSwitchingProtocols || strings.HasPrefix(rec.Header().Get("Content-Type"), "text/event-stream")
}

func (c *chain) hosted(host string) bool {
	if len(c.hosts) == 0 {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	return loopback(name) || slices.ContainsFunc(c.hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// ownCORS reports whether the door handles other origins itself: the client session API is called with cookies and has
// its own errors for foreign origins.
func ownCORS(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

// cors adds the headers for allowed origins and responds to their preflight requests.
func (c *chain) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin") // in both cases, so that a cache does not mix up the responses
	origin := r.Header.Get("Origin")
	if !slices.Contains(c.origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Location, Retry-After, Idempotent-Replayed, X-Request-Id, WWW-Authenticate")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set(
		"Access-Control-Allow-Headers",
		"Authorization, API-Key, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, X-Request-Id",
	)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// requestID returns the caller's id if it is harmless, and a new one otherwise.
func requestID(header string) string {
	if header != "" && len(header) <= 64 && strings.Trim(header, "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
		return header
	}
	var raw [12]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// door returns the name of the door of a path: metric labels must not contain ids.
func door(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "graphql",
		"invitations",
		"identity",
		"system",
		"v1",
		"sessions",
		"invite",
		"verify-email",
		"healthz",
		"readyz",
		"playground",
		".well-known",
		"":
		return "/" + first
	}
	return "other"
}

// method replaces unknown methods, so that clients cannot add labels to metrics and logs.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// hostOf returns the host name of a URL.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
