package graph

import (
	"bytes"
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Lean wraps the generated schema with an executor that writes plain values itself. The generated code executes the
// document and calls the resolvers, but a value whose selection needs no resolver, such as a page of records with their
// members, is written at once (plan_fields.go), without a goroutine for each entry and a context for each field. Lean
// also omits a map of all input types that the generated code builds for each request and that is never used here.
func Lean(schema graphql.ExecutableSchema) graphql.ExecutableSchema {
	generated, ok := schema.(*executableSchema)
	if !ok {
		return schema
	}
	return &lean{executableSchema: generated, documents: newDocuments()}
}

type lean struct {
	*executableSchema
	documents *documents
}

// Exec executes a query or a mutation.
func (l *lean) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if strings.Contains(op.RawQuery, "@defer") { // possibly inside a string, which only costs time
		return l.executableSchema.Exec(ctx)
	}
	ec := newExecutionContext(op, l.executableSchema, nil)
	run := ec._Query
	switch op.Operation.Operation {
	case ast.Query:
	case ast.Mutation:
		run = ec._Mutation
	default:
		return l.executableSchema.Exec(ctx)
	}
	var observed observer
	if newObserver != nil {
		observed = newObserver()
	}
	d := l.documents.of(l.Schema(), op.Doc)
	op.ResolverMiddleware = d.fieldMiddleware(op.ResolverMiddleware, observed)
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		size := int(d.size.Load())
		reply := bytes.NewBuffer(make([]byte, 0, size+size/8+64)) // the size of the previous response, and room for what the handler appends
		run(ctx, op.Operation.SelectionSet).MarshalGQL(reply)
		d.size.Store(int64(reply.Len()))
		if observed != nil {
			observed.compare(reply.Bytes())
		}
		return &graphql.Response{Data: reply.Bytes()}
	}
}
