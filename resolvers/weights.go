package resolvers

import (
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// weights caches the complexity of operations that no variable changes. It keeps two generations: when the young one is
// full, the old one is dropped and the young one becomes the old one.
type weights struct {
	mu         sync.Mutex
	young, old map[operationKey]int
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
	w.mu.Lock()
	n, ok := w.young[key]
	if !ok {
		n, ok = w.old[key]
	}
	w.mu.Unlock()
	if ok {
		return n
	}
	n = complexity.Calculate(ctx, schema, op.Operation, op.Variables)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.young == nil || len(w.young) >= parsedDocuments/2 {
		w.young, w.old = map[operationKey]int{}, w.young
	}
	w.young[key] = n
	return n
}
