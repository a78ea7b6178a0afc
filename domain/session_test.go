package domain_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

func ptr[T any](v T) *T { return &v }

// onClient returns a context with a browser or device as the actor.
func onClient(id string) context.Context {
	return domain.WithActor(context.Background(), domain.Actor{ClientKey: id, Address: "192.0.2.9"})
}

func named(id string) domain.SessionInput { return domain.SessionInput{SessionID: id} }

func seen(t *testing.T, k *testkit.Kit, id string) *domain.Session {
	t.Helper()
	r, err := k.Session(testkit.Admin(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func touch(ctx context.Context, k *testkit.Kit, id string) (domain.Outcome[domain.Session], error) {
	return k.TouchSession(ctx, domain.TouchSessionInput{SessionID: id})
}

// lastActive returns the client's most recently touched session.
func lastActive(t *testing.T, k *testkit.Kit, client string) string {
	t.Helper()
	c, _, err := k.ClientSessions(context.Background(), client)
	if err != nil {
		t.Fatal(err)
	}
	if c.LastActiveSessionID == nil {
		return ""
	}
	return *c.LastActiveSessionID
}

// story returns the journal in one line.
func story(t *testing.T, k *testkit.Kit, r domain.Record) string {
	t.Helper()
	var lines []string
	for _, e := range journal(t, k, r) {
		lines = append(lines, fmt.Sprintf("%s:%s", e.Name, e.To))
	}
	return strings.Join(lines, " ")
}

func TestASessionFromLoginToEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		if r.State != domain.SessionActive || r.Version != 1 || r.AbandonAt != testkit.Epoch.Add(15*time.Minute) || r.ExpireAt != testkit.Epoch.Add(12*time.Hour) {
			t.Fatalf("a new session: %+v", r)
		}
		if got := lastActive(t, k, "browser"); got != r.ID {
			t.Errorf("the client was made, with the session on it: %s", got)
		}
		k.Clock.Pass(10 * time.Minute)
		out, err := touch(testkit.As("alice"), k, r.ID)
		if err != nil || out.Record.LastActiveAt != k.Clock.Now() || out.Record.AbandonAt != k.Clock.Now().Add(15*time.Minute) {
			t.Fatalf("a touch starts the idle time again: %+v %v", out.Record, err)
		}
		if out.Record.Version != 1 || out.Record.UpdatedAt != testkit.Epoch || story(t, k, r) != "createSession:active" {
			t.Errorf("activity is no transition: %+v, %s", out.Record, story(t, k, r))
		}
		out, err = k.EndSession(testkit.As("alice"), domain.SessionInput{SessionID: r.ID, Reason: ptr("done")})
		if err != nil || out.Record.State != domain.SessionEnded || out.Record.Version != 2 || *out.Record.EndReason != "done" ||
			*out.Record.EndedBy != "alice" || *out.Record.EndedAt != k.Clock.Now() {
			t.Fatalf("an end: %+v %v", out.Record, err)
		}
		if got := lastActive(t, k, "browser"); got != "" {
			t.Errorf("the client still has %s", got)
		}
		if _, sessions, err := k.ClientSessions(context.Background(), "browser"); err != nil || len(sessions) != 1 {
			t.Errorf("an ended session stays listed: %v %v", sessions, err)
		}
		_, err = touch(testkit.As("alice"), k, r.ID)
		if p := wants(t, err, problem.SessionNotLive); p.Attributes["currentState"] != "ended" {
			t.Errorf("got %+v", p.Attributes)
		}
		_, err = k.EndSession(testkit.As("alice"), named(r.ID))
		wants(t, err, problem.SessionNotLive)
		out, err = k.RemoveSession(onClient("browser"), named(r.ID))
		if err != nil || out.Record.State != domain.SessionRemoved || *out.Record.EndReason != "done" {
			t.Fatalf("a removal, and the first end stays: %+v %v", out.Record, err)
		}
		if _, sessions, err := k.ClientSessions(context.Background(), "browser"); err != nil || len(sessions) != 0 {
			t.Errorf("a removed session is listed: %v %v", sessions, err)
		}
		if _, err := k.Session(onClient("browser"), r.ID); !problem.Has(err, problem.NoSuchSession) {
			t.Errorf("a removed session is gone for its client: %v", err)
		}
		if got := story(t, k, r); got != "createSession:active endSession:ended removeSession:removed" {
			t.Errorf("the journal is %s", got)
		}
	})
}

func TestTimeEndsASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		agree := func(want domain.SessionState) {
			t.Helper()
			one := seen(t, k, r.ID)
			for _, state := range []domain.SessionState{"active", "pending", "abandoned", "expired", "revoked"} {
				page, err := k.Sessions(testkit.As("alice"), listing.Query{Where: listing.Eq("state", string(state)), Limit: 5, WithCount: true})
				if err != nil || (page.Count == 1) != (state == want) || len(page.Items) == 1 && page.Items[0].State != one.State {
					t.Errorf("a list of %s has %d, %v", state, page.Count, err)
				}
			}
			if one.State != want {
				t.Errorf("it is %s, want %s", one.State, want)
			}
		}
		k.Clock.Pass(15*time.Minute - time.Microsecond)
		agree(domain.SessionActive)
		k.Clock.Pass(time.Microsecond)
		agree(domain.SessionAbandoned)
		if got := lastActive(t, k, "browser"); got != "" {
			t.Errorf("the client still has %s", got)
		}
		_, err := touch(testkit.As("alice"), k, r.ID)
		wants(t, err, problem.SessionNotLive)
		before := seen(t, k, r.ID)
		if n, err := k.Sweep(context.Background()); n != 1 || err != nil {
			t.Fatalf("swept %d, %v", n, err)
		}
		if after := seen(t, k, r.ID); after.Version != before.Version || after.UpdatedAt != before.UpdatedAt || after.EndedAt != nil {
			t.Errorf("the sweeper writes what readers saw: %+v and %+v", before, after)
		}
		agree(domain.SessionAbandoned)
		out, err := k.ResumeSession(testkit.Admin(), named(r.ID))
		if err != nil || out.Record.State != domain.SessionActive || out.Record.AbandonAt != k.Clock.Now().Add(15*time.Minute) {
			t.Fatalf("a resumed session: %+v %v", out.Record, err)
		}
		agree(domain.SessionActive)
		// Activity extends the session at most to the end of its maximum lifetime.
		for k.Clock.Now().Before(r.ExpireAt.Add(-10 * time.Minute)) {
			k.Clock.Pass(10 * time.Minute)
			if out, err = touch(testkit.As("alice"), k, r.ID); err != nil {
				t.Fatalf("at %v: %v", k.Clock.Now(), err)
			}
		}
		if out.Record.AbandonAt != r.ExpireAt {
			t.Errorf("abandoned at %v, after the end at %v", out.Record.AbandonAt, r.ExpireAt)
		}
		k.Clock.Pass(r.ExpireAt.Sub(k.Clock.Now()))
		agree(domain.SessionExpired)
		_, err = k.ResumeSession(testkit.Admin(), named(r.ID))
		wants(t, err, problem.SessionLifetimeExceeded)
		out, err = k.TerminateSession(testkit.Admin(), named(r.ID))
		if err != nil || out.Record.State != domain.SessionRevoked {
			t.Fatalf("an expired session can be terminated: %+v %v", out.Record, err)
		}
		agree(domain.SessionRevoked)
		if got := story(t, k, r); got != "createSession:active abandonSession:abandoned resumeSession:active expireSession:expired terminateSession:revoked" {
			t.Errorf("the journal is %s", got)
		}
		// A session without activity for two days makes both transitions at once.
		forgotten := k.Login(t, "bob", "")
		k.Clock.Pass(48 * time.Hour)
		if n, err := k.Sweep(context.Background()); n != 1 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if got := story(t, k, forgotten); got != "createSession:active abandonSession:abandoned expireSession:expired" {
			t.Errorf("the journal is %s", got)
		}
		if last := seen(t, k, forgotten.ID); *last.EndedAt != forgotten.ExpireAt || last.EndedBy != nil {
			t.Errorf("got %+v", last)
		}
	})
}

// TestAShorterIdleTime: a resumed session keeps a longer idle time that it already has.
func TestAShorterIdleTime(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	r := k.Login(t, "alice", "")
	k.Settings.SessionIdleTimeout = time.Minute
	out, err := k.ResumeSession(testkit.Admin(), named(r.ID))
	if err != nil || out.Record.AbandonAt != r.AbandonAt || out.Record.Version != 2 {
		t.Errorf("got %+v, %v", out.Record, err)
	}
}

func TestTasksOfASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		out, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", Tasks: []string{"setup-mfa", "reset-password"}})
		if err != nil || out.Record.State != domain.SessionPending {
			t.Fatalf("got %+v %v", out.Record, err)
		}
		id := out.Record.ID
		complete := func(task string) (domain.Outcome[domain.Session], error) {
			return k.CompleteSessionTask(testkit.Admin(), domain.CompleteSessionTaskInput{SessionID: id, Task: task})
		}
		if _, err := touch(testkit.As("alice"), k, id); err != nil {
			t.Errorf("a pending session takes activity: %v", err)
		}
		_, err = complete("choose-organization")
		wants(t, err, problem.InvalidInput)
		if out, err = complete("setup-mfa"); err != nil || out.Record.State != domain.SessionPending || !slices.Equal(out.Record.Tasks, []string{"reset-password"}) {
			t.Errorf("got %+v %v", out.Record, err)
		}
		k.Clock.Pass(15 * time.Minute)
		if out, err = k.ResumeSession(testkit.Admin(), named(id)); err != nil || out.Record.State != domain.SessionPending {
			t.Errorf("while a task is open a resumed session is pending: %+v %v", out.Record, err)
		}
		if out, err = complete("reset-password"); err != nil || out.Record.State != domain.SessionActive || len(out.Record.Tasks) != 0 {
			t.Errorf("got %+v %v", out.Record, err)
		}
		_, err = complete("reset-password")
		wants(t, err, problem.SessionNotLive)
		for _, tasks := range [][]string{{"dance"}, {"setup-mfa", "setup-mfa"}, {""}} {
			_, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", Tasks: tasks})
			wants(t, err, problem.InvalidInput)
		}
	})
}

func TestANewSessionReplacesOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		active, abandoned := k.Login(t, "alice", "browser"), k.Login(t, "alice", "browser")
		ended := k.Login(t, "alice", "browser")
		if _, err := k.EndSession(testkit.As("alice"), named(ended.ID)); err != nil {
			t.Fatal(err)
		}
		k.Clock.Pass(10 * time.Minute)
		if _, err := touch(testkit.As("alice"), k, active.ID); err != nil {
			t.Fatal(err)
		}
		k.Clock.Pass(5 * time.Minute)
		elsewhere, other := k.Login(t, "alice", "phone"), k.Login(t, "bob", "browser")
		out, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", ClientID: ptr("browser"), Replace: ptr(true)})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]domain.SessionState{
			active.ID: domain.SessionReplaced, abandoned.ID: domain.SessionReplaced, ended.ID: domain.SessionEnded,
			elsewhere.ID: domain.SessionActive, other.ID: domain.SessionActive, out.Record.ID: domain.SessionActive,
		} {
			if got := seen(t, k, id); got.State != want {
				t.Errorf("%s, want %s: %+v", got.State, want, got)
			}
		}
		if got := story(t, k, abandoned); got != "createSession:active abandonSession:abandoned replaceSession:replaced" {
			t.Errorf("the journal is %s", got)
		}
		if got := lastActive(t, k, "browser"); got != out.Record.ID {
			t.Errorf("the client has %s", got)
		}
		// Of concurrent logins, one session remains.
		parallel(32, func(int) {
			if _, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", ClientID: ptr("browser"), Replace: ptr(true)}); err != nil {
				t.Error(err)
			}
		})
		page, err := k.Sessions(testkit.As("alice"), listing.Query{Limit: 50, Where: listing.All(listing.Eq("state", "active"), listing.Eq("clientId", "browser"))})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != lastActive(t, k, "browser") {
			t.Errorf("%d sessions stayed, %v", len(page.Items), err)
		}
	})
}

func TestEndOfTheOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		kept, second, third := k.Login(t, "alice", "browser"), k.Login(t, "alice", "phone"), k.Login(t, "alice", "")
		bobs := k.Login(t, "bob", "browser")
		_, _, err := k.EndOtherSessions(testkit.As("alice"), domain.EndOtherSessionsInput{})
		wants(t, err, problem.InvalidInput)
		_, _, err = k.EndOtherSessions(testkit.As("alice"), domain.EndOtherSessionsInput{SessionID: &bobs.ID})
		wants(t, err, problem.NoSuchSession)
		_, _, err = k.EndOtherSessions(testkit.As("audrey", domain.ScopeAdminRead), domain.EndOtherSessionsInput{SessionID: &kept.ID})
		wants(t, err, problem.AccessDenied)

		a := domain.ActorFrom(testkit.As("alice"))
		a.SessionID = kept.ID
		in := domain.EndOtherSessionsInput{Reason: ptr("lost phone"), IdempotencyKey: ptr("once")}
		out, ended, err := k.EndOtherSessions(domain.WithActor(context.Background(), a), in)
		if err != nil || out.Record.ID != kept.ID || len(ended) != 2 || out.Replayed {
			t.Fatalf("%d ended, %+v, %v", len(ended), out, err)
		}
		for id, want := range map[string]domain.SessionState{
			kept.ID: domain.SessionActive, second.ID: domain.SessionEnded, third.ID: domain.SessionEnded, bobs.ID: domain.SessionActive,
		} {
			if got := seen(t, k, id); got.State != want {
				t.Errorf("%s, want %s: %+v", got.State, want, got)
			}
		}
		if lastActive(t, k, "phone") != "" {
			t.Error("the phone still has a session")
		}
		last := journal(t, k, second)[1]
		if last.Name != "endOtherSessions" || last.ActorID != "alice" || last.Reason != "lost phone" || last.Version != 2 {
			t.Errorf("the journal's last line is %+v", last)
		}
		late := k.Login(t, "alice", "")
		out, ended, err = k.EndOtherSessions(domain.WithActor(context.Background(), a), in)
		if err != nil || !out.Replayed || len(ended) != 2 || seen(t, k, late.ID).State != domain.SessionActive {
			t.Errorf("a repeat ends nothing more: %d, %+v, %v", len(ended), out, err)
		}
	})
}

func TestForeignHandles(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		for _, handle := range []string{"ä secret\x00handle", "sess_of_somebody_else", strings.Repeat("ü", 128)} {
			out, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", Handle: &handle})
			if err != nil {
				t.Fatal(err)
			}
			r := out.Record
			if strings.Contains(string(r.HandleHash), handle) || len(r.HandleHash) < 16 {
				t.Errorf("the handle is kept as it is")
			}
			if found, err := k.Session(testkit.As("alice"), handle); err != nil || found.ID != r.ID {
				t.Errorf("found by its handle: %v %v", found, err)
			}
			if _, err := k.Session(testkit.As("bob"), handle); !problem.Has(err, problem.NoSuchSession) {
				t.Errorf("somebody else's: %v", err)
			}
			if out, err := k.ResumeSession(testkit.Admin(), named(handle)); err != nil || out.Record.ID != r.ID {
				t.Errorf("resumed by its handle: %v", err)
			}
			if over, err := k.SessionOver(context.Background(), handle); err != nil || over {
				t.Errorf("over is %t, %v", over, err)
			}
			if _, err := k.TerminateSession(testkit.Admin(), named(handle)); err != nil {
				t.Error(err)
			}
			if over, err := k.SessionOver(context.Background(), handle); err != nil || !over {
				t.Errorf("over is %t, %v", over, err)
			}
			_, err = k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "bob", Handle: &handle})
			wants(t, err, problem.SessionHandleTaken)
		}
		if over, err := k.SessionOver(context.Background(), "of-another-issuer"); err != nil || over {
			t.Errorf("over is %t, %v", over, err)
		}
		for _, handle := range []string{"", strings.Repeat("ü", 129)} {
			_, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", Handle: &handle})
			wants(t, err, problem.InvalidInput)
		}
	})
}

