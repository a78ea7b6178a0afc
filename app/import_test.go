package app_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/app"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/examples"
	"github.com/gatehouse/gatehouse/testkit"
)

// load imports lines and returns the reported errors.
func load(t *testing.T, k *testkit.Kit, lines ...string) (app.ImportResult, []string) {
	t.Helper()
	importer := &app.Importer{Rules: k.Service, Store: k.DB}
	var reasons []string
	done, err := importer.Import(t.Context(), strings.NewReader(testkit.Moved(strings.Join(lines, "\n"))), func(line int, reason string) {
		reasons = append(reasons, fmt.Sprintf("%d: %s", line, reason))
	})
	if err != nil {
		t.Fatal(err)
	}
	return done, reasons
}

// loaded imports lines that are all valid.
func loaded(t *testing.T, k *testkit.Kit, lines ...string) {
	t.Helper()
	if done, reasons := load(t, k, lines...); done.Loaded != len(lines) {
		t.Fatalf("loaded %d of %d: %v", done.Loaded, len(lines), reasons)
	}
}

func TestABadLineIsReportedAndLeftOut(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	cases := []struct{ line, reason string }{
		{`{"kind":"customer","username":"dora"}`, "id is missing"},
		{`{"kind":"customer","id":"do ra"}`, "id: an id must have 1 to 128 characters, without white space and control characters"},
		{`{"kind":"customer","id":"dora","email":"secret"}`, "email must be an e-mail address: one @ with text on both sides and no white space"},
		{`{"kind":"customer","id":"dora","pin":2580}`, "pin has the wrong type"},
		{`{"kind":"customer","id":"dora","emailVerified":"yes"}`, "emailVerified has the wrong type"},
		{`{"kind":"customer","id":"dora","username":"a\u0000b","phone":"\n"}`, "username must contain only printable characters; phone must contain only printable characters"},
		{`{"kind":"session","id":"h"}`, "userId is required"},
		{`{"kind":"session","id":"","userId":"dora"}`, "id must have at least 1 characters"},
		{`{"kind":"session","id":"` + strings.Repeat("ä", 129) + `","userId":"dora"}`, "id must have at most 128 characters"},
		{`{"kind":"session","userId":"dora","createdAt":"yesterday","lastActiveAt":"12:00"}`, "createdAt must be an RFC 3339 date-time; lastActiveAt must be an RFC 3339 date-time"},
		{`{"kind":"session","userId":"dora","createdAt":"2026-03-01T09:02:00Z"}`, "createdAt must not be in the future"},
		{`{"kind":"session","userId":"dora","createdAt":"2026-03-01T08:00:00Z","lastActiveAt":"2026-03-01T10:00:00Z"}`, "lastActiveAt must not be in the future"},
		{`{"kind":"session","userId":"dora","createdAt":"2026-03-01T08:00:00Z","lastActiveAt":"2026-03-01T07:00:00Z"}`, "lastActiveAt must not be before createdAt"},
		{`{"kind":"session","userId":"dora","clientId":"no spaces"}`, "clientId must have 1 to 48 characters from letters, digits and -_:.~$"},
		{`{"kind":"session","userId":"dora","ipAddress":"localhost"}`, "ipAddress must be an IP address"},
		{`{"kind":"jwtTemplate","claims":{}}`, "name is required"},
		{`{"kind":"jwtTemplate","name":"x"}`, "claims is required"},
		{`{"kind":"jwtTemplate","name":"x","claims":[]}`, "claims has the wrong type"},
		{`{"kind":"jwtTemplate","name":"x","claims":{"sid":"s"}}`, "A template must not define the claim sid"},
		{`{"kind":"jwtTemplate","name":"x","claims":{},"lifetime":29}`, "lifetime must be at least 30"},
		{`{"kind":"jwtTemplate","name":"x","claims":{},"allowedClockSkew":301}`, "allowedClockSkew must be at most 300"},
		{`{"kind":"jwtTemplate","name":"x/y","claims":{}}`, "name must contain only letters, digits, dots, hyphens and underscores"},
		{`{"kind":"jwtTemplate","id":"y","name":"x","claims":{}}`, "id: a jwtTemplate is identified by its name"},
		{`{"kind":"starship","id":"enterprise"}`, `kind "starship" is unknown`},
		{`{"kind":"customer","id":"dora"} {}`, "must be one JSON object"},
	}
	var lines, want []string
	for i, c := range cases {
		lines = append(lines, c.line)
		want = append(want, fmt.Sprintf("%d: %s", i+1, c.reason))
	}
	lines = append(lines, `{"kind":"customer","id":"dora"}`)
	done, reasons := load(t, k, lines...)
	for i := range reasons {
		reasons[i] = strings.ReplaceAll(reasons[i], "\n", "; ")
	}
	if !reflect.DeepEqual(reasons, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(reasons, "\n"), strings.Join(want, "\n"))
	}
	if done.Loaded != 1 || done.Rejected != len(cases) {
		t.Errorf("got %+v", done)
	}
}

