// Package resolvers serves GraphQL: each field of the schema that is not a plain member of a record is one call of the
// rules, and handler.go is the HTTP handler with its limits.
//
// It knows the schema, the rules and GraphQL over HTTP. It must not know tables or tokens: the caller is in the
// context, and the rules decide what is permitted. A condition about a subject does not belong here.
package resolvers

import (
	"context"
	"reflect"
	"strings"
	"unicode"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

//go:generate go run ../graph/gen

// resolver is the root of the generated resolver types.
type resolver struct {
	Service *domain.Service
	version domain.Version
}

// optional returns nil for the empty string.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ifVisible hides a member from a caller who may not see it.
func ifVisible(text *string, visible bool) *string {
	if !visible {
		return nil
	}
	return text
}

// pointers converts a list to the type that the generated code requires.
func pointers[T any](list []T, err error) ([]*T, error) {
	out := make([]*T, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out, err
}

// enumValue converts a word of the rules to an enumeration value of the schema: authorizedSigner is AUTHORIZED_SIGNER.
func enumValue(name string) string {
	var out strings.Builder
	for _, c := range name {
		if unicode.IsUpper(c) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToUpper(c))
	}
	return out.String()
}

// enumValues is enumValue for a list; nil remains nil.
func enumValues(names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, 0, len(names))
	for _, w := range names {
		out = append(out, enumValue(w))
	}
	return out
}

// roles converts words of a state machine to roles.
func roles(names []string) []domain.Role {
	out := make([]domain.Role, 0, len(names))
	for _, w := range names {
		out = append(out, domain.Role(w))
	}
	return out
}

// life returns the state machine of a kind as plain text. Every kind of the schema has one.
func life(m lifecycle.Map, ok bool) (*lifecycle.Map, error) {
	if !ok {
		return nil, problem.New(problem.InternalError).Because("The kind has no state machine.")
	}
	return &m, nil
}

// nilIfMissing returns nil for a record that does not exist or is not visible to the caller.
func nilIfMissing[T any](v T, err error) (T, error) {
	if err != nil && problem.Of(err).Kind == problem.Missing {
		var none T
		return none, nil
	}
	return v, err
}

// nodes returns records by id. A record that the caller may not request is null, with an error at its position.
func (r *resolver) nodes(ctx context.Context, ids []string) ([]domain.Node, error) {
	if len(ids) > listing.MaxLiterals {
		return nil, problem.New(problem.InvalidInput).Because("At most %d ids may be requested at once.", listing.MaxLiterals)
	}
	nodes, errs := r.Service.Nodes(ctx, ids)
	for i, err := range errs {
		if err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
		}
	}
	registerGroup(ctx, nodes)
	return nodes, nil
}

// paging collects the arguments of a connection. Entries are counted only if the caller selects totalCount, and whether
// there are entries beyond a cursor is looked up only if it selects that.
func paging(ctx context.Context, first *int, after *string, last *int, before *string) domain.Paging {
	p := domain.Paging{First: first, Last: last}
	if after != nil {
		p.After = *after
	}
	if before != nil {
		p.Before = *before
	}
	p.NoEnds = true
	connection := graphql.GetFieldContext(ctx).Field.Definition.Type.Name()
	for _, f := range graphql.CollectFieldsCtx(ctx, []string{connection}) {
		switch f.Name {
		case "totalCount":
			p.WithCount = true
		case "pageInfo":
			for _, end := range graphql.CollectFields(graphql.GetOperationContext(ctx), f.Selections, []string{"PageInfo"}) {
				selected := end.Name == "hasPreviousPage" && p.After != "" || end.Name == "hasNextPage" && p.Before != ""
				p.NoEnds = p.NoEnds && !selected
			}
		}
	}
	return p
}

// pageInfo describes the position of a page.
func pageInfo[R any](page listing.Page[R]) *graph.PageInfo {
	out := &graph.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrevious}
	if n := len(page.Cursors); n > 0 {
		out.StartCursor, out.EndCursor = &page.Cursors[0], &page.Cursors[n-1]
	}
	return out
}

func eventConnection(page listing.Page[domain.LifecycleEvent], err error) (*graph.LifecycleEventConnection, error) {
	if err != nil {
		return nil, err
	}
	edges := make([]graph.LifecycleEventEdge, len(page.Items))
	out := &graph.LifecycleEventConnection{
		Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count,
		Edges: make([]*graph.LifecycleEventEdge, len(page.Items)),
	}
	for i, e := range page.Items {
		edges[i] = graph.LifecycleEventEdge{Node: e, Cursor: page.Cursors[i]}
		out.Edges[i] = &edges[i]
	}
	return out, nil
}

// withIdempotencyKey sets the idempotency key of an input without one from the header, if the document has one root
// field. Several headers are joined by a line break, which a key must not contain, so that the rules refuse them.
func withIdempotencyKey[In any](ctx context.Context, in In) In {
	op := graphql.GetOperationContext(ctx)
	header := op.Headers.Values("Idempotency-Key")
	if len(header) == 0 || len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{rootOf(op)})) != 1 {
		return in
	}
	member := reflect.ValueOf(&in).Elem().FieldByName("IdempotencyKey")
	if member.IsNil() {
		key := strings.Join(header, "\n")
		member.Set(reflect.ValueOf(&key))
	}
	return in
}

func rootOf(op *graphql.OperationContext) string {
	if op.Operation.Operation == ast.Mutation {
		return "Mutation"
	}
	return "Query"
}
