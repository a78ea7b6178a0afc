package resolvers_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/graph"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

// crowd is the number of records of each kind.
const crowd = 100

// populate creates that many records of each kind, each with its own account, user, contact, client and person, all
// visible to alice, and returns the ids by kind.
func populate(t testing.TB, k *testkit.Kit) map[domain.Kind][]string {
	t.Helper()
	now := k.Clock.Now()
	ids := map[domain.Kind][]string{}
	var known []any
	var units []*domain.Unit
	add := func(unit *domain.Unit, r domain.Record) {
		head := r.Head()
		head.Version, head.CreatedAt, head.UpdatedAt = 1, now, now
		kind := r.Kind()
		ids[kind] = append(ids[kind], head.ID)
		unit.Changes = append(unit.Changes, domain.Change{Record: r})
		unit.Events = append(unit.Events, &domain.LifecycleEvent{
			ID: domain.NewID("evt", now), Name: "made", To: "made", OccurredAt: now, ActorID: "somebody", SubjectKind: kind, SubjectID: head.ID,
			Version: 1, Concerns: []string{"alice"},
		})
	}
	for i := range crowd {
		n := fmt.Sprintf("%03d", i)
		user, contact, client := "user-"+n, "contact_"+n, "client_"+n
		meta := func(prefix string) domain.Meta { return domain.Meta{ID: prefix + "_" + n} }
		state, asked := domain.InvitationSent, now.Add(-time.Minute)
		if i%2 == 1 {
			state = domain.InvitationAccepted
		}
		known = append(known, &domain.Account{ID: "acc-" + n, JointOwnersEnabled: true, Owners: []string{"alice"}})
		unit := &domain.Unit{Seen: []domain.Sighting{{ClientID: client, SessionID: "sess_" + n, At: now}}}
		add(unit, &domain.Contact{Meta: domain.Meta{ID: contact}, State: domain.ContactActive, UserID: new("alice"), CreatedBy: "alice"})
		unit.Changes = append(unit.Changes,
			domain.Change{Record: &domain.Contact{Meta: domain.Meta{ID: "contact_of_" + n, Version: 1, CreatedAt: now, UpdatedAt: now}, State: domain.ContactActive, UserID: &user}},
			domain.Change{Record: &domain.Approval{Meta: domain.Meta{ID: "appr_of_" + n, Version: 1, CreatedAt: now, UpdatedAt: now}, State: domain.ApprovalPassed, ContactID: "contact_of_" + n, ApprovedBy: "officer"}})
		add(unit, &domain.Invitation{
			Meta: meta("inv"), State: state, Type: domain.InvitationJoint, EmailAddress: user + "@example.com", InviterFullName: "Somebody",
			ExpiresAt: now.Add(time.Hour), CreatedBy: "inviter-" + n, AcceptedBy: &user, AccountID: "acc-" + n, AccountURI: new("/accounts/accounts/acc-" + n),
		})
		add(unit, &domain.FraudRiskReport{Meta: meta("frr"), State: domain.ReportPassed, CreatedBy: "officer", ContactID: &contact, Vouches: true})
		add(unit, &domain.Quiz{
			Meta: meta("quiz"), State: domain.QuizPending, CreatedBy: "officer", ContactID: &contact, Vouches: true, Person: []byte("person " + n),
			ExpiresAt: now.Add(time.Hour),
		})
		add(unit, &domain.Quiz{
			Meta: meta("quiz_old"), State: domain.QuizFailed, CreatedBy: "officer", ContactID: &contact, Vouches: true, Person: []byte("person " + n),
			ExpiresAt: now.Add(time.Hour), AskedAt: &asked,
		})
		add(unit, &domain.Approval{Meta: meta("appr"), State: domain.ApprovalPassed, ContactID: contact, ApprovedBy: "officer"})
		add(unit, &domain.Review{
			Meta: meta("rev"), State: domain.ReviewOpen, FraudRiskReportID: "frr_" + n, ContactID: &contact, Person: []byte(n),
			Hits: []domain.ReviewMatch{{Entry: "w" + n, Category: risk.IdentityOnAlertList}},
		})
		add(unit, &domain.Session{
			Meta: meta("sess"), State: domain.SessionActive, UserID: "alice", ClientID: &client, LastActiveAt: now,
			AbandonAt: now.Add(time.Hour), ExpireAt: now.Add(time.Hour),
		})
		add(unit, &domain.Device{
			Meta: meta("dev"), State: domain.DeviceRegistered, CustomerID: "alice", PublicKey: []byte(n), Fingerprint: "fingerprint" + n,
			Algorithm: domain.KeyEd25519,
		})
		add(unit, &domain.TwoFactorRequest{
			Meta: domain.Meta{ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i)}, State: domain.TwoFactorPending, CustomerID: "alice",
			ClientID: "shop", Statement: "Pay", ExpiresAt: now.Add(time.Hour),
		})
		add(unit, &domain.EmailVerification{
			Meta: meta("emv"), State: domain.EmailReplaced, CustomerID: "alice", Address: user + "@example.com", TokenHash: n, ExpiresAt: now.Add(time.Hour),
		})
		add(unit, &domain.PhoneVerification{
			Meta: meta("phv"), State: domain.PhoneReplaced, CustomerID: "alice", Number: "+15550100", CodeHash: n, ExpiresAt: now.Add(time.Hour),
		})
		units = append(units, unit)
	}
	if err := k.DB.ImportBatch(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		if err := testkit.Commit(t.Context(), k.DB, u); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// writer writes a selection of all fields of a type to the given depth. Each field has its own alias, so that the types
// of an interface do not conflict.
type writer struct{ schema *ast.Schema }

func (w writer) selection(name string, depth int) string {
	def := w.schema.Types[name]
	var out strings.Builder
	out.WriteString("__typename ")
	if def.Kind == ast.Interface {
		for _, p := range w.schema.GetPossibleTypes(def) {
			fmt.Fprintf(&out, "... on %s { %s } ", p.Name, w.selection(p.Name, depth))
		}
		return out.String()
	}
	for _, f := range def.Fields {
		of := w.schema.Types[f.Type.Name()]
		required := slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
		switch field := name + "_" + f.Name + ": " + f.Name; {
		case required || strings.HasPrefix(f.Name, "__"):
		case !of.IsCompositeType():
			out.WriteString(field + " ")
		case depth == 0:
		case strings.HasSuffix(of.Name, "Connection"):
			fmt.Fprintf(&out, "%s(first: 3) %s ", field, w.page(of.Name, depth))
		default:
			fmt.Fprintf(&out, "%s { %s } ", field, w.selection(of.Name, depth-1))
		}
	}
	return out.String()
}

func (w writer) page(connection string, depth int) string {
	node := w.schema.Types[connection].Fields.ForName("nodes").Type.Name()
	return "{ totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor } nodes { " + w.selection(node, depth-1) + " } }"
}

// TestStatementsDoNotGrowWithTheList: reading all fields and related records of a list, two records deep, takes as many
// statements for a hundred entries as for ten. The lists come from the schema, so that a new one is included.
func TestStatementsDoNotGrowWithTheList(t *testing.T) {
	t.Parallel()
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	w := writer{schema}
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			kit := testkit.New(t, database.URL(t))
			kit.Settings.CompleteRequiresVerification = true
			ids := populate(t, kit)
			d := &door{Kit: kit, t: t, log: &journal{}}
			const most = 1 << 40
			d.handler = resolvers.New(resolvers.Options{
				Service: kit.Service, Log: slog.New(slog.NewTextHandler(d.log, nil)),
				Limits: resolvers.Limits{Body: 1 << 30, Tokens: most, Fields: most, Aliases: most, Roots: most, Depth: most, Directives: most, Repeats: most, Nesting: most, Complexity: most},
			})
			alice := as("alice", domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeSignup)
			admin := as("root", domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeAdminFull)
			same := func(what string, who domain.Actor, few, many string) {
				t.Helper()
				var texts [2][]string
				for i, document := range []string{few, many} {
					kit.Read.Take()
					r := d.ask(who, document, nil).done()
					texts[i] = kit.Read.Take()
					if entries := len(r.at("list", "nodes").([]any)); entries != []int{10, crowd}[i] {
						t.Fatalf("%s: %d entries", what, entries)
					}
				}
				if len(texts[0]) != len(texts[1]) {
					t.Errorf("%s as %s: %d statements for 10 entries, %d for %d:\n%s", what, who.ID, len(texts[0]), len(texts[1]), crowd, difference(texts[0], texts[1]))
				}
			}
			d.ask(admin, `{ fraudRiskReports(first: 1) { nodes { token } } }`, nil).done() // reads the key once
			lists := 0
			for _, f := range schema.Query.Fields {
				if !strings.HasSuffix(f.Type.Name(), "Connection") {
					continue
				}
				lists++
				for _, who := range []domain.Actor{alice, admin} {
					if (f.Name == "approvals" || f.Name == "reviews") && who.ID == "alice" {
						continue // for administrators
					}
					document := func(n int, where string) string {
						return fmt.Sprintf("{ list: %s(first: %d%s) %s }", f.Name, n, where, w.page(f.Type.Name(), 3))
					}
					if f.Name != "lifecycleEvents" {
						same(f.Name, who, document(10, ""), document(crowd, ""))
						continue
					}
					for _, kind := range schema.Types["LifecycleKind"].EnumValues { // each kind has its own statements
						where := ", where: {subjectKind: {eq: " + kind.Name + "}}"
						same(f.Name+" of "+kind.Name, who, document(10, where), document(crowd, where))
					}
				}
			}
			if lists < 8 {
				t.Errorf("%d lists", lists)
			}
			for kind, of := range ids {
				for _, who := range []domain.Actor{alice, admin} {
					if kind == domain.KindReview && who.ID == "alice" {
						continue // for the institution
					}
					kit.Read.Take()
					var counts [2][]string
					for i, n := range []int{10, crowd} {
						r := d.ask(who, fmt.Sprintf("query($ids: [ID!]!) { nodes(ids: $ids) { %s } }", w.selection("Node", 2)), map[string]any{"ids": of[:n]}).done()
						counts[i] = kit.Read.Take()
						for at, node := range r.at("nodes").([]any)[:n] {
							if node == nil {
								t.Fatalf("%s as %s: no %s", kind, who.ID, of[at])
							}
						}
					}
					if len(counts[0]) != len(counts[1]) {
						t.Errorf("nodes of %s as %s: %d statements for 10, %d for %d:\n%s", kind, who.ID, len(counts[0]), len(counts[1]), crowd, difference(counts[0], counts[1]))
					}
				}
			}
		})
	}
}

// difference returns the statements that occur more often.
func difference(few, many []string) string {
	count := map[string]int{}
	for _, text := range many {
		count[generic(text)]++
	}
	for _, text := range few {
		count[generic(text)]--
	}
	var out []string
	for text, n := range count {
		if n != 0 {
			out = append(out, fmt.Sprintf("%+d: %.300s", n, text))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// generic returns a statement without the number of its arguments.
func generic(text string) string {
	for strings.Contains(text, "?, ?") {
		text = strings.ReplaceAll(text, "?, ?", "?")
	}
	return text
}
