package invitations_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/invitations"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

// begin is the time in the document's first example.
var begin = time.Date(2020, time.June, 1, 13, 8, 31, 0, time.UTC)

// actors are the callers, by bearer token.
var actors = map[string]domain.Actor{
	"john":     actor("u-john", "john.doe@example.com", "banking/read", "banking/write", "banking/delete"),
	"jane":     actor("u-jane", "jane.doe@example.com", "banking/full"),
	"sam":      actor("u-sam", "sam@example.com", "banking/full"),
	"philippa": actor("u-philippa", "philippa.doe@example.com", "banking/full"),
	"stranger": actor("u-stranger", "stranger@example.com", "banking/full"),
	"admin":    actor("u-admin", "admin@bank.example.com", "banking/full", "admin/write"),
	"auditor":  actor("u-auditor", "auditor@bank.example.com", "admin/read"),
	"nothing":  actor("u-john", "john.doe@example.com", "profiles/full"),
	"forged":   {Refused: problem.New(problem.Unauthorized)},
	"expired":  {Refused: problem.New(problem.SessionExpired)},
	"doubtful": {Refused: problem.New(problem.ServiceUnavailable)},
}

func actor(id, email string, scopes ...string) domain.Actor {
	a := domain.Actor{ID: id, Email: email, Scopes: scopes}
	if strings.Contains(email, "doe") {
		a.CustomerID, a.CustomerGroup = "c-"+id[2:], "retail"
	}
	return a
}

// document is the OpenAPI document that the dialect serves.
var document = &resttest.Document{
	ErrorSchema: "errorResponse",
	ErrorType:   func(body []byte) string { return refusal(body).Type },
	Carries: func(r *http.Request, scheme string) bool {
		return r.Header.Get(map[string]string{"apiKey": "API-Key", "accessToken": "Authorization"}[scheme]) != ""
	},
}

type fault struct {
	Type string `json:"type"`
	ID   string `json:"_id"`
}

func refusal(body []byte) fault {
	var out struct {
		Error fault `json:"_error"`
	}
	_ = json.Unmarshal(body, &out)
	return out.Error
}

// world is a server with accounts and an organization.
type world struct {
	*resttest.World
	service *domain.Service
	options invitations.Options
	// directory changes the bank's data.
	directory func(...any)
	// ids are the ids of invitations in the order in which they were seen.
	ids []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: &resttest.World{T: t, Document: document, Clock: resttest.ClockAt(begin), Actors: actors, Tick: time.Second}}
	w.Handler = func() http.Handler { return invitations.New(w.options) }
	w.Setup, w.Expand, w.Normalize = w.set, w.expand, w.normalize
	w.State = func() string { return w.Send(samples["getInvitation"], false).Body }
	d := w.Open(testkit.SQLite(t))
	one := 1
	if err := d.ImportBatch(t.Context(), []any{
		&domain.Account{ID: "a-1001", JointOwnersEnabled: true, Owners: []string{"u-john", "u-jane"}},
		&domain.Account{ID: "a-1002", Owners: []string{"u-john"}},
		&domain.Account{ID: "a-1003", JointOwnersEnabled: true, MaxOwners: &one, Owners: []string{"u-john"}},
		&domain.Organization{ID: "o-2001", Owners: []string{"u-sam"}, Signers: []string{"u-jane"}},
	}); err != nil {
		t.Fatal(err)
	}
	w.directory = func(records ...any) {
		if err := d.ImportBatch(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	w.Store = &resttest.Store{Store: d}
	w.service = &domain.Service{
		Store: w.Store, Directory: d, Limiter: d, Hasher: seal.NewHasher(seal.CostLow), KeyedHash: d.KeyedHash,
		Now: w.Clock.Now,
		Settings: domain.Settings{
			PublicURL: "https://api.devbank.example.com", InstitutionName: "Dev Bank",
			AcceptURL:     "https://devbank.example.com/invite?invitationId={invitationId}&key={key}",
			InvitationTTL: 30 * 24 * time.Hour, InvitationResendLimit: 5, InvitationMaxFailed: 5,
			VerifyRate: domain.Rate{Limit: 20, Per: time.Minute}, VerifyBlock: 10 * time.Minute,
		},
	}
	w.options = invitations.Options{Service: w.service, Now: w.Clock.Now, Log: w.Logger()}
	return w
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
	case "noJointOwners":
		w.directory(&domain.Account{ID: value, Owners: []string{"u-john", "u-jane"}})
	case "noFurtherOwners":
		w.directory(&domain.Account{ID: value, JointOwnersEnabled: true, MaxOwners: new(2), Owners: []string{"u-john", "u-jane"}})
	case "errorPages":
		w.options.ErrorPages = value
	case "broken":
		w.Store.Fail(map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug}[value])
	default:
		w.T.Fatalf("unknown setting %q", line)
	}
}

// errBug has details that a caller must not see.
var errBug = errors.New(`relation "invitations" of philippa.doe@example.com does not exist`)

func (w *world) expand(text string) string {
	for n, id := range w.ids {
		text = strings.ReplaceAll(text, fmt.Sprintf("{inv%d}", n+1), id)
	}
	return text
}

var (
	invitationIDs = regexp.MustCompile(`inv_[0-9a-z]{26}`)
	errorIDs      = regexp.MustCompile(`err_[0-9a-z]+`)
)

func (w *world) normalize(text string) string {
	text = invitationIDs.ReplaceAllStringFunc(text, func(id string) string {
		if !slices.Contains(w.ids, id) {
			w.ids = append(w.ids, id)
		}
		return fmt.Sprintf("{inv%d}", slices.Index(w.ids, id)+1)
	})
	return errorIDs.ReplaceAllString(text, "{error}")
}
