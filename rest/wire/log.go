package wire

import (
	"log/slog"
	"net/http"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// LogFailure logs a problem that is not the caller's: an internal error or an outage, with the details that the
// response leaves out. It does not log others, nor what fails after the client has disconnected, which is the reason
// then. The attributes hold the id that the response has.
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
