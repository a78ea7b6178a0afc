package resolvers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

const problems = `problems { __typename code message path remediation
	... on StateProblem { currentState allowedStates } ... on StaleVersionProblem { currentVersion } ... on LimitProblem { limit availableAt } } replayed`

// mutation writes the document of a mutation with its usual selection.
func mutation(name string) string {
	return fmt.Sprintf(`mutation($input: %s%sInput!) { %s(input: $input) { invitation { id state version verificationCount resendCount acceptedBy identification } %s } }`,
		string(name[0]-32), name[1:], name, problems)
}

func invite(t testing.TB, d *door) string {
	t.Helper()
	return d.Invite(t).ID
}

func createInput() map[string]any {
	return map[string]any{
		"emailAddress": "dora@example.net", "sharedSecret": testkit.Secret, "type": "JOINT",
		"inviterFullName": "Alice Doe", "accountUri": "/accounts/accounts/acc-alice", "identification": "1234",
	}
}

func input(members map[string]any) map[string]any { return map[string]any{"input": members} }

func named(id string) map[string]any { return input(map[string]any{"invitationId": id}) }

func TestCreateInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(as("alice"), `mutation($input: CreateInvitationInput!) { createInvitation(input: $input) {
		invitation { id state type emailAddress accountUri organizationUri role inviterFullName firstName lastName identification
			verificationCount resendCount expiresAt createdBy customerId customerGroup acceptedBy version createdAt updatedAt
			timeline { totalCount nodes { name from to occurredAt actor subjectKind subject { id } } } }
		`+problems+` } }`, input(createInput())).done()
	r.says([]any{}, "createInvitation", "problems").says(false, "createInvitation", "replayed")
	i := []any{"createInvitation", "invitation"}
	for member, want := range map[string]any{
		"state": "SENT", "type": "JOINT", "emailAddress": "dora@example.net", "accountUri": "/accounts/accounts/acc-alice",
		"organizationUri": nil, "role": nil, "identification": "1234", "verificationCount": 0, "createdBy": "alice",
		"acceptedBy": nil, "version": 1, "createdAt": "2026-03-01T09:00:00Z", "expiresAt": "2026-03-31T09:00:00Z", "customerId": nil,
	} {
		r.says(want, append(slices.Clone(i), member)...)
	}
	r.says([]any{map[string]any{
		"name": "createInvitation", "from": nil, "to": "SENT", "occurredAt": "2026-03-01T09:00:00Z", "actor": "alice",
		"subjectKind": "INVITATION", "subject": map[string]any{"id": r.at("createInvitation", "invitation", "id")},
	}}, append(slices.Clone(i), "timeline", "nodes")...)
	r.says(1, append(slices.Clone(i), "timeline", "totalCount")...)
}

func TestCreateInvitationRefuses(t *testing.T) {
	t.Parallel()
	d := open(t)
	create := mutation("createInvitation")
	with := func(name string, value any) map[string]any {
		in := createInput()
		in[name] = value
		return input(in)
	}
	r := d.ask(as("alice"), create, with("sharedSecret", "short")).problem("createInvitation", "FieldProblem", "INVALID_INPUT")
	r.says([]any{"sharedSecret"}, "createInvitation", "problems", 0, "path").says(nil, "createInvitation", "invitation")
	d.ask(as("alice"), create, with("accountUri", "/accounts/accounts/acc-single")).problem("createInvitation", "StateProblem", "JOINT_OWNERS_DISABLED")
	d.ask(as("alice"), create, with("accountUri", "/accounts/accounts/acc-full")).problem("createInvitation", "StateProblem", "ADDITIONAL_OWNERS_NOT_ALLOWED")
	d.ask(as("mallory"), create, input(createInput())).refused("FORBIDDEN").says(nil, "createInvitation")
	d.ask(as("alice", domain.ScopeBankingRead), create, input(createInput())).refused("FORBIDDEN")
	d.ask(nobody, create, input(createInput())).refused("UNAUTHENTICATED").says(nil, "createInvitation")
	in := createInput()
	in["sharedSecret"], in["emailAddress"] = "short", "no mailbox"
	r = d.ask(as("alice"), create, input(in)).done()
	if got := len(r.at("createInvitation", "problems").([]any)); got != 2 {
		t.Errorf("%d problems, want one for each member that is wrong: %s", got, r.text)
	}
}

