package resolvers

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain/recent"
)

// weights caches the complexity of operations that no variable changes.
type weights struct {
	cache recent.Cache[operationKey, int]
}

func newWeights() *weights {
	return &weights{recent.Cache[operationKey, int]{Size: parsedDocuments / 2}}
}

// operationKey identifies an operation of a document.
type operationKey struct{ document, operation string }

// of returns the complexity of an operation. The costs of fields depend on page sizes and list lengths, so the
// complexity is constant unless a variable is a number or a list.
func (w *weights) of(ctx context.Context, schema graphql.ExecutableSchema, op *graphql.OperationContext) int {
	if slices.ContainsFunc(op.Operation.VariableDefinitions, func(v *ast.VariableDefinition) bool {
		return v.Type.Elem != nil || v.Type.NamedType == "Int" || v.Type.NamedType == "Float"
	}) {
		return complexity.Calculate(ctx, schema, op.Operation, op.Variables)
	}
	key := operationKey{op.RawQuery, op.OperationName}
	n, ok := w.cache.Get(key)
	if !ok {
		n = complexity.Calculate(ctx, schema, op.Operation, op.Variables)
		w.cache.Add(key, n)
	}
	return n
}
