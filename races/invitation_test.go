package races

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

const (
	rightSecret = "the right secret"
	wrongSecret = "quite another one"
)

// invitation is an invitation as its document has it (Invitations 0.3.3), with its counters.
type invitation struct {
	state                           string
	version, count, failed, resends int
	secret                          string
	keys                            memos
}

// maxFailed and maxResends are settings of the installation that is driven.
const (
	maxFailed  = 5
	maxResends = 2
)

var invitationRaces = subject{
	name:  "invitation",
	model: model(invitation{state: "SENT", version: 1, secret: rightSecret}, stepInvitation),
	plan:  planInvitation,
}

// stepInvitation is the life of an invitation, one call after another.
func stepInvitation(s invitation, c call, out outcome) (bool, invitation) {
	if s.state == "ERASED" {
		return stepErased(s, c, out)
	}
	if ok, decided := s.keys.repeat(c, out); decided {
		return ok && s.shows(out), s
	}
	next, code := s, ""
	next.version++
	stale := c.Version != 0 && c.Version != s.version
	wrongState := ""
	if s.state != "SENT" {
		wrongState = "INVALID_INVITATION_STATE"
	}
	switch c.Name {
	case "read":
		return out.Code == "" && s.shows(out), s
	case "verifyInvitation":
		if s.state == "FAILED" || s.state == "REVOKED" || s.state == "EXPIRED" {
			wrongState = "VERIFICATION_INVITATION_" + s.state
		}
		right := c.Arg == s.secret
		switch {
		case s.state != "SENT" && stale: // where it is open, a stale version is told only to who knows the secret
			code = "VERSION_STALE"
		case wrongState != "":
			code = wrongState
		case right && stale:
			code = "VERSION_STALE"
		case right:
			next.state, next.count = "ACCEPTED", s.count+1
		default:
			next.count, next.failed = s.count+1, s.failed+1
			if next.failed >= maxFailed {
				next.state = "FAILED"
			}
			next.keys = next.keys.with(c.Key, c.input(), "INVITATION_VERIFICATION_FAILED")
			return out.Code == "INVITATION_VERIFICATION_FAILED" && out.State == "", next
		}
	case "resendInvitation":
		switch {
		case stale:
			code = "VERSION_STALE"
		case wrongState != "":
			code = wrongState
		case s.resends >= maxResends:
			code = "INVITATION_RESEND_LIMIT_REACHED"
		default:
			next.resends++
		}
	case "revokeInvitation":
		next.state = "REVOKED"
		switch {
		case stale:
			code = "VERSION_STALE"
		case wrongState != "":
			code = wrongState
		}
	case "updateInvitationSecret":
		next.secret, next.failed = c.Arg, 0
		switch {
		case stale:
			code = "VERSION_STALE"
		case wrongState != "":
			code = wrongState
		}
	case "completeInvitation":
		next.state = "COMPLETED"
		switch {
		case stale:
			code = "VERSION_STALE"
		case s.state != "ACCEPTED":
			code = "INVALID_INVITATION_STATE"
		}
	case "deleteInvitation":
		next.state = "ERASED"
		if stale {
			code = "VERSION_STALE"
		}
	default:
		return false, s
	}
	if code != "" {
		next = s
	}
	next.keys = next.keys.with(c.Key, c.input(), code)
	return out.Code == code && next.shows(out), next
}

// stepErased: there is nothing any more, and whoever asks hears what a stranger hears.
func stepErased(s invitation, c call, out outcome) (bool, invitation) {
	if c.Key != "" && s.keys.of(c.Key).used {
		ok, _ := s.keys.repeat(c, out)
		return ok && out.State == "", s
	}
	want := "NOT_FOUND"
	if c.Name == "verifyInvitation" {
		want = "INVITATION_VERIFICATION_FAILED"
		s.keys = s.keys.with(c.Key, c.input(), want)
	}
	return out.Code == want && out.State == "" && !out.Replayed, s
}

// shows reports whether what was seen is how it stands.
func (s invitation) shows(out outcome) bool {
	return (out.State == "" || out.State == s.state) && (out.Version == 0 || out.Version == s.version) &&
		(out.Count < 0 || out.Count == s.count) && (out.Resends < 0 || out.Resends == s.resends)
}

// invite makes an invitation and gives its id.
func (b *bank) invite(token string) string {
	b.Helper()
	payload := b.made(token, "createInvitation", "invitation { id }", map[string]any{
		"type": "JOINT", "accountUri": "/accounts/accounts/acc-alice", "emailAddress": "dora@example.net", "inviterFullName": "Alice Doe",
		"sharedSecret": rightSecret,
	})
	id, _ := at(payload, "invitation", "id").(string)
	return id
}

