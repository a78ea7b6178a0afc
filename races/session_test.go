package races

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/anishathalye/porcupine"
)

// session is a session as both documented APIs have it.
type session struct {
	state   string
	version int
	// active is lastActiveAt in milliseconds; exact is unset while only a call that does not show it has moved it.
	active int64
	exact  bool
	// tasks are those still open, separated by commas.
	tasks string
	keys  memos
}

// The model learns from the first operation, which stands for the creation, whether there are tasks.
var sessionRaces = subject{name: "session", model: model(session{}, stepSession), plan: planSession}

// The two tasks of a session that begins as pending.
const bothTasks = "reset-password,setup-mfa"

func without(tasks, one string) (string, bool) {
	var left []string
	found := false
	for _, t := range strings.Split(tasks, ",") {
		if t == one {
			found = true
		} else if t != "" {
			left = append(left, t)
		}
	}
	return strings.Join(left, ","), found
}

// stepSession is the life of a session, one call after another.
func stepSession(s session, c call, out outcome) (bool, session) {
	if c.Name == "createSession" {
		s = session{state: "ACTIVE", version: 1, tasks: c.Arg}
		if c.Arg != "" {
			s.state = "PENDING"
		}
		return out.State == s.state && out.Version == 1, s
	}
	live := s.state == "ACTIVE" || s.state == "PENDING"
	if c.Name == "createSessionToken" && !live && s.keys.made(c) { // a repeat makes a token too, and cannot any more
		return out.Replayed && out.Code == "SIGNED_OUT", s
	}
	if ok, decided := s.keys.repeat(c, out); decided {
		return ok && s.shows(&out), s
	}
	over := s.state == "ENDED" || s.state == "REMOVED" || s.state == "REVOKED" || s.state == "REPLACED"
	next, code, changed := s, "", true
	next.version++
	stale := c.Version != 0 && c.Version != s.version
	open := "ACTIVE"
	if s.tasks != "" {
		open = "PENDING"
	}
	// The client's own door lists no session that was removed.
	gone := c.Door == "rest" && s.state == "REMOVED" && c.Name != "terminateSession" && c.Name != "resumeSession"
	switch c.Name {
	case "read":
		if gone {
			return out.Code == "NOT_FOUND", s
		}
		return out.Code == "" && s.shows(&out), s
	case "touchSession", "createSessionToken":
		next.version--
		switch {
		case gone:
			code = "NOT_FOUND"
		case !live && c.Name == "touchSession":
			code = "INVALID_ACTION_FOR_SESSION"
		case !live:
			code = "SIGNED_OUT"
		default:
			next.exact = false
		}
	case "endSession":
		next.state = "ENDED"
		switch {
		case gone:
			code = "NOT_FOUND"
		case stale:
			code = "VERSION_STALE"
		case !live:
			code = "INVALID_ACTION_FOR_SESSION"
		}
	case "removeSession":
		next.state = "REMOVED"
		switch {
		case gone:
			code = "NOT_FOUND"
		case stale:
			code = "VERSION_STALE"
		case s.state == "REMOVED":
			code = "INVALID_ACTION_FOR_SESSION"
		}
	case "terminateSession":
		next.state = "REVOKED"
		switch {
		case stale:
			code = "VERSION_STALE"
		case over: // the caller's wish is fulfilled
			changed = false
		}
	case "resumeSession":
		next.state, next.exact = open, false
		switch {
		case stale:
			code = "VERSION_STALE"
		case over:
			code = "SESSION_TERMINATED"
		case s.state == "EXPIRED":
			code = "SESSION_LIFETIME_EXCEEDED"
		}
	case "completeSessionTask":
		left, found := without(s.tasks, c.Arg)
		next.tasks = left
		if left == "" {
			next.state = "ACTIVE"
		}
		switch {
		case stale:
			code = "VERSION_STALE"
		case s.state != "PENDING":
			code = "INVALID_ACTION_FOR_SESSION"
		case !found:
			code = "INVALID_INPUT"
		}
	default:
		return false, s
	}
	if code != "" || !changed {
		next = s
	}
	if code != "NOT_FOUND" && code != "INVALID_INPUT" {
		next.keys = next.keys.with(c.Key, c.input(), code)
	}
	return out.Code == code && next.shows(&out), next
}

// shows reports whether what was seen is how it stands, and notes the activity that was seen. Activity never goes back.
func (s *session) shows(out *outcome) bool {
	if out.Active >= 0 {
		if out.Active < s.active || s.exact && out.Active != s.active {
			return false
		}
		s.active, s.exact = out.Active, true
	}
	return (out.State == "" || out.State == s.state) && (out.Version == 0 || out.Version == s.version)
}

