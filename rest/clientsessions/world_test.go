package clientsessions_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/clientsessions"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/testkit"
)

// origin is the allowed origin.
const origin = "https://app.gatehouse.test"

// signer issues tokens that a test can read: the kind, the claims in Base64, and no signature.
type signer struct{}

func (signer) Sign(_ context.Context, kind domain.TokenKind, claims map[string]any) (string, error) {
	text, err := json.Marshal(claims)
	return string(kind) + "." + base64.RawURLEncoding.EncodeToString(text) + ".sig", err
}

func (signer) OpenClientToken(_ context.Context, token string) (string, error) {
	parts := strings.Split(token, ".")
	var claims struct {
		ID string `json:"id"`
	}
	if len(parts) != 3 || parts[0] != string(domain.TokenClient) {
		return "", domain.ErrMissing
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return "", domain.ErrMissing
	}
	return claims.ID, nil
}

// credential is the client token of a client.
func credential(id string) string {
	token, _ := signer{}.Sign(context.Background(), domain.TokenClient, map[string]any{"id": id})
	return token
}

// document is the OpenAPI document that the dialect serves.
var document = &resttest.Document{
	ErrorSchema: "Error",
	ErrorType: func(body []byte) string {
		var out struct {
			Errors []struct {
				Code string `json:"code"`
			} `json:"errors"`
		}
		if json.Unmarshal(body, &out) != nil || len(out.Errors) == 0 {
			return ""
		}
		return out.Errors[0].Code
	},
	Carries: func(r *http.Request, scheme string) bool {
		cookie, err := r.Cookie("__client")
		return map[string]bool{
			"productionBrowser": err == nil && cookie.Value != "",
			"nativeApp":         r.Header.Get("Authorization") != "",
			"nativeFlag":        r.URL.Query().Get("_is_native") != "",
			"devBrowser":        r.URL.Query().Get("__clerk_db_jwt")+r.URL.Query().Get("__dev_session") != "",
		}[scheme]
	},
	Rewrite: func(r *http.Request) {
		if method := r.URL.Query().Get("_method"); r.Method == http.MethodPost && method != "" {
			r.Method = strings.ToUpper(method)
		}
	},
}

// world is a server with a customer and two clients.
type world struct {
	*resttest.World
	kit     *testkit.Kit
	options clientsessions.Options
	// seen are the ids of each kind in the order in which they were seen.
	seen map[string][]string
	// whole shows users with their members.
	whole bool
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	kit := testkit.New(t, url)
	w := &world{kit: kit, seen: map[string][]string{}}
	w.World = &resttest.World{T: t, Document: document, Clock: kit.Clock, Store: &resttest.Store{Store: kit.Store}, Tick: time.Second}
	w.Setup, w.Expand, w.Normalize, w.Check, w.State = w.do, w.expand, w.normalize, w.check, w.state
	if err := kit.DB.ImportBatch(t.Context(), []any{
		&domain.Customer{
			ID: "alice", Username: "alice", Email: "alice@example.com", EmailVerified: true, Phone: "+15550100",
			PasswordHash: "hash", CreatedAt: testkit.Epoch.Add(-time.Hour), UpdatedAt: testkit.Epoch.Add(-time.Minute),
		},
	}); err != nil {
		t.Fatal(err)
	}
	kit.Service.Store, kit.Service.Signer = w.Store, signer{}
	for _, id := range []string{"laptop", "phone"} {
		if _, _, err := kit.IssueClientToken(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.options = clientsessions.Options{Service: kit.Service, Now: kit.Clock.Now, Log: w.Logger(), AllowedOrigins: []string{origin}}
	w.restart()
	return w
}

// restart builds the dialect with the current options.
func (w *world) restart() {
	handler := clientsessions.New(w.options)
	w.Handler = func() http.Handler { return handler }
}

// do executes a line of the section "settings": a verb and its objects.
func (w *world) do(line string) {
	w.T.Helper()
	fields := strings.Fields(w.expand(line))
	fail := func(err error) {
		w.T.Helper()
		if err != nil {
			w.T.Fatalf("%s: %v", line, err)
		}
	}
	switch verb, rest := fields[0], fields[1:]; verb {
	case "login": // USER CLIENT [replace] [task=NAME]
		in := domain.CreateSessionInput{UserID: rest[0], ClientID: &rest[1]}
		agent, address := "Mozilla/5.0 (iPhone) Version/17.0 Mobile Safari/605", "192.0.2.9"
		in.UserAgent, in.IPAddress = &agent, &address
		for _, option := range rest[2:] {
			if name, ok := strings.CutPrefix(option, "task="); ok {
				in.Tasks = append(in.Tasks, name)
			} else {
				yes := true
				in.Replace = &yes
			}
		}
		out, err := w.kit.CreateSession(testkit.Admin(), in)
		fail(err)
		w.placeholder("sess", out.Record.ID)
		w.kit.Clock.Pass(time.Second) // ids of the same time have no order
	case "terminate":
		_, err := w.kit.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: rest[0]})
		fail(err)
	case "end":
		_, err := w.kit.EndSession(testkit.Admin(), domain.SessionInput{SessionID: rest[0]})
		fail(err)
	case "remove":
		_, err := w.kit.RemoveSession(testkit.Admin(), domain.SessionInput{SessionID: rest[0]})
		fail(err)
	case "template": // NAME CLAIMS
		claims := map[string]any{}
		_, text, _ := strings.Cut(line, rest[0]+" ")
		fail(json.Unmarshal([]byte(text), &claims))
		_, err := w.kit.SaveJwtTemplate(testkit.Admin(), domain.SaveJwtTemplateInput{Name: rest[0], Claims: claims})
		fail(err)
	case "pass":
		d, err := time.ParseDuration(rest[0])
		fail(err)
		w.kit.Clock.Pass(d)
	case "broken":
		w.Store.Fail(map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug}[rest[0]])
	case "busy": // the limit of clients started from one address is reached
		for range 60 {
			_, _, err := w.kit.StartClient(context.Background())
			fail(err)
		}
	case "use": // a key, by the client and by the customer, for a call that is not in this API
		for _, actor := range []domain.Actor{{ClientKey: "laptop"}, {ID: "alice"}} {
			id := w.seen["sess"][0]
			_, err := w.kit.TouchSession(domain.WithActor(w.T.Context(), actor), domain.TouchSessionInput{SessionID: id, IdempotencyKey: &rest[0]})
			fail(err)
			w.kit.Clock.Pass(time.Second)
		}
	case "https":
		w.kit.Settings.PublicURL = "https://gatehouse.test"
	case "development":
		w.options.Development = true
		w.restart()
	case "whole":
		w.whole = true
	default:
		w.T.Fatalf("unknown verb %q", line)
	}
}

