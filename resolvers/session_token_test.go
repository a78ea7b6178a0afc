package resolvers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// claims parses a token of the test signer.
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

// TestTokensAreMadeAnewForARepeat: tokens are not stored, and a repeated call does not count as activity.
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
