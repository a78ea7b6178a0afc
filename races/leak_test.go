package races

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/testkit"
)

// markers are planted values by what they are.
type markers map[string]string

// found looks for the markers in a text, in the forms that a value takes on its way: as it is, in Base64, in
// hexadecimal, escaped for a URL, and without what stands between its digits. Letters count in either case.
func (m markers) found(where string, text []byte) []string {
	var out []string
	lower := bytes.ToLower(text)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}) {
		value := m[name]
		if isNumber.MatchString(value) && len(value) < 9 { // among the digits of times and ids it may stand by chance
			if regexp.MustCompile(`(^|[^0-9a-z])` + value + `($|[^0-9a-z])`).Match(lower) {
				out = append(out, where+" holds "+name)
			}
			continue
		}
		forms := []string{value, url.QueryEscape(value), hex.EncodeToString([]byte(value)), strings.NewReplacer("-", "", " ", "", "(", "", ")", "").Replace(value)}
		for skip := range 3 { // at whatever place in a longer text it begins
			if len(value) > skip+9 {
				inner := base64.RawStdEncoding.EncodeToString([]byte(value[skip:]))
				forms = append(forms, inner[:len(inner)-2])
			}
		}
		for _, form := range forms {
			if len(form) > 5 && bytes.Contains(lower, []byte(strings.ToLower(form))) {
				out = append(out, where+" holds "+name)
				break
			}
		}
	}
	return out
}

var isNumber = regexp.MustCompile(`^[0-9]+$`)

// collector takes the traces that the program exports.
type collector struct {
	*httptest.Server
	mu  sync.Mutex
	all bytes.Buffer
}

func newCollector(t testing.TB) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, "no gzip", http.StatusBadRequest)
				return
			}
			in = unzipped
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = io.Copy(&c.all, in)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.all.Bytes())
}

// database is everything that the database keeps: the rows of all tables on PostgreSQL, the files on SQLite.
func (b *bank) database(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if b.name == "sqlite" {
		for _, name := range []string{"gatehouse.db", "gatehouse.db-wal"} {
			raw, err := os.ReadFile(filepath.Join(b.dir, "gatehouse-data", name))
			if err != nil {
				t.Fatal(err)
			}
			out.Write(raw)
		}
		return out.Bytes()
	}
	link := ""
	for _, setting := range b.env {
		if text, ok := strings.CutPrefix(setting, "GATEHOUSE_DATABASE_URL="); ok {
			link = text
		}
	}
	conn, err := pgx.Connect(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("%v %v", tables, err)
	}
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT t::text FROM "+pgx.Identifier{table}.Sanitize()+" t")
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "\n%s\n%s", table, strings.Join(all, "\n"))
	}
	return out.Bytes()
}

// message waits for a message in the development outbox, and gives what the pattern finds in it.
func (b *bank) message(t testing.TB, end, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	testkit.Eventually(t, "a message "+end+" with "+pattern+" comes into the outbox", func() bool {
		names, _ := filepath.Glob(filepath.Join(b.dir, "gatehouse-data", "outbox", "*"+end))
		for _, name := range names {
			raw, _ := os.ReadFile(name)
			text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=", "&amp;", "&").Replace(string(raw))
			if m := re.FindStringSubmatch(text); m != nil {
				found = m[1]
				return true
			}
		}
		return false
	})
	return found
}

