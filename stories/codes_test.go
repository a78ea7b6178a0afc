package stories

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// directoryOfCodes is a customer with address, number, PIN and password, and the policy of an application.
const directoryOfCodes = `{"kind":"customer","id":"carla","username":"carla","email":"carla@example.net","phone":"+19105550177","pin":"2580","password":"a long password","jurisdiction":"NC"}
{"kind":"jurisdiction","id":"NC","secondFactors":["PASSWORD"]}
{"kind":"application","id":"mobile","secondFactors":["PIN"]}
{"kind":"application","id":"web","secondFactors":[]}
`

// posted waits for a message in the development outbox whose name has the end, other than those seen before.
func (w *world) posted(end string, seen map[string]bool) string {
	w.t.Helper()
	var text []byte
	testkit.Eventually(w.t, "a "+end+" comes into the outbox", func() bool {
		names, _ := filepath.Glob(filepath.Join(w.dir, "gatehouse-data", "outbox", "*"+end))
		slices.Sort(names)
		at := slices.IndexFunc(names, func(name string) bool { return !seen[name] })
		if at < 0 {
			return false
		}
		seen[names[at]] = true
		var err error
		if text, err = os.ReadFile(names[at]); err != nil {
			w.t.Fatal(err)
		}
		return true
	})
	return string(text)
}

// do runs a mutation with one input and gives the payload.
func (s *server) do(token, name, selection string, input map[string]any) map[string]any {
	s.t.Helper()
	kind := strings.ToUpper(name[:1]) + name[1:] + "Input!"
	r := s.gql(token, "mutation($input: "+kind+") { it: "+name+"(input: $input) { "+selection+" problems { code path } replayed } }", map[string]any{"input": input})
	payload, _ := r.at(s.t, "data", "it").(map[string]any)
	if payload == nil {
		s.t.Fatalf("%s: %s", name, r.body)
	}
	return payload
}

// code gives the code of the only problem of a payload; empty where there is none.
func code(payload map[string]any) string {
	problems, _ := payload["problems"].([]any)
	if len(problems) == 0 {
		return ""
	}
	p, _ := problems[0].(map[string]any)
	text, _ := p["code"].(string)
	return text
}

func member(payload map[string]any, object, name string) string {
	o, _ := payload[object].(map[string]any)
	text, _ := o[name].(string)
	return text
}

