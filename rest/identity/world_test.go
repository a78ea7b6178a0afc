package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/rest/identity"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

// begin is the time in the document's first example.
var begin = time.Date(2020, time.June, 1, 13, 8, 31, 0, time.UTC)

// actors are the callers, by bearer token.
var actors = map[string]domain.Actor{
	"philippa": actor("u-philippa", "philippa.doe@example.com", "profiles/read", "profiles/write"),
	"jane":     actor("u-jane", "jane.doe@example.com", "profiles/full"),
	"reader":   actor("u-philippa", "philippa.doe@example.com", "profiles/read"),
	"stranger": actor("u-stranger", "stranger@example.com", "profiles/full"),
	"admin":    actor("u-admin", "admin@bank.example.com", "profiles/full", "admin/write"),
	"selfish":  actor("u-philippa", "philippa.doe@example.com", "profiles/full", "admin/write"),
	"auditor":  actor("u-auditor", "auditor@bank.example.com", "admin/read"),
	"nothing":  actor("u-philippa", "philippa.doe@example.com", "banking/full"),
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

// world is a server with contacts, records of a provider and lists of restricted values.
type world struct {
	*resttest.World
	service  *domain.Service
	provider *moody
	options  identity.Options
	// ids are the ids of each kind in the order in which they were seen.
	ids map[string][]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{ids: map[string][]string{}}
	w.World = &resttest.World{T: t, Document: document, Clock: resttest.ClockAt(begin), Actors: actors, Tick: time.Second}
	w.Handler = func() http.Handler { return identity.New(w.options) }
	w.Setup, w.Expand, w.Normalize = w.set, w.expand, w.normalize
	w.State = func() string {
		return w.Send(samples["getQuizzes"], false).Body + w.Send(samples["getFraudRiskReports"], false).Body +
			w.Send(samples["getContactVerification"], false).Body
	}
	d := w.Open(testkit.SQLite(t))
	philippa := domain.Identity{
		TaxID: new("219-55-0142"), FirstName: new("Philippa"), LastName: new("Doe"), Address1: new("1234 S. Front Street"), Address2: new("Apt 4B"),
		City: new("Wilmington"), Region: new("NC"), PostalCode: new("28401"), Phone: new("+1 910 555 0155"), Birthdate: new("1985-06-15"),
		Email: new("philippa.doe@example.com"), IPAddress: new("198.51.100.7"),
	}
	jane := philippa
	jane.TaxID, jane.FirstName = new("219-55-0143"), new("Jane")
	known := philippa
	known.IPAddress = nil
	contact := func(id, user string, who domain.Identity) *domain.Contact {
		return &domain.Contact{Meta: domain.Meta{ID: id, Version: 1, CreatedAt: begin, UpdatedAt: begin}, State: domain.ContactActive, Of: who, UserID: &user}
	}
	if err := d.ImportBatch(t.Context(), []any{
		contact("c-philippa", "u-philippa", philippa), contact("c-jane", "u-jane", jane),
		contact("c-half", "u-philippa", domain.Identity{FirstName: new("Philippa"), LastName: new("Doe")}),
		&domain.IdentityRecord{
			ID: "rec-philippa", Identity: known, PreviousAddresses: []domain.PreviousAddress{{Address1: "9 Elm Avenue", City: "Burlington", Region: "NC", PostalCode: "27215"}},
			Relatives: []string{"Ada Carter"}, Vehicles: []string{"2014 Mazda 3"}, Employers: []string{"Food Lion LLC"},
		},
		&domain.ListEntry{Entry: risk.Entry{ID: "net-1", List: risk.RestrictedIP, Value: "203.0.113.0/24"}},
		&domain.ListEntry{Entry: risk.Entry{ID: "mail-1", List: risk.RestrictedEmail, Value: "bad.example"}},
		&domain.ListEntry{Entry: risk.Entry{ID: "watch-1", List: risk.GovernmentWatchlist, Value: "Philippa Donovan", Births: []string{"1950-01-01"}}},
	}); err != nil {
		t.Fatal(err)
	}
	w.Store = &resttest.Store{Store: d}
	w.provider = &moody{local: &provider.Local{
		Records: d, Lists: provider.NewLists(d, "", w.Clock.Now, slog.New(slog.DiscardHandler)), NameMatch: provider.DefaultNameMatch, Rules: provider.DefaultQuizRules(), Now: w.Clock.Now,
		KeyedHash: func(purpose string, parts ...string) []byte { // the same in every run, so that questions are
			sum := sha256.Sum256([]byte(strings.Join(append([]string{purpose}, parts...), "\x00")))
			if purpose == "quiz fact" {
				sum = sha256.Sum256(nil) // ids differ from run to run
			}
			return sum[:]
		},
	}}
	w.service = &domain.Service{
		Store: w.Store, Directory: d, Limiter: d, Hasher: seal.NewHasher(seal.CostLow), KeyedHash: d.KeyedHash,
		Now: w.Clock.Now, Screening: w.provider, Quizmaster: w.provider, Attest: auth.NewAttester(d).Attest,
		Settings: domain.Settings{
			PublicURL: "https://api.devbank.example.com", InstitutionName: "Dev Bank",
			QuizTTL: 15 * time.Minute, QuizLimit: domain.Rate{Limit: 5, Per: 24 * time.Hour},
		},
	}
	w.options = identity.Options{Service: w.service, Now: w.Clock.Now, Log: w.Logger()}
	return w
}

// set changes a setting: a name and perhaps a value.
func (w *world) set(line string) {
	name, value, _ := strings.Cut(line, " ")
	n, _ := strconv.Atoi(value)
	s := &w.service.Settings
	switch name {
	case "quizLimit":
		s.QuizLimit.Limit = n
	case "errorPages":
		w.options.ErrorPages = value
	case "provider":
		w.provider.mood = value
	case "resolve":
		if _, err := w.service.ResolveQuizzes(w.T.Context()); err != nil {
			w.T.Fatal(err)
		}
	case "broken":
		w.Store.Fail(map[string]error{"database": problem.New(problem.ServiceUnavailable), "bug": errBug}[value])
	default:
		w.T.Fatalf("unknown setting %q", line)
	}
}

// errBug has details that a caller must not see.
var errBug = errors.New(`relation "quizzes" of philippa.doe@example.com does not exist`)

func (w *world) expand(text string) string {
	for kind, ids := range w.ids {
		for n, id := range ids {
			text = strings.ReplaceAll(text, fmt.Sprintf("{%s%d}", kind, n+1), id)
		}
	}
	return text
}

var (
	recordIDs = regexp.MustCompile(`(frr|quiz|appr)_[0-9a-z]{26}`)
	errorIDs  = regexp.MustCompile(`err_[0-9a-z]+`)
	tokens    = regexp.MustCompile(`"token": "eyJ[-_.A-Za-z0-9]+"`)
)

func (w *world) normalize(text string) string {
	text = recordIDs.ReplaceAllStringFunc(text, func(id string) string {
		kind, _, _ := strings.Cut(id, "_")
		if !slices.Contains(w.ids[kind], id) {
			w.ids[kind] = append(w.ids[kind], id)
		}
		return fmt.Sprintf("{%s%d}", kind, slices.Index(w.ids[kind], id)+1)
	})
	text = tokens.ReplaceAllString(text, `"token": "{token}"`)
	return errorIDs.ReplaceAllString(text, "{error}")
}

// moody is a provider that is down, or scores later, on demand.
type moody struct {
	local *provider.Local
	mood  string
}

func (m *moody) Screen(ctx context.Context, who domain.Identity) (risk.Assessment, error) {
	if m.mood == "down" {
		return risk.Assessment{}, problem.New(problem.ProviderUnavailable)
	}
	return m.local.Screen(ctx, who)
}

func (m *moody) Questions(ctx context.Context, q *domain.Quiz) ([]domain.QuizQuestion, error) {
	if m.mood == "down" {
		return nil, problem.New(problem.ProviderUnavailable)
	}
	return m.local.Questions(ctx, q)
}

func (m *moody) Mark(q *domain.Quiz, answers []domain.QuizAnswer) (domain.QuizVerdict, bool) {
	if m.mood == "slow" {
		return domain.VerdictLater, false
	}
	return m.local.Mark(q, answers)
}

func (m *moody) Score(ctx context.Context, q *domain.Quiz) (domain.QuizVerdict, error) {
	if m.mood == "slow" {
		return domain.VerdictLater, nil
	}
	return m.local.Score(ctx, q)
}
