package graph

import (
	"bytes"
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Lean is the schema with an Exec of our own. The generated code goes through a document and calls the resolvers, as
// ever; but a value of which nothing is asked that a resolver would have to find, such as a page of records with their
// members, is written at once (plan.go), without a goroutine for each entry and a context for each field. What the
// generated code makes anew for each request and nothing of ours asks for, a map of all input types, is left out.
func Lean(schema graphql.ExecutableSchema) graphql.ExecutableSchema {
	generated, ok := schema.(*executableSchema)
	if !ok {
		return schema
	}
	return &lean{executableSchema: generated}
}

type lean struct {
	*executableSchema
	documents documents
}

// Exec runs a query or a mutation.
func (l *lean) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if strings.Contains(op.RawQuery, "@defer") { // perhaps as a word of a text, which costs nothing but time
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
	if watch != nil {
		observed = watch()
	}
	d := l.documents.of(l.Schema(), op.Doc)
	op.ResolverMiddleware = d.around(op.ResolverMiddleware, observed)
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		size := int(d.size.Load())
		reply := bytes.NewBuffer(make([]byte, 0, size+size/8+64)) // as long as the one before, and what the door adds
		run(ctx, op.Operation.SelectionSet).MarshalGQL(reply)
		d.size.Store(int64(reply.Len()))
		if observed != nil {
			observed.compare(reply.Bytes())
		}
		return &graphql.Response{Data: reply.Bytes()}
	}
}