func TestOneRefusalLeavesItsNeighbours(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	r := d.ask(as("alice"), `mutation($id: ID!) {
		a: resendInvitation(input: {invitationId: $id}) { invitation { resendCount } problems { code } }
		b: completeInvitation(input: {invitationId: $id}) { problems { code } }
		c: revokeInvitation(input: {invitationId: $id}) { invitation { state } problems { code } } }`, map[string]any{"id": id})
	r.refused("FORBIDDEN").says(1, "a", "invitation", "resendCount").says(nil, "b").says("REVOKED", "c", "invitation", "state")
}

func TestResendInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	resend := mutation("resendInvitation")
	for n := 1; n <= 5; n++ {
		d.ask(as("alice"), resend, named(id)).done().says(n, "resendInvitation", "invitation", "resendCount")
	}
	r := d.ask(as("alice"), resend, named(id)).problem("resendInvitation", "LimitProblem", "INVITATION_RESEND_LIMIT_REACHED")
	r.says(5, "resendInvitation", "problems", 0, "limit").says(5, "resendInvitation", "invitation", "resendCount")
	r = d.ask(as("alice"), `query($id: ID!) { invitation(id: $id) { actions { name allowed problem { __typename code } } } }`, map[string]any{"id": id}).done()
	r.says(map[string]any{
		"name": "resendInvitation", "allowed": false,
		"problem": map[string]any{"__typename": "LimitProblem", "code": "INVITATION_RESEND_LIMIT_REACHED"},
	}, "invitation", "actions", 1)
}

func TestRevokeInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	revoke := mutation("revokeInvitation")
	r := d.ask(as("alice"), revoke, input(map[string]any{"invitationId": id, "expectedVersion": 7})).
		problem("revokeInvitation", "StaleVersionProblem", "VERSION_STALE")
	r.says(1, "revokeInvitation", "problems", 0, "currentVersion").says("SENT", "revokeInvitation", "invitation", "state")
	d.ask(as("bob"), revoke, named(id)).problem("revokeInvitation", "NotFoundProblem", "NOT_FOUND").says(nil, "revokeInvitation", "invitation")
	d.ask(as("alice"), revoke, named("inv_00000000000000000000000000")).problem("revokeInvitation", "NotFoundProblem", "NOT_FOUND")
	d.ask(as("alice"), revoke, input(map[string]any{"invitationId": id, "expectedVersion": 1})).done().
		says("REVOKED", "revokeInvitation", "invitation", "state").says(2, "revokeInvitation", "invitation", "version")
	r = d.ask(as("alice"), revoke, named(id)).problem("revokeInvitation", "StateProblem", "INVALID_INVITATION_STATE")
	r.says("REVOKED", "revokeInvitation", "problems", 0, "currentState").says([]any{"SENT"}, "revokeInvitation", "problems", 0, "allowedStates")
}

func TestVerifyInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	verify := mutation("verifyInvitation")
	present := func(id, secret string) map[string]any {
		return input(map[string]any{"invitationId": id, "sharedSecret": secret})
	}
	wrong := d.ask(as("dora"), verify, present(id, "not the secret")).problem("verifyInvitation", "FieldProblem", "INVITATION_VERIFICATION_FAILED")
	unknown := d.ask(as("dora"), verify, present("inv_00000000000000000000000000", "not the secret"))
	if wrong.text != unknown.text {
		t.Errorf("a wrong secret and an unknown id are told apart:\n%s\n%s", wrong.text, unknown.text)
	}
	wrong.says(nil, "verifyInvitation", "invitation")
	d.ask(as("alice"), verify, present(id, testkit.Secret)).refused("FORBIDDEN")
	r := d.ask(as("dora"), verify, present(id, testkit.Secret)).done()
	r.says("ACCEPTED", "verifyInvitation", "invitation", "state").says("dora", "verifyInvitation", "invitation", "acceptedBy").
		says(2, "verifyInvitation", "invitation", "verificationCount")
	d.ask(as("dora"), verify, present(id, testkit.Secret)).problem("verifyInvitation", "StateProblem", "INVALID_INVITATION_STATE").
		says("ACCEPTED", "verifyInvitation", "problems", 0, "currentState").says(nil, "verifyInvitation", "invitation")
}

