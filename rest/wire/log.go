package wire

import (
	"log/slog"
	"net/http"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// LogFailure logs an internal error or an outage, with the details that the response omits. It does not log errors of
// the caller, nor failures after the client has disconnected, which are caused by the disconnect. The attributes
// contain the id of the response.
func LogFailure(log *slog.Logger, r *http.Request, api string, p *problem.Problem, attributes ...slog.Attr) {
	level := slog.LevelError
	switch {
	case r.Context().Err() != nil:
		return
	case p.Kind == problem.Unavailable:
		level = slog.LevelWarn
	case p.Kind != problem.Internal:
		return
	}
	attributes = append([]slog.Attr{slog.String("api", api)}, attributes...)
	attributes = append(attributes, slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.String("error", p.Error()))
	log.LogAttrs(r.Context(), level, "a REST request failed", attributes...)
}
