package identity

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/hal"
)

// The profiles of errors of this dialect. Its document keeps nested errors in _embedded.errors, and the statuses are
// those of the conventions (docs/dialects/identity.md).
const (
	errorResponseProfile = "https://api.apiture.com/schemas/common/errorResponse/v1.0.0/profile.json"
	errorProfile         = "https://api.apiture.com/schemas/common/error/v1.0.0/profile.json"
)

// refuse writes a refusal, and tells the log what the caller must not see.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	header := w.Header()
	for _, name := range []string{"ETag", "Location", "Vary"} { // of an answer that could not be written
		header.Del(name)
	}
	header.Set("Cache-Control", notStored)
	shown := shown(p)
	hal.WriteError(w, r, shown, hal.ErrorOptions{
		Profile: errorResponseProfile, ErrorProfile: errorProfile, Embedded: true, Pages: a.ErrorPages, Now: a.Now,
	})
	switch {
	case r.Context().Err() != nil: // the caller has gone, and that is what went wrong
	case p.Kind == problem.Internal:
		a.log(r, slog.LevelError, shown.ID, p)
	case p.Kind == problem.Unavailable:
		a.log(r, slog.LevelWarn, shown.ID, p)
	}
}

func (a *api) log(r *http.Request, level slog.Level, id string, p *problem.Problem) {
	a.Log.LogAttrs(r.Context(), level, "identity: a request failed", slog.String("error_id", id),
		slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.String("error", p.Error()))
}

// shown is the problem as this dialect tells it: a violation names its member in the attribute name. It is a copy,
// because a problem may be a value that several requests share.
func shown(p *problem.Problem) *problem.Problem {
	out := *p
	out.ID = ""
	out.Causes = nil
	for _, cause := range p.Causes {
		nested := *shown(cause)
		if len(cause.Path) > 0 && cause.Attributes["name"] == nil {
			nested.Attributes = map[string]any{"name": strings.Join(cause.Path, ".")}
			for name, value := range cause.Attributes {
				nested.Attributes[name] = value
			}
		}
		out.Causes = append(out.Causes, &nested)
	}
	return &out
}
