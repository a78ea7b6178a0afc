package graph

import (
	"bytes"
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Lean is the schema with an Exec that does what the generated one does, without what that makes anew for each
// request and nothing of ours asks for: a map of all input types. What it does not know it leaves to the generated one.
// It is also where an executor of our own can stand one day, with the generated one beside it.
func Lean(schema graphql.ExecutableSchema) graphql.ExecutableSchema {
	generated, ok := schema.(*executableSchema)
	if !ok {
		return schema
	}
	return lean{generated}
}

type lean struct{ *executableSchema }

// replySize is room for a small answer.
const replySize = 1 << 10

// Exec runs a query or a mutation.
func (l lean) Exec(ctx context.Context) graphql.ResponseHandler {
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
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		var reply bytes.Buffer
		reply.Grow(replySize)
		run(ctx, op.Operation.SelectionSet).MarshalGQL(&reply)
		return &graphql.Response{Data: reply.Bytes()}
	}
}
