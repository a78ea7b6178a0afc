// Package wire is the HTTP that the REST dialects have in common: routing and serving of operations, strict JSON
// bodies, media types, conditional requests and list parameters; and the one map from kinds of problems to statuses.
//
// It knows HTTP and the conventions of the documents. It must not know a subject or a representation: a refusal is a
// problem, and each dialect writes errors in its own format.
package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Status is the status of a kind of problem. Of Protocol it is only the general one; see StatusOf.
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

// StatusOf is the status of a problem: that of its kind, or for a refusal of the protocol its own.
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

// fewSeconds is the Retry-After of a problem that does not know when the call may succeed: the remedy of
// ServiceUnavailable says "in a few seconds".
const fewSeconds = 5

// RetryAfter is the value of the header Retry-After in seconds, rounded up and at least 1; 0 means no header.
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

// Challenge is the value of the header WWW-Authenticate that goes with a problem of kind Unauthenticated; empty
// for others. The token is called invalid only where one was sent, and where the problem is not the API key.
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

// SetHeaders sets the headers that go with a problem in every dialect, WWW-Authenticate and Retry-After, and notes it
// for the log.
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
