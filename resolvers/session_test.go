package resolvers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// act writes the document of a session mutation with its usual selection.
func act(name string) string {
	return fmt.Sprintf(`mutation($input: %sInput!) { %s(input: $input) { session { id status version tasks lastActiveAt abandonAt endedAt endReason endedBy } %s } }`,
		upper(name), name, problems)
}

// selecting writes the document of a mutation with its payload members in addition to problems and replayed.
func selecting(name, selection string) string {
	return fmt.Sprintf(`mutation($input: %sInput!) { %s(input: $input) { %s %s } }`, upper(name), name, selection, problems)
}

func sessionInput(id string, more ...any) map[string]any {
	in := map[string]any{"sessionId": id}
	for i := 0; i+1 < len(more); i += 2 {
		in[more[i].(string)] = more[i+1]
	}
	return input(in)
}

func customer(user string) domain.Actor { return domain.Actor{ID: user, Username: user} }

const unknownSession = "sess_00000000000000000000000000"

func TestCreateSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(administrator(), selecting("createSession", `session { __typename id status userId client { id lastActiveSession { id } createdAt }
		lastActiveAt expireAt abandonAt endedAt endReason endedBy ipAddress userAgent deviceName tasks organizationId version createdAt updatedAt
		timeline { totalCount nodes { name from to actor subjectKind subject { __typename id } } } }`), input(map[string]any{
		"userId": "alice", "clientId": "client_demo", "handle": "login#1#secret", "ipAddress": "198.51.100.7",
		"userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	})).done()
	r.says([]any{}, "createSession", "problems").says(false, "createSession", "replayed")
	id := r.at("createSession", "session", "id")
	for member, want := range map[string]any{
		"status": "ACTIVE", "userId": "alice", "lastActiveAt": "2026-03-01T09:00:00Z", "abandonAt": "2026-03-01T09:15:00Z",
		"expireAt": "2026-03-01T21:00:00Z", "endedAt": nil, "endReason": nil, "endedBy": nil, "ipAddress": "198.51.100.7", "tasks": []any{},
		"organizationId": nil, "version": 1, "deviceName": "Firefox on Linux",
		"client": map[string]any{"id": "client_demo", "lastActiveSession": map[string]any{"id": id}, "createdAt": "2026-03-01T09:00:00Z"},
		"timeline": map[string]any{"totalCount": 1, "nodes": []any{map[string]any{
			"name": "createSession", "from": nil, "to": "ACTIVE", "actor": "root", "subjectKind": "SESSION",
			"subject": map[string]any{"__typename": "Session", "id": id},
		}}},
	} {
		r.says(want, "createSession", "session", member)
	}
	if strings.Contains(r.text, "login#1#secret") {
		t.Errorf("the handle is shown: %s", r.text)
	}
}

func TestCreateSessionRefuses(t *testing.T) {
	t.Parallel()
	d := open(t)
	create := act("createSession")
	in := func(more ...any) map[string]any {
		out := map[string]any{"userId": "alice"}
		for i := 0; i+1 < len(more); i += 2 {
			out[more[i].(string)] = more[i+1]
		}
		return input(out)
	}
	for member, value := range map[string]any{
		"userId": "", "clientId": "client demo", "ipAddress": "nowhere", "tasks": []any{"fly"}, "handle": strings.Repeat("h", 129),
	} {
		r := d.ask(administrator(), create, in(member, value)).problem("createSession", "FieldProblem", "INVALID_INPUT")
		if path := r.at("createSession", "problems", 0, "path").([]any); !strings.HasPrefix(path[0].(string), member) {
			t.Errorf("%s: path %v", member, path)
		}
		r.says(nil, "createSession", "session")
	}
	d.ask(administrator(), create, in("handle", "login#1")).done().says([]any{}, "createSession", "problems")
	d.ask(administrator(), create, in("handle", "login#1")).problem("createSession", "FieldProblem", "SESSION_HANDLE_TAKEN").
		says([]any{"handle"}, "createSession", "problems", 0, "path")
	for _, who := range []domain.Actor{customer("alice"), as("alice"), as("root", domain.ScopeAdminRead)} {
		d.ask(who, create, in()).refused("FORBIDDEN").says(nil, "createSession")
	}
	d.ask(nobody, create, in()).refused("UNAUTHENTICATED")
}

func TestCreateSessionReplaces(t *testing.T) {
	t.Parallel()
	d := open(t)
	old, elsewhere, others := d.Login(t, "alice", "client_a"), d.Login(t, "alice", "client_b"), d.Login(t, "bob", "client_a")
	d.ask(administrator(), act("createSession"), input(map[string]any{"userId": "alice", "clientId": "client_a", "replace": true})).done().
		says("ACTIVE", "createSession", "session", "status")
	r := d.ask(administrator(), `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Session { status endedAt timeline(last: 1) { nodes { name from to } } } } }`,
		map[string]any{"ids": []any{old.ID, elsewhere.ID, others.ID}}).done()
	r.says("REPLACED", "nodes", 0, "status").says("ACTIVE", "nodes", 1, "status").says("ACTIVE", "nodes", 2, "status").
		says(map[string]any{"name": "replaceSession", "from": "ACTIVE", "to": "REPLACED"}, "nodes", 0, "timeline", "nodes", 0)
}

func TestTouchSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, second := d.Login(t, "alice", "client_a"), d.Login(t, "alice", "client_a")
	touch := selecting("touchSession", `session { version lastActiveAt abandonAt expireAt client { lastActiveSession { id } } timeline { totalCount } }`)
	d.Clock.Pass(10 * time.Minute)
	d.ask(customer("alice"), touch, sessionInput(first.ID)).done().says(map[string]any{
		"version": 1, "lastActiveAt": "2026-03-01T09:10:00Z", "abandonAt": "2026-03-01T09:25:00Z", "expireAt": "2026-03-01T21:00:00Z",
		"client": map[string]any{"lastActiveSession": map[string]any{"id": first.ID}}, "timeline": map[string]any{"totalCount": 1},
	}, "touchSession", "session")
	d.ask(customer("bob"), touch, sessionInput(first.ID)).problem("touchSession", "NotFoundProblem", "NOT_FOUND").says(nil, "touchSession", "session")
	d.ask(customer("alice"), touch, sessionInput(unknownSession)).problem("touchSession", "NotFoundProblem", "NOT_FOUND")
	d.ask(as("root", domain.ScopeAdminRead), touch, sessionInput(first.ID)).refused("FORBIDDEN")
	d.ask(nobody, touch, sessionInput(first.ID)).refused("UNAUTHENTICATED")
	d.ask(customer("alice"), act("endSession"), sessionInput(second.ID)).done()
	r := d.ask(customer("alice"), act("touchSession"), sessionInput(second.ID)).problem("touchSession", "StateProblem", "INVALID_ACTION_FOR_SESSION")
	r.says("ENDED", "touchSession", "problems", 0, "currentState").says([]any{"ACTIVE", "PENDING"}, "touchSession", "problems", 0, "allowedStates").
		says("ENDED", "touchSession", "session", "status")
	d.Clock.Pass(15 * time.Minute)
	d.ask(customer("alice"), act("touchSession"), sessionInput(first.ID)).problem("touchSession", "StateProblem", "INVALID_ACTION_FOR_SESSION").
		says("ABANDONED", "touchSession", "problems", 0, "currentState")
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	end := act("endSession")
	d.ask(customer("alice"), end, sessionInput(s.ID, "expectedVersion", 7)).problem("endSession", "StaleVersionProblem", "VERSION_STALE").
		says(1, "endSession", "problems", 0, "currentVersion").says("ACTIVE", "endSession", "session", "status")
	d.ask(customer("bob"), end, sessionInput(s.ID)).problem("endSession", "NotFoundProblem", "NOT_FOUND").says(nil, "endSession", "session")
	d.ask(as("root", domain.ScopeAdminRead), end, sessionInput(s.ID)).refused("FORBIDDEN")
	d.ask(customer("alice"), end, sessionInput("")).problem("endSession", "FieldProblem", "INVALID_INPUT")
	d.Clock.Pass(time.Minute)
	d.ask(customer("alice"), end, sessionInput(s.ID, "expectedVersion", 1, "reason", "going home")).done().says(map[string]any{
		"id": s.ID, "status": "ENDED", "version": 2, "tasks": []any{}, "lastActiveAt": "2026-03-01T09:00:00Z", "abandonAt": "2026-03-01T09:15:00Z",
		"endedAt": "2026-03-01T09:01:00Z", "endReason": "going home", "endedBy": "alice",
	}, "endSession", "session")
	r := d.ask(customer("alice"), end, sessionInput(s.ID)).problem("endSession", "StateProblem", "INVALID_ACTION_FOR_SESSION")
	r.says("ENDED", "endSession", "problems", 0, "currentState").says([]any{"ACTIVE", "PENDING"}, "endSession", "problems", 0, "allowedStates")
	other := d.Login(t, "alice", "")
	d.ask(administrator(), end, sessionInput(other.ID)).done().says("root", "endSession", "session", "endedBy")
}

func TestEndOtherSessions(t *testing.T) {
	t.Parallel()
	d := open(t)
	kept, a := d.Login(t, "alice", "client_a"), d.Login(t, "alice", "client_b")
	d.Clock.Pass(time.Second)
	b, bobs := d.Login(t, "alice", ""), d.Login(t, "bob", "client_a")
	document := selecting("endOtherSessions", `session { id status } endedSessions { id status endReason }`)
	d.ask(customer("alice"), document, input(map[string]any{})).problem("endOtherSessions", "FieldProblem", "INVALID_INPUT").
		says([]any{"sessionId"}, "endOtherSessions", "problems", 0, "path").says(nil, "endOtherSessions", "endedSessions")
	d.ask(customer("bob"), document, sessionInput(kept.ID)).problem("endOtherSessions", "NotFoundProblem", "NOT_FOUND")
	d.ask(as("root", domain.ScopeAdminRead), document, sessionInput(kept.ID)).refused("FORBIDDEN")

	speaking := customer("alice")
	speaking.SessionID = kept.ID
	in := input(map[string]any{"reason": "lost my phone", "idempotencyKey": "others-1"})
	for _, replayed := range []bool{false, true} {
		r := d.ask(speaking, document, in).done().says(replayed, "endOtherSessions", "replayed").says([]any{}, "endOtherSessions", "problems")
		r.says(map[string]any{"id": kept.ID, "status": "ACTIVE"}, "endOtherSessions", "session")
		one := func(id string) any { return map[string]any{"id": id, "status": "ENDED", "endReason": "lost my phone"} }
		r.says([]any{one(a.ID), one(b.ID)}, "endOtherSessions", "endedSessions")
	}
	d.ask(customer("alice"), document, sessionInput(kept.ID)).done().says([]any{}, "endOtherSessions", "endedSessions")
	d.ask(customer("bob"), `query($id: ID!) { session(id: $id) { status } }`, map[string]any{"id": bobs.ID}).done().says("ACTIVE", "session", "status")
}

func TestRemoveSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	remove := act("removeSession")
	d.ask(customer("bob"), remove, sessionInput(s.ID)).problem("removeSession", "NotFoundProblem", "NOT_FOUND")
	d.ask(customer("alice"), act("endSession"), sessionInput(s.ID, "reason", "first")).done()
	r := d.ask(customer("alice"), remove, sessionInput(s.ID, "reason", "second")).done().says("REMOVED", "removeSession", "session", "status")
	r.says("first", "removeSession", "session", "endReason")
	d.ask(customer("alice"), remove, sessionInput(s.ID)).problem("removeSession", "StateProblem", "INVALID_ACTION_FOR_SESSION").
		says("REMOVED", "removeSession", "problems", 0, "currentState")
}

func TestTerminateSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	terminate := act("terminateSession")
	for _, who := range []domain.Actor{customer("alice"), as("root", domain.ScopeAdminRead)} {
		d.ask(who, terminate, sessionInput(s.ID)).refused("FORBIDDEN")
	}
	d.ask(administrator(), terminate, sessionInput(unknownSession)).problem("terminateSession", "NotFoundProblem", "NOT_FOUND")
	d.ask(administrator(), terminate, sessionInput(s.ID, "reason", "fraud")).done().
		says("REVOKED", "terminateSession", "session", "status").says("fraud", "terminateSession", "session", "endReason")
	r := d.ask(administrator(), terminate, sessionInput(s.ID, "reason", "again")).done().says([]any{}, "terminateSession", "problems")
	r.says(2, "terminateSession", "session", "version").says("fraud", "terminateSession", "session", "endReason")
	in := sessionInput(s.ID, "idempotencyKey", "over-1")
	for _, replayed := range []bool{false, true} {
		d.ask(administrator(), terminate, in).done().says([]any{}, "terminateSession", "problems").says(replayed, "terminateSession", "replayed").
			says("REVOKED", "terminateSession", "session", "status")
	}
}

func TestResumeSession(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	resume := act("resumeSession")
	d.ask(customer("alice"), resume, sessionInput(s.ID)).refused("FORBIDDEN")
	d.Clock.Pass(20 * time.Minute)
	d.ask(customer("alice"), `query($id: ID!) { session(id: $id) { status version endedAt } }`, map[string]any{"id": s.ID}).done().
		says(map[string]any{"status": "ABANDONED", "version": 2, "endedAt": nil}, "session")
	r := d.ask(administrator(), resume, sessionInput(s.ID)).done().says("ACTIVE", "resumeSession", "session", "status")
	r.says("2026-03-01T09:35:00Z", "resumeSession", "session", "abandonAt").says(3, "resumeSession", "session", "version")
	d.Clock.Pass(12 * time.Hour)
	d.ask(administrator(), resume, sessionInput(s.ID)).problem("resumeSession", "StateProblem", "SESSION_LIFETIME_EXCEEDED").
		says("EXPIRED", "resumeSession", "problems", 0, "currentState").
		says([]any{"ACTIVE", "PENDING", "ABANDONED"}, "resumeSession", "problems", 0, "allowedStates")
	over := d.Login(t, "alice", "")
	d.ask(administrator(), act("terminateSession"), sessionInput(over.ID)).done()
	d.ask(administrator(), resume, sessionInput(over.ID)).problem("resumeSession", "StateProblem", "SESSION_TERMINATED").
		says("REVOKED", "resumeSession", "session", "status")
}

