package resolvers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	d := open(t)
	var ids []any
	for i := range 5 {
		user, client := "alice", fmt.Sprintf("client_%d", i%2)
		if i == 4 {
			user, client = "bob", ""
		}
		ids = append(ids, d.Login(t, user, client).ID)
		d.Clock.Pass(4 * time.Minute)
	}
	// It is 09:20: 0 and 1 are abandoned, without a sweep.
	d.ask(customer("alice"), act("endSession"), sessionInput(ids[3].(string))).done()
	for _, c := range []struct {
		name      string
		who       domain.Actor
		arguments string
		want      []any
	}{
		{"one's own, oldest first", customer("alice"), "", []any{0, 1, 2, 3}},
		{"bob's", customer("bob"), "", []any{4}},
		{"everybody's", as("root", domain.ScopeAdminRead), "", []any{0, 1, 2, 3, 4}},
		{"newest first", customer("alice"), "(orderBy: [{field: CREATED_AT, direction: DESC}])", []any{3, 2, 1, 0}},
		{"by user and time", administrator(), "(orderBy: [{field: USER_ID, direction: DESC}, {field: CREATED_AT}])", []any{4, 0, 1, 2, 3}},
		{"by the client", administrator(), "(orderBy: [{field: CLIENT_ID}, {field: LAST_ACTIVE_AT, direction: DESC}])", []any{2, 0, 3, 1, 4}},
		{"the last two", administrator(), "(last: 2)", []any{3, 4}},
		{"by status", administrator(), "(where: {status: {eq: ACTIVE}})", []any{2, 4}},
		{"by what time did", administrator(), "(where: {status: {eq: ABANDONED}})", []any{0, 1}},
		{"by several", administrator(), "(where: {status: {in: [ABANDONED, ENDED]}})", []any{0, 1, 3}},
		{"ne", administrator(), "(where: {status: {ne: ABANDONED}})", []any{2, 3, 4}},
		{"not", administrator(), "(where: {not: {status: {in: [ABANDONED, ENDED]}}})", []any{2, 4}},
		{"by user", administrator(), `(where: {userId: {eq: "bob"}})`, []any{4}},
		{"another's is not shown", customer("alice"), `(where: {userId: {eq: "bob"}})`, nil},
		{"by client", administrator(), `(where: {clientId: {eq: "client_0"}})`, []any{0, 2}},
		{"by clients", administrator(), `(where: {clientId: {in: ["client_0", "client_1"]}, createdAt: {gte: "2026-03-01T09:04:00Z"}})`, []any{1, 2, 3}},
		{"without a client", administrator(), `(where: {clientId: {isNull: true}})`, []any{4}},
		{"by activity", administrator(), `(where: {lastActiveAt: {lt: "2026-03-01T09:08:00Z"}, expireAt: {gt: "2026-03-01T21:00:00Z"}})`, []any{1}},
		{"by idle time", administrator(), `(where: {abandonAt: {lte: "2026-03-01T09:15:00Z"}})`, []any{0}},
		{"by the last transition", administrator(), `(where: {updatedAt: {gte: "2026-03-01T09:20:00Z"}})`, []any{3}},
		{"one or the other", administrator(), `(where: {or: [{status: {eq: ENDED}}, {userId: {eq: "bob"}}]})`, []any{3, 4}},
		{"both", administrator(), `(where: {and: [{status: {eq: ENDED}}, {userId: {eq: "bob"}}]})`, nil},
	} {
		r := d.ask(c.who, `{ sessions`+c.arguments+` { nodes { id } totalCount } }`, nil).done()
		var got []any
		for i := range r.at("sessions", "nodes").([]any) {
			got = append(got, slices.Index(ids, r.at("sessions", "nodes", i, "id")))
		}
		if !equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	d.ask(nobody, `{ sessions { nodes { id } } }`, nil).refused("UNAUTHENTICATED")
	for _, arguments := range []string{`(first: 101)`, `(after: "what")`, `(where: {userId: {eq: "\u0000"}})`, `(where: {createdAt: {gt: "yesterday"}})`} {
		d.ask(customer("alice"), `{ sessions`+arguments+` { nodes { id } } }`, nil).refused("BAD_DOCUMENT")
	}

	page := `query($after: String) { sessions(first: 2, after: $after, orderBy: [{field: STATUS, direction: DESC}]) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } totalCount } }`
	var after any
	seen := map[any]bool{}
	for {
		r := d.ask(administrator(), page, map[string]any{"after": after}).done().says(5, "sessions", "totalCount")
		for i := range r.at("sessions", "edges").([]any) {
			seen[r.at("sessions", "edges", i, "node", "id")] = true
		}
		after = r.at("sessions", "pageInfo", "endCursor")
		if r.at("sessions", "pageInfo", "hasNextPage") == false {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("pages show %d of 5", len(seen))
	}
}

func TestClientIsShownWithWhatIsOnes(t *testing.T) {
	t.Parallel()
	d := open(t)
	first := d.Login(t, "alice", "client_a")
	d.Clock.Pass(time.Second)
	bobs := d.Login(t, "bob", "client_a")
	d.Clock.Pass(time.Second)
	second := d.Login(t, "alice", "client_a")
	one := func(id string) any { return map[string]any{"id": id} }
	query := `{ node(id: "client_a") { __typename id ... on Client { sessions { id } lastActiveSession { id } } } }`
	client := func(last any, sessions ...any) map[string]any {
		return map[string]any{"__typename": "Client", "id": "client_a", "sessions": append([]any{}, sessions...), "lastActiveSession": last}
	}
	d.ask(customer("alice"), query, nil).done().says(client(one(second.ID), one(first.ID), one(second.ID)), "node")
	d.ask(customer("bob"), query, nil).done().says(client(nil, one(bobs.ID)), "node")
	d.ask(as("root", domain.ScopeAdminRead), query, nil).done().says(client(one(second.ID), one(first.ID), one(bobs.ID), one(second.ID)), "node")
	d.ask(customer("carol"), query, nil).done().says(nil, "node")
	d.ask(nobody, query, nil).refused("UNAUTHENTICATED")
	d.ask(administrator(), `{ node(id: "client_none") { id } }`, nil).done().says(nil, "node")

	d.ask(customer("bob"), act("removeSession"), sessionInput(bobs.ID)).done()
	d.ask(customer("bob"), query, nil).done().says(client(nil), "node") // still the client of one of the user's sessions
	d.ask(administrator(), act("terminateSession"), sessionInput(second.ID)).done()
	d.ask(customer("alice"), query, nil).done().says(client(nil, one(first.ID)), "node")
	d.ask(customer("alice"), act("touchSession"), sessionInput(first.ID)).done()
	d.ask(customer("alice"), query, nil).done().says(client(one(first.ID), one(first.ID)), "node")
	d.Clock.Pass(time.Hour)
	d.ask(customer("alice"), query, nil).done().says(client(nil, one(first.ID)), "node")
}

func TestSessionTimeline(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "")
	d.Clock.Pass(13 * time.Hour)
	if _, err := d.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := d.ask(customer("alice"), `query($id: ID!) { session(id: $id) { status endedAt endReason endedBy timeline { nodes { name from to actor } } } }`, map[string]any{"id": s.ID}).done()
	r.says("EXPIRED", "session", "status").says("2026-03-01T21:00:00Z", "session", "endedAt").says("maximum lifetime", "session", "endReason").
		says(nil, "session", "endedBy")
	r.says([]any{
		map[string]any{"name": "createSession", "from": nil, "to": "ACTIVE", "actor": "root"},
		map[string]any{"name": "abandonSession", "from": "ACTIVE", "to": "ABANDONED", "actor": nil},
		map[string]any{"name": "expireSession", "from": "ABANDONED", "to": "EXPIRED", "actor": nil},
	}, "session", "timeline", "nodes")
}
