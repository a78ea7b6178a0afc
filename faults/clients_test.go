package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// record is what the clients know of an invitation or a session: what they were told.
type record struct {
	kind, id, state string
	version         int
	// events are those of the transitions that were acknowledged, in order: name, from, to.
	events []string
	// mails is how many mails the transitions asked for.
	mails int
	// wrong is the number of wrong secrets since the secret was set.
	wrong  int
	secret string
	client string
	// active is the latest activity that was acknowledged.
	active time.Time
	gone   bool
	// busy is set while nobody knows what became of a call: the record is left alone.
	busy bool
	// shared: other clients work on the record too. Of it acknowledged versions are known, each with its event.
	shared bool
	told   map[int]string
	// others: somebody else works on it, and nothing is known of it but that it is there.
	others bool
}

// effect is what a call does to one record.
type effect struct {
	r         *record
	event, to string
	mails     int
	wrong     int
	secret    string
	gone      bool
}

// call is one request with what the clients expect of it.
type call struct {
	operation, token string
	input            map[string]any
	// created is the new record; its id comes with the answer.
	created *record
	effects []effect
	// problem is the refusal that is expected; a counted one is written all the same.
	problem string
	counted bool
	// touched is a session that the call notes as active.
	touched *record
}

// clients are callers who know what they asked for and what they were told. Each works on records of its own and,
// together with the others, on a few shared ones.
type clients struct {
	t    *testing.T
	w    *world
	url  func() string
	size int

	mu      sync.Mutex
	records []*record
	shared  []*record
	pending []*call
	workers []*worker
	times   []time.Duration
	slowest time.Duration
	counts  map[string]int
	// replayed counts calls on shared records that were found done when they were repeated, by record and event: of
	// these no version is known.
	replayed map[string]int
	tokens   []string
	stumbled int
	// noAnswer is the last reason why a request had none.
	noAnswer string
	// strict: an answer that the server is not available is a violation, and so is none.
	strict bool
}

type worker struct {
	c           *clients
	n           int
	r           *rand.Rand
	http        *http.Client
	invitations []*record
	sessions    []*record
	calls       int
	round       int
	// unsure is set while nobody knows which sessions the user has.
	unsure bool
}

// newClients makes callers; each has a user and a browser of its own.
func newClients(t *testing.T, w *world, size int, url func() string) *clients {
	c := &clients{t: t, w: w, url: url, size: size, counts: map[string]int{}, replayed: map[string]int{}}
	r := chance(t)
	for n := range size {
		c.workers = append(c.workers, &worker{c: c, n: n, r: rand.New(rand.NewPCG(r.Uint64(), uint64(n)))})
	}
	return c
}

// begin makes the shared records. The server is well.
func (c *clients) begin() {
	c.t.Helper()
	w := &worker{c: c, n: 1000, r: chance(c.t), http: client(20 * time.Second)}
	for range 2 {
		for _, one := range []*call{w.createInvitation(), w.createSession(false)} {
			w.do(one)
			if one.created.id == "" {
				c.t.Fatal("the shared records could not be made")
			}
			one.created.shared, one.created.told = true, map[int]string{1: one.operation}
			c.shared = append(c.shared, one.created)
		}
	}
	w.http.CloseIdleConnections()
}

// foreign makes a record that the clients leave to somebody else, and gives its id.
func (c *clients) foreign(kind string) string {
	c.t.Helper()
	w := &worker{c: c, n: 2000, round: len(c.records), r: chance(c.t), http: client(20 * time.Second)}
	k := w.createInvitation()
	if kind == "session" {
		k = w.createSession(false)
		k.input["clientId"] = "client_doors"
	}
	w.do(k)
	if k.created.id == "" {
		c.t.Fatalf("no %s could be made", kind)
	}
	k.created.others = true
	return k.created.id
}

// run lets all work until the context ends. pause is between two requests of one client.
func (c *clients) run(ctx context.Context, pause time.Duration) {
	var wg sync.WaitGroup
	for _, w := range c.workers {
		w.http = client(15 * time.Second)
		w.round++
		wg.Go(func() {
			for ctx.Err() == nil {
				w.do(w.choose())
				if pause > 0 {
					time.Sleep(time.Duration(float64(pause) * (.5 + w.r.Float64())))
				}
			}
			w.http.CloseIdleConnections()
		})
	}
	wg.Wait()
}

const secret = "correct horse battery"

// pick gives one of the newest records that are free.
func (w *worker) pick(from []*record) *record {
	from = from[max(0, len(from)-12):]
	for range 4 {
		if len(from) == 0 {
			return nil
		}
		if r := from[w.r.IntN(len(from))]; !r.busy && !r.gone {
			return r
		}
	}
	return nil
}

