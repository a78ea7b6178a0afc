package usersessions

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

const mediaType = "application/json"

// apiError is the schema "error".
type apiError struct {
	Timestamp string `json:"timestamp"`
	Status    int    `json:"status"`
	Error     string `json:"error"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Path      string `json:"path"`
}

// errorName is the name of an error in the document.
type errorName struct {
	code string
	// status is the documented status if it differs from wire.StatusOf; otherwise 0.
	status int
}

// byDefinition is the document's catalogue of errors.
var byDefinition = map[*problem.Definition]errorName{
	problem.MissingClientID:      {"MISSING_CLIENT_ID", 0},
	problem.MissingChallenge:     {"MISSING_CHALLENGE", 0},
	problem.MissingSignature:     {"MISSING_SIGNATURE", 0},
	problem.MissingPIN:           {"MISSING_PIN", 0},
	problem.MissingPassword:      {"MISSING_PASSWORD", 0},
	problem.InvalidToken:         {"INVALID_TOKEN", 0},
	problem.InvalidCode:          {"INVALID_CODE", 0},
	problem.ClientMismatch:       {"CLIENT_MISMATCH", 0},
	problem.UsernameMismatch:     {"USERNAME_MISMATCH", 0},
	problem.InvalidChallenge:     {"INVALID_CHALLENGE", http.StatusForbidden},
	problem.InvalidSignature:     {"INVALID_SIGNATURE", http.StatusForbidden},
	problem.InvalidPIN:           {"INVALID_PIN", http.StatusForbidden},
	problem.InvalidPassword:      {"INVALID_PASSWORD", http.StatusForbidden},
	problem.DeviceNotFound:       {"DEVICE_NOT_FOUND", 0},
	problem.RequestNotFound:      {"REQUEST_NOT_FOUND", 0},
	problem.MethodNotAllowed:     {"METHOD_NOT_ALLOWED", 0},
	problem.UnsupportedMediaType: {"UNSUPPORTED_MEDIA_TYPE", 0},
	problem.AlreadyVerified:      {"ALREADY_VERIFIED", 0},
	problem.AlreadyDecided:       {"ALREADY_DECIDED", 0},
	problem.AmbiguousRequest:     {"AMBIGUOUS_REQUEST", 0},
	problem.TokenExpired:         {"TOKEN_EXPIRED", 0},
	problem.CodeExpired:          {"CODE_EXPIRED", 0},
	problem.RequestExpired:       {"REQUEST_EXPIRED", 0},
	problem.IdempotencyKeyReused: {"IDEMPOTENCY_KEY_REUSED", 0},
}

// nameOf returns the name of a problem: its own or that of its kind.
func nameOf(p *problem.Problem) errorName {
	if w, ok := byDefinition[p.Definition]; ok {
		return w
	}
	switch p.Kind {
	case problem.Unauthenticated:
		return errorName{"UNAUTHORIZED", 0}
	case problem.Denied:
		return errorName{"INSUFFICIENT_SCOPE", 0}
	case problem.Missing:
		return errorName{"NOT_FOUND", 0}
	case problem.Limited:
		return errorName{"TOO_MANY_ATTEMPTS", 0}
	case problem.Unavailable:
		return errorName{"SERVICE_UNAVAILABLE", 0}
	case problem.Internal:
		return errorName{"INTERNAL_ERROR", 0}
	case problem.Invalid, problem.Required, problem.Protocol, problem.Conflict, problem.Gone, problem.Stale, problem.Unprocessable:
	}
	return errorName{"INVALID_REQUEST", http.StatusBadRequest}
}

// refuse writes an error, and logs the details that the caller must not see.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	value := nameOf(p)
	status := value.status
	if status == 0 {
		status = wire.StatusOf(p)
	}
	wire.SetHeaders(w, r, p, status, a.Now())
	if value.code == "INSUFFICIENT_SCOPE" {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="signup"`)
	}
	message := p.Text()
	if len(p.Causes) > 0 {
		texts := make([]string, len(p.Causes))
		for i, cause := range p.Causes {
			texts[i] = cause.Text()
		}
		message = strings.Join(texts, " ")
	}
	body, _ := json.Marshal(apiError{ // strings and a number always encode
		Timestamp: a.Now().UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z"), Status: status,
		Error: http.StatusText(status), Code: value.code, Message: message, Path: r.URL.Path,
	})
	wire.WriteBody(w, status, mediaType, body)
	wire.LogFailure(a.Log, r, "user sessions", p)
}
