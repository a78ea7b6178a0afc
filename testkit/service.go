// Package testkit contains shared test fixtures: the rules with a real database and a fixed clock, users, temporary
// PostgreSQL clusters, the built program, and a browser. Only tests import it.
package testkit

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// Commit writes a unit.
func Commit(ctx context.Context, store domain.Store, u *domain.Unit) error {
	_, err := store.Commit(ctx, u)
	return err
}

// Kit is the rules with a real database.
type Kit struct {
	*domain.Service
	DB    *db.DB
	Clock *Clock
	// Read collects the texts of read statements.
	Read *Statements

	url string
	key seal.Key
}

// Another returns a second instance with the same database, the same clock and separate connections.
func (k *Kit) Another(t testing.TB) *Kit {
	t.Helper()
	d, err := db.Open(context.Background(), db.Options{URL: k.url, Key: k.key, Now: k.Clock.Now, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	rules := *k.Service
	rules.Store, rules.Directory, rules.Limiter, rules.KeyedHash = d, d, d, d.KeyedHash
	return &Kit{DB: d, Clock: k.Clock, Service: &rules, url: k.url, key: k.key}
}

// SQLite returns the URL of a new database file in a temporary directory of the test.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db"))
}

// Databases lists the two databases, each with a function that returns the URL of an empty one.
var Databases = []struct {
	Name string
	URL  func(testing.TB) string
}{{"sqlite", SQLite}, {"postgres", Postgres}}

// Statements collects the texts of statements.
type Statements struct {
	mu    sync.Mutex
	texts []string
}

func (s *Statements) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
}

// Take returns the statements since the previous call.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.texts
	s.texts = nil
	return out
}

// New opens and migrates a database and returns the rules with it and with the demonstration directory: alice owns
// acc-alice, acc-shared (with bob), acc-single (no joint owners) and acc-full (with bob, no more owners); alice owns
// org-acme, for which carol signs.
func New(t testing.TB, url string) *Kit {
	t.Helper()
	ctx := context.Background()
	clock, key := NewClock(), seal.NewKey()
	read := &Statements{}
	d, err := db.Open(ctx, db.Options{URL: url, Key: key, Now: clock.Now, Timeout: 30 * time.Second, Reads: read.add}) // for busy machines
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	two := 2
	err = d.ImportBatch(ctx, []any{
		&domain.Account{ID: "acc-alice", JointOwnersEnabled: true, Owners: []string{"alice"}},
		&domain.Account{ID: "acc-shared", JointOwnersEnabled: true, Owners: []string{"alice", "bob"}},
		&domain.Account{ID: "acc-single", Owners: []string{"alice"}},
		&domain.Account{ID: "acc-full", JointOwnersEnabled: true, MaxOwners: &two, Owners: []string{"alice", "bob"}},
		&domain.Organization{ID: "org-acme", Owners: []string{"alice"}, Signers: []string{"carol"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	kit := &Kit{DB: d, Clock: clock, Read: read, url: url, key: key, Service: &domain.Service{
		Store: d, Directory: d, Limiter: d, Hasher: seal.NewHasher(seal.CostLow), Signer: Signer{}, KeyedHash: d.KeyedHash, Now: clock.Now, Known: new(domain.KnownClients),
		Settings: domain.Settings{
			PublicURL: "http://gatehouse.test", InstitutionName: "First Test Bank",
			AcceptURL:     "http://gatehouse.test/invite?invitationId={invitationId}&key={key}",
			InvitationTTL: 720 * time.Hour, InvitationResendLimit: 5, InvitationMaxFailed: 5,
			VerifyRate: domain.Rate{Limit: 20, Per: time.Minute}, VerifyBlock: 10 * time.Minute,
			EmailTokenTTL: 24 * time.Hour, PhoneCodeTTL: 10 * time.Minute, ChallengeTTL: 5 * time.Minute, TwoFactorTTL: 5 * time.Minute,
			CodeSendLimit: domain.Rate{Limit: 5, Per: time.Hour}, CodeTryLimit: domain.Rate{Limit: 20, Per: 24 * time.Hour},
			CodeRate:           domain.Rate{Limit: 100, Per: 10 * time.Minute},
			SessionIdleTimeout: 15 * time.Minute, SessionMaxLifetime: 12 * time.Hour, SessionTokenTTL: time.Minute,
			QuizTTL: 15 * time.Minute, QuizLimit: domain.Rate{Limit: 5, Per: 24 * time.Hour},
		},
	}}
	kit.providers(t)
	return kit
}

// As returns the context of a user with scopes. The address depends on the user.
func As(user string, scopes ...string) context.Context {
	if len(scopes) == 0 {
		scopes = []string{domain.ScopeBankingFull}
	}
	return domain.WithActor(context.Background(), domain.Actor{
		ID: user, Username: user, Email: user + "@example.com", Scopes: scopes, Address: "192.0.2." + strings.Repeat("1", len(user)%3+1), APIKey: "test",
	})
}

// Admin returns the context of an administrator without a role towards any record.
func Admin() context.Context { return As("root", domain.ScopeBankingFull, domain.ScopeAdminFull) }

// Secret is the shared secret of the invitations that tests create.
const Secret = "correct horse battery"

// Invite creates an invitation by alice to her account.
func (k *Kit) Invite(t testing.TB) *domain.Invitation {
	t.Helper()
	account := "/accounts/accounts/acc-alice"
	out, err := k.CreateInvitation(As("alice"), domain.CreateInvitationInput{
		EmailAddress: "dora@example.net", SharedSecret: Secret, Type: domain.InvitationJoint,
		InviterFullName: "Alice Doe", AccountURI: &account,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Record
}

// Login signs a user in on a client; an empty client means none.
func (k *Kit) Login(t testing.TB, user, client string) *domain.Session {
	t.Helper()
	in := domain.CreateSessionInput{UserID: user}
	if client != "" {
		in.ClientID = &client
	}
	out, err := k.CreateSession(Admin(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Record
}

// Signer issues unprotected tokens: the kind, a colon, and the claims as JSON.
type Signer struct{}

// Sign returns a token.
func (Signer) Sign(_ context.Context, kind domain.TokenKind, claims map[string]any) (string, error) {
	text, err := json.Marshal(claims)
	return string(kind) + ":" + string(text), err
}

// OpenClientToken returns the id of the client in a client token.
func (Signer) OpenClientToken(_ context.Context, token string) (string, error) {
	text, ok := strings.CutPrefix(token, string(domain.TokenClient)+":")
	var claims struct {
		ID string `json:"id"`
	}
	if !ok || json.Unmarshal([]byte(text), &claims) != nil || claims.ID == "" {
		return "", domain.ErrMissing
	}
	return claims.ID, nil
}
