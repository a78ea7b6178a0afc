package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/resolvers"
)

// act writes the document of a session mutation with its usual selection.
func act(name string) string {
	return fmt.Sprintf(`mutation($input: %sInput!) { %s(input: $input) { session { id status version tasks lastActiveAt abandonAt endedAt endReason endedBy } %s } }`,
		upper(name), name, problems)
}

// selecting writes the document of a mutation with what its payload has beside problems and replayed.
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

// claims reads a token of the test signer.
func claims(t testing.TB, kind string, jwt any) map[string]any {
	t.Helper()
	text, ok := strings.CutPrefix(fmt.Sprint(jwt), kind+":")
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); !ok || err != nil {
		t.Fatalf("%v is no token of the kind %s", jwt, kind)
	}
	return out
}

func TestCreateSessionToken(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	token := selecting("createSessionToken", "jwt")
	d.Clock.Pass(time.Minute)
	jwt := d.ask(customer("alice"), token, sessionInput(s.ID), "Origin", "https://bank.example").done().at("createSessionToken", "jwt")
	got := claims(t, "session", jwt)
	for claim, want := range map[string]any{"sub": "alice", "sid": s.ID, "azp": "https://bank.example", "sts": "active"} {
		if got[claim] != want {
			t.Errorf("%s is %v, want %v", claim, got[claim], want)
		}
	}
	d.ask(customer("alice"), `query($id: ID!) { session(id: $id) { lastActiveAt version } }`, map[string]any{"id": s.ID}).done().
		says(map[string]any{"lastActiveAt": "2026-03-01T09:01:00Z", "version": 1}, "session")

	d.ask(customer("bob"), token, sessionInput(s.ID)).problem("createSessionToken", "NotFoundProblem", "NOT_FOUND").says(nil, "createSessionToken", "jwt")
	d.ask(customer("alice"), token, sessionInput(s.ID, "template", "none")).problem("createSessionToken", "NotFoundProblem", "NOT_FOUND")
	d.ask(as("root", domain.ScopeAdminRead), token, sessionInput(s.ID)).refused("FORBIDDEN")
	d.ask(nobody, token, sessionInput(s.ID)).refused("UNAUTHENTICATED")
	d.ask(customer("alice"), act("endSession"), sessionInput(s.ID)).done()
	d.ask(customer("alice"), token, sessionInput(s.ID)).problem("createSessionToken", "StateProblem", "SIGNED_OUT").
		says("ENDED", "createSessionToken", "problems", 0, "currentState").says(nil, "createSessionToken", "jwt")
}

func TestCreateClientToken(t *testing.T) {
	t.Parallel()
	d := open(t)
	token := selecting("createClientToken", "client { id sessions { id } lastActiveSession { id } } jwt")
	s := d.Login(t, "alice", "client_demo")
	r := d.ask(administrator(), token, input(map[string]any{"clientId": "client_demo"})).done()
	one := map[string]any{"id": s.ID}
	r.says(map[string]any{"id": "client_demo", "sessions": []any{one}, "lastActiveSession": one}, "createClientToken", "client")
	if got := claims(t, "client", r.at("createClientToken", "jwt")); got["id"] != "client_demo" {
		t.Errorf("claims %v", got)
	}
	r = d.ask(administrator(), token, input(map[string]any{})).done().says([]any{}, "createClientToken", "client", "sessions")
	if id := r.at("createClientToken", "client", "id").(string); !strings.HasPrefix(id, "client_") {
		t.Errorf("a new client is %s", id)
	}
	d.ask(administrator(), token, input(map[string]any{"clientId": "client demo"})).problem("createClientToken", "FieldProblem", "INVALID_INPUT").
		says(nil, "createClientToken", "client")
	d.ask(customer("alice"), token, input(map[string]any{})).refused("FORBIDDEN")
}

