package resolvers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The codes of top-level errors (GraphQL contract, rules).
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeForbidden       = "FORBIDDEN"
	codeBadDocument     = "BAD_DOCUMENT"
	codeTooComplex      = "TOO_COMPLEX"
	codeRateLimited     = "RATE_LIMITED"
	codeUnavailable     = "UNAVAILABLE"
	codeInternal        = "INTERNAL"
)

// problemsOf splits the error of a rule into problems for the payload and a top-level error, which reports missing
// permissions and internal errors.
func problemsOf(err error) ([]problem.Shape, error) {
	if err == nil {
		return []problem.Shape{}, nil
	}
	p := problem.Of(err)
	if topLevel(p) {
		return nil, err
	}
	problems := []*problem.Problem{p}
	if len(p.Causes) > 0 {
		problems = p.Causes
	}
	out := make([]problem.Shape, 0, len(problems))
	for _, each := range problems {
		out = append(out, each.Shape())
	}
	return out, nil
}

func topLevel(p *problem.Problem) bool {
	switch p.Kind {
	case problem.Unauthenticated, problem.Denied, problem.Internal, problem.Protocol:
		return true
	case problem.Unavailable:
		return p.Definition == problem.ServiceUnavailable
	default:
		return false
	}
}

// shapeOf returns the problem of an action, or nil if it is allowed. A missing permission is not an error here.
func shapeOf(p *problem.Problem) (problem.Shape, error) {
	switch {
	case p == nil:
		return nil, nil
	case topLevel(p) && p.Kind != problem.Denied:
		return nil, p
	}
	return p.Shape(), nil
}

// recordBeside returns the record next to problems only if the caller has access to it: not if there is no such record
// or the input is malformed.
func recordBeside[R any](problems []problem.Shape, record *R) *R {
	for _, p := range problems {
		switch p.(type) {
		case problem.StateProblem, problem.StaleVersionProblem, problem.LimitProblem:
		default:
			return nil
		}
	}
	return record
}

// refusal returns an error of the handler itself.
func refusal(code, text string) *gqlerror.Error {
	return &gqlerror.Error{Message: text, Extensions: map[string]any{"code": code}}
}

// panicError is a recovered panic for the log.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func caught(_ context.Context, value any) error {
	return &panicError{value: value, stack: debug.Stack()}
}

// present converts any error to one that the caller may see. An error that is neither a refusal nor about the document
// is an incident: the response contains its id, and the log everything else.
func (h *handler) present(ctx context.Context, err error) *gqlerror.Error {
	var gqlErr *gqlerror.Error
	if !errors.As(err, &gqlErr) {
		gqlErr = gqlerror.WrapPath(graphql.GetPath(ctx), err)
	}
	var p *problem.Problem
	out := &gqlerror.Error{Path: gqlErr.Path, Locations: gqlErr.Locations}
	switch {
	case errors.As(err, &p):
		h.presentProblem(ctx, out, p, err)
	case gqlErr.Err == nil:
		h.presentDocument(ctx, out, gqlErr)
		code, _ := out.Extensions["code"].(string)
		problem.NoteCode(ctx, code)
	case hasInvalidArguments(ctx):
		out.Message = "The argument " + dottedPath(gqlErr.Path) + " is not valid."
		out.Extensions = map[string]any{"code": codeBadDocument}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		out.Message, out.Extensions = problem.ServiceUnavailable.Message, map[string]any{"code": codeUnavailable}
	default:
		h.incident(ctx, out, err)
	}
	return out
}