func TestCompleteSessionTask(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(administrator(), act("createSession"), input(map[string]any{"userId": "alice", "tasks": []any{"setup-mfa", "reset-password"}})).done()
	r.says("PENDING", "createSession", "session", "status").says([]any{"setup-mfa", "reset-password"}, "createSession", "session", "tasks")
	id := r.at("createSession", "session", "id").(string)
	complete := act("completeSessionTask")
	d.ask(customer("alice"), complete, sessionInput(id, "task", "setup-mfa")).refused("FORBIDDEN")
	d.ask(administrator(), complete, sessionInput(id, "task", "choose-organization")).problem("completeSessionTask", "FieldProblem", "INVALID_INPUT").
		says([]any{"task"}, "completeSessionTask", "problems", 0, "path")
	d.ask(administrator(), complete, sessionInput(id, "task", "setup-mfa")).done().
		says("PENDING", "completeSessionTask", "session", "status").says([]any{"reset-password"}, "completeSessionTask", "session", "tasks")
	d.ask(administrator(), complete, sessionInput(id, "task", "reset-password")).done().
		says("ACTIVE", "completeSessionTask", "session", "status").says([]any{}, "completeSessionTask", "session", "tasks")
	d.ask(administrator(), complete, sessionInput(id, "task", "reset-password")).problem("completeSessionTask", "StateProblem", "INVALID_ACTION_FOR_SESSION").
		says([]any{"PENDING"}, "completeSessionTask", "problems", 0, "allowedStates")
}