// expand replaces placeholders with ids and credentials.
func (w *world) expand(text string) string {
	for form, ids := range w.seen {
		for n, id := range ids {
			text = strings.ReplaceAll(text, fmt.Sprintf("{%s%d}", form, n+1), id)
			if form == "client" {
				text = strings.ReplaceAll(text, fmt.Sprintf("{client%d token}", n+1), credential(id))
			}
		}
	}
	for _, id := range []string{"laptop", "phone", "nobody"} {
		text = strings.ReplaceAll(text, "{"+id+"}", credential(id))
	}
	session, _ := signer{}.Sign(context.Background(), domain.TokenSession, map[string]any{"id": "laptop", "sub": "alice"})
	return strings.ReplaceAll(text, "{session token}", session)
}

// check verifies the common properties of all errors. The log must not contain a token.
func (w *world) check(e *resttest.Exchange) {
	w.T.Helper()
	if strings.Contains(w.Log(), credential("laptop")) {
		w.T.Error("the log holds a token")
	}
	if e.Status >= http.StatusBadRequest && e.Header.Get("Content-Type") != "application/json" {
		w.T.Errorf("headers: %v", e.Header)
	}
	if e.Type == "origin_invalid" && e.Header.Get("Access-Control-Allow-Origin") != "" {
		w.T.Errorf("a page of a forbidden origin may read the response: %v", e.Header)
	}
}

var (
	jwts   = regexp.MustCompile(`\b(session|template|client)\.([A-Za-z0-9_-]+)\.sig`)
	traces = regexp.MustCompile(`"clerk_trace_id": "[0-9a-f]{32}"`)
	forms  = regexp.MustCompile(`\b(sess|client|idn)_[0-9a-z]{26,30}\b`)
	logins = regexp.MustCompile(`sess_activity_[0-9a-z]{26}`)
)

// placeholder returns the placeholder of an id.
func (w *world) placeholder(form, id string) string {
	if !slices.Contains(w.seen[form], id) {
		w.seen[form] = append(w.seen[form], id)
	}
	return fmt.Sprintf("{%s%d}", form, slices.Index(w.seen[form], id)+1)
}

// normalize replaces random values with placeholders, in the order in which they are seen, and tokens with their
// claims.
func (w *world) normalize(text string) string {
	text = jwts.ReplaceAllStringFunc(text, func(token string) string {
		parts := strings.Split(token, ".")
		raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
		var claims map[string]any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if dec.Decode(&claims) != nil {
			return token
		}
		var shown []string
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			value := fmt.Sprint(claims[name])
			if name == "jti" || name == "rotating_token" {
				value = w.placeholder(name, value)
			}
			shown = append(shown, name+"="+value)
		}
		return parts[0] + " token of " + strings.Join(shown, " ")
	})
	text = forms.ReplaceAllStringFunc(text, func(id string) string {
		form, _, _ := strings.Cut(id, "_")
		return w.placeholder(form, id)
	})
	if !w.whole {
		// A user is the same text in every session: one case contains it in full.
		text = w.people(text)
	}
	text = logins.ReplaceAllString(text, "{activity}")
	return traces.ReplaceAllString(text, `"clerk_trace_id": "{trace}"`)
}

// people removes the members of each object about a person.
func (w *world) people(text string) string {
	var out []string
	indent := ""
	for line := range strings.SplitSeq(text, "\n") {
		name := strings.TrimSpace(line)
		switch {
		case indent != "" && strings.HasPrefix(line, indent+"}"):
			out = append(out, indent+"  …", line)
			indent = ""
		case indent != "":
		case name == `"user": {` || name == `"public_user_data": {`:
			indent = line[:len(line)-len(name)]
			out = append(out, line)
		default:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// state returns the data that a refused request must not change.
func (w *world) state() string {
	w.T.Helper()
	client, sessions, err := w.kit.ClientSessions(w.T.Context(), "laptop")
	if err != nil {
		w.T.Fatal(err)
	}
	text, _ := json.Marshal(map[string]any{"client": client, "sessions": sessions})
	return string(text)
}

// errBug has details that a caller must not see.
var errBug = errors.New(`relation "sessions" of alice@example.com does not exist`)