func (w *worker) choose() *call {
	n := w.r.IntN(100)
	inv, sess := w.pick(w.invitations), w.pick(w.sessions)
	switch {
	case n < 14 || inv == nil:
		return w.createInvitation()
	case n < 22 && !w.unsure, sess == nil && !w.unsure:
		return w.createSession(n < 17)
	case sess == nil:
		return w.createInvitation()
	case n < 30:
		return w.touch(sess)
	case n < 36:
		return w.session("createSessionToken", sess, "", "")
	case n < 43:
		return w.session("resumeSession", sess, sess.state, "active", "pending")
	case n < 46:
		return w.session("terminateSession", sess, "revoked", "active", "abandoned", "expired")
	case n < 48:
		return w.session("endSession", sess, "ended", "active")
	case n < 50:
		return w.session("removeSession", sess, "removed", "active", "abandoned", "expired", "ended", "revoked", "replaced")
	case n < 52 && !w.unsure:
		return w.endOthers(sess)
	case n < 60:
		return w.invitation("resendInvitation", w.c.w.alice, inv, "sent", "sent")
	case n < 65:
		return w.invitation("updateInvitationSecret", w.c.w.alice, inv, "sent", "sent")
	case n < 72:
		return w.verify(inv, false)
	case n < 78:
		return w.verify(inv, true)
	case n < 82:
		return w.invitation("revokeInvitation", w.c.w.alice, inv, "revoked", "sent")
	case n < 85:
		return w.invitation("completeInvitation", w.c.w.root, inv, "completed", "accepted")
	case n < 87:
		return w.invitation("deleteInvitation", w.c.w.alice, inv, "")
	case n < 90: // a version that never was
		k := w.invitation("revokeInvitation", w.c.w.alice, inv, "revoked", "sent")
		k.input["expectedVersion"], k.effects, k.problem = inv.version+7, nil, "VERSION_STALE"
		return k
	case n < 93: // a target that the inviter has no part in
		k := w.createInvitation()
		k.input["accountUri"], k.created, k.effects, k.problem = "/accounts/accounts/acc-nobody", nil, nil, "FORBIDDEN"
		return k
	}
	r := w.c.shared[w.r.IntN(len(w.c.shared))]
	if r.kind == "session" {
		if n%2 == 0 {
			return w.touch(r)
		}
		return w.session("resumeSession", r, "active", "active")
	}
	if n%2 == 0 {
		return w.invitation("resendInvitation", w.c.w.alice, r, "sent", "sent")
	}
	return w.invitation("updateInvitationSecret", w.c.w.alice, r, "sent", "sent")
}

// call makes one with a key of its own.
func (w *worker) call(operation, token string, input map[string]any) *call {
	w.calls++
	input["idempotencyKey"] = fmt.Sprintf("%d-%d-%d-%d", seed, w.n, w.round, w.calls)
	return &call{operation: operation, token: token, input: input}
}

func (w *worker) createInvitation() *call {
	k := w.call("createInvitation", w.c.w.alice, map[string]any{
		"type": "JOINT", "accountUri": "/accounts/accounts/acc-alice", "emailAddress": fmt.Sprintf("dora-%d-%d@example.net", w.n, w.calls),
		"inviterFullName": "Alice Doe", "sharedSecret": secret,
	})
	k.created = &record{kind: "invitation", secret: secret}
	k.effects = []effect{{r: k.created, event: "createInvitation", to: "sent", mails: 1}}
	return k
}

func (w *worker) createSession(replace bool) *call {
	browser := fmt.Sprintf("client_%d_%d", w.n, w.r.IntN(3))
	k := w.call("createSession", w.c.w.root, map[string]any{"userId": fmt.Sprintf("user-%d", w.n), "clientId": browser, "userAgent": "faults", "replace": replace})
	k.created = &record{kind: "session", client: browser}
	if replace {
		for _, r := range w.sessions {
			if r.client == browser && r.busy {
				k.input["replace"], replace = false, false
			}
		}
	}
	if replace {
		for _, r := range w.sessions {
			if r.client == browser && slices.Contains([]string{"active", "pending", "abandoned"}, r.state) {
				k.effects = append(k.effects, effect{r: r, event: "replaceSession", to: "replaced"})
			}
		}
	}
	k.effects = append(k.effects, effect{r: k.created, event: "createSession", to: "active"})
	return k
}

// session is a call about one session. It has an effect where the session is in one of the states.
func (w *worker) session(operation string, r *record, to string, from ...string) *call {
	token := w.c.w.root
	k := w.call(operation, token, map[string]any{"sessionId": r.id})
	switch {
	case slices.Contains(from, r.state):
		k.effects = []effect{{r: r, event: operation, to: to}}
	case operation == "createSessionToken" && r.state == "active":
		k.touched = r
	case operation != "terminateSession": // that one is content with a session that is over
		k.problem = "*"
	case r.state == "removed":
		k.problem = "?" // a document's matter
	}
	return k
}

