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

// chain is what every request passes before its door: request id, log and metrics, recovery, host, CORS. The
// authentication comes after it.
type chain struct {
	log     *slog.Logger
	now     func() time.Time
	seen    *prometheus.HistogramVec
	origins []string
	// secure is set where callers come by https: browsers are then told to come by nothing else.
	secure bool
	// hosts are the names the server answers to; empty: any.
	hosts []string
	// mark names in the log who must not be named.
	mark func(id string) string
	// leaving reports whether a stop is under way; nil: never.
	leaving func() bool
	// inside counts the requests that are being answered, those that became WebSockets among them.
	inside sync.WaitGroup
}

// wait waits until nothing is being answered any more, or the context ends.
func (c *chain) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		c.inside.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		c.log.Warn("some streams were cut off")
	}
}

// recorder notes the status and the size of an answer.
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

// begin notes the status. During a stop the answer is the last one on its connection: a client that is told so opens
// another one for its next request, to whoever answers there then.
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

// Unwrap lets http.ResponseController reach flushing and hijacking.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// always is in the head of every answer. Its values are shared, and nobody writes into them.
var always = http.Header{
	"X-Content-Type-Options": {"nosniff"},
	"Referrer-Policy":        {"no-referrer"},
	// What is no page is shown as none; pages put a policy of their own in its place.
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
}

func (c *chain) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.inside.Add(1)
		defer c.inside.Done()
		start := c.now()
		id := requestID(r.Header.Get("X-Request-Id"))
		h := w.Header()
		maps.Copy(h, always)
		h["X-Request-Id"] = []string{id}
		if c.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		rec := &recorder{ResponseWriter: w, leaving: c.leaving}
		ctx := withRequestID(r.Context(), id)
		var seen *witness // nil: nobody reads it
		if c.log.Enabled(ctx, slog.LevelInfo) {
			seen = &witness{}
			ctx = seen.watch(ctx)
		}
		r = r.WithContext(ctx)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
					panic(p)
				}
				c.log.Error("panic", "requestId", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "Something went wrong on our side. Id of this error: "+id, http.StatusInternalServerError)
				}
			}
			took := c.now().Sub(start)
			if !streamed(rec) { // how long somebody listened is no time to answer
				c.seen.WithLabelValues(door(r.URL.Path), method(r.Method), strconv.Itoa(rec.status)).Observe(took.Seconds())
			}
			// The path only: a query may hold a key, a filter or an address.
			if seen == nil {
				return
			}
			c.log.LogAttrs(context.Background(), slog.LevelInfo, "request", append([]slog.Attr{
				slog.String("requestId", id), slog.String("method", method(r.Method)), slog.String("path", r.URL.Path),
				slog.Int("status", rec.status), slog.Int64("bytes", rec.size), slog.Float64("ms", float64(took.Microseconds())/1000),
			}, seen.attrs(c.mark)...)...)
		}()
		if !c.hosted(r.Host) {
			// A foreign page that makes its own name point here must not reach a developer's server.
			http.Error(rec, "This server does not answer to that host name.", http.StatusMisdirectedRequest)
			return
		}
		if !ownCORS(r.URL.Path) && c.cors(rec, r) {
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// streamed reports whether the answer was a stream of events.
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

// ownCORS reports whether the door answers browsers of other origins by itself: the client session API is called with
// cookies and tells foreign origins in words of its own.
func ownCORS(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

// cors lets the allowed origins in and answers their preflights.
func (c *chain) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin") // with and without: a cache must not give the answer of the one to the other
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
	h.Set("Access-Control-Allow-Headers", "Authorization, API-Key, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, X-Request-Id")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// requestID takes the caller's id where it is harmless, and makes one else.
func requestID(given string) string {
	if given != "" && len(given) <= 64 && strings.Trim(given, "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
		return given
	}
	var raw [12]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// door names what a request was for, in few words: a metric has no ids in it.
func door(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "graphql", "invitations", "identity", "system", "v1", "sessions", "invite", "verify-email", "healthz", "readyz", "playground", ".well-known", "":
		return "/" + first
	}
	return "other"
}

// method keeps what a client invents out of metrics and logs.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// hostOf is the host name of a URL.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