func TestImportedCustomers(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	const dora = `{"kind":"customer","id":"dora","username":"Dora","email":"dora@example.net","emailVerified":true,"phone":"+12025550104","pin":"0042","password":"pass phrase","jurisdiction":"US"}`
	find := func() *domain.Customer {
		t.Helper()
		c, err := k.DB.Customer(t.Context(), "dora")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	verify := func(secret, hash string, want bool) {
		t.Helper()
		if ok, err := k.Hasher.Verify(t.Context(), secret, hash); err != nil || ok != want {
			t.Errorf("%q is accepted: %t, %v", secret, ok, err)
		}
	}
	loaded(t, k, dora)
	first := find()
	if first.Username != "Dora" || first.Email != "dora@example.net" || !first.EmailVerified || first.PhoneVerified ||
		first.Jurisdiction != "US" || !first.CreatedAt.Equal(k.Clock.Now()) {
		t.Errorf("got %+v", first)
	}
	verify("0042", first.PINHash, true)
	verify("pass phrase", first.PasswordHash, true)
	verify("42", first.PINHash, false)

	// A password may be long and contain any characters, and all of them count.
	long := strings.Repeat("aA1 ~ü😀", 60)
	loaded(t, k, `{"kind":"customer","id":"dora","password":"`+long+`"}`)
	kept := find().PasswordHash
	verify(long, kept, true)
	for _, other := range []string{long[1:], long + "a", strings.TrimSuffix(long, "😀"), strings.ToLower(long), long[:64]} {
		verify(other, kept, false)
	}
	loaded(t, k, dora)
	first = find()

	k.Clock.Pass(time.Hour)
	loaded(t, k, dora)
	if again := find(); *again != *first {
		t.Errorf("the same line changes %+v to %+v", first, again)
	}
	// If several lines describe one customer, the last one counts, even if it restores the stored values.
	other := strings.Replace(dora, "0042", "0043", 1)
	loaded(t, k, other, dora)
	verify("0042", find().PINHash, true)
	loaded(t, k, dora, other, `{"kind":"customer","id":"bob","pin":"1111"}`)
	second := find()
	verify("0043", second.PINHash, true)
	if second.PasswordHash != first.PasswordHash || !second.UpdatedAt.Equal(k.Clock.Now()) || second.CreatedAt != first.CreatedAt {
		t.Errorf("got %+v", second)
	}
	loaded(t, k, `{"kind":"customer","id":"dora"}`)
	if bare := find(); bare.PINHash != "" || bare.Email != "" || bare.EmailVerified {
		t.Errorf("a line replaces what was said before: %+v", bare)
	}
}

func TestImportedSessions(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			k.Clock.Pass(time.Second / 2)
			lines := []string{
				`{"kind":"session","id":"sess_of_alice","userId":"alice","clientId":"browser-1","createdAt":"2026-03-01T09:50:00.1234567+01:00","lastActiveAt":"2026-03-01T08:59:00Z","userAgent":"Browser","ipAddress":"192.0.2.1"}`,
				`{"kind":"session","id":"a foreign handle\u0000 ä","userId":"alice","clientId":"browser-1","createdAt":"2026-03-01T08:30:00Z"}`,
				`{"kind":"session","id":"old","userId":"alice","createdAt":"2024-03-01T08:30:00Z"}`,
			}
			for range 2 {
				loaded(t, k, lines...)
			}
			mine, err := k.Session(testkit.As("alice"), "sess_of_alice")
			if err != nil {
				t.Fatal(err)
			}
			created := testkit.Epoch.Add(-10*time.Minute + 123456*time.Microsecond)
			if mine.State != domain.SessionActive || mine.CreatedAt != created || mine.ExpireAt != created.Add(12*time.Hour) ||
				mine.LastActiveAt != testkit.Epoch.Add(-time.Minute) || mine.AbandonAt != mine.LastActiveAt.Add(15*time.Minute) ||
				*mine.UserAgent != "Browser" || *mine.IPAddress != "192.0.2.1" || *mine.ClientID != "browser-1" || mine.HandleHash != nil {
				t.Errorf("got %+v", mine)
			}
			foreign, err := k.Session(testkit.As("alice"), "a foreign handle\x00 ä")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(foreign.ID, "sess_") || foreign.State != domain.SessionAbandoned {
				t.Errorf("got %+v", foreign)
			}
			if old, err := k.Session(testkit.As("alice"), "old"); err != nil || old.State != domain.SessionExpired {
				t.Errorf("one that was over long ago: %+v, %v", old, err)
			}
			page, err := k.Sessions(testkit.As("alice"), listing.Query{Limit: 10, WithCount: true})
			if err != nil || page.Count != 3 {
				t.Errorf("%d sessions, %v", page.Count, err)
			}
			for _, r := range []*domain.Session{mine, foreign} {
				events, err := k.Timeline(testkit.Admin(), r, domain.Paging{})
				if err != nil || len(events.Items) == 0 || events.Items[0].Name != "createSession" || events.Items[0].OccurredAt != r.CreatedAt ||
					!reflect.DeepEqual(events.Items[0].Concerns, []string{"alice"}) {
					t.Errorf("the journal: %+v, %v", events, err)
				}
			}
			if _, err := k.DB.Client(t.Context(), "browser-1"); err != nil {
				t.Errorf("the client: %v", err)
			}
			// The next import does not undo later changes of a session.
			if _, err := k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: foreign.ID}); err != nil {
				t.Fatal(err)
			}
			loaded(t, k, lines...)
			if foreign, err = k.Session(testkit.As("alice"), foreign.ID); err != nil || foreign.State != domain.SessionRevoked {
				t.Errorf("got %+v, %v", foreign, err)
			}
			loaded(t, k, `{"kind":"session","userId":"alice"}`, `{"kind":"session","userId":"alice"}`)
			if _, err := k.Sweep(context.Background()); err != nil {
				t.Error(err)
			}
			if old, err := k.Session(testkit.As("alice"), "old"); err != nil || old.Unsettled || old.State != domain.SessionExpired {
				t.Errorf("the sweeper settled what was over long ago: %+v, %v", old, err)
			}
		})
	}
}

