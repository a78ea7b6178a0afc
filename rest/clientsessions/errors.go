package clientsessions

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// errorName is the name of an error in the contract.
type errorName struct {
	code   string
	status int
}

// byDefinition has the problems with their own name.
var byDefinition = map[*problem.Definition]errorName{
	problem.MalformedBody:         {"request_body_invalid", http.StatusBadRequest},
	problem.InvalidParameter:      {"malformed_request_parameters", http.StatusBadRequest},
	problem.InvalidParameterValue: {"form_param_value_invalid", http.StatusUnprocessableEntity},
	problem.SessionNotLive:        {"invalid_action_for_session", http.StatusBadRequest},
	problem.SignedOut:             {"signed_out", http.StatusUnauthorized},
	problem.NoSuchClient:          {"client_not_found", http.StatusBadRequest},
	problem.UnknownOrganization:   {"organization_not_found_or_unauthorized", http.StatusNotFound},
	problem.IdempotencyKeyReused:  {"idempotency_key_reused", http.StatusUnprocessableEntity},
	problem.MethodNotAllowed:      {"method_not_allowed", http.StatusMethodNotAllowed},
	problem.UnsupportedMediaType:  {"unsupported_content_type", http.StatusUnsupportedMediaType},
	problem.RequestBodyTooLarge:   {"request_body_too_large", http.StatusRequestEntityTooLarge},
}

// byKind has the names of all other problems.
var byKind = map[problem.Kind]string{
	problem.Invalid:         "bad_request",
	problem.Unauthenticated: "authentication_invalid",
	problem.Denied:          "authorization_invalid",
	problem.Missing:         "resource_not_found",
	problem.Conflict:        "bad_request",
	problem.Gone:            "bad_request",
	problem.Stale:           "bad_request",
	problem.Required:        "bad_request",
	problem.Unprocessable:   "form_param_value_invalid",
	problem.Limited:         "too_many_requests",
	problem.Unavailable:     "service_unavailable",
	problem.Internal:        "internal_clerk_error",
	problem.Protocol:        "bad_request",
}

// nameOf returns the name of a problem: its type, if that is a code of this contract.
func nameOf(p *problem.Problem) errorName {
	if w, ok := byDefinition[p.Definition]; ok {
		return w
	}
	w := errorName{byKind[p.Kind], wire.StatusOf(p)}
	if strings.Contains(p.Type, "_") {
		w.code = p.Type
	} else if w.code == "bad_request" {
		w.status = http.StatusBadRequest
	}
	return w
}

// errorResponse is the envelope of errors.
type errorResponse struct {
	Errors  []fault    `json:"errors"`
	Meta    *errorMeta `json:"meta,omitempty"`
	TraceID string     `json:"clerk_trace_id"`
}

// errorMeta has the client as it is, so that a page learns of a session that has ended elsewhere.
type errorMeta struct {
	Client *client `json:"client"`
}

type fault struct {
	Message     string            `json:"message"`
	LongMessage string            `json:"long_message"`
	Code        string            `json:"code"`
	Meta        map[string]string `json:"meta,omitempty"`
}

func faultOf(p *problem.Problem) fault {
	out := fault{Message: sentence(p.Title), LongMessage: p.Text(), Code: nameOf(p).code}
	meta := func(name, value string) {
		if out.Meta == nil {
			out.Meta = map[string]string{}
		}
		out.Meta[name] = value
	}
	if len(p.Path) > 0 && strings.HasPrefix(out.Code, "form_param_") {
		meta("param_name", p.Path[len(p.Path)-1])
	}
	if id, ok := p.Attributes["sessionId"].(string); ok {
		meta("session_id", id)
	}
	return out
}

// sentence returns a title in the capitalization of the contract: "JWT template not found".
func sentence(title string) string {
	words := strings.Fields(title)
	for i, word := range words {
		if i > 0 && word != strings.ToUpper(word) {
			words[i] = strings.ToLower(word)
		}
	}
	return strings.Join(words, " ")
}

// signedOut returns the error for a caller without a client or a live session.
func signedOut() *problem.Problem {
	return problem.New(problem.SignedOut).Because("You are signed out")
}

// refuse writes an error, and logs the details that the caller must not see. known is the client, if it is to be in the
// error. A browser's cookie that does not verify is removed, because a page cannot do that.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, who caller, p *problem.Problem, known *client) {
	body := errorResponse{TraceID: traceID(w.Header().Get("X-Request-Id"))}
	if known != nil {
		body.Meta = &errorMeta{known}
	}
	if len(who.cookies) > 0 && p.Definition == problem.ClientTokenInvalid {
		http.SetCookie(w, a.cookie("", -1))
	}
	for _, cause := range p.Causes {
		body.Errors = append(body.Errors, faultOf(cause))
	}
	if len(body.Errors) == 0 {
		body.Errors = append(body.Errors, faultOf(p))
	}
	status := nameOf(p).status
	wire.SetHeaders(w, r, p, status, a.Now())
	if status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	document, _ := json.Marshal(body) // strings and maps of strings always encode
	wire.WriteBody(w, status, "application/json", document)
	wire.LogFailure(a.Log, r, "client sessions", p, slog.String("trace_id", body.TraceID))
}

// traceID returns the id of the request in the log if it has the format of the contract, 32 hexadecimal digits,
// otherwise a hash of it.
func traceID(requestID string) string {
	const size = 16
	if raw, err := hex.DecodeString(requestID); err == nil && len(raw) == size {
		return strings.ToLower(requestID)
	}
	if requestID == "" {
		var raw [size]byte
		_, _ = rand.Read(raw[:])
		return hex.EncodeToString(raw[:])
	}
	sum := sha256.Sum256([]byte(requestID))
	return hex.EncodeToString(sum[:size])
}

// describe returns an error about a session in the form of the contract, with the action and the id.
func describe(err error, action, id string) error {
	p := problem.Of(err)
	if p == nil {
		return nil
	}
	switch p.Definition {
	case problem.NoSuchSession:
		return problem.New(p.Definition).Because("No session was found with id %s", cut(id))
	case problem.SessionNotLive:
		state, _ := p.Attributes["currentState"].(string)
		if state == "" {
			return problem.New(p.Definition).Because("Unable to %s session %s.", action, id).With("sessionId", id)
		}
		return problem.New(p.Definition).Because("Unable to %s session %s: it is %s.", action, id, state).With("sessionId", id)
	case problem.SignedOut:
		return signedOut()
	case problem.UnknownOrganization:
		return problem.New(p.Definition)
	}
	return err
}

// reference returns the id of the session in the path. It refuses a foreign handle, which is a secret of the login
// service, and any other text that cannot be an id, without a lookup.
func reference(c *call) (string, error) {
	id := c.PathValue("session_id")
	if !strings.HasPrefix(id, "sess_") || len(id) > maxID {
		return "", describe(problem.New(problem.NoSuchSession), "", id)
	}
	return id, nil
}

// maxID is the length of the longest id, in bytes (domain.SessionInput).
const maxID = 128