func (w *worker) touch(r *record) *call {
	k := w.session("touchSession", r, "", "")
	if r.state == "active" {
		k.touched, k.problem = r, ""
	}
	return k
}

// endOthers ends all live sessions of the client's user but one, in one unit.
func (w *worker) endOthers(kept *record) *call {
	k := w.call("endOtherSessions", w.c.w.root, map[string]any{"sessionId": kept.id})
	for _, r := range w.sessions {
		if r.busy {
			return w.touch(kept)
		}
		if r != kept && r.state == "active" {
			k.effects = append(k.effects, effect{r: r, event: "endOtherSessions", to: "ended"})
		}
	}
	return k
}

// invitation is a call about one invitation. It has an effect where the invitation is in one of the states; without
// states, in any.
func (w *worker) invitation(operation, token string, r *record, to string, from ...string) *call {
	k := w.call(operation, token, map[string]any{"invitationId": r.id})
	e := effect{r: r, event: operation, to: to, wrong: r.wrong, secret: r.secret}
	switch operation {
	case "resendInvitation":
		e.mails = 1
	case "updateInvitationSecret":
		e.secret, e.wrong = fmt.Sprintf("secret number %d", w.calls), 0
		k.input["sharedSecret"] = e.secret
	case "deleteInvitation":
		e.gone = true
	}
	if len(from) == 0 || slices.Contains(from, r.state) {
		k.effects = []effect{e}
	} else {
		k.problem = "*"
	}
	return k
}

func (w *worker) verify(r *record, right bool) *call {
	k := w.invitation("verifyInvitation", w.c.w.dora, r, "accepted", "sent")
	k.input["sharedSecret"] = r.secret
	if !right {
		k.input["sharedSecret"] = "a wrong secret"
		if len(k.effects) > 0 {
			k.problem, k.counted = "INVITATION_VERIFICATION_FAILED", true
			k.effects[0].wrong = r.wrong + 1
			k.effects[0].to = "sent"
			if r.wrong+1 == 5 {
				k.effects[0].to = "failed"
			}
		}
	}
	return k
}

// document is the GraphQL of a call.
func (k *call) document() string {
	input := strings.ToUpper(k.operation[:1]) + k.operation[1:] + "Input"
	shown := "session { id status version lastActiveAt }"
	switch {
	case strings.HasSuffix(k.operation, "Invitation"), strings.HasSuffix(k.operation, "InvitationSecret"):
		shown = "invitation { id state version }"
	case k.operation == "createSessionToken":
		shown = "jwt"
	}
	return fmt.Sprintf("mutation($in: %s!) { %s(input: $in) { %s problems { code message } replayed } }", input, k.operation, shown)
}

// do makes a call and notes what the client was told. Of one that had no answer, or that the server could not do,
// nobody knows what became of it.
func (w *worker) do(k *call) {
	c := w.c
	for _, e := range k.effects {
		if !e.r.shared {
			e.r.busy = true
		}
	}
	a := graphql(w.http, c.url(), k.token, k.document(), map[string]any{"in": k.input})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowest = max(c.slowest, a.took)
	switch {
	case a.refused():
		c.counts["refused connections"]++
		c.release(k)
		if c.strict {
			c.t.Errorf("%s: no connection: %v", k.operation, a.err)
		}
		time.Sleep(5 * time.Millisecond)
	case a.err != nil, a.unavailable():
		c.counts["without an answer"]++
		if a.err != nil {
			c.noAnswer = a.err.Error()
		} else {
			c.counts["without an answer"]--
			c.counts["unavailable"]++
		}
		if len(k.effects) > 0 { // else there is nothing that could have been done
			c.pending = append(c.pending, k)
		}
		if k.operation == "createSession" || k.operation == "endOtherSessions" {
			w.unsure = true
		}
		if c.strict {
			c.t.Errorf("%s: %v", k.operation, a)
		}
		if a.err != nil {
			time.Sleep(2 * time.Millisecond)
		}
	default:
		c.times = append(c.times, a.took)
		c.counts["answered"]++
		c.acknowledged(w, k, a, false)
	}
}

// release gives the records of a call back that did nothing.
func (c *clients) release(k *call) {
	for _, e := range k.effects {
		e.r.busy = false
	}
}