func TestImportedTemplates(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			find := func() *domain.JwtTemplate {
				t.Helper()
				found, err := k.DB.JwtTemplate(t.Context(), "backend")
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			const line = `{"kind":"jwtTemplate","name":"backend","claims":{"aud":"x","n":12345678901234567890,"a":[{"b":"{{user.id}}"}]},"lifetime":300}`
			loaded(t, k, line)
			first := find()
			if fmt.Sprint(first.Claims) != "map[a:[map[b:{{user.id}}]] aud:x n:12345678901234567890]" || first.Lifetime != 300 || first.AllowedClockSkew != 5 {
				t.Errorf("got %+v", first)
			}
			k.Clock.Pass(time.Hour)
			loaded(t, k, line)
			if again := find(); !reflect.DeepEqual(again, first) {
				t.Errorf("the same line changes %+v to %+v", first, again)
			}
			loaded(t, k, strings.Replace(line, "300", "301", 1))
			if changed := find(); changed.Lifetime != 301 || changed.CreatedAt != first.CreatedAt || changed.UpdatedAt != k.Clock.Now() {
				t.Errorf("got %+v", changed)
			}
		})
	}
}

func TestTheDemonstrationHasNoBadLine(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	importer := &app.Importer{Rules: k.Service, Store: k.DB}
	if _, err := importer.Import(t.Context(), strings.NewReader(string(examples.Demo)), func(line int, reason string) {
		t.Errorf("%d: %s", line, reason)
	}); err != nil {
		t.Fatal(err)
	}
	page, err := k.Sessions(testkit.As("alice"), listing.Query{Where: listing.Eq("state", "active"), Limit: 10})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("alice has %d sessions, %v", len(page.Items), err)
	}
	template := "backend"
	_, token, err := k.CreateSessionToken(testkit.As("alice"), domain.CreateSessionTokenInput{SessionID: "sess_demo_alice_laptop", Template: &template})
	if err != nil || !strings.Contains(token, `"email":"alice@example.com","email_verified":true`) {
		t.Errorf("got %v, %v", token, err)
	}
}

// TestAnUnknownMemberIsTold: the line is loaded without the unknown member.
func TestAnUnknownMemberIsTold(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	im := &app.Importer{Rules: k.Service, Store: k.DB}
	var told []string
	done, err := im.Import(context.Background(), strings.NewReader(`{"kind":"account","id":"acc-dora","owners":["dora"],"colour":"red"}`),
		func(_ int, reason string) { told = append(told, reason) })
	if err != nil || done.Loaded != 1 || done.Rejected != 0 || len(told) != 1 || !strings.Contains(told[0], `"colour"; it was ignored`) {
		t.Errorf("%+v %v %v", done, err, told)
	}
	if a, err := k.Directory.Account(context.Background(), "acc-dora"); err != nil || len(a.Owners) != 1 {
		t.Errorf("%+v %v", a, err)
	}
}