func planInvitation(b *bank, rng *rand.Rand) round {
	alice, dora, root := b.token("alice", customer), b.token("dora", customer), b.token("root", admin)
	id := b.invite(alice)
	names := []string{"verifyInvitation", "verifyInvitation", "verifyInvitation", "revokeInvitation", "resendInvitation", "completeInvitation", "updateInvitationSecret", "read", "read"}
	if rng.IntN(4) == 0 {
		names = append(names, "deleteInvitation")
	}
	r := round{}
	keyed := rng.IntN(2) == 0
	for range 6 + rng.IntN(5) {
		c := call{Name: pick(rng, names...), Door: pick(rng, "graphql", "rest"), Instance: rng.IntN(len(b.urls))}
		switch c.Name {
		case "verifyInvitation":
			c.Arg = pick(rng, rightSecret, wrongSecret, wrongSecret)
		case "updateInvitationSecret":
			c.Arg = pick(rng, rightSecret, wrongSecret)
		}
		// The document of REST has no If-Match for a verification.
		if rng.IntN(4) == 0 && c.Name != "read" && (c.Name != "verifyInvitation" || c.Door == "graphql") {
			c.Version = 1 + rng.IntN(3)
		}
		// Keys are per caller: dora has the one, alice the other.
		if keyed && rng.IntN(2) == 0 {
			switch c.Name {
			case "verifyInvitation":
				c.Key = id + "-0"
			case "revokeInvitation", "resendInvitation", "updateInvitationSecret":
				c.Key = id + "-1"
			}
		}
		r.calls = append(r.calls, c)
	}
	r.do = func(c call) (outcome, error) {
		token := alice
		switch c.Name {
		case "verifyInvitation":
			token = dora
		case "completeInvitation":
			token = root
		}
		return b.invitationCall(c, id, token)
	}
	r.check = func([]porcupine.Operation) error { return b.journalOf(root, "invitation", id) }
	return r
}

// invitationCall makes one call about an invitation.
func (b *bank) invitationCall(c call, id, token string) (outcome, error) {
	const shown = "id state version verificationCount resendCount"
	out := unseen()
	if c.Door == "graphql" {
		path := []any{"data", "it", "invitation"}
		var a answer
		var err error
		if c.Name == "read" {
			a, err = b.gql(c.Instance, token, "query($id: ID!) { it: invitation(id: $id) { "+shown+" } }", map[string]any{"id": id})
			path = path[:2]
			if err == nil && a.at(path...) == nil {
				out.Code = "NOT_FOUND"
			}
		} else {
			input := map[string]any{"invitationId": id}
			if c.Arg != "" {
				input["sharedSecret"] = c.Arg
			}
			c.guard(input)
			selection := "invitation { " + shown + " }"
			if c.Name == "deleteInvitation" {
				selection = "deletedInvitationId"
			}
			a, err = b.mutate(c.Instance, token, c.Name, selection, input)
			out.take(a)
		}
		if it := a.at(path...); it != nil {
			out.State, _ = at(it, "state").(string)
			out.Version, out.Count, out.Resends = a.number(append(path, "version")...), a.number(append(path, "verificationCount")...), a.number(append(path, "resendCount")...)
		}
		return out, orTopLevel(a, err)
	}
	headers := []string{"API-Key: " + b.key, "Authorization: Bearer " + token}
	if c.Version != 0 {
		headers = append(headers, fmt.Sprintf(`If-Match: "%s:%d"`, id, c.Version))
	}
	if c.Key != "" {
		headers = append(headers, "Idempotency-Key: "+c.Key)
	}
	method, path, body := http.MethodPost, "", ""
	one := "/invitations/invitations/" + id
	switch c.Name {
	case "read":
		method, path = http.MethodGet, one
	case "verifyInvitation":
		path, body = "/invitations/verifications", object("invitationId", id, "sharedSecret", c.Arg)
	case "updateInvitationSecret":
		method, path, body = http.MethodPatch, one, object("sharedSecret", c.Arg)
	case "deleteInvitation":
		method, path = http.MethodDelete, one
	case "resendInvitation":
		path = "/invitations/sent?invitation=" + id
	case "revokeInvitation":
		path = "/invitations/revoked?invitation=" + id
	case "completeInvitation":
		path = "/invitations/completed?invitation=" + id
	}
	a, err := b.send(c.Instance, method, path, body, headers...)
	out.Code, out.Replayed = restCode(a), a.header.Get("Idempotent-Replayed") == "true"
	if out.Code == "" && c.Name != "verifyInvitation" && c.Name != "deleteInvitation" && a.at("state") != nil {
		out.State, out.Count = strings.ToUpper(a.text("state")), a.number("verificationCount")
		out.Version = version(a.header.Get("ETag"))
	}
	return out, err
}

// guard puts expected version and idempotency key into an input.
func (c call) guard(input map[string]any) {
	if c.Version != 0 {
		input["expectedVersion"] = c.Version
	}
	if c.Key != "" {
		input["idempotencyKey"] = c.Key
	}
}

// take reads the problem and the replay of a payload.
func (o *outcome) take(a answer) {
	o.Code = a.text("data", "it", "problems", 0, "code")
	o.Replayed, _ = a.at("data", "it", "replayed").(bool)
}

// orTopLevel makes a failure of a top-level error, which no caller of a history is to see.
func orTopLevel(a answer, err error) error {
	if err == nil && a.at("errors") != nil {
		err = fmt.Errorf("a top-level error: %s", a.body)
	}
	return err
}

// version is the number in an ETag; 0 where there is none.
func version(etag string) int {
	n := 0
	if at := strings.LastIndex(etag, ":"); at >= 0 {
		_, _ = fmt.Sscanf(etag[at+1:], "%d", &n)
	}
	return n
}

// object is a JSON object of texts.
func object(pairs ...string) string {
	all := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	out, _ := json.Marshal(all)
	return string(out)
}

// TestNamesOfRefusals keeps the reading of the REST dialects honest.
func TestNamesOfRefusals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"invalidInvitationState": "INVALID_INVITATION_STATE", "noSuchInvitation": "NOT_FOUND", "ifMatchHeaderDoesNotMatch": "VERSION_STALE",
		"ALREADY_DECIDED": "ALREADY_DECIDED", "invalid_action_for_session": "INVALID_ACTION_FOR_SESSION", "invalidSessionId": "NOT_FOUND",
	} {
		if got := upper(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