func TestVerifyInvitationIsLimited(t *testing.T) {
	t.Parallel()
	d := open(t)
	verify := mutation("verifyInvitation")
	in := input(map[string]any{"invitationId": "inv_00000000000000000000000000", "sharedSecret": "not the secret"})
	for range 20 {
		d.ask(as("dora"), verify, in).problem("verifyInvitation", "FieldProblem", "INVITATION_VERIFICATION_FAILED")
	}
	r := d.ask(as("dora"), verify, in).problem("verifyInvitation", "LimitProblem", "TOO_MANY_REQUESTS")
	r.says(20, "verifyInvitation", "problems", 0, "limit").says("2026-03-01T09:10:00Z", "verifyInvitation", "problems", 0, "availableAt")
}

func TestUpdateInvitationSecret(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	update := mutation("updateInvitationSecret")
	d.ask(as("alice"), update, input(map[string]any{"invitationId": id, "sharedSecret": "another secret"})).done().
		says(2, "updateInvitationSecret", "invitation", "version")
	d.ask(as("dora"), mutation("verifyInvitation"), input(map[string]any{"invitationId": id, "sharedSecret": "another secret"})).done().
		says("ACCEPTED", "verifyInvitation", "invitation", "state")
}

func TestCompleteInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	complete := mutation("completeInvitation")
	d.ask(administrator(), complete, named(id)).problem("completeInvitation", "StateProblem", "INVALID_INVITATION_STATE")
	d.ask(as("dora"), mutation("verifyInvitation"), input(map[string]any{"invitationId": id, "sharedSecret": testkit.Secret})).done()
	d.ask(administrator(), complete, named(id)).done().says("COMPLETED", "completeInvitation", "invitation", "state").
		says(nil, "completeInvitation", "invitation", "identification")
}

func TestCompleteInvitationAsksForVerification(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *resolvers.Options) { o.Service.Settings.CompleteRequiresVerification = true })
	id := invite(t, d)
	d.ask(as("dora"), mutation("verifyInvitation"), input(map[string]any{"invitationId": id, "sharedSecret": testkit.Secret})).done()
	d.ask(administrator(), mutation("completeInvitation"), named(id)).problem("completeInvitation", "StateProblem", "INVITEE_NOT_VERIFIED").
		says(nil, "completeInvitation", "problems", 0, "currentState").says(nil, "completeInvitation", "problems", 0, "allowedStates")
}

func TestDeleteInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	erase := `mutation($input: DeleteInvitationInput!) { deleteInvitation(input: $input) { invitation { id } deletedInvitationId ` + problems + ` } }`
	d.ask(as("bob"), erase, named(id)).problem("deleteInvitation", "NotFoundProblem", "NOT_FOUND").says(nil, "deleteInvitation", "deletedInvitationId")
	in := input(map[string]any{"invitationId": id, "idempotencyKey": "erase-1"})
	d.ask(as("alice"), erase, in).done().says(id, "deleteInvitation", "deletedInvitationId").says(nil, "deleteInvitation", "invitation")
	d.ask(as("alice"), erase, in).done().says(id, "deleteInvitation", "deletedInvitationId").says(true, "deleteInvitation", "replayed")
	d.ask(as("alice"), `query($id: ID!) { invitation(id: $id) { id } node(id: $id) { id } }`, map[string]any{"id": id}).done().
		says(nil, "invitation").says(nil, "node")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	d := open(t)
	create := mutation("createInvitation")
	first := d.ask(as("alice"), create, input(createInput()), "Idempotency-Key", "k-1").done().says(false, "createInvitation", "replayed")
	id := first.at("createInvitation", "invitation", "id")
	d.ask(as("alice"), create, input(createInput()), "Idempotency-Key", "k-1").done().
		says(true, "createInvitation", "replayed").says(id, "createInvitation", "invitation", "id")
	other := createInput()
	other["inviterFullName"] = "Alice D."
	r := d.ask(as("alice"), create, input(other), "Idempotency-Key", "k-1").problem("createInvitation", "FieldProblem", "IDEMPOTENCY_KEY_REUSED")
	r.says([]any{"idempotencyKey"}, "createInvitation", "problems", 0, "path")

	own := createInput()
	own["idempotencyKey"] = "k-2"
	d.ask(as("alice"), create, input(own), "Idempotency-Key", "k-1").done().says(false, "createInvitation", "replayed")

	for name, headers := range map[string][]string{
		"two headers": {"Idempotency-Key", "a", "Idempotency-Key", "b"}, "an empty one": {"Idempotency-Key", ""},
		"one that is no text": {"Idempotency-Key", "\xff"},
	} {
		r = d.ask(as("alice"), create, input(createInput()), headers...).problem("createInvitation", "FieldProblem", "INVALID_INPUT")
		if r.at("createInvitation", "problems", 0, "path").([]any)[0] != "idempotencyKey" {
			t.Errorf("%s: %s", name, r.text)
		}
	}

	two := `mutation($a: CreateInvitationInput!) { a: createInvitation(input: $a) { replayed } b: createInvitation(input: $a) { replayed } }`
	in := map[string]any{"a": createInput()}
	d.ask(as("alice"), two, in, "Idempotency-Key", "k-3").done().says(false, "b", "replayed")
}

func TestARepeatHearsTheSameProblem(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	repeat := func(name string, in map[string]any, typename, code string) {
		t.Helper()
		in["invitationId"], in["idempotencyKey"] = id, name
		first := d.ask(as("alice"), mutation(name), input(in)).problem(name, typename, code).says(false, name, "replayed")
		again := d.ask(as("alice"), mutation(name), input(in)).done().says(true, name, "replayed")
		again.says(first.at(name, "problems"), name, "problems").says(first.at(name, "invitation"), name, "invitation")
	}
	repeat("updateInvitationSecret", map[string]any{"sharedSecret": "another secret", "expectedVersion": 9}, "StaleVersionProblem", "VERSION_STALE")
	for range 5 {
		d.ask(as("alice"), mutation("resendInvitation"), named(id)).done()
	}
	repeat("resendInvitation", map[string]any{}, "LimitProblem", "INVITATION_RESEND_LIMIT_REACHED")
	d.ask(as("alice"), mutation("revokeInvitation"), named(id)).done()
	repeat("revokeInvitation", map[string]any{}, "StateProblem", "INVALID_INVITATION_STATE")
}

// TestIdempotencyKeyOfEveryMutation: the header must apply to each of them.
func TestIdempotencyKeyOfEveryMutation(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, m := range domain.Lifecycles() {
		for _, move := range m.Moves() {
			if move.Clock || domain.Kind(m.Name) != domain.KindInvitation { // other kinds have separate tests
				continue
			}
			in := map[string]any{"invitationId": invite(t, d), "sharedSecret": testkit.Secret}
			for _, without := range []string{"resendInvitation", "revokeInvitation", "completeInvitation", "deleteInvitation"} {
				if move.Operation == without {
					delete(in, "sharedSecret")
				}
			}
			if move.Operation == m.Create {
				in = createInput()
			}
			d.ask(administrator(), mutation(move.Operation), input(in), "Idempotency-Key", "\x7f").
				problem(move.Operation, "FieldProblem", "INVALID_INPUT")
		}
	}
}