// TestADeviceDecides drives the built program as a customer with a mailbox, a telephone and two devices does.
func TestADeviceDecides(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if database.Name == "postgres" {
				w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+database.URL(t))
			}
			s := w.serve()
			old := testkit.NewDevice("rsa", 0)
			imported := `{"kind":"device","id":"dev-imported","customerId":"carla","publicKey":"` + old.PublicKey() + `"}` + "\n"
			for range 2 { // a second time changes nothing
				if _, errs, status := w.run(directoryOfCodes+imported, "import", "-"); status != 0 {
					t.Fatalf("import: %s", errs)
				}
			}
			carla := w.must("token", "--subject", "carla", "--scope", "signup", "--claim", "username=carla")
			admin := w.must("token", "--subject", "login", "--scope", "admin/full")
			bearer := "Authorization: Bearer " + carla
			seen := map[string]bool{}
			secrets := []string{"2580", "a long password", "carla@example.net", "+19105550177", carla}

			// The mail, its page, and its token.
			if p := s.do(carla, "requestEmailVerification", "emailVerification { status }", map[string]any{}); code(p) != "" || member(p, "emailVerification", "status") != "PENDING" {
				t.Fatalf("%v", p)
			}
			letter, err := mail.ReadMessage(strings.NewReader(w.posted(".eml", seen)))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(letter.Body)
			link := regexp.MustCompile(`http://\S+/verify-email\?token=([0-9a-f]{32})`).FindStringSubmatch(string(body))
			if link == nil || letter.Header.Get("To") != "<carla@example.net>" {
				t.Fatalf("the mail has no link: %s", body)
			}
			token := link[1]
			secrets = append(secrets, token)
			for range 2 {
				if r := s.send("GET", "/verify-email?token="+token, ""); r.status != 200 || strings.Count(r.body, "<button") != 1 || strings.Contains(r.body, token) {
					t.Errorf("the page: %d %s", r.status, r.body)
				}
			}
			if r := s.send("POST", "/sessions/auth/email/verify", `{"token":"`+token+`"}`); r.status != 204 || r.body != "" {
				t.Errorf("the token: %d %s", r.status, r.body)
			}
			form, err := http.PostForm(s.url+"/verify-email?token="+token, url.Values{})
			if err != nil || form.StatusCode != 409 {
				t.Errorf("the page afterwards: %v %v", form, err)
			}
			_ = form.Body.Close()
			if p := s.do(carla, "requestEmailVerification", "emailVerification { id }", map[string]any{}); code(p) != "ALREADY_VERIFIED" {
				t.Errorf("another mail: %v", p)
			}

			// The text and its code.
			s.do(admin, "requestPhoneVerification", "phoneVerification { id }", map[string]any{"customerId": "carla"})
			var text struct{ To, Text string }
			if err := json.Unmarshal([]byte(w.posted(".sms.json", seen)), &text); err != nil || text.To != "+19105550177" {
				t.Fatalf("the text: %v", err)
			}
			digits := regexp.MustCompile(`[0-9]+`).FindAllString(text.Text, -1)
			if len(digits) != 1 || len(digits[0]) != 6 {
				t.Fatalf("the text has no code, or more than one run of digits")
			}
			secrets = append(secrets, "code="+digits[0], `"`+digits[0])
			if r := s.send("POST", "/sessions/auth/phone/verify", `{"code":"`+testkit.WrongCode(digits[0])+`"}`, bearer); r.status != 400 || r.at(t, "code") != "INVALID_CODE" {
				t.Errorf("a wrong code: %d %s", r.status, r.body)
			}
			if p := s.do(carla, "verifyPhone", "phoneVerification { status attemptCount delivery }", map[string]any{"code": digits[0]}); code(p) != "" || member(p, "phoneVerification", "status") != "VERIFIED" {
				t.Errorf("the code: %v", p)
			}

			// The imported device decides over REST; its application asks for the PIN.
			open := func(client string) string {
				p := s.do(admin, "openTwoFactorRequest", "twoFactorRequest { id status }", map[string]any{
					"customerId": "carla", "clientId": client, "statement": "Sign in to online banking.",
				})
				return member(p, "twoFactorRequest", "id")
			}
			challenge := func(d *testkit.Device) string {
				r := s.send("POST", "/sessions/challenges", `{"deviceId":"`+d.ID()+`","username":"carla"}`, bearer)
				id, _ := r.at(t, "challengeId").(string)
				if r.status != 201 || id == "" {
					t.Fatalf("a challenge: %d %s", r.status, r.body)
				}
				return id
			}
			decide := func(verb, client string, d *testkit.Device, more ...string) reply {
				id := challenge(d)
				signature := d.Sign(id, "carla")
				secrets = append(secrets, signature)
				return s.send("POST", "/sessions/auth/two-factor/"+verb, "", append(more, bearer, "clientId: "+client,
					"X-AAZZUR-DEVICE-CHALLENGE: "+id, "X-AAZZUR-SIGNATURE: "+signature)...)
			}
			first := open("mobile")
			if r := decide("approve", "mobile", old); r.status != 400 || r.at(t, "code") != "MISSING_PIN" {
				t.Errorf("without the PIN: %d %s", r.status, r.body)
			}
			if r := decide("approve", "mobile", old, "X-AAZZUR-PIN: 0000"); r.status != 403 || r.at(t, "code") != "INVALID_PIN" {
				t.Errorf("a wrong PIN: %d %s", r.status, r.body)
			}
			if r := decide("approve", "mobile", old, "X-AAZZUR-PIN: 2580"); r.status != 200 || r.at(t, "id") != first || r.at(t, "status") != "APPROVED" {
				t.Errorf("the PIN: %d %s", r.status, r.body)
			}
			if r := decide("reject", "mobile", old, "X-AAZZUR-PIN: 2580"); r.status != 404 {
				t.Errorf("nothing is pending: %d %s", r.status, r.body)
			}
			open("elsewhere")
			if r := decide("reject", "elsewhere", old, "X-AAZZUR-PASSWORD: a long password"); r.status != 200 || r.at(t, "status") != "REJECTED" {
				t.Errorf("the jurisdiction asks for the password: %d %s", r.status, r.body)
			}

			// A device that is registered through GraphQL signs what it shows.
			fresh := testkit.NewDevice("ed25519", 0)
			p := s.do(carla, "registerDevice", "device { id fingerprint algorithm }", map[string]any{"publicKey": fresh.PublicKey(), "name": "Carla's phone"})
			if code(p) != "" || member(p, "device", "fingerprint") != fresh.ID() || member(p, "device", "algorithm") != "ED25519" {
				t.Fatalf("%v", p)
			}
			second := open("web")
			r := s.gql(carla, `query($id: ID!) { twoFactorRequest(id: $id) { statement status clientId openedAt expiresAt decidedAt actions { name allowed } } devices { totalCount } twoFactorRequests(where: {status: {eq: PENDING}}) { totalCount nodes { id } } node(id: $id) { id } }`, map[string]any{"id": second})
			shown, _ := r.at(t, "data", "twoFactorRequest", "statement").(string)
			if r.at(t, "data", "devices", "totalCount") != 2.0 || r.at(t, "data", "twoFactorRequests", "nodes", 0, "id") != second || r.at(t, "data", "node", "id") != second {
				t.Errorf("%s", r.body)
			}
			made := s.do(carla, "createDeviceChallenge", "deviceChallenge { id username expiresAt }", map[string]any{"deviceId": fresh.ID()})
			id := member(made, "deviceChallenge", "id")
			input := map[string]any{
				"twoFactorRequestId": second, "challengeId": id, "signature": fresh.Sign(id, member(made, "deviceChallenge", "username"), shown), "idempotencyKey": "k",
			}
			for n := range 2 {
				p := s.do(carla, "approveTwoFactorRequest", "twoFactorRequest { status statementSigned decidedAt }", input)
				if code(p) != "" || member(p, "twoFactorRequest", "status") != "APPROVED" || p["replayed"] != (n == 1) {
					t.Errorf("%d: %v", n, p)
				}
			}
			if p := s.do(carla, "revokeDevice", "device { status }", map[string]any{"deviceId": fresh.ID()}); member(p, "device", "status") != "REVOKED" {
				t.Errorf("%v", p)
			}
			if r := s.send("POST", "/sessions/challenges", `{"deviceId":"`+fresh.ID()+`","username":"carla"}`, bearer); r.status != 404 || r.at(t, "code") != "DEVICE_NOT_FOUND" {
				t.Errorf("a revoked device: %d %s", r.status, r.body)
			}
			if r := s.send("GET", "/sessions/version", ""); r.status != 200 || r.at(t, "version") == "" {
				t.Errorf("the version: %d %s", r.status, r.body)
			}
			log := s.Log.String()
			for _, secret := range secrets {
				// Among the digits of times and ids a short number may stand by chance; as a word of its own it does not.
				if regexp.MustCompile(`(^|[^0-9A-Za-z])` + regexp.QuoteMeta(secret) + `($|[^0-9A-Za-z])`).MatchString(log) {
					t.Errorf("the log holds a secret or personal data: %s", secret)
				}
			}
			s.Stop()
		})
	}
}