// TestNothingLeaks plants secrets and personal data through every door and looks for them in everything that the
// program writes. What is left out on purpose: the development outbox, which stands for the mail server; the words of
// the first start at the terminal, which show a token and a key once; the answers to whom they are due; and the path of a
// request, which is logged, and has no place for a secret.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	eachBank(t, func(t *testing.T, b *bank) {
		traces := newCollector(t)
		m := markers{
			"the encryption key": "cGxhbnRlZC1lbmNyeXB0aW9uLWtleS0zMi1ieXRlcyE=", "the password of the mail server": "planted-smtp-password", "the token of the text provider": "planted-sms-token",
			"the shared secret": "planted shared secret", "a wrong secret": "planted wrong secret", "a new secret": "planted newer secret",
			"the address of the invitee": "planted.invitee@example.net", "the first name of the invitee": "Plantedfirst", "the last name of the invitee": "Plantedlast",
			"the name of the inviter": "Planted Inviter", "the identification": "planted identification paper",
			"the address of the customer": "planted.customer@example.org", "the number of the customer": "+19105550199", "the PIN": "73915482", "the password": "planted customer password",
			"the username": "planted-username", "a wrong PIN": "64826153", "a wrong password": "planted wrong password",
			"the tax id": "219-55-0777", "the first name": "Plantina", "the last name": "Plantowska", "the street": "77 Planted Lane", "the second line": "Planted Suite 9", "the city": "Plantville",
			"the phone": "910-555-0166", "the birthdate": "1971-11-23", "the e-mail": "planted.person@example.com", "the address of the person's computer": "198.51.100.177",
			"the previous street": "5 Oldplant Road", "the previous phone": "919-555-0123", "a relative": "Relatia Plantowska", "a vehicle": "1999 Planted Wagon", "an employer": "Planted Works Ltd",
			"a listed name": "Listplanted Villain", "a listed address of mail": "listplanted@example.biz",
			"the handle": "planted-session-handle#1234567890", "the user agent": "PlantedBrowser/1.0 (secret build)", "the address of the session": "203.0.113.177", "the statement": "Pay planted statement to Dora",
			"an idempotency key": "planted-idempotency-key", "a wrong token": "planted-wrong-mail-token", "a search": "planted.search@example.net", "a bearer that is none": "planted-bearer-token-value",
			"an API key that is none": "gh_planted_api_key_value", "a body that is none": "planted broken body", "a device key that is none": "cGxhbnRlZCBkZXZpY2Uga2V5", "a signature that is none": "cGxhbnRlZC1zaWduYXR1cmU=",
			"a preview key": "plantedpreviewkey0123456789abcdef", "an origin that is none": "https://planted-origin.example", "a cookie that is none": "planted-client-cookie",
		}
		// Everything comes from the files and the environment of an operator, too.
		file := strings.Join([]string{
			`{"kind":"customer","id":"petra","username":"` + m["the username"] + `","email":"` + m["the address of the customer"] + `","phone":"` + m["the number of the customer"] + `","pin":"` + m["the PIN"] + `","password":"` + m["the password"] + `","jurisdiction":"NC"}`,
			`{"kind":"jurisdiction","id":"NC","secondFactors":["PIN","PASSWORD"]}`,
			`{"kind":"identityRecord","id":"rec-petra","taxId":"` + m["the tax id"] + `","firstName":"` + m["the first name"] + `","lastName":"` + m["the last name"] + `","address1":"` + m["the street"] + `","address2":"` + m["the second line"] + `","city":"` + m["the city"] + `","region":"NC","postalCode":"28401","phone":"` + m["the phone"] + `","birthdate":"` + m["the birthdate"] + `","email":"` + m["the e-mail"] + `","previousAddresses":[{"address1":"` + m["the previous street"] + `","city":"Burlington","region":"NC","postalCode":"27603"}],"previousPhones":["` + m["the previous phone"] + `"],"relatives":["` + m["a relative"] + `","Ada Carter"],"vehicles":["` + m["a vehicle"] + `","2014 Mazda 3"],"employers":["` + m["an employer"] + `","Food Lion","Verizon"]}`,
			`{"kind":"listEntry","id":"l1","list":"alertList","value":"` + m["a listed name"] + `"}`,
			`{"kind":"listEntry","id":"l2","list":"restrictedEmail","value":"` + m["a listed address of mail"] + `"}`,
			`{"kind":"customer","id":"bad","email":5,"password":"` + m["the password"] + `"}`,
			`{"kind":"listEntry","id":"l3","list":"restrictedIp","value":"` + m["a listed name"] + `"}`,
		}, "\n")
		_, errs, _ := b.run(file, "import", "-")
		written := map[string][]byte{"the words of an import": []byte(errs)}

		// A server that says as much as it can, and exports what it does.
		b.env = append(b.env, "GATEHOUSE_LOG_LEVEL=debug", "GATEHOUSE_ADMIN_LISTEN=127.0.0.1:0", "OTEL_EXPORTER_OTLP_ENDPOINT="+traces.URL, "OTEL_BSP_SCHEDULE_DELAY=100")
		if b.name == "postgres" {
			b.serve()
		} else {
			b.restart()
		}
		last := len(b.urls) - 1
		send := func(method, path, body string, headers ...string) answer {
			t.Helper()
			a, err := b.send(last, method, path, body, headers...)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		alice, root := b.token("alice", customer), b.token("root", admin)
		petra := b.token("petra", customer, "username="+m["the username"])
		for name, token := range map[string]string{"alice's token": alice, "root's token": root, "petra's token": petra} {
			m[name] = token
			m["the signature of "+name] = token[strings.LastIndex(token, ".")+1:]
		}
		m["the API key"] = b.key
		do := func(token, name, selection string, input map[string]any) map[string]any {
			t.Helper()
			a, err := b.mutate(last, token, name, selection, input)
			if err != nil || a.at("data", "it") == nil {
				t.Fatalf("%s: %v %s", name, err, a.body)
			}
			it, _ := a.at("data", "it").(map[string]any)
			return it
		}

		// An invitation, with right and wrong secrets.
		made := do(alice, "createInvitation", "invitation { id }", map[string]any{
			"type": "JOINT", "accountUri": "/accounts/accounts/acc-alice", "emailAddress": m["the address of the invitee"], "inviterFullName": m["the name of the inviter"], "sharedSecret": m["the shared secret"],
			"firstName": m["the first name of the invitee"], "lastName": m["the last name of the invitee"], "identification": m["the identification"], "idempotencyKey": m["an idempotency key"],
		})
		invitation, _ := at(made, "invitation", "id").(string)
		m["the key of the mail"] = b.message(t, ".eml", `invitationId=`+invitation+`&key=(\w+)`)
		do(petra, "verifyInvitation", "", map[string]any{"invitationId": invitation, "sharedSecret": m["a wrong secret"]})
		do(alice, "updateInvitationSecret", "", map[string]any{"invitationId": invitation, "sharedSecret": m["a new secret"]})
		rest := []string{"API-Key: " + b.key, "Authorization: Bearer " + petra}
		send("POST", "/invitations/verifications", object("invitationId", invitation, "sharedSecret", m["a wrong secret"]), rest...)
		send("POST", "/invitations/verifications", object("invitationId", invitation, "sharedSecret", m["a new secret"]), rest...)
		send("GET", "/invite?invitationId="+invitation+"&key="+m["a preview key"], "")

		// A session with everything that a login service says of it.
		client := do(root, "createClientToken", "client { id } jwt", map[string]any{})
		m["the client token"], _ = client["jwt"].(string)
		login := do(root, "createSession", "session { id }", map[string]any{
			"userId": "petra", "clientId": at(client, "client", "id"), "handle": m["the handle"], "userAgent": m["the user agent"], "ipAddress": m["the address of the session"],
		})
		session, _ := at(login, "session", "id").(string)
		m["a session token"], _ = do(petra, "createSessionToken", "jwt", map[string]any{"sessionId": session})["jwt"].(string)
		send("POST", "/v1/client/sessions/"+session+"/touch?_is_native=1", "", "Authorization: "+m["the client token"])
		send("GET", "/v1/client", "", "Cookie: __client="+m["a cookie that is none"], "Origin: "+m["an origin that is none"])
		send("POST", "/system/terminatedCustomerSessions", object("sessionId", m["the handle"]), "Authorization: Bearer "+root)

		// Codes.
		do(petra, "requestEmailVerification", "", map[string]any{})
		m["the token of the mail"] = b.message(t, ".eml", `verify-email\?token=([0-9a-f]{32})`)
		send("POST", "/sessions/auth/email/verify", object("token", m["a wrong token"]))
		send("GET", "/verify-email?token="+m["the token of the mail"], "")
		send("POST", "/sessions/auth/email/verify", object("token", m["the token of the mail"]))
		do(petra, "requestPhoneVerification", "", map[string]any{})
		m["the code of the text"] = b.message(t, ".sms.json", `([0-9]{6})\D*$|"[^"]*?([0-9]{6})[^0-9"]`)
		if m["the code of the text"] == "" {
			delete(m, "the code of the text")
		} else {
			send("POST", "/sessions/auth/phone/verify", object("code", testkit.WrongCode(m["the code of the text"])), "Authorization: Bearer "+petra)
			do(petra, "verifyPhone", "", map[string]any{"code": m["the code of the text"]})
		}

		// A device and its decisions.
		device := testkit.NewDevice("ed25519", 0)
		do(petra, "registerDevice", "", map[string]any{"publicKey": device.PublicKey()})
		do(petra, "registerDevice", "", map[string]any{"publicKey": m["a device key that is none"]})
		request, _ := at(do(root, "openTwoFactorRequest", "twoFactorRequest { id }", map[string]any{"customerId": "petra", "clientId": "web", "statement": m["the statement"]}), "twoFactorRequest", "id").(string)
		for _, try := range [][2]string{{m["a wrong PIN"], m["the password"]}, {m["the PIN"], m["a wrong password"]}, {m["the PIN"], m["the password"]}} {
			challenge, _ := at(do(petra, "createDeviceChallenge", "deviceChallenge { id }", map[string]any{"deviceId": device.ID()}), "deviceChallenge", "id").(string)
			signature := device.Sign(challenge, m["the username"])
			m["a signature "+challenge] = signature
			do(petra, "approveTwoFactorRequest", "", map[string]any{
				"twoFactorRequestId": request, "challengeId": challenge, "signature": signature, "pin": try[0], "password": try[1],
			})
		}
		send("POST", "/sessions/auth/two-factor/approve", "", "Authorization: Bearer "+petra, "clientId: web", "X-AAZZUR-DEVICE-CHALLENGE: 01890a5d-ac96-774b-bcce-b302099a8057",
			"X-AAZZUR-SIGNATURE: "+m["a signature that is none"], "X-AAZZUR-PIN: "+m["the PIN"], "X-AAZZUR-PASSWORD: "+m["the password"])

		// A person, with report and quiz.
		contact, _ := at(do(petra, "createContact", "contact { id }", map[string]any{
			"taxId": m["the tax id"], "firstName": m["the first name"], "lastName": m["the last name"], "address1": m["the street"], "address2": m["the second line"], "city": m["the city"],
			"region": "NC", "postalCode": "28401", "phone": m["the phone"], "birthdate": m["the birthdate"], "email": m["the e-mail"], "ipAddress": m["the address of the person's computer"],
		}), "contact", "id").(string)
		report := do(petra, "createFraudRiskReport", "fraudRiskReport { id token }", map[string]any{"contactId": contact})
		m["the token of the report"], _ = at(report, "fraudRiskReport", "token").(string)
		quiz, _ := at(do(petra, "createQuiz", "quiz { id }", map[string]any{"contactId": contact}), "quiz", "id").(string)
		questions, _ := do(petra, "createQuizQuestions", "questions { questionId choices }", map[string]any{"quizId": quiz})["questions"].([]any)
		var answers []any
		for i, q := range questions {
			choices, _ := at(q, "choices").([]any)
			answers = append(answers, map[string]any{"questionId": at(q, "questionId"), "answer": choices[0]})
			for _, c := range choices {
				if text, _ := c.(string); len(text) > 9 && strings.ContainsAny(text, " ") {
					m[fmt.Sprintf("a choice of question %d: %s", i, text)] = text
				}
			}
		}
		if len(answers) == 0 {
			t.Fatal("no questions")
		}
		pending := do(petra, "createQuiz", "quiz { id }", map[string]any{"contactId": contact}) // one that waits for its answers, with its questions
		do(petra, "createQuizQuestions", "", map[string]any{"quizId": at(pending, "quiz", "id")})
		do(petra, "scoreQuiz", "", map[string]any{"quizId": quiz, "answers": answers})
		var refused bytes.Buffer
		note := func(a answer) { fmt.Fprintln(&refused, a.status, a.header, a.body) }

		// What others hear, and who sends what nobody can read.
		eve := b.token("eve", customer)
		for _, id := range []string{invitation, session, contact, quiz, request} {
			a, err := b.gql(last, eve, "query($id: ID!) { node(id: $id) { id } }", map[string]any{"id": id})
			if err != nil {
				t.Fatal(err)
			}
			note(a)
		}
		note(send("GET", "/invitations/invitations/"+invitation, "", "API-Key: "+b.key, "Authorization: Bearer "+eve))
		note(send("GET", "/invitations/invitations?q="+url.QueryEscape(m["a search"])+"&filter="+url.QueryEscape("eq(emailAddress,'"+m["a search"]+"'"), "", "API-Key: "+b.key, "Authorization: Bearer "+eve))
		note(send("GET", "/invitations/invitations", "", "API-Key: "+m["an API key that is none"], "Authorization: Bearer "+m["a bearer that is none"]))
		note(send("POST", "/graphql", `{"query":"`+m["a body that is none"]+`"`))
		note(send("POST", "/graphql", `{"query":"{ a(b: \"`+m["a body that is none"]+`\") }"}`))
		note(send("POST", "/invitations/verifications", `{"sharedSecret":"`+m["a body that is none"]+`"`, rest...))
		if out := m.found("an answer to somebody else", refused.Bytes()); len(out) > 0 {
			t.Errorf("%s\n%s", strings.Join(out, "\n"), refused.String())
		}

		// With the mail server away, messages wait in the database.
		b.env = append(b.env, "GATEHOUSE_SMTP_URL=smtp://planted:"+m["the password of the mail server"]+"@127.0.0.1:1", "GATEHOUSE_SMS_URL=twilio://AC1:"+m["the token of the text provider"]+"@+15005550006?base=http://127.0.0.1:1")
		written["the configuration"] = []byte(b.must("config"))
		if strings.Count(string(written["the configuration"]), "*") < 2 {
			t.Error("the configuration does not mask")
		}
		written["the metrics"] = []byte(b.metrics(t, last))
		written["the list of keys"] = []byte(b.must("keys", "list") + b.must("apikey", "list"))
		if b.name == "postgres" {
			b.serve()
		} else {
			b.restart()
		}
		last = len(b.urls) - 1
		do(alice, "resendInvitation", "", map[string]any{"invitationId": do(alice, "createInvitation", "invitation { id }", map[string]any{
			"type": "JOINT", "accountUri": "/accounts/accounts/acc-alice", "emailAddress": m["the address of the invitee"], "inviterFullName": m["the name of the inviter"], "sharedSecret": m["the shared secret"],
		})["invitation"].(map[string]any)["id"]})
		b.processes[last].Log.Await(t, `(127\.0\.0\.1:1|refused|put off|again)`)
		written["the list of messages"] = []byte(b.must("messages", "list"))

		written["the database"] = b.database(t)
		// The end of a process that was asked for its stacks.
		_ = b.processes[last].Cmd.Process.Signal(syscall.SIGQUIT)
		<-b.processes[last].Ended
		for i, p := range b.processes {
			var kept []string
			for line := range strings.Lines(p.Out.String() + p.Log.String()) {
				if !strings.HasPrefix(line, "Token: ") && !strings.HasPrefix(line, "API key: ") {
					kept = append(kept, line)
				}
			}
			written[fmt.Sprintf("log %d", i)] = []byte(strings.Join(kept, ""))
		}
		if !strings.Contains(string(written[fmt.Sprintf("log %d", last)]), "goroutine ") {
			t.Error("there are no stacks in the last log")
		}
		written["the traces"] = traces.bytes()
		for _, name := range []string{"the database", "the traces", "the metrics"} {
			if len(written[name]) < 500 {
				t.Errorf("%s: %d bytes are too few to be true", name, len(written[name]))
			}
		}
		for where, text := range written {
			for _, leak := range m.found(where, text) {
				t.Errorf("%s %s", b.name, leak)
			}
		}
		// What is written as it is, by contract: the ids of records, in the database and in the paths of requests, and the ids of
		// users, which all documents show to whoever sees a record.
		if len(markers{"the id": invitation}.found("the database", written["the database"])) == 0 {
			t.Error("the search finds nothing")
		}
		if len(m) < 50 {
			t.Errorf("only %d markers", len(m))
		}
		t.Logf("%s: %d markers in %d kinds of output", b.name, len(m), len(written))
	}, "GATEHOUSE_ENCRYPTION_KEY=cGxhbnRlZC1lbmNyeXB0aW9uLWtleS0zMi1ieXRlcyE=")
}

// restart ends the newest instance and starts another in its place; there is one on SQLite.
func (b *bank) restart() {
	b.Helper()
	b.processes[len(b.processes)-1].Stop()
	b.serve()
}

// metrics reads those of an instance.
func (b *bank) metrics(t testing.TB, instance int) string {
	t.Helper()
	res, err := b.client.Get("http://" + b.processes[instance].Log.Await(t, `admin listening" addr=(\S+)`)[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestTheDataFolder: nobody but its owner reads what the program keeps beside the database.
func TestTheDataFolder(t *testing.T) {
	t.Parallel()
	b := openBank(t, "sqlite", nil)
	err := filepath.WalkDir(filepath.Join(b.dir, "gatehouse-data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
