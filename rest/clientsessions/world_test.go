package clientsessions_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/clientsessions"
	"github.com/gatehouse/gatehouse/testkit"
)

// origin is the one that may call.
const origin = "https://app.gatehouse.test"

// signer makes tokens that a test can read: the kind, the claims in Base64, and no signature.
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

// world is one server with its own database and clock.
type world struct {
	t       *testing.T
	kit     *testkit.Kit
	store   *breakable
	options clientsessions.Options
	handler http.Handler
	log     bytes.Buffer
	// seen are the ids of each form in the order in which they were seen.
	seen map[string][]string
	// whole shows users as they travel.
	whole bool
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	kit := testkit.New(t, url)
	w := &world{t: t, kit: kit, seen: map[string][]string{}}
	if err := kit.DB.ImportBatch(t.Context(), []any{
		&domain.Customer{
			ID: "alice", Username: "alice", Email: "alice@example.com", EmailVerified: true, Phone: "+15550100",
			PasswordHash: "hash", CreatedAt: testkit.Epoch.Add(-time.Hour), UpdatedAt: testkit.Epoch.Add(-time.Minute),
		},
	}); err != nil {
		t.Fatal(err)
	}
	w.store = &breakable{Store: kit.Service.Store}
	kit.Service.Store, kit.Service.Signer = w.store, signer{}
	for _, id := range []string{"laptop", "phone"} {
		if _, _, err := kit.IssueClientToken(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.options = clientsessions.Options{
		Service: kit.Service, Now: kit.Clock.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil)), AllowedOrigins: []string{origin},
	}
	w.handler = clientsessions.New(w.options)
	return w
}

// do makes something happen before the next request: a verb and its objects.
func (w *world) do(line string) {
	w.t.Helper()
	words := strings.Fields(w.given(line))
	fail := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
	}
	switch verb, rest := words[0], words[1:]; verb {
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
		w.named("sess", out.Record.ID)
		w.kit.Clock.Pass(time.Second) // ids of one moment have no order
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
		w.store.err = map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug}[rest[0]]
	case "busy": // so many clients were started from here that no more may be
		for range 60 {
			_, _, err := w.kit.StartClient(context.Background())
			fail(err)
		}
	case "use": // a key, by the client and by the customer, for something that no request of this API is
		for _, actor := range []domain.Actor{{ClientKey: "laptop"}, {ID: "alice"}} {
			id := w.seen["sess"][0]
			_, err := w.kit.TouchSession(domain.WithActor(w.t.Context(), actor), domain.TouchSessionInput{SessionID: id, IdempotencyKey: &rest[0]})
			fail(err)
			w.kit.Clock.Pass(time.Second)
		}
	case "https":
		w.kit.Settings.PublicURL = "https://gatehouse.test"
	case "development":
		w.options.Development = true
		w.handler = clientsessions.New(w.options)
	case "whole":
		w.whole = true
	default:
		w.t.Fatalf("no such verb: %q", line)
	}
}

// given puts ids and credentials in the place of their names.
func (w *world) given(text string) string {
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

// send sends a request as it travels, without Host and Content-Length, and gives the answer in the same form. An answer
// that the OpenAPI document does not describe is a failure, and so is a request that it does not, unless that is wrong
// on purpose.
func (w *world) send(text string, wrong bool) exchange {
	w.t.Helper()
	text = w.given(text)
	request := func() *http.Request {
		head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
		raw := head + "\nHost: gatehouse.test\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n") + body)))
		if err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, request())
	w.kit.Clock.Pass(time.Second)

	out := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	var refusal struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(recorder.Body.Bytes(), &refusal)
	if len(refusal.Errors) > 0 {
		out.code = refusal.Errors[0].Code
	}
	out.operation = w.validate(request(), out, wrong)
	out.text = w.normal(out.String())
	return out
}

// exchange is an answer.
type exchange struct {
	operation string
	status    int
	code      string
	header    http.Header
	body      string
	// text is all of it, with ids named.
	text string
}

