package customersessions

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// mediaType is the media type of every error.
const mediaType = "application/problem+json"

// typePage and typeVersion precede and follow the name of a type in its URI.
const (
	typePage    = "https://production.api.apiture.com/errors/"
	typeVersion = "/v1.0.0"
)

// apiProblem is the schema of that name. The outermost one is a problemResponse, which has the same members.
type apiProblem struct {
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Status     int            `json:"status"`
	Detail     string         `json:"detail"`
	Instance   string         `json:"instance,omitempty"`
	ID         string         `json:"id,omitempty"`
	OccurredAt string         `json:"occurredAt,omitempty"`
	Problems   []apiProblem   `json:"problems,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// errorName is the name of an error in the document.
type errorName struct {
	name, title string
	// status is the documented status if it differs from wire.StatusOf; otherwise 0.
	status int
}

// byDefinition has the problems with their own name. An unknown id and a wrong state are both 422 here.
var byDefinition = map[*problem.Definition]errorName{
	problem.NoSuchSession:           {"invalidSessionId", "Invalid Session", http.StatusUnprocessableEntity},
	problem.SessionTerminated:       {"sessionTerminated", "Session Terminated", http.StatusUnprocessableEntity},
	problem.SessionLifetimeExceeded: {"sessionLifetimeExceeded", "Session Lifetime Exceeded", http.StatusUnprocessableEntity},
	problem.SessionExpired:          {"sessionExpired", "Session Expired", 0},
	problem.IdempotencyKeyReused:    {"idempotencyKeyReused", "Idempotency Key Reused", 0},
}

// byKind has the names of all other problems.
var byKind = map[problem.Kind]errorName{
	problem.Invalid:         {"badRequest", "Bad Request", 0},
	problem.Unauthenticated: {"unauthorized", "Unauthorized", 0},
	problem.Denied:          {"forbidden", "Forbidden", 0},
	problem.Missing:         {"notFound", "Not Found", 0},
	problem.Conflict:        {"unprocessableEntity", "Unprocessable Entity", http.StatusUnprocessableEntity},
	problem.Gone:            {"unprocessableEntity", "Unprocessable Entity", http.StatusUnprocessableEntity},
	problem.Stale:           {"preconditionFailed", "Precondition Failed", 0},
	problem.Unprocessable:   {"unprocessableEntity", "Unprocessable Entity", 0},
	problem.Limited:         {"tooManyRequests", "Too Many Requests", 0},
	problem.Unavailable:     {"serviceUnavailable", "Service Unavailable", 0},
	problem.Internal:        {"internalError", "Internal Error", 0},
}

// nameOf returns the name of a problem: its own, that of its kind or, for a protocol error that is not in the document,
// that of the catalogue.
func nameOf(p *problem.Problem) errorName {
	w, ok := byDefinition[p.Definition]
	if !ok {
		w, ok = byKind[p.Kind]
	}
	if !ok {
		w = errorName{name: p.Type, title: p.Title}
	}
	if w.status == 0 {
		w.status = wire.StatusOf(p)
	}
	return w
}

// refuse writes an error, and logs the details that the caller must not see.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	now := a.Now()
	out := render(p)
	out.ID = newUUID()
	out.Instance = a.resource(r) + "#" + out.ID
	out.OccurredAt = now.UTC().Format("2006-01-02T15:04:05.000Z")
	wire.SetHeaders(w, r, p, out.Status, now)
	if out.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="system"`)
	}
	body, err := json.Marshal(out)
	if err != nil { // only an attribute can fail to encode
		out.Attributes, out.Problems = nil, nil
		body, _ = json.Marshal(out)
	}
	wire.WriteBody(w, out.Status, mediaType, body)
	wire.LogFailure(a.Log, r, "customer sessions", p, slog.String("error_id", out.ID), slog.String("resource", a.resource(r)))
}

// resource returns the URI of the requested resource. It does not repeat an unknown path, which may contain the id of a
// session.
func (a *api) resource(r *http.Request) string {
	if slices.Contains(a.paths, r.URL.Path) {
		return r.URL.Path
	}
	return Prefix
}

// render returns the members of a problem that do not depend on the request. An internal error has a fixed detail.
func render(p *problem.Problem) apiProblem {
	w := nameOf(p)
	out := apiProblem{Type: typePage + w.name + typeVersion, Title: w.title, Status: w.status, Detail: p.Text()}
	if p.Kind == problem.Internal {
		out.Detail = p.Message
		return out
	}
	out.Attributes = attributes(p)
	var sentences []string
	for _, cause := range p.Causes {
		nested := render(cause)
		if len(cause.Path) > 0 && nested.Attributes["name"] == nil {
			nested.Attributes = map[string]any{"name": strings.Join(cause.Path, ".")}
		}
		sentences = append(sentences, nested.Detail)
		out.Problems = append(out.Problems, nested)
	}
	if len(sentences) > 0 && p.Detail == "" { // the violations are more specific than the general text
		out.Detail = strings.Join(sentences, " ")
	}
	return out
}

// attributes returns the attributes of the problem, with the three states of this document.
func attributes(p *problem.Problem) map[string]any {
	if len(p.Attributes) == 0 {
		return nil
	}
	out := make(map[string]any, len(p.Attributes))
	for name, v := range p.Attributes {
		if at, ok := v.(time.Time); ok {
			v = at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		out[name] = v
	}
	if p.Definition == problem.SessionTerminated || p.Definition == problem.SessionLifetimeExceeded {
		state := problem.StateProblem{Problem: p}
		if is := state.CurrentState(); is != "" {
			out["currentState"] = stateName(is)
		}
		if p.Definition == problem.SessionLifetimeExceeded {
			delete(out, "allowedStates") // the session is in one of them
		} else if allowed := state.AllowedStates(); allowed != nil {
			names := make([]string, 0, len(allowed))
			for _, s := range allowed {
				if w := stateName(s); !slices.Contains(names, w) {
					names = append(names, w)
				}
			}
			out["allowedStates"] = names
		}
	}
	return out
}

// stateName returns the name of a session's state in this document.
func stateName(state string) string {
	switch domain.SessionState(state) {
	case domain.SessionActive, domain.SessionPending:
		return "active"
	case domain.SessionAbandoned, domain.SessionExpired:
		return "expired"
	default:
		return "terminated"
	}
}

// newUUID returns a random UUID (RFC 9562, version 4), the correlation id of one problem.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
