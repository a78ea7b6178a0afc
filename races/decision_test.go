package races

import (
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/anishathalye/porcupine"

	"github.com/gatehouse/gatehouse/testkit"
)

// decision is a two-factor request.
type decision struct {
	state   string
	version int
	keys    memos
}

// A decision changes two records: the challenge, which can be used once, and the request. Each has histories of its
// own, because only what happens to one record happens at once.
var (
	decisionRaces  = subject{name: "twoFactorRequest", model: model(decision{state: "PENDING", version: 1}, stepDecision), plan: planDecision}
	challengeRaces = subject{name: "challenge", model: model(false, stepChallenge), plan: planChallenge}
)

// stepDecision is the life of a request, one call after another.
func stepDecision(s decision, c call, out outcome) (bool, decision) {
	shows := func(s decision) bool {
		return (out.State == "" || out.State == s.state) && (out.Version == 0 || out.Version == s.version)
	}
	if ok, decided := s.keys.repeat(c, out); decided {
		return ok && shows(s), s
	}
	next, code := s, ""
	next.version++
	switch c.Name {
	case "read":
		return out.Code == "" && shows(s), s
	case "approveTwoFactorRequest":
		next.state = "APPROVED"
	case "rejectTwoFactorRequest":
		next.state = "REJECTED"
	default:
		return false, s
	}
	switch {
	case c.Door == "unnamed" && s.state != "PENDING": // the documented API without an id: the only one that is pending
		code = "REQUEST_NOT_FOUND"
	case c.Version != 0 && c.Version != s.version:
		code = "VERSION_STALE"
	case s.state == "EXPIRED":
		code = "REQUEST_EXPIRED"
	case s.state != "PENDING":
		code = "ALREADY_DECIDED"
	}
	if code != "" {
		next = s
	}
	if code != "REQUEST_NOT_FOUND" {
		next.keys = next.keys.with(c.Key, c.input(), code)
	}
	if c.Door == "unnamed" && code == "ALREADY_DECIDED" {
		return false, s
	}
	// Found as the pending one, and decided by another before this call could: both words are right.
	if c.Door == "unnamed" && code == "REQUEST_NOT_FOUND" && out.Code == "ALREADY_DECIDED" {
		code = out.Code
		next.keys = next.keys.with(c.Key, c.input(), code)
	}
	return out.Code == code && shows(next), next
}

// stepChallenge: of all that present it one is let through.
func stepChallenge(used bool, _ call, out outcome) (bool, bool) {
	if used {
		return out.Code == "INVALID_CHALLENGE", true
	}
	return out.Code == "", true
}

// phone is a customer with a device and challenges to sign.
type phone struct {
	name, token string
	device      *testkit.Device
	challenges  []string
	request     string
}

func (b *bank) phone(rng *rand.Rand, challenges int) phone {
	b.Helper()
	p := phone{name: fmt.Sprintf("carla-%016x", rng.Uint64()), device: testkit.NewDevice(pick(rng, "ecdsa", "ed25519", "rsa"), rng.IntN(3))}
	p.token = b.token(p.name, customer)
	b.made(p.token, "registerDevice", "device { id }", map[string]any{"publicKey": p.device.PublicKey()})
	for range challenges {
		id, _ := at(b.made(p.token, "createDeviceChallenge", "deviceChallenge { id }", map[string]any{"deviceId": p.device.ID()}), "deviceChallenge", "id").(string)
		p.challenges = append(p.challenges, id)
	}
	p.request, _ = at(b.made(b.token("root", admin), "openTwoFactorRequest", "twoFactorRequest { id }", map[string]any{
		"customerId": p.name, "clientId": "web", "statement": "Pay 5.00 to Dora.",
	}), "twoFactorRequest", "id").(string)
	return p
}

// planDecision lets each of a device's five challenges decide once, and some calls be repeated under a key.
func planDecision(b *bank, rng *rand.Rand) round {
	p := b.phone(rng, 5)
	r := round{}
	for i, challenge := range p.challenges {
		c := call{
			Name: pick(rng, "approveTwoFactorRequest", "rejectTwoFactorRequest"), Door: pick(rng, "graphql", "rest", "unnamed"),
			Instance: rng.IntN(len(b.urls)), Arg: challenge,
		}
		if c.Door == "graphql" && rng.IntN(4) == 0 {
			c.Version = 1 + rng.IntN(2)
		}
		if i < 2 && c.Door == "graphql" && rng.IntN(2) == 0 {
			c.Key = fmt.Sprintf("%s-%d", p.request, i)
			again := c
			again.Instance = rng.IntN(len(b.urls))
			r.calls = append(r.calls, again)
		}
		r.calls = append(r.calls, c)
	}
	for range 3 {
		r.calls = append(r.calls, call{Name: "read", Door: "graphql", Instance: rng.IntN(len(b.urls))})
	}
	r.do = b.decide(p)
	root := b.token("root", admin)
	r.check = func([]porcupine.Operation) error { return b.journalOf(root, "twoFactorRequest", p.request) }
	return r
}

// planChallenge lets several calls present the same challenge. They are the only ones, so who is let through decides;
// wrong ones are counted, and stay below what locks the device.
func planChallenge(b *bank, rng *rand.Rand) round {
	p := b.phone(rng, 1)
	r := round{do: b.decide(p)}
	for range 4 {
		r.calls = append(r.calls, call{
			Name: pick(rng, "approveTwoFactorRequest", "rejectTwoFactorRequest"), Door: pick(rng, "graphql", "rest", "unnamed"),
			Instance: rng.IntN(len(b.urls)), Arg: p.challenges[0],
		})
	}
	return r
}

// decide gives the maker of one call. A challenge has one signature, so that a repeat is the same input.
func (b *bank) decide(p phone) func(call) (outcome, error) {
	signatures := map[string]string{}
	for _, id := range p.challenges {
		signatures[id] = p.device.Sign(id, p.name)
	}
	return func(c call) (outcome, error) {
		out := unseen()
		const shown = "id status version"
		path := []any{"data", "it", "twoFactorRequest"}
		if c.Door == "graphql" {
			var a answer
			var err error
			if c.Name == "read" {
				path = path[:2]
				a, err = b.gql(c.Instance, p.token, "query($id: ID!) { it: twoFactorRequest(id: $id) { "+shown+" } }", map[string]any{"id": p.request})
			} else {
				input := map[string]any{"twoFactorRequestId": p.request, "challengeId": c.Arg, "signature": signatures[c.Arg]}
				c.guard(input)
				a, err = b.mutate(c.Instance, p.token, c.Name, "twoFactorRequest { "+shown+" }", input)
				out.take(a)
			}
			out.State, out.Version = a.text(append(path, "status")...), a.number(append(path, "version")...)
			return out, orTopLevel(a, err)
		}
		verb, body := "approve", ""
		if c.Name == "rejectTwoFactorRequest" {
			verb = "reject"
		}
		if c.Door == "rest" {
			body = object("id", p.request)
		}
		a, err := b.send(c.Instance, http.MethodPost, "/sessions/auth/two-factor/"+verb, body, "Authorization: Bearer "+p.token, "clientId: web",
			"X-AAZZUR-DEVICE-CHALLENGE: "+c.Arg, "X-AAZZUR-SIGNATURE: "+signatures[c.Arg])
		out.Code = restCode(a)
		if out.Code == "" {
			out.State = a.text("status")
		}
		return out, err
	}
}
