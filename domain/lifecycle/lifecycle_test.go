package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
)

type (
	state string
	verb  string
	role  string
)

// door is a small machine: it opens and closes, locks permanently, and jams with time.
var door = &lifecycle.Machine[state, verb, role]{
	Name: "door", Start: "closed", Create: "createDoor", CreateBy: []role{"builder"}, Clock: "clock",
	States: []lifecycle.State[state]{{Name: "closed"}, {Name: "open"}, {Name: "locked"}},
	Transitions: []lifecycle.Row[state, verb, role]{
		{On: "open", From: []state{"closed"}, To: []state{"open"}, By: []role{"guest", "owner"}, Else: conflict},
		{On: "close", From: []state{"open"}, To: []state{"closed"}, By: []role{"guest"}, Else: conflict},
		{On: "lock", From: []state{"closed"}, To: []state{"locked"}, By: []role{"owner"}, Else: conflict, Operation: "lockForGood"},
		{On: "stick", From: []state{"open"}, To: []state{"closed"}, By: []role{"clock"}, Else: conflict},
		{On: "remove", By: []role{"owner"}, Erases: true, Else: conflict},
	},
}

func conflict(state) *problem.Definition { return problem.InvitationWrongState }

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claim string
		on    verb
		in    state
		by    []role
		want  lifecycle.Verdict
	}{
		{"a guest may open a closed door", "open", "closed", []role{"guest"}, lifecycle.Open},
		{"an open door cannot be opened", "open", "open", []role{"guest"}, lifecycle.Closed},
		{"a guest may not lock", "lock", "closed", []role{"guest"}, lifecycle.Denied},
		{"the role is checked before the state", "lock", "open", []role{"guest"}, lifecycle.Denied},
		{"one role of several is enough", "lock", "closed", []role{"guest", "owner"}, lifecycle.Open},
		{"no caller is the clock", "stick", "open", []role{"guest", "owner"}, lifecycle.Denied},
		{"an empty From means every state", "remove", "locked", []role{"owner"}, lifecycle.Open},
		{"there is no such verb", "paint", "open", []role{"owner"}, lifecycle.Unknown},
	} {
		if got := door.Check(c.on, c.in, c.by, lifecycle.Condition{}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.claim, got, c.want)
		}
	}
}

func TestCheckOfVersions(t *testing.T) {
	t.Parallel()
	old := 1
	for _, c := range []struct {
		claim string
		in    state
		by    role
		of    lifecycle.Condition
		want  lifecycle.Verdict
	}{
		{"the expected version is accepted", "closed", "guest", lifecycle.Condition{Version: 1, Expected: &old}, lifecycle.Open},
		{"another version is stale", "closed", "guest", lifecycle.Condition{Version: 2, Expected: &old}, lifecycle.Stale},
		{"the role is checked before the version", "closed", "stranger", lifecycle.Condition{Version: 2, Expected: &old}, lifecycle.Denied},
		{"the version is checked before the state", "locked", "guest", lifecycle.Condition{Version: 2, Expected: &old}, lifecycle.Stale},
		{"the effect checks the version if the transition is open", "closed", "guest", lifecycle.Condition{Version: 2, Expected: &old, InEffect: true}, lifecycle.Open},
		{"but not if the transition is closed", "locked", "guest", lifecycle.Condition{Version: 2, Expected: &old, InEffect: true}, lifecycle.Stale},
		{"a required version must be stated", "locked", "guest", lifecycle.Condition{Version: 2, Required: true}, lifecycle.Unconditional},
	} {
		if got := door.Check("open", c.in, []role{c.by}, c.of); got != c.want {
			t.Errorf("%s: got %q, want %q", c.claim, got, c.want)
		}
	}
	if !door.Begins("closed") || door.Begins("open") {
		t.Error("closed is the only initial state")
	}
}

func TestNamesAndEnds(t *testing.T) {
	t.Parallel()
	if got := door.OperationName("open"); got != "openDoor" {
		t.Errorf("verb and subject: %q", got)
	}
	if got := door.OperationName("lock"); got != "lockForGood" {
		t.Errorf("the row's own name: %q", got)
	}
	if door.Final("open") || door.Final("closed") || !door.Final("locked") {
		t.Error("only locked is final: erasing does not lead to another state")
	}
	if p := door.Refusal("open", "locked"); p.Attributes["currentState"] != "locked" ||
		strings.Join(p.Attributes["allowedStates"].([]string), ",") != "closed" {
		t.Errorf("a refusal states the current state and the allowed states: %v", p.Attributes)
	}
	if got := door.Allowed("closed", []role{"owner"}); len(got) != 3 {
		t.Errorf("an owner may open, lock and remove a closed door: %v", got)
	}
}

func TestMermaid(t *testing.T) {
	t.Parallel()
	const want = `stateDiagram-v2
    [*] --> closed: createDoor
    closed --> open: open
    open --> closed: close
    closed --> locked: lock
    open --> closed: stick
    locked --> [*]
`
	if got := door.Map().Mermaid(); got != want {
		t.Errorf("got\n%s", got)
	}
}
