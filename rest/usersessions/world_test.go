package usersessions_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/usersessions"
	"github.com/gatehouse/gatehouse/testkit"
)

// callers are who a bearer token stands for. Those in capitals have the claim client_id.
var callers = map[string]domain.Actor{
	"alice":    {ID: "alice", Username: "alice", Scopes: []string{"signup"}},
	"bob":      {ID: "bob", Username: "bob", Scopes: []string{"signup"}},
	"ALICE":    {ID: "alice", Username: "alice", Scopes: []string{"signup"}, ClientID: "web"},
	"renamed":  {ID: "alice", Username: "alicia", Scopes: []string{"signup"}},
	"banker":   {ID: "alice", Username: "alice", Scopes: []string{"banking/full"}},
	"nobody":   {ID: "nobody", Username: "nobody", Scopes: []string{"signup"}},
	"forged":   {Refused: problem.New(problem.Unauthorized)},
	"expired":  {Refused: problem.New(problem.SessionExpired)},
	"doubtful": {Refused: problem.New(problem.ServiceUnavailable)},
}

// world is one server with its own database and clock.
type world struct {
	t   testing.TB
	kit *testkit.Kit
	log bytes.Buffer
	// names are what stands in stories for what differs from run to run.
	names map[string]string
	// secrets must be in no answer and no line of the log.
	secrets []string
	devices []*testkit.Device
	counts  map[string]int
}

func newWorld(t testing.TB, database string) *world {
	t.Helper()
	w := &world{t: t, kit: testkit.New(t, database), names: map[string]string{}, counts: map[string]int{}, secrets: []string{"4711", "alice's password"}}
	w.kit.Customers(t)
	return w
}

// name gives a thing the next name of its kind.
func (w *world) name(kind, value string) {
	w.counts[kind]++
	w.names[fmt.Sprintf("{%s%d}", kind, w.counts[kind])] = value
}

