package domain_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// callers has a caller for every role in the table of invitations, and one without a role.
var callers = []struct {
	name  string
	ctx   context.Context
	roles []domain.Role
	sees  bool
}{
	{"inviter", testkit.As("alice"), []domain.Role{domain.RoleInviter}, true},
	{"admin", testkit.Admin(), []domain.Role{domain.RoleAdmin, domain.RoleInvitee}, true},
	{"auditor", testkit.As("audrey", domain.ScopeBankingFull, domain.ScopeAdminRead), []domain.Role{domain.RoleAuditor, domain.RoleInvitee}, true},
	{"co-owner", testkit.As("bob"), []domain.Role{domain.RoleTarget, domain.RoleInvitee}, true},
	{"stranger", testkit.As("eve"), nil, false},
}

// in creates an invitation of alice and brings it into a state through the operations of callers.
func in(t *testing.T, k *testkit.Kit, state domain.InvitationState) *domain.Invitation {
	t.Helper()
	account := "/accounts/accounts/acc-shared"
	made, err := k.CreateInvitation(testkit.As("alice"), domain.CreateInvitationInput{
		EmailAddress: "dora@example.net", SharedSecret: testkit.Secret, Type: domain.InvitationJoint, InviterFullName: "Alice Doe", AccountURI: &account,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Record.ID
	out := made
	verify := func(secret string) (domain.Outcome[domain.Invitation], error) {
		return k.VerifyInvitation(testkit.As("dora"), domain.VerifyInvitationInput{InvitationID: id, SharedSecret: secret})
	}
	switch state {
	case domain.InvitationSent:
	case domain.InvitationAccepted, domain.InvitationCompleted:
		out, err = verify(testkit.Secret)
		if err == nil && state == domain.InvitationCompleted {
			out, err = k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: id})
		}
	case domain.InvitationFailed:
		for range k.Settings.InvitationMaxFailed {
			_, _ = verify("a wrong secret")
		}
	case domain.InvitationRevoked:
		out, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: id})
	case domain.InvitationExpired:
		k.Clock.Pass(k.Settings.InvitationTTL)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.Clock.Pass(time.Hour) // past the window of the verification rate
	i, err := k.Service.Invitation(testkit.Admin(), id)
	if err != nil || i.State != state {
		t.Fatalf("%s is not reached: %v %v %v", state, i, err, out)
	}
	return i
}

// ask calls the operation of a transition.
func ask(ctx context.Context, k *testkit.Kit, operation, id string, guard domain.Guard) (domain.Outcome[domain.Invitation], error) {
	switch operation {
	case "resendInvitation":
		return k.ResendInvitation(ctx, domain.ResendInvitationInput{InvitationID: id, Guard: guard})
	case "revokeInvitation":
		return k.RevokeInvitation(ctx, domain.RevokeInvitationInput{InvitationID: id, Guard: guard})
	case "updateInvitationSecret":
		return k.UpdateInvitationSecret(ctx, domain.UpdateInvitationSecretInput{InvitationID: id, SharedSecret: "another secret", Guard: guard})
	case "completeInvitation":
		return k.CompleteInvitation(ctx, domain.CompleteInvitationInput{InvitationID: id, Guard: guard})
	case "deleteInvitation":
		return k.DeleteInvitation(ctx, domain.DeleteInvitationInput{InvitationID: id, Guard: guard})
	case "verifyInvitation":
		return k.VerifyInvitation(ctx, domain.VerifyInvitationInput{InvitationID: id, SharedSecret: testkit.Secret, Guard: guard})
	}
	return domain.Outcome[domain.Invitation]{}, fmt.Errorf("the test does not know %s", operation)
}

