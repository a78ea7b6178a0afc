package invitations_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/invitations"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

// begin is the moment of the document's first example.
var begin = time.Date(2020, time.June, 1, 13, 8, 31, 0, time.UTC)

// people are who a bearer token stands for.
var people = map[string]domain.Actor{
	"john":     person("u-john", "john.doe@example.com", "banking/read", "banking/write", "banking/delete"),
	"jane":     person("u-jane", "jane.doe@example.com", "banking/full"),
	"sam":      person("u-sam", "sam@example.com", "banking/full"),
	"philippa": person("u-philippa", "philippa.doe@example.com", "banking/full"),
	"stranger": person("u-stranger", "stranger@example.com", "banking/full"),
	"admin":    person("u-admin", "admin@bank.example.com", "banking/full", "admin/write"),
	"auditor":  person("u-auditor", "auditor@bank.example.com", "admin/read"),
	"nothing":  person("u-john", "john.doe@example.com", "profiles/full"),
	"forged":   {Refused: problem.New(problem.Unauthorized)},
	"expired":  {Refused: problem.New(problem.SessionExpired)},
	"doubtful": {Refused: problem.New(problem.ServiceUnavailable)},
}

func person(id, email string, scopes ...string) domain.Actor {
	a := domain.Actor{ID: id, Email: email, Scopes: scopes}
	if strings.Contains(email, "doe") {
		a.CustomerID, a.CustomerGroup = "c-"+id[2:], "retail"
	}
	return a
}

// world is one server with its own database and clock.
type world struct {
	t       *testing.T
	service *domain.Service
	store   *breakable
	options invitations.Options
	log     bytes.Buffer

	mu  sync.Mutex
	now time.Time
	// ids are the ids of invitations in the order in which they were seen.
	ids []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: begin}
	kept, err := db.Open(t.Context(), db.Options{URL: testkit.SQLite(t), Key: seal.NewKey(), Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	if err := kept.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := 1
	if err := kept.ImportBatch(t.Context(), []any{
		&domain.Account{ID: "a-1001", JointOwnersEnabled: true, Owners: []string{"u-john", "u-jane"}},
		&domain.Account{ID: "a-1002", Owners: []string{"u-john"}},
		&domain.Account{ID: "a-1003", JointOwnersEnabled: true, MaxOwners: &one, Owners: []string{"u-john"}},
		&domain.Organization{ID: "o-2001", Owners: []string{"u-sam"}, Signers: []string{"u-jane"}},
	}); err != nil {
		t.Fatal(err)
	}
	w.store = &breakable{Store: kept}
	w.service = &domain.Service{
		Store: w.store, Directory: kept, Limiter: kept, Hasher: seal.NewHasher(seal.CostLow), KeyedHash: kept.KeyedHash,
		Now: w.clock,
		Settings: domain.Settings{
			PublicURL: "https://api.devbank.example.com", InstitutionName: "Dev Bank",
			AcceptURL:     "https://devbank.example.com/invite?invitationId={invitationId}&key={key}",
			InvitationTTL: 30 * 24 * time.Hour, InvitationResendLimit: 5, InvitationMaxFailed: 5,
			VerifyRate: domain.Rate{Limit: 20, Per: time.Minute}, VerifyBlock: 10 * time.Minute,
		},
	}
	w.options = invitations.Options{Service: w.service, Now: w.clock, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// set changes a setting: a name and perhaps a value.
func (w *world) set(line string) {
	name, value, _ := strings.Cut(line, " ")
	n, _ := strconv.Atoi(value)
	s := &w.service.Settings
	switch name {
	case "requireIfMatch":
		w.options.RequireIfMatch = true
	case "resendLimit":
		s.InvitationResendLimit = n
	case "maxFailed":
		s.InvitationMaxFailed = n
	case "verifyRate":
		s.VerifyRate.Limit = n
	case "completeRequiresVerification":
		s.CompleteRequiresVerification = true
	case "errorPages":
		w.options.ErrorPages = value
	case "broken":
		w.store.err = map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug}[value]
	default:
		w.t.Fatalf("no such setting: %q", line)
	}
}

// send sends a request as it travels, without Host and Content-Length, and gives the answer in the same form. Ids are
// named in the order in which they appear. An answer that the OpenAPI document does not describe is a failure, and so
// is a request that it does not, unless that is wrong on purpose.
func (w *world) send(text string, wrong bool) exchange {
	w.t.Helper()
	for n, id := range w.ids {
		text = strings.ReplaceAll(text, fmt.Sprintf("{inv%d}", n+1), id)
	}
	request := func() *http.Request {
		head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
		raw := head + "\nHost: api.devbank.example.com\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n") + body)))
		if err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	r := request()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	actor := people[token]
	actor.Address = "192.0.2.7"
	if r.Header.Get("API-Key") == "demo" {
		actor.APIKey = "demo"
	}
	recorder := httptest.NewRecorder()
	invitations.New(w.options).ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), actor)))
	w.pass(time.Second)

	out := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	var refusal struct {
		Error struct {
			Type string `json:"type"`
		} `json:"_error"`
	}
	_ = json.Unmarshal(recorder.Body.Bytes(), &refusal)
	out.errorType = refusal.Error.Type
	out.operation = w.validate(request(), out, wrong)
	out.text = w.normal(out.String())
	return out
}

// exchange is an answer.
type exchange struct {
	operation string
	status    int
	errorType string
	header    http.Header
	body      string
	// text is all of it, with ids named.
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

var (
	invitationIDs = regexp.MustCompile(`inv_[0-9a-z]{26}`)
	errorIDs      = regexp.MustCompile(`err_[0-9a-z]+`)
)

func (w *world) normal(text string) string {
	text = invitationIDs.ReplaceAllStringFunc(text, func(id string) string {
		if !slices.Contains(w.ids, id) {
			w.ids = append(w.ids, id)
		}
		return fmt.Sprintf("{inv%d}", slices.Index(w.ids, id)+1)
	})
	return errorIDs.ReplaceAllString(text, "{error}")
}

// document is the OpenAPI document that the dialect serves.
var document = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
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
	doc, router := document()
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // which it is, without the body
		out.body = ""
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if !wrong {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		var body any
		if err := json.Unmarshal([]byte(out.body), &body); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		} else if err := doc.Components.Schemas["errorResponse"].Value.VisitJSON(body); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: carries, SkipSettingDefaults: true, ExcludeReadOnlyValidations: true, IncludeResponseStatus: true,
		},
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
	header := map[string]string{"apiKey": "API-Key", "accessToken": "Authorization"}[in.SecuritySchemeName]
	if in.RequestValidationInput.Request.Header.Get(header) == "" {
		return errors.New("no " + header)
	}
	return nil
}

// errBug is what a caller must not see.
var errBug = errors.New(`relation "invitations" of philippa.doe@example.com does not exist`)

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

func (b *breakable) Invitations() domain.Shelf[domain.Invitation] {
	return breakableShelf{b.Store.Invitations(), b}
}

type breakableShelf struct {
	domain.Shelf[domain.Invitation]
	store *breakable
}

func (b breakableShelf) Get(ctx context.Context, id string) (*domain.Invitation, error) {
	if b.store.err != nil {
		return nil, b.store.err
	}
	return b.Shelf.Get(ctx, id)
}

func (b breakableShelf) List(ctx context.Context, q listing.Query) (listing.Page[domain.Invitation], error) {
	if b.store.err != nil {
		return listing.Page[domain.Invitation]{}, b.store.err
	}
	return b.Shelf.List(ctx, q)
}
