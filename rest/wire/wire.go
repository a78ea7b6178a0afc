// Package wire is the HTTP layer that the REST dialects share: routing and serving of operations, strict JSON bodies,
// media types, conditional requests, list parameters, and the only mapping from kinds of problems to statuses.
//
// It knows HTTP and the conventions of the documents. It must not know a subject or a representation: it returns errors
// as problems, and each dialect writes them in its own format.
package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Status returns the status of a kind of problem. For Protocol it is only the default; see StatusOf.
func Status(kind problem.Kind) int {
	switch kind {
	case problem.Invalid, problem.Protocol:
		return http.StatusBadRequest
	case problem.Unauthenticated:
		return http.StatusUnauthorized
	case problem.Denied:
		return http.StatusForbidden
	case problem.Missing:
		return http.StatusNotFound
	case problem.Conflict:
		return http.StatusConflict
	case problem.Gone:
		return http.StatusGone
	case problem.Stale:
		return http.StatusPreconditionFailed
	case problem.Required:
		return http.StatusPreconditionRequired
	case problem.Unprocessable:
		return http.StatusUnprocessableEntity
	case problem.Limited:
		return http.StatusTooManyRequests
	case problem.Unavailable:
		return http.StatusServiceUnavailable
	case problem.Internal:
	}
	return http.StatusInternalServerError
}

// StatusOf returns the status of a problem: that of its kind, or its own for an error of the protocol.
func StatusOf(p *problem.Problem) int {
	switch p.Definition {
	case problem.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case problem.NotAcceptable:
		return http.StatusNotAcceptable
	case problem.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case problem.RequestBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return Status(p.Kind)
}

// fewSeconds is the Retry-After of a problem without a time at which the call may succeed: the remedy of
// ServiceUnavailable is "in a few seconds".
const fewSeconds = 5

// RetryAfter returns the value of the header Retry-After in seconds, rounded up and at least 1; 0 means no header.
// Limited and Unavailable always have one.
func RetryAfter(p *problem.Problem, now time.Time) int {
	if !p.AvailableAt.IsZero() {
		wait := p.AvailableAt.Sub(now)
		seconds := int(wait / time.Second)
		if wait%time.Second > 0 {
			seconds++
		}
		return max(1, seconds)
	}
	if p.Kind == problem.Limited || p.Kind == problem.Unavailable {
		return fewSeconds
	}
	return 0
}

// Challenge returns the value of the header WWW-Authenticate for a problem of kind Unauthenticated; empty for others.
// It reports an invalid token only if one was sent and the problem is not the API key.
func Challenge(r *http.Request, p *problem.Problem) string {
	if p.Kind != problem.Unauthenticated {
		return ""
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != "" && p.Definition != problem.InvalidAPIKey {
		return `Bearer error="invalid_token"`
	}
	return "Bearer"
}

// SetHeaders sets the headers that a problem has in every dialect, WWW-Authenticate and Retry-After, and records the
// problem for the log.
func SetHeaders(w http.ResponseWriter, r *http.Request, p *problem.Problem, status int, now time.Time) {
	_ = problem.Note(r.Context(), p)
	if challenge := Challenge(r, p); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return
	}
	if seconds := RetryAfter(p, now); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}
