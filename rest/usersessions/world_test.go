package usersessions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/rest/usersessions"
	"github.com/gatehouse/gatehouse/testkit"
)

// actors are the callers, by bearer token. The tokens in capitals have the claim client_id.
var actors = map[string]domain.Actor{
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

// document is the OpenAPI document that the dialect serves.
var document = &resttest.Document{
	ErrorSchema: "error",
	ErrorType:   func(body []byte) string { return decode(body).Code },
}

func decode(body []byte) (out struct{ Code, ChallengeID string }) {
	_ = json.Unmarshal(body, &out)
	return out
}

// world is a server with customers.
type world struct {
	*resttest.World
	kit *testkit.Kit
	// names are the values that differ from run to run, by their placeholders.
	names map[string]string
	// secrets must not appear in a response or in the log.
	secrets []string
	devices []*testkit.Device
	counts  map[string]int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{kit: testkit.New(t, testkit.SQLite(t)), names: map[string]string{}, counts: map[string]int{}, secrets: []string{"4711", "alice's password"}}
	w.kit.Customers(t)
	w.World = &resttest.World{T: t, Document: document, Clock: w.kit.Clock, Store: &resttest.Store{Store: w.kit.Store}, Actors: actors}
	w.kit.Service.Store = w.Store
	w.Handler = func() http.Handler {
		return usersessions.New(usersessions.Options{Service: w.kit.Service, Now: w.kit.Clock.Now, Log: w.Logger(), Version: "1.0.0"})
	}
	w.Setup, w.Expand, w.Normalize, w.Check = w.do, w.expand, w.normalize, w.check
	return w
}

// name assigns a value the next placeholder of its kind.
func (w *world) name(kind, value string) {
	w.counts[kind]++
	w.names[fmt.Sprintf("{%s%d}", kind, w.counts[kind])] = value
}

// do executes a line of the section "settings": calls of the rules before the requests.
func (w *world) do(line string) {
	w.T.Helper()
	fields := strings.Fields(line)
	ctx := testkit.As(fields[1], domain.ScopeSignup)
	var err error
	switch fields[0] {
	case "mail": // mail alice: a token
		token := w.kit.MailedToken(w.T, fields[1])
		w.name("token", token)
		w.secrets = append(w.secrets, token)
	case "text": // text alice: a code
		code := w.kit.TextedCode(w.T, fields[1])
		w.name("code", code)
		w.name("wrong", testkit.WrongCode(code))
		w.secrets = append(w.secrets, code, testkit.WrongCode(code))
	case "device": // device alice rsa: a registered device
		d := testkit.NewDevice(fields[2], len(w.devices))
		w.devices = append(w.devices, d)
		var out domain.Outcome[domain.Device]
		if out, err = w.kit.RegisterDevice(ctx, domain.RegisterDeviceInput{PublicKey: d.PublicKey()}); err == nil {
			w.name("device", d.ID())
			w.names[fmt.Sprintf("<device%d>", len(w.devices))] = out.Record.ID
		}
	case "revoke": // revoke alice 1
		_, err = w.kit.RevokeDevice(ctx, domain.RevokeDeviceInput{DeviceID: w.names["<device"+fields[2]+">"]})
	case "challenge": // challenge alice 1: of device 1
		n, _ := strconv.Atoi(fields[2])
		var out domain.Outcome[domain.DeviceChallenge]
		if out, err = w.kit.CreateDeviceChallenge(ctx, domain.CreateDeviceChallengeInput{DeviceID: w.devices[n-1].ID()}); err == nil {
			w.name("challenge", out.Record.ID)
		}
	case "open": // open alice web: a request
		var out domain.Outcome[domain.TwoFactorRequest]
		if out, err = w.kit.OpenTwoFactorRequest(testkit.Admin(), domain.OpenTwoFactorRequestInput{
			CustomerID: fields[1], ClientID: fields[2], Statement: "Sign in to online banking.",
		}); err == nil {
			w.name("request", out.Record.ID)
		}
	case "application", "jurisdiction": // application web PIN
		factors := []domain.SecondFactor{}
		for _, f := range fields[2:] {
			factors = append(factors, domain.SecondFactor(f))
		}
		var record any = &domain.Application{ID: fields[1], SecondFactors: factors}
		if fields[0] == "jurisdiction" {
			record = &domain.Jurisdiction{ID: fields[1], SecondFactors: factors}
		}
		err = w.kit.DB.ImportBatch(context.Background(), []any{record})
	case "guesses": // guesses 192.0.2.7 100: wrong tokens from the address
		n, _ := strconv.Atoi(fields[2])
		for i := range n {
			_, _ = w.kit.VerifyEmail(domain.WithActor(context.Background(), domain.Actor{Address: fields[1]}), domain.VerifyEmailInput{Token: strconv.Itoa(i)})
		}
	default:
		w.T.Fatalf("unknown setting %q", line)
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

var signing = regexp.MustCompile(`\{sign (\d+) (\S+) (\S+)\}`)

// expand replaces placeholders; {sign 1 {challenge1} alice} is the signature of device 1 for a challenge.
func (w *world) expand(text string) string {
	for name, value := range w.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return signing.ReplaceAllStringFunc(text, func(match string) string {
		m := signing.FindStringSubmatch(match)
		n, _ := strconv.Atoi(m[1])
		signature := w.devices[n-1].Sign(m[2], m[3])
		w.secrets = append(w.secrets, signature)
		return signature
	})
}

// normalize replaces values with placeholders. The id of a new challenge gets one.
func (w *world) normalize(text string) string {
	_, body, _ := strings.Cut(text, "\n\n")
	if id := decode([]byte(body)).ChallengeID; id != "" && !strings.Contains(w.placeholders(id), "{challenge") {
		w.name("challenge", id)
	}
	for _, secret := range w.secrets {
		if strings.Contains(text, secret) {
			w.T.Errorf("a secret is in the response:\n%s", text)
		}
	}
	return w.placeholders(text)
}

func (w *world) placeholders(text string) string {
	for name, value := range w.names {
		text = strings.ReplaceAll(text, value, name)
	}
	return text
}

func (w *world) check(*resttest.Exchange) {
	w.T.Helper()
	for _, secret := range w.secrets {
		if strings.Contains(w.Log(), secret) {
			w.T.Errorf("a secret is in the log:\n%s", w.Log())
		}
	}
}