// String is the answer as it travels, with the headers sorted and the body indented.
func (e exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", e.status, http.StatusText(e.status))
	for _, name := range slices.Sorted(maps.Keys(e.header)) {
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

var (
	jwts   = regexp.MustCompile(`\b(session|template|client)\.([A-Za-z0-9_-]+)\.sig`)
	traces = regexp.MustCompile(`"clerk_trace_id": "[0-9a-f]{32}"`)
	forms  = regexp.MustCompile(`\b(sess|client|idn)_[0-9a-z]{26,30}\b`)
	logins = regexp.MustCompile(`sess_activity_[0-9a-z]{26}`)
)

func (w *world) named(form, id string) string {
	if !slices.Contains(w.seen[form], id) {
		w.seen[form] = append(w.seen[form], id)
	}
	return fmt.Sprintf("{%s%d}", form, slices.Index(w.seen[form], id)+1)
}

// normal names what is made at random, in the order in which it is seen, and shows tokens by their claims.
func (w *world) normal(text string) string {
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
				value = w.named(name, value)
			}
			shown = append(shown, name+"="+value)
		}
		return parts[0] + " token of " + strings.Join(shown, " ")
	})
	text = forms.ReplaceAllStringFunc(text, func(id string) string {
		form, _, _ := strings.Cut(id, "_")
		return w.named(form, id)
	})
	if !w.whole {
		// A user is the same text in every session: one story shows it whole.
		text = w.people(text)
	}
	text = logins.ReplaceAllString(text, "{activity}")
	return traces.ReplaceAllString(text, `"clerk_trace_id": "{trace}"`)
}

// people leaves of each object about a person only that it is there.
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

// apiDocument is the OpenAPI document that the dialect serves.
var apiDocument = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
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
	doc, router := apiDocument()
	if method := r.URL.Query().Get("_method"); r.Method == http.MethodPost && method != "" {
		r.Method = strings.ToUpper(method)
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // which it is, without the body
		out.body = ""
	}
	if out.status == http.StatusNoContent { // a preflight
		return ""
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if !wrong {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		var body any
		if err := json.Unmarshal([]byte(out.body), &body); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		} else if err := doc.Components.Schemas["Error"].Value.VisitJSON(body); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: carries, SkipSettingDefaults: true, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && !wrong {
		w.t.Errorf("%s %s: the request is not as documented: %v", r.Method, r.URL, err)
	}
	if r.Method == http.MethodGet && out.body == "" {
		return route.Operation.OperationID
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: out.status, Header: out.header, Options: in.Options,
		Body: io.NopCloser(strings.NewReader(out.body)),
	}
	if err := openapi3filter.ValidateResponse(ctx, answer); err != nil {
		w.t.Errorf("%s %s: the answer is not as documented: %v", r.Method, r.URL, err)
	}
	return route.Operation.OperationID
}

// carries says whether a request has the credential of a security scheme.
func carries(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	r := in.RequestValidationInput.Request
	cookie, err := r.Cookie("__client")
	if map[string]bool{
		"productionBrowser": err == nil && cookie.Value != "",
		"nativeApp":         r.Header.Get("Authorization") != "",
		"nativeFlag":        r.URL.Query().Get("_is_native") != "",
		"devBrowser":        r.URL.Query().Get("__clerk_db_jwt")+r.URL.Query().Get("__dev_session") != "",
	}[in.SecuritySchemeName] {
		return nil
	}
	return errors.New("no " + in.SecuritySchemeName)
}

// errBug is what a caller must not see.
var errBug = errors.New(`relation "sessions" of alice@example.com does not exist`)

// breakable is a store that fails on demand.
type breakable struct {
	domain.Store
	err error
}

func (b *breakable) Commit(ctx context.Context, u *domain.Unit) (domain.Written, error) {
	if b.err != nil {
		return domain.Written{}, b.err
	}
	return b.Store.Commit(ctx, u)
}

func (b *breakable) Client(ctx context.Context, id string) (*domain.Client, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Store.Client(ctx, id)
}

func (b *breakable) Sessions() domain.Shelf[domain.Session] {
	return breakableShelf{b.Store.Sessions(), b}
}

type breakableShelf struct {
	domain.Shelf[domain.Session]
	store *breakable
}

func (b breakableShelf) Get(ctx context.Context, id string) (*domain.Session, error) {
	if b.store.err != nil {
		return nil, b.store.err
	}
	return b.Shelf.Get(ctx, id)
}

func (b breakableShelf) List(ctx context.Context, q listing.Query) (listing.Page[domain.Session], error) {
	if b.store.err != nil {
		return listing.Page[domain.Session]{}, b.store.err
	}
	return b.Shelf.List(ctx, q)
}
