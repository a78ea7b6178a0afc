package races

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/testkit"
)

// creation is what an idempotency key has made: of all calls with it one does the work.
type creation struct {
	id, input string
}

var creationRaces = subject{name: "creation", model: model(creation{}, stepCreation), plan: planCreation}

func stepCreation(s creation, c call, out outcome) (bool, creation) {
	switch {
	case s.id == "":
		return out.Code == "" && !out.Replayed && out.ID != "", creation{out.ID, c.input()}
	case s.input != c.input():
		return out.Code == "IDEMPOTENCY_KEY_REUSED" && out.ID == "", s
	}
	return out.Code == "" && out.Replayed && out.ID == s.id, s
}

// planCreation lets several callers create the same thing under one key, through both doors where there are two.
func planCreation(b *bank, rng *rand.Rand) round {
	alice, root := b.token("alice", customer), b.token("root", admin)
	key := fmt.Sprintf("creation-%016x", rng.Uint64())
	what := pick(rng, "createInvitation", "createSession", "createContact", "createFraudRiskReport", "createQuiz", "createApproval", "openTwoFactorRequest")
	r := round{}
	for range 6 {
		c := call{Name: what, Door: "graphql", Instance: rng.IntN(len(b.urls)), Arg: "one", Key: key}
		if (what == "createInvitation" || what == "createFraudRiskReport" || what == "createQuiz" || what == "createApproval") && rng.IntN(2) == 0 {
			c.Door = "rest"
		}
		if rng.IntN(4) == 0 {
			c.Arg = "other"
		}
		r.calls = append(r.calls, c)
	}
	r.do = func(c call) (outcome, error) {
		out := unseen()
		if c.Door == "rest" {
			contact := map[string]string{"one": "contact_demo_clean", "other": "contact_demo_minor"}[c.Arg]
			token, path, body := root, "/identity/quizzes", `{"_links":{"apiture:contact":{"href":"/contacts/contacts/`+contact+`"}}}`
			switch c.Name {
			case "createApproval":
				path, body = "/identity/approvals?contactUri=/contacts/contacts/"+contact, ""
			case "createFraudRiskReport":
				path = "/identity/fraudRiskReports"
			case "createInvitation":
				token, path = alice, "/invitations/invitations"
				body = object("type", "joint", "accountUri", "/accounts/accounts/acc-alice", "emailAddress", c.Arg+"@example.net", "inviterFullName", "Alice Doe", "sharedSecret", rightSecret)
			}
			a, err := b.send(c.Instance, http.MethodPost, path, body, "API-Key: "+b.key, "Authorization: Bearer "+token, "Idempotency-Key: "+c.Key)
			out.Code, out.Replayed, out.ID = restCode(a), a.header.Get("Idempotent-Replayed") == "true", a.text("_id")
			if out.Code == "" && !strings.HasSuffix(a.header.Get("Location"), "/"+out.ID) {
				err = fmt.Errorf("Location %q of %s", a.header.Get("Location"), out.ID)
			}
			return out, err
		}
		token, field := root, strings.ToLower(c.Name[6:7])+c.Name[7:]
		input := map[string]any{"idempotencyKey": c.Key}
		switch c.Name {
		case "createInvitation":
			token = alice
			input["type"], input["accountUri"], input["emailAddress"] = "JOINT", "/accounts/accounts/acc-alice", c.Arg+"@example.net"
			input["inviterFullName"], input["sharedSecret"] = "Alice Doe", rightSecret
		case "createSession":
			input["userId"] = c.Arg
		case "createContact":
			input["firstName"] = c.Arg
		case "createFraudRiskReport", "createQuiz", "createApproval":
			input["contactId"] = map[string]string{"one": "contact_demo_clean", "other": "contact_demo_minor"}[c.Arg]
		case "openTwoFactorRequest":
			field = "twoFactorRequest"
			input["customerId"], input["clientId"], input["statement"] = "carla", "web", c.Arg
		}
		a, err := b.mutate(c.Instance, token, c.Name, field+" { id }", input)
		out.take(a)
		out.ID = a.text("data", "it", field, "id")
		return out, orTopLevel(a, err)
	}
	return r
}

// device is a key of a customer, which may be registered while it is not.
type device struct{ id string }

var deviceRaces = subject{name: "device", model: model(device{}, stepDevice), plan: planDevice}

func stepDevice(s device, c call, out outcome) (bool, device) {
	switch {
	case c.Name == "registerDevice" && s.id != "":
		return out.Code == "DEVICE_ALREADY_REGISTERED", s
	case c.Name == "registerDevice":
		return out.Code == "" && out.State == "REGISTERED" && out.ID != "", device{out.ID}
	case s.id != "":
		return out.Code == "" && out.State == "REVOKED" && out.ID == s.id, device{}
	}
	// Nothing is registered: it never was, or what was is revoked already.
	return slices.Contains([]string{"DEVICE_NOT_FOUND", "DEVICE_REVOKED", "NOT_FOUND"}, out.Code), s
}

// planDevice registers and revokes one key of one customer at once.
func planDevice(b *bank, rng *rand.Rand) round {
	name := fmt.Sprintf("dan-%016x", rng.Uint64())
	token, key := b.token(name, customer), testkit.NewDevice("ed25519", 0)
	r := round{}
	for range 7 {
		r.calls = append(r.calls, call{Name: pick(rng, "registerDevice", "registerDevice", "revokeDevice"), Door: "graphql", Instance: rng.IntN(len(b.urls))})
	}
	r.do = func(c call) (outcome, error) {
		out, input := unseen(), map[string]any{"publicKey": key.PublicKey()}
		if c.Name == "revokeDevice" {
			input = map[string]any{"deviceId": key.ID()}
		}
		a, err := b.mutate(c.Instance, token, c.Name, "device { id status }", input)
		out.take(a)
		out.ID, out.State = a.text("data", "it", "device", "id"), a.text("data", "it", "device", "status")
		return out, orTopLevel(a, err)
	}
	return r
}
