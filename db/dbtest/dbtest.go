// Package dbtest is the test suite that each database must pass.
//
// It uses the exported API of package db, and both drivers to inspect the tables. Only tests import it.
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// Fresh returns the URL of an empty database that exists until the test ends.
type Fresh func(t testing.TB) string

// Exercise runs the suite.
func Exercise(t *testing.T, fresh Fresh) {
	t.Helper()
	for _, part := range []struct {
		claim string
		test  func(*testing.T, Fresh)
	}{
		{"a record comes back as it was written", roundTrip},
		{"a unit is written whole or not at all", wholeUnits},
		{"of two writers of one version one is stale", staleUnits},
		{"an idempotency key is remembered until it runs out", memories},
		{"an erased record takes its messages along", erasure},
		{"a grant gives a part once", grants},
		{"a decoy leaves nothing to see", decoy},
		{"a caller who has gone hears no false failure", goneCallers},
		{"readers in company hear of their own", mergedReads},
		{"a stale unit takes no other along", staleInCompany},
		{"units that cross end", crossing},
		{"events of a record are in order, in company too", orderInCompany},
		{"of repeats one is written, in company too", memoryInCompany},
		{"a reader of the feed misses nothing", feed},
		{"events are found by record", timeline},
		{"what is due is found in order", due},
		{"each message is claimed once", claims},
		{"a lease that is over can be claimed again", leases},
		{"a message is retried, buried and revived", outbox},
		{"a limit is exact", limits},
		{"a block ends", blocks},
		{"the directory is imported and replaced", directory},
		{"an import works beside a server", importBeside},
		{"API keys are created, found and revoked", apiKeys},
		{"what has run out is purged", purge},
		{"a session comes back as it was written", sessionRoundTrip},
		{"a touch moves what it may", touches},
		{"only a live session is touched", deadTouches},
		{"no touch succeeds after the end", touchesAgainstEnd},
		{"no session is abandoned that was touched", touchesAgainstSweep},
		{"a transition takes no touch back", touchesMeanwhile},
		{"a handle is that of one session", handles},
		{"clients are made and moved", clients},
		{"due sessions are found in order", dueSessions},
		{"sessions that were in use are looked at later", putOffSessions},
		{"JWT templates are saved, listed and deleted", templates},
		{"customers are imported and replaced", customers},
		{"a session is imported once", importedSessions},
		{"a list is the list of package listing", lists},
		{"a list of sessions too", sessionLists},
		{"a list streams more than one portion", portions},
		{"the database knows the states of the machine", states},
		{"of several starters one migrates", starters},
		{"an old schema is not ready", notReady},
		{"a wrong key stops the start", wrongKey},
		{"personal data is sealed", sealed},
		{"odd texts are not found", oddTexts},
		{"people come back, and lie sealed", identities},
		{"the database knows the states of people's records", identityStates},
		{"a turn is taken once", turns},
		{"list imports are numbered", listImports},
		{"identity records are counted, and choices are stored", recordsAndChoices},
	} {
		t.Run(part.claim, func(t *testing.T) {
			t.Parallel()
			part.test(t, fresh)
		})
	}
}

// epoch is the start time of every test.
var epoch = time.Date(2026, 3, 1, 9, 0, 0, 123456000, time.UTC)

// clock is a clock that tests advance.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// key opens every database of this process.
var key = seal.NewKey()

// store is a database with its clock.
type store struct {
	*db.DB
	*clock
	url string
}

// open opens and migrates a database.
func open(t testing.TB, url string) *store {
	t.Helper()
	s := connect(t, url)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// connect opens a database without migrating it.
func connect(t testing.TB, url string) *store {
	t.Helper()
	c := &clock{at: epoch}
	d, err := db.Open(t.Context(), db.Options{URL: url, Key: key, Now: c.now, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &store{DB: d, clock: c, url: url}
}

// raw opens the database without package db.
func raw(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	}
	d, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// count counts the rows of a table.
func count(t testing.TB, url, table string) int {
	t.Helper()
	var n int
	if err := raw(t, url).QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

// invitation returns an invitation with all fields set.
func invitation(now time.Time) *domain.Invitation {
	now = now.Truncate(time.Microsecond)
	return &domain.Invitation{
		Meta:  domain.Meta{ID: domain.NewID("inv", now), Version: 1, CreatedAt: now, UpdatedAt: now},
		State: domain.InvitationSent, Type: domain.InvitationJoint, EmailAddress: "Dora@Example.net",
		FirstName: ptr("Dora"), LastName: ptr("Dömer \u0000"), Identification: ptr("4711"),
		AccountURI: ptr("/accounts/accounts/acc-1"), InviterFullName: "Alice Doe", SecretHash: "$argon2id$x",
		MailKeyHash: []byte{1, 2, 3}, ExpiresAt: now.Add(720 * time.Hour), CreatedBy: "alice",
		CustomerID: ptr("c-1"), CustomerGroup: ptr("g-1"), AccountID: "acc-1",
	}
}

func event(r domain.Record, name string, at time.Time) *domain.LifecycleEvent {
	return &domain.LifecycleEvent{
		ID: domain.NewID("evt", at), Name: name, From: "", To: "sent", OccurredAt: at.Truncate(time.Microsecond), ActorID: "alice",
		SubjectKind: r.Kind(), SubjectID: r.Head().ID, Version: r.Head().Version, Concerns: []string{"alice", "dora"},
	}
}

func message(subject string, at time.Time) *domain.Message {
	return &domain.Message{
		ID: domain.NewID("msg", at), Channel: domain.ChannelEmail, Template: "invitation", To: "dora@example.net",
		Values: map[string]string{"link": "https://example.net/?key=s3cret"}, SubjectID: subject,
		CreatedAt: at, State: domain.MessagePending, NextAt: at,
	}
}

// commit writes a unit.
func (s *store) commit(ctx context.Context, u *domain.Unit) error {
	_, err := s.Commit(ctx, u)
	return err
}

// create writes a new invitation with its event.
func (s *store) create(t testing.TB, i *domain.Invitation) *domain.Invitation {
	t.Helper()
	must(t, s.commit(context.WithoutCancel(t.Context()), &domain.Unit{
		Changes: []domain.Change{{Record: i}}, Events: []*domain.LifecycleEvent{event(i, "createInvitation", s.now())},
	}))
	return i
}

// next returns the record after another transition.
func next(i *domain.Invitation) *domain.Invitation {
	n := *i
	n.Version++
	return &n
}

// parallel runs n calls concurrently and waits for them.
func parallel(n int, run func(n int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { run(i) })
	}
	all.Wait()
}

func name(kind string, n int) string { return fmt.Sprintf("%s-%04d", kind, n) }