func TestInvitationIsShownToWhomItConcerns(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(as("alice"), mutation("createInvitation"), input(createInput())).done()
	id := r.at("createInvitation", "invitation", "id")
	query := `query($id: ID!) { invitation(id: $id) { id identification } node(id: $id) { __typename id ... on Invitation { state } } }`
	d.ask(as("alice"), query, map[string]any{"id": id}).done().says("1234", "invitation", "identification").says("SENT", "node", "state")
	d.ask(administrator(), query, map[string]any{"id": id}).done().says(nil, "invitation", "identification").says(id, "node", "id")
	d.ask(as("mallory"), query, map[string]any{"id": id}).done().says(nil, "invitation").says(nil, "node")
	d.ask(nobody, query, map[string]any{"id": id}).refused("UNAUTHENTICATED")
	d.ask(as("alice", domain.ScopeProfilesRead), query, map[string]any{"id": id}).refused("FORBIDDEN")
}

func TestActionsSayWhyNot(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	r := d.ask(as("alice"), `query($id: ID!) { invitation(id: $id) { actions { name allowed problem { __typename code } availableAt } } }`, map[string]any{"id": id}).done()
	allowed := map[string]any{}
	for i := range r.at("invitation", "actions").([]any) {
		allowed[r.at("invitation", "actions", i, "name").(string)] = r.at("invitation", "actions", i, "allowed")
	}
	want := map[string]any{
		"verifyInvitation": false, "resendInvitation": true, "revokeInvitation": true, "updateInvitationSecret": true,
		"completeInvitation": false, "deleteInvitation": true,
	}
	if !equal(allowed, want) {
		t.Errorf("actions %v, want %v", allowed, want)
	}
	r.says(map[string]any{"__typename": "AccessProblem", "code": "FORBIDDEN"}, "invitation", "actions", 0, "problem")
}

