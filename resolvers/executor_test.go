package resolvers_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestPlansAnswerAsTheGeneratedExecutor requests all fields and related records of all lists from two handlers on one
// store, one with plans and one without; the responses must be identical. (graph/plan_test.go does the same with random
// documents and generated records; the tag oracle does it in every other test.)
func TestPlansAnswerAsTheGeneratedExecutor(t *testing.T) {
	t.Parallel()
	const most = 1 << 40
	kit := testkit.New(t, testkit.SQLite(t))
	ids := populate(t, kit)
	planned := &door{Kit: kit, t: t, log: &journal{}}
	o := resolvers.Options{
		Service: kit.Service, Log: slog.New(slog.NewTextHandler(planned.log, nil)), Now: kit.Clock.Now, Version: "1.2.3", Commit: "abc", Go: "go1.26",
		Limits: resolvers.Limits{Body: 1 << 30, Tokens: most, Fields: most, Aliases: most, Roots: most, Depth: most, Directives: most, Repeats: most, Nesting: most, Complexity: most},
	}
	planned.handler = resolvers.New(o)
	resolvers.Generated(&o)
	generated := &door{Kit: kit, t: t, log: planned.log, handler: resolvers.New(o)}
	same := func(who domain.Actor, document string, variables map[string]any) {
		t.Helper()
		got, want := planned.ask(who, document, variables), generated.ask(who, document, variables)
		if got.text != want.text || got.status != want.status {
			t.Errorf("%s\nplanned:   %d %s\ngenerated: %d %s", document, got.status, got.text, want.status, want.text)
		}
	}
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	w := writer{schema}
	alice, admin := as("alice", domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeSignup), administrator()
	for _, who := range []domain.Actor{alice, admin, nobody} {
		for _, f := range schema.Query.Fields {
			if strings.HasSuffix(f.Type.Name(), "Connection") {
				for depth := range 3 { // without and with fields that need resolvers
					same(who, fmt.Sprintf("{ list: %s(first: 7) %s }", f.Name, w.page(f.Type.Name(), depth+1)), nil)
				}
			}
		}
		for _, of := range ids {
			same(who, fmt.Sprintf("query($ids: [ID!]!) { nodes(ids: $ids) { %s } none: nodes(ids: []) { id } }", w.selection("Node", 1)), map[string]any{"ids": append(of[:3:3], "inv_none")})
		}
		same(who, `{ viewer { id scopes username } version { version commit } lifecycle(of: SESSION) { kind start: starts { name } transitions { name who } } }`, nil)
		same(who, `mutation { revokeInvitation(input: {invitationId: "inv_none"}) { invitation { id } problems { __typename code message path remediation } replayed } }`, nil)
		same(who, `mutation { updateContact(input: {contactId: "contact_000"}) { contact { id taxId } problems { __typename code ... on FieldProblem { path } } } }`, nil)
	}
}