// journal returns the events in the timeline of a record.
func journal(t *testing.T, k *testkit.Kit, r domain.Record) []*domain.LifecycleEvent {
	t.Helper()
	n := 100
	page, err := k.Timeline(testkit.Admin(), r, domain.Paging{First: &n})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// TestEveryTransition requests every transition in every state as every caller and compares the answer with the table:
// it ends in a listed state with one more version and event, or it refuses with the listed problem and changes nothing.
// The actions returned before agree.
func TestEveryTransition(t *testing.T) {
	t.Parallel()
	machine, _ := domain.Lifecycle(domain.KindInvitation)
	k := testkit.New(t, testkit.SQLite(t))
	for _, state := range machine.States {
		for _, row := range machine.Transitions {
			if row.Clock {
				continue
			}
			for _, c := range callers {
				i := in(t, k, domain.InvitationState(state.Name))
				want := expected(machine, row, state.Name, c.roles, c.sees)
				name := fmt.Sprintf("%s in %s by %s", row.Operation, state.Name, c.name)
				if c.sees {
					seen, err := k.Service.Invitation(c.ctx, i.ID)
					if err == nil {
						actions, err := k.Actions(c.ctx, seen, nil)
						if err != nil {
							t.Fatal(err)
						}
						checkAction(t, actions, row.Operation, want, name)
					}
				}
				before := journal(t, k, i)
				out, err := ask(c.ctx, k, row.Operation, i.ID, domain.Guard{})
				checkOutcome(t, k, theInvitations, i, row, out.Record, err, want, before, name)
			}
		}
	}
}

// expected returns the code that the table and the document specify; empty for an allowed transition.
func expected(_ lifecycle.Map, row lifecycle.MapRow, state string, roles []domain.Role, sees bool) string {
	if row.Operation == "verifyInvitation" {
		// The secret is the credential: every caller except the inviter may verify.
		switch {
		case slices.Contains(roles, domain.RoleInviter):
			return "invitationAccessDenied"
		case state == "sent":
			return ""
		case state == "expired":
			return "verificationInvitationExpired"
		case state == "revoked":
			return "verificationInvitationRevoked"
		case state == "failed":
			return "verificationInvitationFailed"
		}
		return "invalidInvitationState"
	}
	outstanding := state == "sent" || state == "accepted"
	if !sees || !outstanding && slices.Contains(roles, domain.RoleTarget) {
		return "noSuchInvitation"
	}
	if !slices.ContainsFunc(roles, func(r domain.Role) bool { return slices.Contains(row.By, string(r)) }) {
		return "invitationAccessDenied"
	}
	if !slices.Contains(row.From, state) {
		return "invalidInvitationState"
	}
	return ""
}

func checkAction(t *testing.T, actions []domain.Action, operation, want, name string) {
	t.Helper()
	at := slices.IndexFunc(actions, func(a domain.Action) bool { return a.Name == operation })
	if at < 0 {
		t.Fatalf("%s: there is no such action", name)
	}
	got := ""
	if p := actions[at].Problem; p != nil {
		got = p.Code
	}
	if got != want || actions[at].Allowed != (want == "") {
		t.Errorf("%s: the action says %q, the table %q", name, got, want)
	}
}

// subject is a kind of record, with the functions that the checks need.
type subject struct {
	find    func(k *testkit.Kit, id string) (domain.Record, error)
	state   func(domain.Record) string
	missing *problem.Definition
}

var theInvitations = subject{
	find: func(k *testkit.Kit, id string) (domain.Record, error) {
		return k.Service.Invitation(testkit.Admin(), id)
	},
	state:   func(r domain.Record) string { return string(r.(*domain.Invitation).State) },
	missing: problem.NoSuchInvitation,
}

func checkOutcome(t *testing.T, k *testkit.Kit, of subject, was domain.Record, row lifecycle.MapRow, out domain.Record, err error, want string, before []*domain.LifecycleEvent, name string) {
	t.Helper()
	id, version, state := was.Head().ID, was.Head().Version, of.state(was)
	after := journal(t, k, was)
	if want != "" {
		if p := problem.Of(err); p == nil || p.Code != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		now, err := of.find(k, id)
		if err != nil || now.Head().Version != version || of.state(now) != state || len(after) != len(before) {
			t.Errorf("%s: a refusal changes nothing: %+v %v", name, now, err)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	// The journal has the new event, preceded by that of the clock if the sweeper had not written it.
	last := after[len(after)-1]
	if last.Name != row.Operation || last.From != state || last.Version != version+1 {
		t.Errorf("%s: the journal's last line is %+v", name, last)
	}
	if row.Erases {
		if _, err := of.find(k, id); !problem.Has(err, of.missing) || last.To != "" {
			t.Errorf("%s: the record is gone: %v", name, err)
		}
		return
	}
	if !slices.Contains(row.To, of.state(out)) || out.Head().Version != version+1 || last.To != of.state(out) {
		t.Errorf("%s ends in %s, version %d", name, of.state(out), out.Head().Version)
	}
}

// TestEveryStateIsReached: every state of the table is reachable, and lists by state agree with the records.
func TestEveryStateIsReached(t *testing.T) {
	t.Parallel()
	machine, _ := domain.Lifecycle(domain.KindInvitation)
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, db.URL(t))
			for _, s := range machine.States {
				in(t, k, domain.InvitationState(s.Name))
			}
			for _, s := range machine.States {
				page, err := k.Service.Invitations(testkit.Admin(), listing.Query{
					Where: listing.Eq("state", s.Name), Limit: 100, WithCount: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range page.Items {
					if string(i.State) != s.Name {
						t.Errorf("a list of %s has one in %s", s.Name, i.State)
					}
				}
			}
		})
	}
}