func TestNodes(t *testing.T) {
	t.Parallel()
	d := open(t)
	a, b := invite(t, d), invite(t, d)
	event := d.ask(as("alice"), `query($id: ID!) { invitation(id: $id) { timeline { nodes { id } } } }`, map[string]any{"id": a}).done().
		at("invitation", "timeline", "nodes", 0, "id")
	query := `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`
	ids := map[string]any{"ids": []any{b, "inv_00000000000000000000000000", a, event, "what", b}}
	inv := func(id any) map[string]any { return map[string]any{"__typename": "Invitation", "id": id} }
	d.ask(as("alice"), query, ids).done().
		says([]any{inv(b), nil, inv(a), map[string]any{"__typename": "LifecycleEvent", "id": event}, nil, inv(b)}, "nodes")
	d.ask(as("mallory"), query, ids).done().says([]any{nil, nil, nil, nil, nil, nil}, "nodes")
	r := d.ask(as("alice", domain.ScopeProfilesRead), query, ids).refused("FORBIDDEN")
	r.says(event, "nodes", 3, "id").says(nil, "nodes", 0)
	many := make([]any, 101)
	for i := range many {
		many[i] = fmt.Sprint("inv_", i)
	}
	d.ask(as("alice"), query, map[string]any{"ids": many}).refused("BAD_DOCUMENT").says(nil, "nodes")
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	d := open(t)
	var ids []any
	for i := range 5 {
		in := createInput()
		in["emailAddress"] = fmt.Sprintf("Dora%d@example.net", i)
		in["firstName"] = string(rune('E' - i))
		ids = append(ids, d.ask(as("alice"), mutation("createInvitation"), input(in)).done().at("createInvitation", "invitation", "id"))
		d.Clock.Pass(time.Minute)
	}
	d.ask(as("alice"), mutation("revokeInvitation"), named(ids[1].(string))).done()
	list := func(arguments string) []any {
		t.Helper()
		r := d.ask(as("alice"), `{ invitations`+arguments+` { nodes { id } totalCount } }`, nil).done()
		var out []any
		for i := range r.at("invitations", "nodes").([]any) {
			out = append(out, slices.Index(ids, r.at("invitations", "nodes", i, "id")))
		}
		return out
	}
	for _, c := range []struct {
		name, arguments string
		want            []any
	}{
		{"all, oldest first", "", []any{0, 1, 2, 3, 4}},
		{"newest first", "(orderBy: [{field: CREATED_AT, direction: DESC}])", []any{4, 3, 2, 1, 0}},
		{"by a sealed field", "(orderBy: [{field: FIRST_NAME}])", []any{4, 3, 2, 1, 0}},
		{"the last two", "(last: 2)", []any{3, 4}},
		{"by state", "(where: {state: {eq: REVOKED}})", []any{1}},
		{"by several states", "(where: {state: {in: [REVOKED, EXPIRED]}})", []any{1}},
		{"by no state at all", "(where: {state: {in: []}})", nil},
		{"not a state", "(where: {not: {state: {eq: SENT}}})", []any{1}},
		{"ne", "(where: {state: {ne: SENT}})", []any{1}},
		{"an address in any case", `(where: {emailAddress: {eq: "dORA3@EXAMPLE.net"}})`, []any{3}},
		{"several addresses", `(where: {emailAddress: {in: ["dora3@example.net", "dora0@example.net"]}})`, []any{0, 3}},
		{"a part of an address", `(where: {emailAddress: {contains: "RA2@"}})`, []any{2}},
		{"an account, absolute", `(where: {accountUri: {eq: "http://gatehouse.test/accounts/accounts/acc-alice"}})`, []any{0, 1, 2, 3, 4}},
		{"another account", `(where: {accountUri: {in: ["/accounts/accounts/acc-shared"]}})`, nil},
		{"an organization", `(where: {organizationUri: {eq: "/organizations/organizations/org-acme"}})`, nil},
		{"from a time on", `(where: {createdAt: {gte: "2026-03-01T10:03:00+01:00"}})`, []any{3, 4}},
		{"before a time", `(where: {createdAt: {lt: "2026-03-01T09:01:00Z"}})`, []any{0}},
		{"one or the other", `(where: {or: [{state: {eq: REVOKED}}, {createdAt: {gt: "2026-03-01T09:03:00Z"}}]})`, []any{1, 4}},
		{"both", `(where: {and: [{state: {eq: REVOKED}}, {createdAt: {gt: "2026-03-01T09:03:00Z"}}]})`, nil},
		{"by number", `(where: {verificationCount: {gte: 1}})`, nil},
		{"by several numbers", `(where: {resendCount: {in: [0, 2]}, firstName: {eq: "D"}})`, []any{1}},
		{"by what is missing", `(where: {acceptedBy: {isNull: true}, customerId: {isNull: true}})`, []any{0, 1, 2, 3, 4}},
		{"by what is there", `(where: {acceptedBy: {isNull: false}})`, nil},
		{"by words", `(where: {search: "dora1 nothing"})`, []any{1}},
		{"of nobody", `(where: {createdBy: {eq: "bob"}})`, nil},
	} {
		if got := list(c.arguments); !equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}

	page := `query($after: String) { invitations(first: 2, after: $after, orderBy: [{field: CREATED_AT, direction: DESC}]) {
		edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }`
	var after any
	var walked []any
	for {
		r := d.ask(as("alice"), page, map[string]any{"after": after}).done().says(5, "invitations", "totalCount")
		for i := range r.at("invitations", "edges").([]any) {
			walked = append(walked, slices.Index(ids, r.at("invitations", "edges", i, "node", "id")))
		}
		after = r.at("invitations", "pageInfo", "endCursor")
		if r.at("invitations", "pageInfo", "hasNextPage") == false {
			break
		}
	}
	if !equal(walked, []any{4, 3, 2, 1, 0}) {
		t.Errorf("pages show %v", walked)
	}
	// Whether there are entries beyond a cursor is reported if it is selected, even under an alias.
	cursors := d.ask(as("alice"), `{ invitations { edges { cursor } } }`, nil).done()
	middle := cursors.at("invitations", "edges", 2, "cursor")
	for selection, want := range map[string]bool{
		`(first: 1, after: $c) { pageInfo { is: hasPreviousPage } }`:                                true,
		`(first: 1, after: $c) { pageInfo { endCursor } pageInfo { ...P } }`:                        true,
		`(last: 1, before: $c) { pageInfo { is: hasNextPage } }`:                                    true,
		`(first: 5, before: $c) { pageInfo { is: hasNextPage } }`:                                   true,
		`(first: 5, before: $c) { pageInfo { is: hasPreviousPage } }`:                               false,
		`(last: 5, after: $c) { pageInfo { is: hasPreviousPage } }`:                                 true,
		`(last: 5, after: $c) { pageInfo { startCursor ... on PageInfo { is: hasPreviousPage } } }`: true,
	} {
		document := `query($c: String!) { invitations` + selection + ` } fragment P on PageInfo { is: hasPreviousPage }`
		if !strings.Contains(selection, "...P") {
			document = `query($c: String!) { invitations` + selection + ` }`
		}
		if got := d.ask(as("alice"), document, map[string]any{"c": middle}).done().at("invitations", "pageInfo", "is"); got != want {
			t.Errorf("%s: %v", selection, got)
		}
	}
	d.ask(as("bob"), `{ invitations { nodes { id } pageInfo { startCursor endCursor hasNextPage } } }`, nil).done().
		says([]any{}, "invitations", "nodes").says(nil, "invitations", "pageInfo", "startCursor")
}

