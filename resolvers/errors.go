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

// The codes of top-level errors: all that there are (GraphQL contract, rules).
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeForbidden       = "FORBIDDEN"
	codeBadDocument     = "BAD_DOCUMENT"
	codeTooComplex      = "TOO_COMPLEX"
	codeRateLimited     = "RATE_LIMITED"
	codeUnavailable     = "UNAVAILABLE"
	codeInternal        = "INTERNAL"
)

// problemsOf parts what the rules answered: problems for the payload, or an error for the top level, which is for
// who may not ask at all and for what is wrong with the server itself.
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

// shapeOf gives the problem of an action; nil where it is allowed. That the caller may not ask is no error here.
func shapeOf(p *problem.Problem) (problem.Shape, error) {
	switch {
	case p == nil:
		return nil, nil
	case topLevel(p) && p.Kind != problem.Denied:
		return nil, p
	}
	return p.Shape(), nil
}

// besides gives the record that stands beside problems: only where the caller was let near it. Who hears that there
// is no such record, or that the input is malformed, is shown none.
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

// refusal is an error of the door itself.
func refusal(code, text string) *gqlerror.Error {
	return &gqlerror.Error{Message: text, Extensions: map[string]any{"code": code}}
}

// panicked is a panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func caught(_ context.Context, value any) error {
	return &panicError{value: value, stack: debug.Stack()}
}

// present makes of any error what a caller may read. What is neither a refusal nor about the document is an
// incident: the caller hears its id, the log everything.
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
	default: // a malformed argument of a query: problems of mutations are in their payloads
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

// presentDocument words what is wrong with a document or its variables. Texts of the libraries are used only where
// they repeat no value of the caller and no name of a Go type.
func (h *handler) presentDocument(ctx context.Context, out, original *gqlerror.Error) {
	code, _ := original.Extensions["code"].(string)
	out.Extensions = map[string]any{"code": codeBadDocument}
	switch {
	case code != errcode.ParseFailed && code != errcode.ValidationFailed:
		out.Message, out.Extensions = original.Message, original.Extensions // our own
	case strings.HasPrefix(original.Message, "exceeded token limit"):
		out.Message, out.Extensions = "The document is too long.", map[string]any{"code": codeTooComplex}
	case code == errcode.ParseFailed:
		out.Message = "The document cannot be read."
	case len(original.Path) > 1 && original.Path[0] == ast.PathName("variable"):
		out.Path = nil
		out.Message = h.variableMessage(ctx, original)
	case original.Rule == "ValuesOfCorrectType" && !strings.HasPrefix(original.Message, `Field "`):
		// What begins so names a member that is missing or unknown; the others repeat the value.
		out.Message = "A value is not of the type that is asked for."
	case original.Rule == "":
		out.Message = "The document has no operation, or none of the name."
	default:
		out.Message = original.Message
		if !h.showsSchema(ctx) {
			out.Message, _, _ = strings.Cut(out.Message, " Did you mean")
		}
		out.Message = shorten(out.Message)
	}
}

// variableMessage says what is wrong with a variable. A member that is none is named only to who may know the members:
// with a bracket in the wrong place it could be a value.
func (h *handler) variableMessage(ctx context.Context, original *gqlerror.Error) string {
	path, ending := original.Path[1:], " is not valid."
	switch original.Message {
	case "must be defined":
		ending = " is missing."
	case "cannot be null":
		ending = " must not be null."
	case "unknown field":
		ending = " is not known."
		if !h.showsSchema(ctx) {
			path, ending = path[:len(path)-1], " has a member that is not known."
		}
	}
	return "The variable $" + dottedPath(path) + ending
}

// maxMessage bounds what is repeated of a document.
const maxMessage = 300

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxMessage {
		return text
	}
	return string([]rune(text)[:maxMessage]) + "…"
}

// argumentsFailed reports whether the field's arguments could not be read: then it has none.
func hasInvalidArguments(ctx context.Context) bool {
	f := graphql.GetFieldContext(ctx)
	return f != nil && f.Field.Field != nil && len(f.Field.Arguments) > 0 && f.Args == nil
}

// dotted writes a path with dots.
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
