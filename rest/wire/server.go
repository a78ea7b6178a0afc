package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Operation is one row of a dialect's table of operations.
type Operation struct {
	// ID is the operationId in the dialect's document.
	ID string
	// Method and Path route requests to the operation. Path is below the prefix, as for Router.Handle.
	Method, Path string
	// Requires is the operation of the rules that the caller needs permission for; empty if it needs none.
	Requires string
	// Produces are the media types of the response, compared with the header Accept; nil accepts all.
	Produces []string
	// Handle reads the request, calls the rules and returns the response. It writes nothing.
	Handle func(r *http.Request) (Reply, error)
}

// Reply is a response before it is written.
type Reply struct {
	Status int
	// Body is encoded as JSON and sent with the media type of the server; nil for no body.
	Body any
	// Document is a body in JSON, sent as application/json.
	Document []byte
	// ETag and Location are headers; empty for none.
	ETag, Location string
	// Private allows the client to keep the response and to revalidate it with its ETag. Otherwise it must not be
	// stored.
	Private bool
	// Replayed is true if an earlier call with the same Idempotency-Key had this outcome. It is sent with an error too.
	Replayed bool
}

// Server serves the operations of one dialect: it routes, checks the caller and the header Accept, and is the only
// writer of successful responses. The dialect writes errors.
type Server struct {
	// Prefix begins with a slash and does not end with one.
	Prefix string
	// MediaType is the media type of encoded bodies.
	MediaType string
	// Operations are served below the prefix.
	Operations []Operation
	// Admit checks each request before it is routed; nil admits all.
	Admit func(context.Context) error
	// Permit checks that the caller may call an operation of the rules.
	Permit func(ctx context.Context, operation string) error
	// Refuse writes an error.
	Refuse func(http.ResponseWriter, *http.Request, *problem.Problem)
}

// Handler returns the handler of all paths below the prefix.
func (s *Server) Handler() http.Handler {
	router := NewRouter(s.Prefix, s.Refuse)
	for _, op := range s.Operations {
		router.HandleFunc(op.Method, op.Path, func(w http.ResponseWriter, r *http.Request) { s.serve(op, w, r) })
	}
	if s.Admit == nil {
		return router
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Admit(r.Context()); err != nil {
			s.Refuse(w, r, problem.Of(err))
			return
		}
		router.ServeHTTP(w, r)
	})
}

func (s *Server) serve(op Operation, w http.ResponseWriter, r *http.Request) {
	reply, err := s.reply(op, r)
	header := w.Header()
	if reply.Replayed {
		header.Set("Idempotent-Replayed", "true")
	}
	notModified := err == nil && reply.Private && NotModified(r, reply.ETag)
	body, media := reply.Document, "application/json"
	if err == nil && !notModified && reply.Body != nil {
		media = s.MediaType
		body, err = Encode(reply.Body)
	}
	if err != nil {
		s.Refuse(w, r, problem.Of(err))
		return
	}
	if reply.ETag != "" {
		header.Set("ETag", reply.ETag)
	}
	if reply.Location != "" {
		header.Set("Location", reply.Location)
	}
	if reply.Private {
		header.Set("Cache-Control", "private, no-cache")
		header.Set("Vary", "Authorization")
		if notModified {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	} else {
		header.Set("Cache-Control", "no-store") // responses contain personal data
	}
	if body != nil {
		header.Set("Content-Type", media)
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(body) // an error means that the client has disconnected
}

func (s *Server) reply(op Operation, r *http.Request) (Reply, error) {
	if op.Requires != "" {
		if err := s.Permit(r.Context(), op.Requires); err != nil {
			return Reply{}, err
		}
	}
	if op.Produces != nil {
		if err := Accept(r, op.Produces...); err != nil {
			return Reply{}, err
		}
	}
	return op.Handle(r)
}

// WriteBody writes a response that must not be stored.
func WriteBody(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client has disconnected
}

// Encode is json.Marshal without the escapes for HTML, which would make links unreadable.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