func TestInvitationsRefuse(t *testing.T) {
	t.Parallel()
	d := open(t)
	terms := make([]any, 201)
	for i := range terms {
		terms[i] = map[string]any{"state": map[string]any{"eq": "SENT"}}
	}
	deep := map[string]any{"state": map[string]any{"eq": "SENT"}}
	for range 40 {
		deep = map[string]any{"not": deep}
	}
	for name, c := range map[string]struct {
		document  string
		variables map[string]any
	}{
		"too large a page":       {`{ invitations(first: 101) { nodes { id } } }`, nil},
		"a negative page":        {`{ invitations(last: -1) { nodes { id } } }`, nil},
		"both ends":              {`{ invitations(first: 1, last: 1) { nodes { id } } }`, nil},
		"a cursor of nothing":    {`{ invitations(after: "what") { nodes { id } } }`, nil},
		"a NUL":                  {`{ invitations(where: {role: {eq: "\u0000"}}) { nodes { id } } }`, nil},
		"a time that is none":    {`{ invitations(where: {createdAt: {gt: "yesterday"}}) { nodes { id } } }`, nil},
		"an empty time":          {`{ invitations(where: {createdAt: {gt: ""}}) { nodes { id } } }`, nil},
		"too many conditions":    {`query($or: [InvitationWhere!]) { invitations(where: {or: $or}) { nodes { id } } }`, map[string]any{"or": terms}},
		"conditions too deep":    {`query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }`, map[string]any{"w": deep}},
		"an unbalanced search":   {`{ invitations(where: {search: "\"a"}) { nodes { id } } }`, nil},
		"a word in another case": {`query($s: InvitationState!) { invitations(where: {state: {eq: $s}}) { nodes { id } } }`, map[string]any{"s": "sent"}},
		"a number as text":       {`query($n: Int) { invitations(first: $n) { nodes { id } } }`, map[string]any{"n": "5"}},
		"a text as number":       {`query($s: String!) { invitations(where: {role: {eq: $s}}) { nodes { id } } }`, map[string]any{"s": 5}},
		"a page of a fraction":   {`query($n: Int) { invitations(first: $n) { nodes { id } } }`, map[string]any{"n": 1.5}},
		"a time of no form":      {`query($t: DateTime!) { invitations(where: {createdAt: {gt: $t}}) { nodes { id } } }`, map[string]any{"t": "2026-03-01 09:00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.ask(as("alice"), c.document, c.variables).refused("BAD_DOCUMENT")
		})
	}
	d.ask(nobody, `{ invitations { nodes { id } } version { version } }`, nil).refused("UNAUTHENTICATED").
		says(nil, "invitations").says("1.2.3", "version", "version")
}

