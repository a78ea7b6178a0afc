package domain

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestOnlyMoveChangesAState searches for code outside of move that increments a version or assigns a state.
func TestOnlyMoveChangesAState(t *testing.T) {
	t.Parallel()
	field := func(e ast.Expr, names ...string) bool {
		if star, ok := e.(*ast.StarExpr); ok { // *l.state(r) = …
			call, ok := star.X.(*ast.CallExpr)
			if !ok {
				return false
			}
			e = call.Fun
		}
		selector, ok := e.(*ast.SelectorExpr)
		return ok && slices.Contains(names, selector.Sel.Name)
	}
	moves := 0
	for _, file := range parsed(t, ".") {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			within := ok && f.Recv == nil && f.Name.Name == "move"
			ast.Inspect(d, func(n ast.Node) bool {
				changes := ""
				switch n := n.(type) {
				case *ast.IncDecStmt:
					if field(n.X, "Version") {
						changes = "a version"
					}
				case *ast.AssignStmt:
					for _, to := range n.Lhs {
						if n.Tok != token.DEFINE && field(to, "State", "state", "Version") {
							changes = "a state or version"
						}
					}
				}
				switch {
				case changes != "" && !within:
					t.Errorf("%s is changed outside of move, in the declaration at offset %d of %s", changes, d.Pos(), file.Name)
				case changes != "":
					moves++
				}
				return true
			})
		}
	}
	if moves != 2 {
		t.Errorf("move changes version and state: %d changes were found", moves)
	}
}

// Only retry repeats a call that lost a race. Outside of the files road_*.go, no loop may depend on ErrStale or
// ErrRemembered, and tries is not used.
func TestOnlyTheRoadRetries(t *testing.T) {
	t.Parallel()
	uses := func(n ast.Node, names ...string) (found bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			found = found || ok && slices.Contains(names, id.Name)
			return !found
		})
		return found
	}
	loops := 0
	for name, file := range parsed(t, ".") {
		road := strings.HasPrefix(name, "road_")
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt, *ast.ForStmt:
				if uses(n, "tries") {
					loops++
				}
				if !road && uses(n, "tries", "ErrStale", "ErrRemembered") {
					t.Errorf("%s has a loop that retries after a lost race: use retry", name)
				}
			}
			return true
		})
	}
	if loops != 1 {
		t.Errorf("%d loops use tries, want 1", loops)
	}
}