// TestTokensAreMadeAnewForARepeat: nothing secret is kept, and a repeat is no activity.
func TestTokensAreMadeAnewForARepeat(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	client := selecting("createClientToken", "client { id } jwt")
	first := d.ask(administrator(), client, input(map[string]any{}), "Idempotency-Key", "c-1").done().says(false, "createClientToken", "replayed")
	again := d.ask(administrator(), client, input(map[string]any{}), "Idempotency-Key", "c-1").done().says(true, "createClientToken", "replayed")
	again.says(first.at("createClientToken", "client"), "createClientToken", "client")
	if equal(first.at("createClientToken", "jwt"), again.at("createClientToken", "jwt")) {
		t.Error("the token of a client was kept")
	}
	d.ask(administrator(), client, input(map[string]any{"clientId": "other"}), "Idempotency-Key", "c-1").
		problem("createClientToken", "FieldProblem", "IDEMPOTENCY_KEY_REUSED").says(nil, "createClientToken", "jwt")

	token := selecting("createSessionToken", "jwt")
	in := sessionInput(s.ID, "idempotencyKey", "t-1")
	first = d.ask(customer("alice"), token, in).done().says(false, "createSessionToken", "replayed")
	d.Clock.Pass(time.Minute)
	again = d.ask(customer("alice"), token, in).done().says(true, "createSessionToken", "replayed")
	if equal(first.at("createSessionToken", "jwt"), again.at("createSessionToken", "jwt")) {
		t.Error("the token of a session was kept")
	}
	d.ask(customer("alice"), `query($id: ID!) { session(id: $id) { lastActiveAt } }`, map[string]any{"id": s.ID}).done().
		says("2026-03-01T09:00:00Z", "session", "lastActiveAt")
	d.ask(customer("alice"), token, sessionInput(s.ID, "idempotencyKey", "t-1", "template", "x")).problem("createSessionToken", "FieldProblem", "IDEMPOTENCY_KEY_REUSED")
	d.ask(customer("alice"), act("touchSession"), in).problem("touchSession", "FieldProblem", "IDEMPOTENCY_KEY_REUSED")
	d.ask(customer("alice"), act("endSession"), sessionInput(s.ID)).done()
	d.ask(customer("alice"), token, in).problem("createSessionToken", "StateProblem", "SIGNED_OUT").says(nil, "createSessionToken", "jwt")
	over := sessionInput(s.ID, "idempotencyKey", "t-2")
	for _, replayed := range []bool{false, true} {
		d.ask(customer("alice"), act("touchSession"), over).problem("touchSession", "StateProblem", "INVALID_ACTION_FOR_SESSION").
			says(replayed, "touchSession", "replayed")
	}
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

func TestJwtTemplates(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	save := selecting("saveJwtTemplate", "jwtTemplate { name claims lifetime allowedClockSkew createdAt updatedAt }")
	body := map[string]any{"user": "{{user.id}}", "limit": 5000, "rate": 0.5, "deep": map[string]any{"list": []any{1, "{{org.role || 'none'}}"}}}
	r := d.ask(administrator(), save, input(map[string]any{"name": "ledger", "claims": body, "lifetime": 120})).done()
	r.says(map[string]any{
		"name": "ledger", "claims": body, "lifetime": 120, "allowedClockSkew": 5, "createdAt": "2026-03-01T09:00:00Z", "updatedAt": "2026-03-01T09:00:00Z",
	}, "saveJwtTemplate", "jwtTemplate").says(false, "saveJwtTemplate", "replayed")

	d.Clock.Pass(time.Minute)
	r = d.ask(administrator(), `mutation { saveJwtTemplate(input: {name: "ledger", claims: {user: "{{user.id}}", limit: 7}}) { jwtTemplate { createdAt updatedAt lifetime } problems { code } } }`, nil).done()
	r.says(map[string]any{"createdAt": "2026-03-01T09:00:00Z", "updatedAt": "2026-03-01T09:01:00Z", "lifetime": 60}, "saveJwtTemplate", "jwtTemplate")
	d.ask(as("root", domain.ScopeAdminRead), `{ jwtTemplates { name claims } }`, nil).done().
		says([]any{map[string]any{"name": "ledger", "claims": map[string]any{"user": "{{user.id}}", "limit": 7}}}, "jwtTemplates")

	jwt := d.ask(customer("alice"), selecting("createSessionToken", "jwt"), sessionInput(s.ID, "template", "ledger")).done().at("createSessionToken", "jwt")
	if got := claims(t, "template", jwt); got["user"] != "alice" || got["limit"] != 7.0 || got["sid"] != nil {
		t.Errorf("claims %v", got)
	}

	preview := selecting("previewJwtTemplate", "claims")
	r = d.ask(administrator(), preview, sessionInput(s.ID, "claims", body)).done()
	for path, want := range map[string]any{"user": "alice", "limit": 5000, "sub": "alice", "deep": map[string]any{"list": []any{1, "none"}}} {
		r.says(want, "previewJwtTemplate", "claims", path)
	}
	d.ask(administrator(), preview, sessionInput(unknownSession, "claims", body)).problem("previewJwtTemplate", "NotFoundProblem", "NOT_FOUND").
		says(nil, "previewJwtTemplate", "claims")

	remove := selecting("deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), remove, input(map[string]any{"name": "ledger"})).done().says("ledger", "deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), remove, input(map[string]any{"name": "ledger"})).problem("deleteJwtTemplate", "NotFoundProblem", "NOT_FOUND").
		says(nil, "deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), `{ jwtTemplates { name } }`, nil).done().says([]any{}, "jwtTemplates")
}

func TestJwtTemplatesRefuse(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "")
	save, preview := selecting("saveJwtTemplate", "jwtTemplate { name }"), selecting("previewJwtTemplate", "claims")
	fine := map[string]any{"a": 1}
	for member, in := range map[string]map[string]any{
		"name": {"name": "a/b", "claims": fine}, "lifetime": {"name": "a", "claims": fine, "lifetime": 29},
		"allowedClockSkew": {"name": "a", "claims": fine, "allowedClockSkew": 301},
		"claims":           {"name": "a", "claims": map[string]any{"a": strings.Repeat("x", 5000)}},
	} {
		d.ask(administrator(), save, input(in)).problem("saveJwtTemplate", "FieldProblem", "INVALID_INPUT").
			says([]any{member}, "saveJwtTemplate", "problems", 0, "path").says(nil, "saveJwtTemplate", "jwtTemplate")
	}
	d.ask(administrator(), save, input(map[string]any{"name": "a", "claims": map[string]any{"sub": "mallory"}})).
		problem("saveJwtTemplate", "FieldProblem", "JWT_TEMPLATE_RESERVED_CLAIM").says([]any{"claims", "sub"}, "saveJwtTemplate", "problems", 0, "path")
	d.ask(administrator(), preview, sessionInput(s.ID, "claims", map[string]any{"sid": "x"})).
		problem("previewJwtTemplate", "FieldProblem", "JWT_TEMPLATE_RESERVED_CLAIM")
	for _, wrong := range []any{"text", 5, []any{}, nil} {
		d.ask(administrator(), save, input(map[string]any{"name": "a", "claims": wrong})).refused("BAD_DOCUMENT")
	}
	d.send(administrator(), post(`{"query":"mutation($c: JSON!) { saveJwtTemplate(input: {name: \"a\", claims: $c}) { replayed } }","variables":{"c":{"a":[1e999]}}}`)).
		refused("BAD_DOCUMENT")
	for name, in := range map[string]map[string]any{
		"saveJwtTemplate": {"name": "a", "claims": fine}, "deleteJwtTemplate": {"name": "a"}, "previewJwtTemplate": {"sessionId": s.ID, "claims": fine},
	} {
		for _, who := range []domain.Actor{customer("alice"), as("root", domain.ScopeAdminRead)} {
			d.ask(who, selecting(name, ""), input(in)).refused("FORBIDDEN")
		}
	}
	d.ask(as("alice"), `{ jwtTemplates { name } }`, nil).refused("FORBIDDEN")
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
	// It is 09:20: 0 and 1 are abandoned, by the clock alone.
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
	d.ask(customer("bob"), query, nil).done().says(client(nil), "node") // still that of a session of his
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

func TestLifecycleOfSessions(t *testing.T) {
	t.Parallel()
	r := open(t).ask(nobody, `{ lifecycle(of: SESSION) { kind starts states { name final } transitions { name from to who } } }`, nil).done()
	r.says("SESSION", "lifecycle", "kind").says([]any{"ACTIVE", "PENDING"}, "lifecycle", "starts")
	r.says(map[string]any{"name": "REMOVED", "final": true}, "lifecycle", "states", 5)
	r.says(map[string]any{"name": "endSession", "from": []any{"ACTIVE", "PENDING"}, "to": []any{"ENDED"}, "who": []any{"OWNER", "ADMIN"}}, "lifecycle", "transitions", 1)
}

// readStore counts the statements that read sessions and clients.
type readStore struct {
	domain.Store
	reads, single atomic.Int32
}

func (s *readStore) Sessions() domain.Shelf[domain.Session] { return readShelf{s.Store.Sessions(), s} }

func (s *readStore) Client(ctx context.Context, id string) (*domain.Client, error) {
	s.single.Add(1)
	return s.Store.Client(ctx, id)
}

func (s *readStore) Clients(ctx context.Context, ids []string) ([]*domain.Client, error) {
	s.reads.Add(1)
	return s.Store.Clients(ctx, ids)
}

type readShelf struct {
	domain.Shelf[domain.Session]
	of *readStore
}

func (s readShelf) Get(ctx context.Context, id string) (*domain.Session, error) {
	s.of.single.Add(1)
	return s.Shelf.Get(ctx, id)
}

func (s readShelf) GetMany(ctx context.Context, ids []string) ([]*domain.Session, error) {
	s.of.reads.Add(1)
	return s.Shelf.GetMany(ctx, ids)
}

func (s readShelf) List(ctx context.Context, q listing.Query) (listing.Page[domain.Session], error) {
	s.of.reads.Add(1)
	return s.Shelf.List(ctx, q)
}

func TestClientsOfAListAreReadAtOnce(t *testing.T) {
	t.Parallel()
	store := &readStore{}
	d := open(t, func(o *resolvers.Options) {
		service := *o.Service
		store.Store, service.Store = service.Store, store
		o.Service = &service
	})
	for i := range 30 {
		d.Login(t, "alice", fmt.Sprintf("client_%d", i))
		d.Clock.Pass(time.Second)
	}
	for _, who := range []domain.Actor{customer("alice"), administrator()} {
		store.reads.Store(0)
		store.single.Store(0)
		r := d.ask(who, `{ sessions(first: 30) { nodes { client { id sessions { id } lastActiveSession { id } } } } }`, nil).done()
		for i := range 30 {
			r.says(fmt.Sprintf("client_%d", i), "sessions", "nodes", i, "client", "id").
				says(r.at("sessions", "nodes", i, "client", "lastActiveSession"), "sessions", "nodes", i, "client", "sessions", 0)
		}
		if reads, single := store.reads.Load(), store.single.Load(); single != 0 || reads < 2 || reads > 5 {
			t.Errorf("30 clients were read in %d statements, and %d for one each", reads, single)
		}
	}
}

// TestAClientWithManySessionsLeavesTheOthersTheirs: it shows its newest, in the order of their creation.
func TestAClientWithManySessionsLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	d := open(t)
	var many []*domain.Session
	few := d.Login(t, "alice", "client_few")
	for range 205 {
		d.Clock.Pass(time.Second)
		many = append(many, d.Login(t, "alice", "client_many"))
	}
	query := `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Client { id sessions { id } } } }`
	r := d.ask(customer("alice"), query, map[string]any{"ids": []any{"client_many", "client_few"}}).done()
	if n := len(r.at("nodes", 0, "sessions").([]any)); n != 100 {
		t.Errorf("%d sessions", n)
	}
	r.says(many[105].ID, "nodes", 0, "sessions", 0, "id").says(many[204].ID, "nodes", 0, "sessions", 99, "id").
		says([]any{map[string]any{"id": few.ID}}, "nodes", 1, "sessions")
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
