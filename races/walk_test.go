package races

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/rest"
	"github.com/gatehouse/gatehouse/testkit"
)

// street is where walks go: all doors over real rules and a real database, with a clock that a step moves. The other
// tests of this folder drive the built program; it has no such clock.
type street struct {
	*bank
	kit *testkit.Kit
}

// walkers are who knocks. Their tokens are their names.
var walkers = map[string]domain.Actor{
	"alice": {Scopes: []string{domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeSignup}},
	"dora":  {Scopes: []string{domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeSignup}},
	"root":  {Scopes: []string{domain.ScopeBankingFull, domain.ScopeProfilesFull, domain.ScopeAdminFull}},
}

func openStreet(t *testing.T, kit *testkit.Kit) *street {
	t.Helper()
	many := domain.Rate{Limit: 1_000_000, Per: time.Second}
	kit.Settings.VerifyRate, kit.Settings.CodeSendLimit, kit.Settings.CodeTryLimit, kit.Settings.CodeRate, kit.Settings.QuizLimit = many, many, many, many, many
	kit.Settings.InvitationResendLimit, kit.Settings.InvitationMaxFailed = maxResends, maxFailed
	log := slog.New(slog.DiscardHandler)
	mux := http.NewServeMux()
	mux.Handle("/graphql", resolvers.New(resolvers.Options{Service: kit.Service, Log: log, Now: kit.Clock.Now}))
	mux.Handle("/", rest.New(rest.Options{Service: kit.Service, Log: log, Now: kit.Clock.Now, Version: "test"}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor := domain.Actor{APIKey: "test", Address: "192.0.2.1"}
		if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			actor.ID, actor.Username, actor.Scopes = name, name, walkers[name].Scopes
		}
		mux.ServeHTTP(w, r.WithContext(domain.WithActor(r.Context(), actor)))
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	return &street{kit: kit, bank: &bank{TB: t, name: "street", urls: []string{server.URL}, key: "test", client: client}}
}

// walk is one life on the way.
type walk struct {
	*rapid.T
	*street
	// kind is the type in GraphQL, field its member for the state.
	kind, field, id string
	// events are those that the timeline must show.
	events []string
}

func (w *walk) event(name, from, to string) {
	w.events = append(w.events, fmt.Sprintf("%s %s->%s", name, from, to))
}

// agree looks through every door that shows the record and compares what is seen with the model. allowed are the
// actions open to each walker; links are the relations of the REST resource that stand for actions.
func (w *walk) agree(state string, version int, allowed map[string][]string, path string, links map[string]bool) {
	w.Helper()
	for _, token := range slices.Sorted(func(yield func(string) bool) {
		for name := range allowed {
			if !yield(name) {
				return
			}
		}
	}) {
		a, err := w.gql(0, token, `query($id: ID!) { node(id: $id) { ... on `+w.kind+` { `+w.field+` version actions { name allowed problem { code } }
			timeline(first: 100) { totalCount nodes { name from to } } } } }`, map[string]any{"id": w.id})
		if err != nil {
			w.Fatal(err)
		}
		node := a.at("data", "node")
		if state == "ERASED" {
			if node != nil {
				w.Fatalf("%s is erased, and shown: %s", w.id, a.body)
			}
			continue
		}
		if at(node, w.field) != state || a.number("data", "node", "version") != version {
			w.Fatalf("%s sees %s %v at version %v, and it is %s at %d", token, w.kind, at(node, w.field), at(node, "version"), state, version)
		}
		var open, events []string
		actions, _ := at(node, "actions").([]any)
		for _, one := range actions {
			if at(one, "allowed") == true {
				open = append(open, fmt.Sprint(at(one, "name")))
			} else if at(one, "problem", "code") == nil {
				w.Fatalf("%v is not allowed, and nobody says why", at(one, "name"))
			}
		}
		slices.Sort(open)
		want := slices.Sorted(slices.Values(allowed[token]))
		if !slices.Equal(open, want) {
			w.Fatalf("%s in state %s: %s may do %v, and by the contract %v", w.kind, state, token, open, want)
		}
		nodes, _ := at(node, "timeline", "nodes").([]any)
		for _, e := range nodes {
			word := func(v any) string {
				s, _ := v.(string)
				return s
			}
			events = append(events, fmt.Sprintf("%s %s->%s", word(at(e, "name")), word(at(e, "from")), word(at(e, "to"))))
		}
		// A transition of time is seen at once, and written with the next one or by the sweeper.
		if len(events) < len(w.events) {
			if _, err := w.kit.Sweep(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.agree(state, version, allowed, path, links)
			return
		}
		if !slices.Equal(events, w.events) || len(events) != version {
			w.Fatalf("%s: the timeline is\n%s\nand by the contract\n%s", w.kind, strings.Join(events, "\n"), strings.Join(w.events, "\n"))
		}
	}
	if path == "" {
		return
	}
	a, err := w.send(0, http.MethodGet, path, "", "API-Key: test", "Authorization: Bearer alice")
	if err != nil {
		w.Fatal(err)
	}
	if state == "ERASED" {
		if a.status != http.StatusNotFound {
			w.Fatalf("erased, and REST answers %d", a.status)
		}
		return
	}
	said := a.text("state")
	if said == "" {
		said = a.text("outputs", "state")
	}
	// The document of an approval has no state: there is but one.
	if upper(said) != state && w.kind != "Approval" || a.header.Get("ETag") != fmt.Sprintf(`"%s:%d"`, w.id, version) {
		w.Fatalf("REST shows %s with the ETag %s, and it is %s at version %d", said, a.header.Get("ETag"), state, version)
	}
	for rel, want := range links {
		if _, there := a.at("_links", rel).(map[string]any); there != want {
			w.Fatalf("in state %s the link %s is there: %v", state, rel, there)
		}
	}
	again, err := w.send(0, http.MethodGet, path, "", "API-Key: test", "Authorization: Bearer alice", "If-None-Match: "+a.header.Get("ETag"))
	if err != nil || again.status != http.StatusNotModified {
		w.Fatalf("with its own ETag it is sent again: %d %v", again.status, err)
	}
}

// version draws an expected version: none, the right one, or a stale one.
func (w *walk) version(current int) int {
	switch rapid.IntRange(0, 3).Draw(w.T, "version") {
	case 1:
		return current
	case 2:
		return current + 1
	}
	return 0
}

// pass moves the clock.
func (w *walk) pass(d time.Duration) { w.kit.Clock.Pass(d) }

const steps = 14

// step makes a call and compares what came of it with the model, which it moves.
func step[S any](w *walk, s S, c call, do func(call) (outcome, error), model func(S, call, outcome) (bool, S)) S {
	w.Helper()
	out, err := do(c)
	if err != nil {
		w.Fatalf("%+v: %v", c, err)
	}
	ok, next := model(s, c, out)
	if !ok {
		w.Fatalf("in %+v\n%+v\nis answered with\n%+v", s, c, out)
	}
	return next
}

func (w *walk) invitation() {
	s := invitation{state: "SENT", version: 1, secret: rightSecret}
	w.id = w.invite("alice")
	w.event("createInvitation", "", "SENT")
	expires := w.kit.Clock.Now().Add(w.kit.Settings.InvitationTTL)
	for range steps {
		name := rapid.SampledFrom([]string{
			"verifyInvitation", "verifyInvitation", "verifyInvitation", "resendInvitation", "updateInvitationSecret", "revokeInvitation", "completeInvitation", "pass", "read", "deleteInvitation",
		}).Draw(w.T, "step")
		if name == "pass" {
			w.pass(time.Duration(rapid.IntRange(1, 400).Draw(w.T, "hours")) * time.Hour)
			if s.state == "SENT" && !w.kit.Clock.Now().Before(expires) {
				s.state, s.version = "EXPIRED", s.version+1
				w.event("expireInvitation", "SENT", "EXPIRED")
			}
		} else {
			c := call{Name: name, Door: rapid.SampledFrom([]string{"graphql", "rest"}).Draw(w.T, "door")}
			token := "alice"
			switch name {
			case "verifyInvitation":
				token = "dora"
				c.Arg = rapid.SampledFrom([]string{rightSecret, wrongSecret, wrongSecret}).Draw(w.T, "secret")
			case "updateInvitationSecret":
				c.Arg = rapid.SampledFrom([]string{rightSecret, wrongSecret}).Draw(w.T, "secret")
			case "completeInvitation":
				token = "root"
			case "deleteInvitation":
				if rapid.IntRange(0, 3).Draw(w.T, "seldom") > 0 {
					continue
				}
			}
			if name != "read" && (name != "verifyInvitation" || c.Door == "graphql") {
				c.Version = w.version(s.version)
			}
			before := s
			s = step(w, s, c, func(c call) (outcome, error) { return w.invitationCall(c, w.id, token) }, stepInvitation)
			if s.version != before.version {
				w.event(name, before.state, s.state)
			}
		}
		allowed := map[string][]string{"alice": {"deleteInvitation"}, "root": {"deleteInvitation"}}
		switch s.state {
		case "SENT":
			// An administrator who holds the secret could verify it, and only the inviter sets another.
			allowed["alice"] = append(allowed["alice"], "revokeInvitation", "updateInvitationSecret")
			allowed["root"] = append(allowed["root"], "revokeInvitation", "verifyInvitation")
			if s.resends < maxResends {
				allowed["alice"] = append(allowed["alice"], "resendInvitation")
				allowed["root"] = append(allowed["root"], "resendInvitation")
			}
		case "ACCEPTED":
			allowed["root"] = append(allowed["root"], "completeInvitation")
		}
		w.agree(s.state, s.version, allowed, "/invitations/invitations/"+w.id, map[string]bool{
			"self": true, "apiture:revoke": s.state == "SENT", "apiture:send": s.state == "SENT" && s.resends < maxResends, "apiture:complete": false,
		})
		if s.state == "ERASED" {
			return
		}
	}
}

func (w *walk) session() {
	client := "client:" + `{"id":"browser-1"}`
	tasks := rapid.SampledFrom([]string{"", "", bothTasks}).Draw(w.T, "tasks")
	input := map[string]any{"userId": "alice", "clientId": "browser-1"}
	s := session{state: "ACTIVE", version: 1, tasks: tasks}
	if tasks != "" {
		input["tasks"], s.state = strings.Split(tasks, ","), "PENDING"
	}
	w.id, _ = at(w.made("root", "createSession", "session { id }", input), "session", "id").(string)
	w.event("createSession", "", s.state)
	idle, life := w.kit.Settings.SessionIdleTimeout, w.kit.Settings.SessionMaxLifetime
	expires := w.kit.Clock.Now().Add(life)
	abandons := w.kit.Clock.Now().Add(idle)
	s.active, s.exact = w.kit.Clock.Now().UnixMilli(), true
	for range steps {
		name := rapid.SampledFrom([]string{
			"touchSession", "createSessionToken", "resumeSession", "resumeSession", "pass", "pass", "completeSessionTask", "completeSessionTask", "terminateSession", "endSession", "removeSession", "read",
		}).Draw(w.T, "step")
		if name == "pass" {
			w.pass(time.Duration(rapid.SampledFrom([]int{1, 5, 14, 16, 300}).Draw(w.T, "minutes")) * time.Minute)
			now := w.kit.Clock.Now()
			if (s.state == "ACTIVE" || s.state == "PENDING") && abandons.Before(expires) && !now.Before(abandons) {
				w.event("abandonSession", s.state, "ABANDONED")
				s.state, s.version = "ABANDONED", s.version+1
			}
			if (s.state == "ACTIVE" || s.state == "PENDING" || s.state == "ABANDONED") && !now.Before(expires) {
				w.event("expireSession", s.state, "EXPIRED")
				s.state, s.version = "EXPIRED", s.version+1
			}
		} else {
			c := call{Name: name, Door: rapid.SampledFrom([]string{"graphql", "rest"}).Draw(w.T, "door")}
			if name == "completeSessionTask" {
				c.Door, c.Arg = "graphql", rapid.SampledFrom([]string{"reset-password", "setup-mfa"}).Draw(w.T, "task")
			}
			if c.Door == "graphql" && name != "read" && name != "touchSession" && name != "createSessionToken" {
				c.Version = w.version(s.version)
			}
			before := s
			done := false
			s = step(w, s, c, func(c call) (outcome, error) {
				out, err := w.sessionCall(c, w.id, client, "alice", "root")
				done = out.Code == ""
				return out, err
			}, stepSession)
			if s.version != before.version {
				w.event(name, before.state, s.state)
			}
			if done && (name == "touchSession" || name == "createSessionToken" || name == "resumeSession") {
				s.active, s.exact = w.kit.Clock.Now().UnixMilli(), true
				if abandons = w.kit.Clock.Now().Add(idle); abandons.After(expires) {
					abandons = expires
				}
			}
		}
		live := s.state == "ACTIVE" || s.state == "PENDING"
		allowed := map[string][]string{"alice": nil, "root": nil}
		add := func(so bool, name string, who ...string) {
			for _, one := range who {
				if so {
					allowed[one] = append(allowed[one], name)
				}
			}
		}
		add(live, "endSession", "alice", "root")
		add(s.state != "REMOVED", "removeSession", "alice", "root")
		add(live || s.state == "ABANDONED" || s.state == "EXPIRED", "terminateSession", "root")
		add(live || s.state == "ABANDONED", "resumeSession", "root")
		add(s.state == "PENDING", "completeSessionTask", "root")
		w.agree(s.state, s.version, allowed, "", nil)
		s = step(w, s, call{Name: "read", Door: "rest"}, func(c call) (outcome, error) { return w.sessionCall(c, w.id, client, "alice", "root") }, stepSession)
		// The client lists neither what was removed nor what the institution ended.
		a, err := w.send(0, http.MethodGet, "/v1/client?_is_native=1", "", "Authorization: "+client)
		listed, _ := a.at("response", "sessions").([]any)
		shown := slices.ContainsFunc(listed, func(one any) bool { return at(one, "id") == w.id && upper(at(one, "status").(string)) == s.state })
		if want := s.state != "REMOVED" && s.state != "REVOKED"; err != nil || shown != want {
			w.Fatalf("in state %s the client lists it: %v %v", s.state, shown, err)
		}
	}
}

func (w *walk) quiz() {
	r := w.made("alice", "createContact", "contact { id }", map[string]any{
		"taxId": "219-55-0142", "firstName": "Max", "lastName": "Pike", "address1": "1234 S. Front Street", "city": "Wilmington", "region": "NC", "postalCode": "28401",
		"phone": "+1 910 555 0155", "birthdate": "1985-06-15", "email": "max.pike@example.com", "ipAddress": "198.51.100.7",
	})
	w.id, _ = at(w.made("alice", "createQuiz", "quiz { id }", map[string]any{"contactId": at(r, "contact", "id")}), "quiz", "id").(string)
	w.event("createQuiz", "", "PENDING")
	s := quiz{state: "PENDING", version: 1}
	expires := w.kit.Clock.Now().Add(w.kit.Settings.QuizTTL)
	answers := map[string][]map[string]any{
		"misfit": {{"questionId": "none", "answer": "none"}}, "right": {{"questionId": "none", "answer": "none"}}, "wrong": {{"questionId": "none", "answer": "none"}},
	}
	for range 8 {
		name := rapid.SampledFrom([]string{"createQuizQuestions", "scoreQuiz", "scoreQuiz", "pass", "read"}).Draw(w.T, "step")
		if name == "pass" {
			w.pass(time.Duration(rapid.SampledFrom([]int{1, 5, 16}).Draw(w.T, "minutes")) * time.Minute)
			if (s.state == "PENDING" || s.state == "ASKED") && !w.kit.Clock.Now().Before(expires) {
				w.event("expireQuiz", s.state, "EXPIRED")
				s.state, s.version = "EXPIRED", s.version+1
			}
		} else {
			c := call{Name: name, Door: rapid.SampledFrom([]string{"graphql", "rest"}).Draw(w.T, "door")}
			if name == "scoreQuiz" {
				c.Arg = rapid.SampledFrom([]string{"right", "wrong", "misfit"}).Draw(w.T, "answers")
			}
			if name != "read" {
				c.Version = w.version(s.version)
			}
			before := s
			s = step(w, s, c, func(c call) (outcome, error) { return w.quizCall(c, w.id, "alice", answers[c.Arg]) }, stepQuiz)
			switch {
			case s.version == before.version:
			case s.late && !before.late:
				w.event("noteLateQuizAnswers", before.state, s.state)
			default:
				w.event(name, before.state, s.state)
			}
			if s.state == "ASKED" && before.state == "PENDING" {
				stored, err := w.kit.Store.Quizzes().Get(w.Context(), w.id)
				if err != nil {
					w.Fatal(err)
				}
				for kind, wrong := range map[string]int{"right": 0, "wrong": 1} {
					answers[kind] = nil
					for _, one := range testkit.RightAnswers(stored.Questions, wrong) {
						answers[kind] = append(answers[kind], map[string]any{"questionId": one.QuestionID, "answer": one.Answer})
					}
				}
			}
		}
		var open []string
		switch s.state {
		case "PENDING":
			open = []string{"createQuizQuestions"}
		case "ASKED":
			open = []string{"scoreQuiz"}
		}
		w.agree(s.state, s.version, map[string][]string{"alice": open, "root": open}, "/identity/quizzes/"+w.id, map[string]bool{"self": true, "apiture:contact": true})
	}
}

func (w *walk) twoFactorRequest() {
	p := phone{name: "alice", token: "alice", device: testkit.NewDevice("ed25519", 0)}
	registered, _ := at(w.made("alice", "registerDevice", "device { id }", map[string]any{"publicKey": p.device.PublicKey()}), "device", "id").(string)
	p.request, _ = at(w.made("root", "openTwoFactorRequest", "twoFactorRequest { id }", map[string]any{"customerId": "alice", "clientId": "web", "statement": "Pay."}), "twoFactorRequest", "id").(string)
	w.id = p.request
	w.event("openTwoFactorRequest", "", "PENDING")
	s := decision{state: "PENDING", version: 1}
	expires := w.kit.Clock.Now().Add(w.kit.Settings.TwoFactorTTL)
	for range 6 {
		name := rapid.SampledFrom([]string{"approveTwoFactorRequest", "rejectTwoFactorRequest", "pass", "read"}).Draw(w.T, "step")
		if name == "pass" {
			w.pass(time.Duration(rapid.SampledFrom([]int{1, 6}).Draw(w.T, "minutes")) * time.Minute)
			if s.state == "PENDING" && !w.kit.Clock.Now().Before(expires) {
				s.state, s.version = "EXPIRED", s.version+1
				w.event("expireTwoFactorRequest", "PENDING", "EXPIRED")
			}
		} else {
			c := call{Name: name, Door: "graphql"}
			if name != "read" {
				c.Door = rapid.SampledFrom([]string{"graphql", "rest"}).Draw(w.T, "door")
				c.Arg, _ = at(w.made("alice", "createDeviceChallenge", "deviceChallenge { id }", map[string]any{"deviceId": p.device.ID()}), "deviceChallenge", "id").(string)
				p.challenges = []string{c.Arg}
				if c.Door == "graphql" {
					c.Version = w.version(s.version)
				}
			}
			before := s
			s = step(w, s, c, w.decide(p), stepDecision)
			if s.version != before.version {
				w.event(name, before.state, s.state)
			}
		}
		var open []string
		if s.state == "PENDING" {
			open = []string{"approveTwoFactorRequest", "rejectTwoFactorRequest"}
		}
		w.agree(s.state, s.version, map[string][]string{"alice": open, "root": nil}, "", nil)
	}
	// The device has a life of its own.
	w.kind, w.field, w.id, w.events = "Device", "status", registered, nil
	w.event("registerDevice", "", "REGISTERED")
	w.agree("REGISTERED", 1, map[string][]string{"alice": {"revokeDevice"}, "root": {"revokeDevice"}}, "", nil)
	w.made(rapid.SampledFrom([]string{"alice", "root"}).Draw(w.T, "who"), "revokeDevice", "device { id }", map[string]any{"deviceId": registered})
	w.event("revokeDevice", "REGISTERED", "REVOKED")
	w.agree("REVOKED", 2, map[string][]string{"alice": nil, "root": nil}, "", nil)
	if a, err := w.mutate(0, "alice", "revokeDevice", "device { id }", map[string]any{"deviceId": registered}); err != nil || a.text("data", "it", "problems", 0, "code") != "DEVICE_REVOKED" {
		w.Fatalf("revoked twice: %v %s", err, a.body)
	}
}

// verification walks through the life of a mail's token or a text's code. Each walk has a customer of its own.
func (w *walk) verification(mail bool) {
	name := "person-" + strings.ToLower(domain.NewID("w", w.kit.Clock.Now()))
	customer, err := w.kit.ImportedCustomer(w.Context(), domain.ImportCustomerInput{ID: name, Email: new(name + "@example.com"), Phone: new("+1 910-555-0100")}, nil)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.kit.DB.ImportBatch(w.Context(), []any{customer}); err != nil {
		w.Fatal(err)
	}
	request, verify, member, ttl := "requestPhoneVerification", "verifyPhone", "phoneVerification", w.kit.Settings.PhoneCodeTTL
	if mail {
		request, verify, member, ttl = "requestEmailVerification", "verifyEmail", "emailVerification", w.kit.Settings.EmailTokenTTL
	}
	presented := "code"
	if mail {
		presented = "token"
	}
	title := strings.ToUpper(member[:1]) + member[1:]
	state, version, wrong := "", 0, 0
	var secret string
	var expires time.Time
	for range 8 {
		what := rapid.SampledFrom([]string{"request", "right", "wrong", "wrong", "pass"}).Draw(w.T, "step")
		var a answer
		var err error
		code := ""
		switch {
		case what == "request":
			a, err = w.mutate(0, name, request, member+" { id }", map[string]any{})
			if state == "VERIFIED" {
				code = "ALREADY_VERIFIED"
				break
			}
			if state == "PENDING" { // the newer one takes its place
				w.event("replace"+title, "PENDING", "REPLACED")
				w.agree("REPLACED", version+1, map[string][]string{"root": nil}, "", nil)
			}
			w.id, w.events = a.text("data", "it", member, "id"), nil
			state, version, wrong, expires = "PENDING", 1, 0, w.kit.Clock.Now().Add(ttl)
			w.event(request, "", "PENDING")
			all := w.kit.Posted(w.TB)
			if secret = all[len(all)-1].Values["code"]; mail {
				link, _ := url.Parse(all[len(all)-1].Values["link"])
				secret = link.Query().Get("token")
			}
		case state == "": // nothing was asked for yet
			continue
		case what == "pass":
			w.pass(time.Duration(rapid.SampledFrom([]int{1, 11, 1500}).Draw(w.T, "minutes")) * time.Minute)
			if state == "PENDING" && !w.kit.Clock.Now().Before(expires) {
				state, version = "EXPIRED", version+1
				w.event("expire"+title, "PENDING", "EXPIRED")
			}
		default:
			told := secret
			if what == "wrong" {
				told = testkit.WrongCode(secret)
			}
			before := state
			switch {
			case mail && what == "wrong":
				code = "INVALID_TOKEN"
			case state == "VERIFIED":
				code = "ALREADY_VERIFIED"
			case state == "EXPIRED" && mail:
				code = "TOKEN_EXPIRED"
			case state == "EXPIRED" && what == "right":
				code = "CODE_EXPIRED"
			case state == "EXPIRED", state == "LOCKED":
				code = "any"
			case what == "wrong":
				code = "INVALID_CODE"
				if version, wrong = version+1, wrong+1; wrong == 5 {
					state = "LOCKED"
				}
				w.event(verify, before, state)
			default:
				state, version = "VERIFIED", version+1
				w.event(verify, before, state)
			}
			if rapid.Bool().Draw(w.T, "by REST") {
				path := "/sessions/auth/phone/verify"
				if mail {
					path = "/sessions/auth/email/verify"
				}
				a, err = w.send(0, http.MethodPost, path, object(presented, told), "Authorization: Bearer "+name)
			} else {
				a, err = w.mutate(0, name, verify, member+" { id }", map[string]any{presented: told})
			}
		}
		said := restCode(a)
		if a.at("data") != nil {
			said = a.text("data", "it", "problems", 0, "code")
		}
		if err != nil || said != code && (code != "any" || said == "") {
			w.Fatalf("%s in state %s is answered with %q, and by the contract with %q: %s %v", what, state, said, code, a.body, err)
		}
		var open []string
		if mail && state == "PENDING" { // whoever has the token may present it
			open = []string{verify}
		}
		w.agree(state, version, map[string][]string{"root": open}, "", nil)
	}
}

// person walks through a contact, and makes what is made once and never changes: a report and an approval.
func (w *walk) person() {
	w.id, _ = at(w.made("alice", "createContact", "contact { id }", map[string]any{
		"taxId": "219-55-0142", "firstName": "Max", "lastName": "Pike", "address1": "1234 S. Front Street", "city": "Wilmington", "region": "NC", "postalCode": "28401",
		"phone": "+1 910 555 0155", "birthdate": "1985-06-15",
	}), "contact", "id").(string)
	contact, version := w.id, 1
	w.event("createContact", "", "ACTIVE")
	open := map[string][]string{"alice": {"updateContact"}, "root": {"updateContact"}}
	for n := range 5 {
		input, code := map[string]any{"contactId": contact, "city": fmt.Sprint("City ", n)}, ""
		if v := w.version(version); v > 0 {
			input["expectedVersion"] = v
			if v != version {
				code = "VERSION_STALE"
			}
		}
		a, err := w.mutate(0, rapid.SampledFrom([]string{"alice", "root"}).Draw(w.T, "who"), "updateContact", "contact { version }", input)
		if got := a.text("data", "it", "problems", 0, "code"); err != nil || got != code {
			w.Fatalf("updateContact: %v %s", err, a.body)
		}
		if code == "" {
			version++
			w.event("updateContact", "ACTIVE", "ACTIVE")
		}
		w.agree("ACTIVE", version, open, "", nil)
	}
	link := `{"_links":{"apiture:contact":{"href":"/contacts/contacts/` + contact + `"}}}`
	for _, one := range []struct{ kind, operation, object, path, body, who string }{
		{"FraudRiskReport", "createFraudRiskReport", "fraudRiskReport", "/identity/fraudRiskReports", link, "alice"},
		{"Approval", "createApproval", "approval", "/identity/approvals?contactUri=/contacts/contacts/" + contact, "", "root"},
	} {
		w.kind, w.events = one.kind, nil
		if rapid.Bool().Draw(w.T, "by REST") {
			a, err := w.send(0, http.MethodPost, one.path, one.body, "API-Key: test", "Authorization: Bearer "+one.who)
			if err != nil || a.status != http.StatusCreated {
				w.Fatalf("%s: %v %s", one.operation, err, a.body)
			}
			w.id = a.text("_id")
		} else {
			w.id, _ = at(w.made(one.who, one.operation, one.object+" { id }", map[string]any{"contactId": contact}), one.object, "id").(string)
		}
		a, err := w.gql(0, "root", "query($id: ID!) { node(id: $id) { ... on "+one.kind+" { state } } }", map[string]any{"id": w.id})
		if err != nil {
			w.Fatal(err)
		}
		state := a.text("data", "node", "state")
		if one.kind == "Approval" && state != "PASSED" {
			w.Fatalf("an approval is %s", state)
		}
		w.event(one.operation, "", state)
		path, _, _ := strings.Cut(one.path, "?")
		w.agree(state, 1, map[string][]string{"alice": nil, "root": nil}, path+"/"+w.id, map[string]bool{"self": true, "apiture:contact": true})
	}
}

// TestWalks goes through every life cycle by random steps, through GraphQL and REST, and after each step every door
// shows what the model says: state, version, open actions, timeline, ETag and links.
func TestWalks(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			kit := testkit.New(t, database.URL(t))
			kit.Know(t, testkit.Pike())
			s := openStreet(t, kit)
			for _, one := range []struct {
				kind, field string
				way         func(*walk)
			}{
				{"Invitation", "state", (*walk).invitation},
				{"Session", "status", (*walk).session},
				{"Quiz", "state", (*walk).quiz},
				{"TwoFactorRequest", "status", (*walk).twoFactorRequest},
				{"Contact", "state", (*walk).person},
				{"EmailVerification", "status", func(w *walk) { w.verification(true) }},
				{"PhoneVerification", "status", func(w *walk) { w.verification(false) }},
			} {
				t.Run(one.kind, func(t *testing.T) {
					rapid.Check(t, func(rt *rapid.T) {
						one.way(&walk{T: rt, street: s, kind: one.kind, field: one.field})
					})
				})
			}
		})
	}
}