func (h *handler) presentProblem(ctx context.Context, out *gqlerror.Error, p *problem.Problem, err error) {
	code := codeBadDocument
	switch p.Kind {
	case problem.Internal:
		h.incident(ctx, out, err)
		return
	case problem.Unavailable:
		code = codeUnavailable
		h.log.WarnContext(ctx, "a GraphQL field is unavailable", "path", out.Path.String(), "error", err)
	case problem.Unauthenticated:
		code = codeUnauthenticated
	case problem.Denied:
		code = codeForbidden
	case problem.Limited:
		code = codeRateLimited
	default: // a malformed argument of a query; the problems of mutations are in their payloads
	}
	_ = problem.Note(ctx, p)
	out.Message, out.Extensions = p.Text(), map[string]any{"code": code}
	if !p.AvailableAt.IsZero() {
		out.Extensions["availableAt"] = p.AvailableAt.UTC().Format(time.RFC3339)
	}
}

func (h *handler) incident(ctx context.Context, out *gqlerror.Error, err error) {
	id := domain.NewID("inc", h.now())
	attrs := []slog.Attr{slog.String("incident", id), slog.String("path", out.Path.String()), slog.Any("error", err)}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	h.log.LogAttrs(ctx, slog.LevelError, "a GraphQL request failed", attrs...)
	out.Message = problem.InternalError.Message
	out.Extensions = map[string]any{"code": codeInternal, "incident": id}
}

// presentDocument sets the text of an error in a document or its variables. The texts of the libraries are used only if
// they contain neither a value of the caller nor the name of a Go type.
func (h *handler) presentDocument(ctx context.Context, out, original *gqlerror.Error) {
	code, _ := original.Extensions["code"].(string)
	out.Extensions = map[string]any{"code": codeBadDocument}
	switch {
	case code != errcode.ParseFailed && code != errcode.ValidationFailed:
		out.Message, out.Extensions = original.Message, original.Extensions // an error of this package
	case strings.HasPrefix(original.Message, "exceeded token limit"):
		out.Message, out.Extensions = "The document is too long.", map[string]any{"code": codeTooComplex}
	case code == errcode.ParseFailed:
		out.Message = "The document cannot be parsed."
	case len(original.Path) > 1 && original.Path[0] == ast.PathName("variable"):
		out.Path = nil
		out.Message = h.variableMessage(ctx, original)
	case original.Rule == "ValuesOfCorrectType" && !strings.HasPrefix(original.Message, `Field "`):
		// Messages with this prefix name a missing or unknown member; the others contain the value.
		out.Message = "A value does not have the required type."
	case original.Rule == "":
		out.Message = "The document does not contain the operation."
	default:
		out.Message = original.Message
		if !h.showsSchema(ctx) {
			out.Message, _, _ = strings.Cut(out.Message, " Did you mean")
		}
		out.Message = shorten(out.Message)
	}
}

// variableMessage describes an invalid variable. It names an unknown member only to callers that may see the schema:
// with a misplaced bracket the name could be a value.
func (h *handler) variableMessage(ctx context.Context, original *gqlerror.Error) string {
	path, ending := original.Path[1:], " is not valid."
	switch original.Message {
	case "must be defined":
		ending = " is missing."
	case "cannot be null":
		ending = " must not be null."
	case "unknown field":
		ending = " is unknown."
		if !h.showsSchema(ctx) {
			path, ending = path[:len(path)-1], " has an unknown member."
		}
	}
	return "The variable $" + dottedPath(path) + ending
}

// maxMessage is the maximum number of bytes of a document that an error repeats.
const maxMessage = 300

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxMessage {
		return text
	}
	return string([]rune(text)[:maxMessage]) + "…"
}

// hasInvalidArguments reports whether the arguments of the field could not be decoded.
func hasInvalidArguments(ctx context.Context) bool {
	f := graphql.GetFieldContext(ctx)
	return f != nil && f.Field.Field != nil && len(f.Field.Arguments) > 0 && f.Args == nil
}

// dottedPath returns a path with dots.
func dottedPath(path ast.Path) string {
	parts := make([]string, 0, len(path))
	for _, p := range path {
		switch p := p.(type) {
		case ast.PathName:
			parts = append(parts, string(p))
		case ast.PathIndex:
			parts = append(parts, strconv.Itoa(int(p)))
		}
	}
	return shorten(strings.Join(parts, "."))
}