func TestInvitationPreview(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	d.ask(nobody, `query($id: ID!) { invitationPreview(invitationId: $id, key: "guess") { institution } }`, map[string]any{"id": id}).done().
		says(nil, "invitationPreview")
	mails, err := d.DB.Claim(context.Background(), d.Clock.Now(), time.Minute, 10)
	if err != nil || len(mails) != 1 {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	link := mails[0].Values["link"]
	key := link[len(link)-32:]
	d.ask(nobody, `query($id: ID!, $key: String!) { invitationPreview(invitationId: $id, key: $key) { institution inviterFullName type state expiresAt } }`,
		map[string]any{"id": id, "key": key}).done().
		says(map[string]any{
			"institution": "First Test Bank", "inviterFullName": "Alice Doe", "type": "JOINT", "state": "SENT", "expiresAt": "2026-03-31T09:00:00Z",
		}, "invitationPreview")
}

func TestExpiryIsInTheTimeline(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := invite(t, d)
	d.Clock.Pass(31 * 24 * time.Hour)
	if _, err := d.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.ask(as("alice"), `query($id: ID!) { invitation(id: $id) { state timeline(last: 1) { nodes { name from to actor } } } }`, map[string]any{"id": id}).done().
		says("EXPIRED", "invitation", "state").
		says(map[string]any{"name": "expireInvitation", "from": "SENT", "to": "EXPIRED", "actor": nil}, "invitation", "timeline", "nodes", 0)
}

// asked counts the calls of the directory and of the store.
type asked struct {
	domain.Directory
	accounts atomic.Int32
}

func (a *asked) Account(ctx context.Context, id string) (*domain.Account, error) {
	a.accounts.Add(1)
	return a.Directory.Account(ctx, id)
}

type askedStore struct {
	domain.Store
	many atomic.Int32
}

func (s *askedStore) Invitations() domain.Shelf[domain.Invitation] {
	return askedShelf{s.Store.Invitations(), &s.many}
}

type askedShelf struct {
	domain.Shelf[domain.Invitation]
	many *atomic.Int32
}

func (s askedShelf) GetMany(ctx context.Context, ids []string) ([]*domain.Invitation, error) {
	s.many.Add(1)
	return s.Shelf.GetMany(ctx, ids)
}

func TestAListAsksOnce(t *testing.T) {
	t.Parallel()
	directory, store := &asked{}, &askedStore{}
	d := open(t, func(o *resolvers.Options) {
		service := *o.Service
		directory.Directory, store.Store = service.Directory, service.Store
		service.Directory, service.Store = directory, store
		o.Service = &service
	})
	for range 30 {
		invite(t, d)
	}
	d.ask(administrator(), `{ invitations(first: 30) { nodes { actions { allowed } timeline(first: 1) { nodes { subject { id } } } } } }`, nil).done()
	if n := directory.accounts.Load(); n != 0 {
		t.Errorf("the directory was asked %d times for one account, and not once for what the caller has", n)
	}
	if n := store.many.Load(); n != 1 {
		t.Errorf("30 subjects were read in %d batches", n)
	}
	id := d.ask(administrator(), `{ invitations(first: 1) { nodes { id } } }`, nil).done().at("invitations", "nodes", 0, "id")
	d.ask(administrator(), `query($id: ID!) { invitation(id: $id) { actions { allowed } } }`, map[string]any{"id": id}).done()
	if n := directory.accounts.Load(); n != 1 {
		t.Errorf("the directory was asked %d times for one account", n)
	}
}