// TestTextsByAProvider: one text is put off and repeated, one is refused for good and stays where an operator sees it.
func TestTextsByAProvider(t *testing.T) {
	t.Parallel()
	type call struct {
		path, user, password string
		form                 url.Values
	}
	var count atomic.Int64
	calls := make(chan call, 10)
	provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		user, password, _ := r.BasicAuth()
		n := count.Add(1)
		switch {
		case r.PostForm.Get("To") == "+19105550188":
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = rw.Write([]byte(`{"code":21211,"message":"'+19105550188' is no number"}`))
		case n == 1:
			rw.WriteHeader(http.StatusServiceUnavailable)
		default:
			rw.WriteHeader(http.StatusCreated)
			_, _ = rw.Write([]byte(`{"sid":"SM1","status":"queued"}`))
		}
		calls <- call{r.URL.Path, user, password, r.PostForm}
	}))
	t.Cleanup(provider.Close)
	w := newWorld(t, "GATEHOUSE_SMS_URL=twilio://AC123:s3cret@+15005550006?base="+url.QueryEscape(provider.URL))
	s := w.serve()
	if _, errs, status := w.run(`{"kind":"customer","id":"carla","phone":"+1 (910) 555-0177"}`+"\n"+`{"kind":"customer","id":"dan","phone":"+19105550188"}`+"\n", "import", "-"); status != 0 {
		t.Fatalf("import: %s", errs)
	}
	next := func() call {
		t.Helper()
		select {
		case c := <-calls:
			return c
		case <-time.After(testkit.Patience):
			t.Fatal("the provider is not called")
			return call{}
		}
	}
	carla, dan := s.token("carla", "signup"), s.token("dan", "signup")
	s.do(carla, "requestPhoneVerification", "phoneVerification { id }", map[string]any{})
	next()
	got := next() // after some five seconds
	digits := regexp.MustCompile(`[0-9]{6}`).FindString(got.form.Get("Body"))
	if got.path != "/2010-04-01/Accounts/AC123/Messages.json" || got.user != "AC123" || got.password != "s3cret" ||
		got.form.Get("To") != "+19105550177" || got.form.Get("From") != "+15005550006" || digits == "" {
		t.Errorf("the provider got %+v", got)
	}
	if p := s.do(carla, "verifyPhone", "phoneVerification { status }", map[string]any{"code": digits}); member(p, "phoneVerification", "status") != "VERIFIED" {
		t.Errorf("%v", p)
	}
	p := s.do(dan, "requestPhoneVerification", "phoneVerification { id }", map[string]any{})
	next()
	state := func() any {
		return s.gql(dan, `query($id: ID!) { node(id: $id) { ... on PhoneVerification { status delivery } } }`,
			map[string]any{"id": member(p, "phoneVerification", "id")}).at(t, "data", "node", "delivery")
	}
	testkit.Eventually(t, "a text that is refused for good is dead", func() bool { return state() == "DEAD" })
	s.Log.Await(t, "sms 400 21211")
	log := s.Log.String()
	for _, secret := range []string{"s3cret", "0188", "0177", digits} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s:\n%s", secret, log)
		}
	}
}