// acknowledged compares an answer with what was expected and notes it.
func (c *clients) acknowledged(w *worker, k *call, a answer, repeated bool) {
	c.release(k)
	payload := []any{"data", k.operation}
	at := func(path ...any) []any { return append(slices.Clone(payload), path...) }
	code, failed := a.text(at("problems", 0, "code")...), a.at("errors") != nil
	if denied := a.text("errors", 0, "extensions", "code"); denied == "FORBIDDEN" {
		code, failed = denied, false
	}
	wrong := func(what string, about ...any) {
		c.stumbled++
		if c.stumbled < 10 {
			c.t.Errorf("%s %v: %s: %v", k.operation, k.input, fmt.Sprintf(what, about...), a)
		}
	}
	switch {
	case a.status != http.StatusOK || failed:
		wrong("an error that nobody expects")
		return
	case k.problem == "" && code != "", k.problem != "" && k.problem != "*" && k.problem != "?" && code != k.problem, k.problem == "*" && code == "":
		wrong("expected %q", k.problem)
		return
	}
	if code != "" && !k.counted {
		return
	}
	kind := "session"
	if strings.Contains(k.operation, "Invitation") {
		kind = "invitation"
	}
	version, _ := a.at(at(kind, "version")...).(float64)
	state := a.text(at(kind, "state")...) + a.text(at(kind, "status")...)
	if k.created != nil {
		k.created.id = a.text(at(kind, "id")...)
		if k.created.id == "" {
			wrong("no record")
			return
		}
		c.records = append(c.records, k.created)
		if w != nil && kind == "session" {
			w.sessions = append(w.sessions, k.created)
		} else if w != nil {
			w.invitations = append(w.invitations, k.created)
		}
	}
	for _, e := range k.effects {
		if e.r.shared {
			if repeated && a.at(at("replayed")...) == true {
				c.replayed[e.r.id+" "+e.event]++ // the version is today's, and not that of the call
				continue
			}
			if before, ok := e.r.told[int(version)]; ok {
				wrong("version %d was told before, to a caller of %s", int(version), before)
			}
			e.r.told[int(version)] = e.event
			continue
		}
		e.r.events = append(e.r.events, e.event+" "+e.r.state+" "+e.to)
		e.r.state, e.r.version, e.r.gone = e.to, e.r.version+1, e.gone
		e.r.mails += e.mails
		if e.secret != "" {
			e.r.secret, e.r.wrong = e.secret, e.wrong
		}
		replay := repeated && a.at(at("replayed")...) == true // which shows the record as it is today
		if shown := a.text(at(kind, "id")...); shown == e.r.id && !k.counted && !replay && (int(version) != e.r.version || plain(state) != e.r.state) {
			wrong("it is %s of version %d, and should be %s of version %d", state, int(version), e.r.state, e.r.version)
		}
	}
	if k.touched != nil {
		if at, err := time.Parse(time.RFC3339Nano, a.text(at("session", "lastActiveAt")...)); err == nil && at.After(k.touched.active) {
			k.touched.active = at
		}
		if jwt := a.text(at("jwt")...); jwt != "" && len(c.tokens) < 2000 {
			c.tokens = append(c.tokens, jwt)
		}
	}
}

// plain is a state in the words of the tables, for comparing.
func plain(state string) string { return strings.ToLower(strings.ReplaceAll(state, "_", "")) }

// settle repeats every call of which nobody knows what became of it, under its own key, until it is answered: then
// it is done once, whether it was the first or the second time. What audit found before must agree.
func (c *clients) settle(found map[*call]bool) {
	c.t.Helper()
	again := client(20 * time.Second)
	defer again.CloseIdleConnections()
	for _, k := range c.pending {
		var a answer
		testkit.Eventually(c.t, "a repeated "+k.operation, func() bool {
			a = graphql(again, c.url(), k.token, k.document(), map[string]any{"in": k.input})
			return a.err == nil && !a.unavailable()
		})
		replayed := a.at("data", k.operation, "replayed") == true
		if there, known := found[k]; known && len(k.effects) > 0 && there != replayed {
			c.t.Errorf("%s %v: found in the tables %t, a replay %t: %v", k.operation, k.input, there, replayed, a)
		}
		if replayed {
			c.counts["of these done"]++
		}
		c.acknowledged(c.owner(k), k, a, true)
	}
	c.pending = nil
	for _, w := range c.workers {
		w.unsure = false
	}
}

// owner finds the client that made a call.
func (c *clients) owner(k *call) *worker {
	for _, e := range k.effects {
		if e.r.shared {
			return nil
		}
	}
	var s uint64
	var n int
	if _, err := fmt.Sscanf(k.input["idempotencyKey"].(string), "%d-%d-", &s, &n); err != nil || n >= len(c.workers) {
		return nil
	}
	return c.workers[n]
}

// tally is what happened, in words.
func (c *clients) tally() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.counts)) {
		out = append(out, fmt.Sprintf("%s %d", name, c.counts[name]))
	}
	return strings.Join(out, ", ")
}
