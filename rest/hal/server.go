package hal

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Reading configures how bodies are read.
var Reading = wire.Reading{MediaTypes: MediaTypes}

// Server serves one HAL dialect. It requires an API key of every request, serves getApi and getApiDoc, and writes and
// logs errors; the dialect provides its operations, representations and error profiles.
type Server struct {
	// API names the dialect in the log.
	API string
	// Prefix begins with a slash and does not end with one.
	Prefix string
	// Root is the response of getApi.
	Root Root
	// Document is the OpenAPI document, the response of getApiDoc.
	Document []byte
	// Operations are all other operations. They produce MediaTypes.
	Operations []wire.Operation
	// Caller returns the API key of the caller; without one, the reason if credentials were refused.
	Caller func(context.Context) (apiKey string, refused *problem.Problem)
	// Permit checks that the caller may call an operation of the rules.
	Permit func(ctx context.Context, operation string) error
	// Errors configure how errors are written.
	Errors ErrorOptions
	// Log gets a line for each error, with its _id; nil means slog.Default().
	Log *slog.Logger
}

// Handler returns the handler of all paths below the prefix.
func (s Server) Handler() http.Handler {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	operations := []wire.Operation{
		{ID: "getApi", Method: http.MethodGet, Path: "/", Produces: MediaTypes, Handle: func(*http.Request) (wire.Reply, error) {
			return wire.Reply{Status: http.StatusOK, Body: s.Root}, nil
		}},
		{
			ID:       "getApiDoc",
			Method:   http.MethodGet,
			Path:     "/apiDoc",
			Produces: []string{"application/json"},
			Handle: func(*http.Request) (wire.Reply, error) {
				return wire.Reply{Status: http.StatusOK, Document: s.Document}, nil
			},
		},
	}
	for _, op := range s.Operations {
		op.Produces = MediaTypes
		operations = append(operations, op)
	}
	server := wire.Server{
		Prefix: s.Prefix, MediaType: MediaType, Operations: operations, Admit: s.admit, Permit: s.Permit, Refuse: s.refuse,
	}
	return server.Handler()
}

// admit refuses a request without a known API key.
func (s *Server) admit(ctx context.Context) error {
	key, refused := s.Caller(ctx)
	switch {
	case key != "":
		return nil
	case refused != nil && refused.Definition == problem.ServiceUnavailable:
		return refused // the key could not be looked up
	}
	return problem.New(problem.InvalidAPIKey)
}

// refuse writes an error and logs it under its _id.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	w.Header().Set("Cache-Control", "no-store")
	id := slog.String("error_id", WriteError(w, r, p, s.Errors))
	wire.LogFailure(s.Log, r, s.API, p, id)
	if p.Kind != problem.Internal && p.Kind != problem.Unavailable && r.Context().Err() == nil {
		// The detail may repeat input, so it is not logged.
		s.Log.LogAttrs(r.Context(), slog.LevelInfo, "a REST request was refused", slog.String("api", s.API), id, slog.String("type", p.Type))
	}
}