func planSession(b *bank, rng *rand.Rand) round {
	root, alice := b.token("root", admin), b.token("alice", customer)
	client, _ := b.made(root, "createClientToken", "jwt", map[string]any{})["jwt"].(string)
	clientID := ""
	if a, err := b.send(0, http.MethodGet, "/v1/client?_is_native=1", "", "Authorization: "+client); err == nil {
		clientID = a.text("response", "id")
	}
	tasks := pick(rng, "", "", bothTasks)
	input := map[string]any{"userId": "alice", "clientId": clientID}
	if tasks != "" {
		input["tasks"] = strings.Split(tasks, ",")
	}
	id, _ := at(b.made(root, "createSession", "session { id }", input), "session", "id").(string)

	names := []string{
		"touchSession", "touchSession", "createSessionToken", "createSessionToken", "endSession", "removeSession", "terminateSession",
		"resumeSession", "resumeSession", "read", "read",
	}
	if tasks != "" {
		names = append(names, "completeSessionTask", "completeSessionTask", "completeSessionTask")
	}
	keyed := rng.IntN(2) == 0
	r := round{}
	for range 6 + rng.IntN(6) {
		c := call{Name: pick(rng, names...), Door: pick(rng, "graphql", "rest"), Instance: rng.IntN(len(b.urls))}
		if c.Name == "completeSessionTask" {
			c.Door, c.Arg = "graphql", pick(rng, "reset-password", "setup-mfa")
		}
		if rng.IntN(5) == 0 && c.Door == "graphql" {
			switch c.Name {
			case "endSession", "removeSession", "terminateSession", "resumeSession", "completeSessionTask":
				c.Version = 1 + rng.IntN(3)
			}
		}
		if keyed && rng.IntN(2) == 0 {
			switch {
			case c.Name == "terminateSession", c.Name == "resumeSession", c.Name == "completeSessionTask":
				c.Key = id + "-0" // the institution's
			case c.Door == "rest" && c.Name != "read":
				c.Key = id + "-1" // the client's
			}
		}
		r.calls = append(r.calls, c)
	}
	r.do = func(c call) (outcome, error) { return b.sessionCall(c, id, client, alice, root) }
	r.check = func([]porcupine.Operation) error { return b.journalOf(root, "session", id) }
	started := unseen()
	started.State, started.Version = "ACTIVE", 1
	if tasks != "" {
		started.State = "PENDING"
	}
	r.first = &porcupine.Operation{ClientId: len(r.calls), Input: call{Name: "createSession", Arg: tasks}, Call: -2, Output: started, Return: -1}
	return r
}

// sessionCall makes one call about a session: the customer's by GraphQL, the client's by its own door, and the
// institution's by GraphQL and the system API.
func (b *bank) sessionCall(c call, id, client, alice, root string) (outcome, error) {
	out := unseen()
	institution := c.Name == "terminateSession" || c.Name == "resumeSession" || c.Name == "completeSessionTask"
	if c.Door == "graphql" {
		token := alice
		if institution {
			token = root
		}
		const shown = "id status version lastActiveAt"
		path := []any{"data", "it", "session"}
		var a answer
		var err error
		switch c.Name {
		case "read":
			a, err = b.gql(c.Instance, token, "query($id: ID!) { it: session(id: $id) { "+shown+" } }", map[string]any{"id": id})
			path = path[:2]
		default:
			input := map[string]any{"sessionId": id}
			if c.Name == "completeSessionTask" {
				input["task"] = c.Arg
			}
			c.guard(input)
			selection := "session { " + shown + " }"
			if c.Name == "createSessionToken" {
				selection = "jwt"
			}
			a, err = b.mutate(c.Instance, token, c.Name, selection, input)
			out.take(a)
			if c.Name == "createSessionToken" && err == nil && (a.text("data", "it", "jwt") == "") != (out.Code != "") {
				err = fmt.Errorf("a token beside a problem, or neither: %s", a.body)
			}
		}
		if it := a.at(path...); it != nil {
			out.State, _ = at(it, "status").(string)
			out.Version = a.number(append(path, "version")...)
			out.Active = instant(a.text(append(path, "lastActiveAt")...))
		}
		return out, orTopLevel(a, err)
	}
	var headers []string
	if c.Key != "" {
		headers = append(headers, "Idempotency-Key: "+c.Key)
	}
	if institution {
		path := "/system/terminatedCustomerSessions"
		if c.Name == "resumeSession" {
			path = "/system/resumedCustomerSessions"
		}
		a, err := b.send(c.Instance, http.MethodPost, path, object("sessionId", id), append(headers, "Authorization: Bearer "+root)...)
		out.Code, out.Replayed = restCode(a), a.header.Get("Idempotent-Replayed") == "true"
		return out, err
	}
	method, path := http.MethodPost, "/v1/client/sessions/"+id
	switch c.Name {
	case "read":
		method = http.MethodGet
	case "touchSession":
		path += "/touch"
	case "createSessionToken":
		path += "/tokens"
	case "endSession":
		path += "/end"
	case "removeSession":
		path += "/remove"
	}
	a, err := b.send(c.Instance, method, path+"?_is_native=1", "", append(headers, "Authorization: "+client)...)
	out.Code, out.Replayed = restCode(a), a.header.Get("Idempotent-Replayed") == "true"
	if a.at("response", "status") != nil {
		out.State = strings.ToUpper(a.text("response", "status"))
		if ms, ok := a.at("response", "last_active_at").(float64); ok {
			out.Active = int64(ms)
		}
	}
	return out, err
}