func TestRepeatedSessionCalls(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		in := domain.CreateSessionInput{UserID: "alice", ClientID: ptr("browser"), Handle: ptr("one handle"), IdempotencyKey: ptr("login-1")}
		ids := make([]string, 32)
		var done atomic.Int64
		parallel(32, func(n int) {
			out, err := k.CreateSession(testkit.Admin(), in)
			if err != nil {
				t.Error(err)
				return
			}
			ids[n] = out.Record.ID
			if !out.Replayed {
				done.Add(1)
			}
		})
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) != 1 || done.Load() != 1 {
			t.Fatalf("%d sessions, made %d times", len(ids), done.Load())
		}
		other := in
		other.UserID = "bob"
		_, err := k.CreateSession(testkit.Admin(), other)
		wants(t, err, problem.IdempotencyKeyReused)
		other.IdempotencyKey = ptr("login-2")
		for n := range 2 {
			out, err := k.CreateSession(testkit.Admin(), other)
			wants(t, err, problem.SessionHandleTaken)
			if out.Replayed != (n == 1) {
				t.Errorf("call %d: a replay is %t", n, out.Replayed)
			}
		}

		guard := domain.Guard{IdempotencyKey: ptr("end-1")}
		for n := range 2 {
			out, err := k.EndSession(testkit.As("alice"), domain.SessionInput{SessionID: ids[0], Guard: guard})
			if err != nil || out.Replayed != (n == 1) || out.Record.State != domain.SessionEnded || out.Record.Version != 2 {
				t.Errorf("call %d: %+v %v", n, out, err)
			}
		}
		_, err = k.RemoveSession(testkit.As("alice"), domain.SessionInput{SessionID: ids[0], Guard: guard})
		wants(t, err, problem.IdempotencyKeyReused)
		for n := range 2 {
			out, err := k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: ids[0], Guard: domain.Guard{IdempotencyKey: ptr("terminate-1")}})
			if err != nil || out.Replayed != (n == 1) || out.Record.State != domain.SessionEnded || out.Record.Version != 2 {
				t.Errorf("terminating what is over, call %d: %+v %v", n, out, err)
			}
		}
		// Equal keys of different callers are distinct, also those of a client and a user with the same id.
		second := k.Login(t, "alice", "login")
		for _, ctx := range []context.Context{testkit.As("alice"), testkit.Admin(), onClient("login"), testkit.As("login")} {
			out, err := k.TouchSession(ctx, domain.TouchSessionInput{SessionID: second.ID, IdempotencyKey: ptr("same")})
			if domain.ActorFrom(ctx).ID == "login" {
				wants(t, err, problem.NoSuchSession)
			} else if err != nil || out.Replayed {
				t.Errorf("%+v %v", out, err)
			}
		}
		k.Clock.Pass(time.Minute)
		out, err := k.TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: second.ID, IdempotencyKey: ptr("same")})
		if err != nil || !out.Replayed || out.Record.LastActiveAt != testkit.Epoch {
			t.Errorf("a repeated touch is none: %+v %v", out, err)
		}
	})
}

func TestWhoSeesASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		mine, bobs := k.Login(t, "alice", "browser"), k.Login(t, "bob", "browser")
		elsewhere := k.Login(t, "alice", "phone")
		for _, c := range []struct {
			name string
			ctx  context.Context
			sees []*domain.Session
		}{
			{"alice", testkit.As("alice"), []*domain.Session{mine, elsewhere}},
			{"bob", testkit.As("bob"), []*domain.Session{bobs}},
			{"the browser", onClient("browser"), []*domain.Session{mine, bobs}},
			{"the phone", onClient("phone"), []*domain.Session{elsewhere}},
			{"another client", onClient("alice"), nil},
			{"a stranger", testkit.As("eve"), nil},
			{"an auditor", testkit.As("audrey", domain.ScopeAdminRead), []*domain.Session{mine, bobs, elsewhere}},
			{"an administrator", testkit.Admin(), []*domain.Session{mine, bobs, elsewhere}},
		} {
			page, err := k.Sessions(c.ctx, listing.Query{Limit: 10, WithCount: true})
			if err != nil || page.Count != len(c.sees) {
				t.Errorf("%s: a list of %d, want %d, %v", c.name, page.Count, len(c.sees), err)
			}
			for _, r := range []*domain.Session{mine, bobs, elsewhere} {
				_, err := k.Session(c.ctx, r.ID)
				if want := slices.Contains(c.sees, r); (err == nil) != want || err != nil && !problem.Has(err, problem.NoSuchSession) {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
		for _, ctx := range []context.Context{context.Background(), domain.WithActor(context.Background(), domain.Actor{ID: "alice", Refused: problem.New(problem.SessionExpired)})} {
			for _, id := range []string{mine.ID, "sess_none"} {
				if _, err := k.Session(ctx, id); problem.Of(err).Kind != problem.Unauthenticated {
					t.Errorf("nobody: %v", err)
				}
			}
		}
		_, err := k.CreateSession(testkit.As("alice"), domain.CreateSessionInput{UserID: "alice"})
		wants(t, err, problem.AccessDenied)
	})
}