func TestIdempotencyKeyOfEverySessionMutation(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, in := range map[string]map[string]any{
		"createSession": {"userId": "alice", "clientId": "client_a"}, "touchSession": {}, "endSession": {}, "removeSession": {}, "terminateSession": {},
		"resumeSession": {}, "completeSessionTask": {"task": "setup-mfa"}, "endOtherSessions": {},
	} {
		if name != "createSession" {
			r := d.ask(administrator(), act("createSession"), input(map[string]any{"userId": "carol", "tasks": []any{"setup-mfa"}})).done()
			in["sessionId"] = r.at("createSession", "session", "id")
		}
		d.ask(administrator(), act(name), input(in), "Idempotency-Key", "\x7f").problem(name, "FieldProblem", "INVALID_INPUT").
			says([]any{"idempotencyKey"}, name, "problems", 0, "path")
		first := d.ask(administrator(), act(name), input(in), "Idempotency-Key", name).done().says([]any{}, name, "problems").says(false, name, "replayed")
		again := d.ask(administrator(), act(name), input(in), "Idempotency-Key", name).done().says([]any{}, name, "problems").says(true, name, "replayed")
		again.says(first.at(name, "session"), name, "session")
		in["idempotencyKey"] = name
		switch name {
		case "createSession":
			in["userId"] = "bob"
		case "touchSession":
			in["sessionId"] = unknownSession
		case "completeSessionTask":
			in["task"] = "reset-password"
		default:
			in["reason"] = "another"
		}
		d.ask(administrator(), act(name), input(in)).problem(name, "FieldProblem", "IDEMPOTENCY_KEY_REUSED")
	}
}

