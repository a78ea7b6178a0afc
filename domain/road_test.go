package domain

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// TestOnlyMoveChangesAState looks for what increments a version or assigns a state outside of move.
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