var theSessions = subject{
	find:    func(k *testkit.Kit, id string) (domain.Record, error) { return k.Session(testkit.Admin(), id) },
	state:   func(r domain.Record) string { return string(r.(*domain.Session).State) },
	missing: problem.NoSuchSession,
}

// sessionCallers has a caller for every role in the table of sessions, and two without a role.
var sessionCallers = []struct {
	name   string
	ctx    context.Context
	roles  []domain.Role
	client bool
}{
	{"owner", testkit.As("alice"), []domain.Role{domain.RoleOwner}, false},
	{"client", onClient("browser"), []domain.Role{domain.RoleOwner}, true},
	{"admin", testkit.Admin(), []domain.Role{domain.RoleAdmin}, false},
	{"auditor", testkit.As("audrey", domain.ScopeAdminRead), []domain.Role{domain.RoleAuditor}, false},
	{"stranger", testkit.As("eve"), nil, false},
	{"another client", onClient("phone"), nil, true},
}

// sessionIn creates a session of alice and brings it into a state through the operations of callers.
func sessionIn(t *testing.T, k *testkit.Kit, state domain.SessionState) *domain.Session {
	t.Helper()
	in := domain.CreateSessionInput{UserID: "alice", ClientID: ptr("browser")}
	if state == domain.SessionPending {
		in.Tasks = []string{"setup-mfa", "reset-password"}
	}
	made, err := k.CreateSession(testkit.Admin(), in)
	if err != nil {
		t.Fatal(err)
	}
	id := made.Record.ID
	switch state {
	case domain.SessionActive, domain.SessionPending:
	case domain.SessionAbandoned:
		k.Clock.Pass(k.Settings.SessionIdleTimeout)
	case domain.SessionExpired:
		k.Clock.Pass(k.Settings.SessionMaxLifetime)
	case domain.SessionEnded:
		_, err = k.EndSession(testkit.As("alice"), named(id))
	case domain.SessionRemoved:
		_, err = k.RemoveSession(testkit.As("alice"), named(id))
	case domain.SessionRevoked:
		_, err = k.TerminateSession(testkit.Admin(), named(id))
	case domain.SessionReplaced:
		in.Replace = ptr(true)
		_, err = k.CreateSession(testkit.Admin(), in)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := seen(t, k, id)
	if r.State != state {
		t.Fatalf("%s is not reached: %+v", state, r)
	}
	return r
}

// askSession calls the operation of a transition.
func askSession(ctx context.Context, k *testkit.Kit, operation, id string) (domain.Outcome[domain.Session], error) {
	switch operation {
	case "endSession":
		return k.EndSession(ctx, named(id))
	case "removeSession":
		return k.RemoveSession(ctx, named(id))
	case "terminateSession":
		return k.TerminateSession(ctx, named(id))
	case "resumeSession":
		return k.ResumeSession(ctx, named(id))
	case "completeSessionTask":
		return k.CompleteSessionTask(ctx, domain.CompleteSessionTaskInput{SessionID: id, Task: "setup-mfa"})
	}
	return domain.Outcome[domain.Session]{}, fmt.Errorf("the test does not know %s", operation)
}

// expectedOfSession returns the code that the table and the scopes of the operation specify; empty for an allowed
// transition.
func expectedOfSession(row lifecycle.MapRow, state domain.SessionState, roles []domain.Role, client bool) string {
	owner := slices.Contains(row.By, string(domain.RoleOwner))
	switch {
	case !owner && client:
		return "unauthorized"
	case !owner && !slices.Contains(roles, domain.RoleAdmin):
		return "accessDenied"
	case len(roles) == 0, client && state == domain.SessionRemoved:
		return "noSuchSession"
	case !slices.ContainsFunc(roles, func(r domain.Role) bool { return slices.Contains(row.By, string(r)) }):
		return "accessDenied"
	case slices.Contains(row.From, string(state)):
		return ""
	case row.Operation == "resumeSession" && state == domain.SessionExpired:
		return "sessionLifetimeExceeded"
	case row.Operation == "resumeSession", row.Operation == "terminateSession":
		return "sessionTerminated"
	}
	return "invalidActionForSession"
}