func TestSessionIsShownToItsUser(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(administrator(), act("createSession"), input(map[string]any{"userId": "alice", "clientId": "client_a", "handle": "login#1"})).done()
	id := r.at("createSession", "session", "id")
	query := `query($id: ID!) { session(id: $id) { id } node(id: $id) { __typename id } }`
	here := map[string]any{"session": map[string]any{"id": id}, "node": map[string]any{"__typename": "Session", "id": id}}
	for _, who := range []domain.Actor{customer("alice"), administrator(), as("root", domain.ScopeAdminRead)} {
		d.ask(who, query, map[string]any{"id": id}).done().says(here["session"], "session").says(here["node"], "node")
	}
	d.ask(customer("bob"), query, map[string]any{"id": id}).done().says(nil, "session").says(nil, "node")
	d.ask(nobody, query, map[string]any{"id": id}).refused("UNAUTHENTICATED")
	d.ask(customer("alice"), `{ session(id: "login#1") { id } }`, nil).done().says(here["session"], "session")
	d.ask(customer("bob"), `{ session(id: "login#1") { id } }`, nil).done().says(nil, "session")
}

func TestSessionActionsSayWhyNot(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "")
	query := `query($id: ID!) { session(id: $id) { actions { name allowed problem { __typename code } availableAt } } }`
	allowed := func(who domain.Actor) map[string]any {
		t.Helper()
		r := d.ask(who, query, map[string]any{"id": s.ID}).done()
		out := map[string]any{}
		for i := range r.at("session", "actions").([]any) {
			out[r.at("session", "actions", i, "name").(string)] = r.at("session", "actions", i, "allowed")
		}
		return out
	}
	want := map[string]any{"endSession": true, "removeSession": true, "terminateSession": false, "resumeSession": false, "completeSessionTask": false}
	if got := allowed(customer("alice")); !equal(got, want) {
		t.Errorf("the user: %v, want %v", got, want)
	}
	want["terminateSession"], want["resumeSession"] = true, true
	if got := allowed(administrator()); !equal(got, want) {
		t.Errorf("an administrator: %v, want %v", got, want)
	}
	d.ask(customer("alice"), act("removeSession"), sessionInput(s.ID)).done()
	d.ask(administrator(), query, map[string]any{"id": s.ID}).done().says(map[string]any{
		"name": "endSession", "allowed": false, "availableAt": nil,
		"problem": map[string]any{"__typename": "StateProblem", "code": "INVALID_ACTION_FOR_SESSION"},
	}, "session", "actions", 0)
}

func TestLifecycleOfSessions(t *testing.T) {
	t.Parallel()
	r := open(t).ask(nobody, `{ lifecycle(of: SESSION) { kind starts states { name final } transitions { name from to who } } }`, nil).done()
	r.says("SESSION", "lifecycle", "kind").says([]any{"ACTIVE", "PENDING"}, "lifecycle", "starts")
	r.says(map[string]any{"name": "REMOVED", "final": true}, "lifecycle", "states", 5)
	r.says(map[string]any{"name": "endSession", "from": []any{"ACTIVE", "PENDING"}, "to": []any{"ENDED"}, "who": []any{"OWNER", "ADMIN"}}, "lifecycle", "transitions", 1)
}

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, document := range []string{
		`{ sessions(first: 100) { nodes { client { sessions { client { id } timeline { nodes { id } } } } } } }`,
		`{ sessions(first: 100) { nodes { timeline(first: 100) { nodes { id } } } } }`,
		`{ sessions(first: 100) { nodes { actions { name } client { sessions { actions { name allowed } } } } } }`,
	} {
		if r := d.ask(customer("alice"), document, nil).refused("TOO_COMPLEX"); r.status != http.StatusBadRequest {
			t.Errorf("status %d", r.status)
		}
	}
	d.ask(customer("alice"), `{ sessions(first: 100) { nodes { id status actions { name allowed } client { sessions { id } } } } }`, nil).done()
}
