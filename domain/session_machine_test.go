package domain_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

func TestVersionsOfASession(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	r := k.Login(t, "alice", "")
	if _, err := touch(testkit.As("alice"), k, r.ID); err != nil {
		t.Fatal(err)
	}
	guard := func(version int) domain.Guard { return domain.Guard{ExpectedVersion: &version} }
	_, err := k.EndSession(testkit.As("alice"), domain.SessionInput{SessionID: r.ID, Guard: guard(2)})
	if p := wants(t, err, problem.StaleVersion); p.Attributes["currentVersion"] != 1 {
		t.Errorf("got %+v", p.Attributes)
	}
	if _, err := k.EndSession(testkit.As("alice"), domain.SessionInput{SessionID: r.ID, Guard: guard(1)}); err != nil {
		t.Errorf("activity leaves the version: %v", err)
	}
	_, err = k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: r.ID, Guard: guard(1)})
	wants(t, err, problem.StaleVersion)
}

// TestTouchesAgainstTerminate: 64 callers touch a session continuously while another one terminates it.
func TestTouchesAgainstTerminate(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		var touched atomic.Int64
		var terminated atomic.Bool
		parallel(65, func(n int) {
			if n == 64 {
				for touched.Load() < 64 {
					time.Sleep(time.Millisecond)
				}
				if out, err := k.TerminateSession(testkit.Admin(), named(r.ID)); err != nil || out.Record.State != domain.SessionRevoked {
					t.Errorf("%+v %v", out.Record, err)
				}
				terminated.Store(true)
				return
			}
			for {
				over := terminated.Load()
				k.Clock.Pass(time.Microsecond)
				_, err := touch(testkit.As("alice"), k, r.ID)
				if problem.Has(err, problem.SessionNotLive) {
					return
				}
				if err != nil || over || touched.Add(1) > 20_000 {
					t.Errorf("touched after the end %t, %v", over, err)
					return
				}
			}
		})
		if last := seen(t, k, r.ID); last.State != domain.SessionRevoked || last.Version != 2 || story(t, k, r) != "createSession:active terminateSession:revoked" {
			t.Errorf("%+v, %s", last, story(t, k, r))
		}
	})
}

// TestEveryTransitionOfSessions is TestEveryTransition for sessions.
func TestEveryTransitionOfSessions(t *testing.T) {
	t.Parallel()
	machine, _ := domain.Lifecycle(domain.KindSession)
	k := testkit.New(t, testkit.SQLite(t))
	for _, s := range machine.States {
		state := domain.SessionState(s.Name)
		for _, row := range machine.Transitions {
			if row.Clock || row.Within != "" {
				continue
			}
			for _, c := range sessionCallers {
				r := sessionIn(t, k, state)
				want := expectedOfSession(row, state, c.roles, c.client)
				name := fmt.Sprintf("%s in %s by %s", row.Operation, s.Name, c.name)
				if shown, err := k.Session(c.ctx, r.ID); err == nil {
					actions, err := k.Actions(c.ctx, shown, nil)
					if err != nil {
						t.Fatal(err)
					}
					checkAction(t, actions, row.Operation, want, name)
				}
				before := journal(t, k, r)
				out, err := askSession(c.ctx, k, row.Operation, r.ID)
				if want == "sessionTerminated" && row.Operation == "terminateSession" && err == nil {
					// The session has already ended, and nothing changes.
					err = problem.New(problem.SessionTerminated)
				}
				checkOutcome(t, k, theSessions, r, row, out.Record, err, want, before, name)
			}
		}
	}
}

// TestAWalkOfASession makes random calls and clock steps: each transition adds one version and one event, and the events
// form an unbroken chain of states.
func TestAWalkOfASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		machine, _ := domain.Lifecycle(domain.KindSession)
		r := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // test data
		operations := []string{"endSession", "removeSession", "terminateSession", "resumeSession", "resumeSession", "completeSessionTask"}
		for range 12 {
			in := domain.CreateSessionInput{UserID: "alice", ClientID: ptr("browser")}
			if r.IntN(2) == 0 {
				in.Tasks = []string{"setup-mfa"}
			}
			made, err := k.CreateSession(testkit.Admin(), in)
			if err != nil {
				t.Fatal(err)
			}
			id := made.Record.ID
			for range 25 {
				was := seen(t, k, id)
				switch n := r.IntN(10); {
				case n < 4:
					k.Clock.Pass(time.Duration(r.IntN(20)) * time.Minute)
				case n < 7:
					out, err := touch(testkit.As("alice"), k, id)
					if live := was.State.Live(); (err == nil) != live || live && (out.Record.Version != was.Version || out.Record.AbandonAt.Before(was.AbandonAt)) {
						t.Errorf("a touch in %s: %+v %v", was.State, out.Record, err)
					}
				case n < 8:
					if _, err := k.Sweep(context.Background()); err != nil {
						t.Error(err)
					}
				default:
					operation := operations[r.IntN(len(operations))]
					at := slices.IndexFunc(machine.Transitions, func(row lifecycle.MapRow) bool { return row.Operation == operation })
					want := 0
					if slices.Contains(machine.Transitions[at].From, string(was.State)) {
						want = 1
					}
					_, err := askSession(testkit.Admin(), k, operation, id)
					if now := seen(t, k, id); now.Version != was.Version+want {
						t.Errorf("%s in %s: version %d after %d, %v", operation, was.State, now.Version, was.Version, err)
					}
				}
			}
			if _, err := k.Sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
			last := seen(t, k, id)
			state := ""
			lines := journal(t, k, last)
			for i, e := range lines {
				if e.From != state || e.Version != i+1 {
					t.Errorf("line %d of the journal is %+v, after %s", i, e, state)
				}
				state = e.To
			}
			if state != string(last.State) || len(lines) != last.Version {
				t.Errorf("%d lines end in %s, and the session is %+v", len(lines), state, last)
			}
		}
	})
}