// do is a line of the section "settings": what other doors did before.
func (w *world) do(line string) {
	w.t.Helper()
	words := strings.Fields(line)
	ctx := testkit.As(words[1], domain.ScopeSignup)
	var err error
	switch words[0] {
	case "mail": // mail alice: a token
		token := w.kit.MailedToken(w.t, words[1])
		w.name("token", token)
		w.secrets = append(w.secrets, token)
	case "text": // text alice: a code
		code := w.kit.TextedCode(w.t, words[1])
		w.name("code", code)
		w.name("wrong", testkit.WrongCode(code))
		w.secrets = append(w.secrets, code, testkit.WrongCode(code))
	case "device": // device alice rsa: a registered device
		d := testkit.NewDevice(words[2], len(w.devices))
		w.devices = append(w.devices, d)
		var out domain.Outcome[domain.Device]
		if out, err = w.kit.RegisterDevice(ctx, domain.RegisterDeviceInput{PublicKey: d.PublicKey()}); err == nil {
			w.name("device", d.ID())
			w.names[fmt.Sprintf("<device%d>", len(w.devices))] = out.Record.ID
		}
	case "revoke": // revoke alice 1
		_, err = w.kit.RevokeDevice(ctx, domain.RevokeDeviceInput{DeviceID: w.names["<device"+words[2]+">"]})
	case "challenge": // challenge alice 1: of device 1
		n, _ := strconv.Atoi(words[2])
		var out domain.Outcome[domain.DeviceChallenge]
		if out, err = w.kit.CreateDeviceChallenge(ctx, domain.CreateDeviceChallengeInput{DeviceID: w.devices[n-1].ID()}); err == nil {
			w.name("challenge", out.Record.ID)
		}
	case "open": // open alice web: a request
		var out domain.Outcome[domain.TwoFactorRequest]
		if out, err = w.kit.OpenTwoFactorRequest(testkit.Admin(), domain.OpenTwoFactorRequestInput{
			CustomerID: words[1], ClientID: words[2], Statement: "Sign in to online banking.",
		}); err == nil {
			w.name("request", out.Record.ID)
		}
	case "application", "jurisdiction": // application web PIN
		factors := []domain.SecondFactor{}
		for _, f := range words[2:] {
			factors = append(factors, domain.SecondFactor(f))
		}
		var record any = &domain.Application{ID: words[1], SecondFactors: factors}
		if words[0] == "jurisdiction" {
			record = &domain.Jurisdiction{ID: words[1], SecondFactors: factors}
		}
		err = w.kit.DB.ImportBatch(context.Background(), []any{record})
	case "guesses": // guesses 192.0.2.7 100: wrong tokens from the address
		n, _ := strconv.Atoi(words[2])
		for i := range n {
			_, _ = w.kit.VerifyEmail(domain.WithActor(context.Background(), domain.Actor{Address: words[1]}), domain.VerifyEmailInput{Token: strconv.Itoa(i)})
		}
	default:
		w.t.Fatalf("no such setting: %q", line)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

var signing = regexp.MustCompile(`\{sign (\d+) (\S+) (\S+)\}`)

// filled puts values in the place of names; {sign 1 {challenge1} alice} is what device 1 signs of a challenge.
func (w *world) filled(text string) string {
	for name, value := range w.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return signing.ReplaceAllStringFunc(text, func(found string) string {
		m := signing.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[1])
		signature := w.devices[n-1].Sign(m[2], m[3])
		w.secrets = append(w.secrets, signature)
		return signature
	})
}

// handler is the dialect under test.
func (w *world) handler() http.Handler {
	return usersessions.New(usersessions.Options{
		Service: w.kit.Service, Now: w.kit.Clock.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Version: "1.0.0",
	})
}

// send sends a request as it travels, without Host and Content-Length, and gives the answer in the same form.
func (w *world) send(text string, wrong bool) exchange {
	w.t.Helper()
	text = w.filled(text)
	request := func() *http.Request {
		head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
		raw := head + "\nHost: gatehouse.test\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n") + body)))
		if err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	r := request()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	actor := callers[token]
	actor.Address = "192.0.2.7"
	recorder := httptest.NewRecorder()
	w.handler().ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), actor)))
	out := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	var said struct{ Code, ChallengeID string }
	_ = json.Unmarshal([]byte(out.body), &said)
	if out.status >= 400 {
		out.code = said.Code
	}
	if said.ChallengeID != "" && !slices.Contains(values(w.names), said.ChallengeID) {
		w.name("challenge", said.ChallengeID)
	}
	out.operation = w.validate(request(), out, wrong)
	out.text = out.String()
	for _, secret := range w.secrets {
		if strings.Contains(out.text, secret) || strings.Contains(w.log.String(), secret) {
			w.t.Errorf("a secret is in the answer or in the log:\n%s\n%s", out.text, w.log.String())
		}
	}
	for name, value := range w.names {
		out.text = strings.ReplaceAll(out.text, value, name)
	}
	return out
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// exchange is an answer.
type exchange struct {
	operation, code string
	status          int
	header          http.Header
	body            string
	// text is all of it, with what differs from run to run named.
	text string
}

// String is the answer as it travels, with the headers sorted and the body indented.
func (e exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", e.status, http.StatusText(e.status))
	names := make([]string, 0, len(e.header))
	for name := range e.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range e.header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	if e.body != "" {
		var body bytes.Buffer
		if err := json.Indent(&body, []byte(e.body), "", "  "); err != nil {
			return b.String() + e.body
		}
		b.WriteString(strings.TrimRight(body.String(), "\n") + "\n")
	}
	return b.String()
}

// document is the OpenAPI document that the dialect serves.
var document = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		panic(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		panic(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, router
})

// validate holds request and answer against the document, and gives the operation.
func (w *world) validate(r *http.Request, out exchange, wrong bool) string {
	w.t.Helper()
	ctx := context.Background()
	doc, router := document()
	route, params, err := router.FindRoute(r)
	if err != nil {
		if !wrong {
			w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		var body any
		if err := json.Unmarshal([]byte(out.body), &body); err != nil {
			w.t.Errorf("%s: %v", r.Method, err)
		} else if err := doc.Components.Schemas["error"].Value.VisitJSON(body); err != nil {
			w.t.Errorf("%s: %v", r.Method, err)
		}
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && !wrong {
		w.t.Errorf("%s %s: the request is not as documented: %v", r.Method, r.URL.Path, err)
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: out.status, Header: out.header, Options: in.Options,
		Body: io.NopCloser(strings.NewReader(out.body)),
	}
	if err := openapi3filter.ValidateResponse(ctx, answer); err != nil {
		w.t.Errorf("%s %s: the answer is not as documented: %v", r.Method, r.URL.Path, err)
	}
	return route.Operation.OperationID
}
