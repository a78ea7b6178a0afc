package domain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// happen writes events that concern a user, a hundred in one unit, and gives their names.
func happen(t *testing.T, k *testkit.Kit, user string, n int) (names []string) {
	t.Helper()
	for len(names) < n {
		u := &domain.Unit{}
		for range min(100, n-len(names)) {
			name := fmt.Sprint("happening", len(names))
			u.Events = append(u.Events, &domain.LifecycleEvent{
				ID: domain.NewID("evt", k.Clock.Now()), Name: name, SubjectKind: domain.KindContact, SubjectID: "contact-1", OccurredAt: k.Clock.Now(),
				Concerns: []string{user},
			})
			names = append(names, name)
		}
		if err := testkit.Commit(t.Context(), k.DB, u); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func live(t *testing.T, k *testkit.Kit) *domain.Live {
	t.Helper()
	k.Live = domain.NewLive(k.Service)
	t.Cleanup(k.Live.Stop)
	return k.Live
}

func followed(t *testing.T, k *testkit.Kit, ctx context.Context, after *string, where listing.Predicate) *domain.Following {
	t.Helper()
	f, err := k.Follow(ctx, domain.FollowInput{Operation: "lifecycleEvents", After: after, Where: where})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func heard(t *testing.T, f *domain.Following, n int) (names []string, cursor string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range n {
		e, err := f.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(names), n, err)
		}
		names, cursor = append(names, e.Name), e.Position.Cursor()
	}
	return names, cursor
}

// TestASlowFollowerLosesNothing: however far behind somebody is, behind the queue, the window, or from before, each
// event comes once and in order, and nobody else waits.
func TestASlowFollowerLosesNothing(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			live(t, k)
			alice, bob := testkit.As("alice"), testkit.As("bob")
			slow, quick, other := followed(t, k, alice, nil, nil), followed(t, k, testkit.Admin(), nil, nil), followed(t, k, bob, nil, nil)
			for _, n := range []int{1, 65, 300, 3000} {
				want := happen(t, k, "alice", n)
				if got, _ := heard(t, quick, n); !slices.Equal(got, want) { // while nobody reads the slow one
					t.Errorf("%d events: the quick one hears %d of them, or in another order", n, len(got))
				}
				if got, _ := heard(t, slow, n); !slices.Equal(got, want) {
					t.Errorf("%d events: the slow one hears %d of them, or in another order", n, len(got))
				}
			}
			// The slow one stops in the middle, and goes on from there.
			want := happen(t, k, "alice", 2500)
			_, cursor := heard(t, slow, 1000)
			slow.Close()
			if _, err := slow.Next(alice); !errors.Is(err, domain.ErrUnfollowed) {
				t.Errorf("after Close: %v", err)
			}
			only := listing.OneOf("name", "happening1000", "happening1001", "happening2499")
			if got, _ := heard(t, followed(t, k, alice, &cursor, only), 3); !slices.Equal(got, []string{"happening1000", "happening1001", "happening2499"}) {
				t.Errorf("selected from the middle on: %v", got)
			}
			if got, _ := heard(t, followed(t, k, alice, &cursor, nil), 1500); !slices.Equal(got, want[1000:]) {
				t.Errorf("from the middle on: %d events, or in another order", len(got))
			}
			beginning := "0.0"
			if got, _ := heard(t, followed(t, k, testkit.As("alice"), &beginning, listing.Eq("name", "happening0")), 5); len(got) != 5 {
				t.Errorf("from the beginning: %v", got)
			}
			happen(t, k, "bob", 1)
			if got, _ := heard(t, other, 1); len(got) != 1 {
				t.Error("bob hears nothing of his own")
			}
		})
	}
}

// TestAUserFollowsSoOftenAtOnce: one user cannot take the memory of all; others and administrators go on, and what is
// closed is free again.
func TestAUserFollowsSoOftenAtOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	l := live(t, k)
	follow := func(ctx context.Context) error {
		_, err := k.Follow(ctx, domain.FollowInput{Operation: "lifecycleEvents"})
		return err
	}
	alice := testkit.As("alice")
	first := followed(t, k, alice, nil, nil)
	for range domain.LiveEach - 1 {
		if err := follow(alice); err != nil {
			t.Fatal(err)
		}
	}
	if err := follow(alice); !problem.Has(err, problem.TooManyRequests) || l.Followers() != domain.LiveEach {
		t.Errorf("one more: %v, %d follow", err, l.Followers())
	}
	if err := follow(testkit.As("bob")); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	for range domain.LiveEach + 1 {
		if err := follow(testkit.As("root", domain.ScopeAdminRead)); err != nil {
			t.Fatalf("an administrator: %v", err)
		}
	}
	first.Close()
	if err := follow(alice); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

// TestFollowersComeAndGo: with the last one the reader ends, and with the next it begins where the feed is then.
func TestFollowersComeAndGo(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	l := live(t, k)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 20 {
				f, err := k.Follow(testkit.As(fmt.Sprint("user", n)), domain.FollowInput{Operation: "lifecycleEvents"})
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
				f.Close()
			}
		})
	}
	wg.Wait()
	if n := l.Followers(); n != 0 {
		t.Errorf("%d follow", n)
	}
	happen(t, k, "alice", 3)
	f := followed(t, k, testkit.As("alice"), nil, nil)
	want := happen(t, k, "alice", 2)
	if got, _ := heard(t, f, 2); !slices.Equal(got, want) {
		t.Errorf("what was before comes too: %v", got)
	}
	if l.Followers() != 1 {
		t.Errorf("%d follow", l.Followers())
	}
	l.Stop()
	if _, err := f.Next(t.Context()); !errors.Is(err, domain.ErrStopping) {
		t.Errorf("a stop is told as %v", err)
	}
	if _, err := k.Follow(testkit.As("alice"), domain.FollowInput{Operation: "lifecycleEvents"}); !problem.Has(err, problem.ServiceUnavailable) {
		t.Errorf("after the stop: %v", err)
	}
}

// TestFollowingEndsWithItsToken: at the end of its time, and with its session, by the feed or by a look.
func TestFollowingEndsWithItsToken(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	live(t, k)
	session := k.Login(t, "alice", "")
	actor := domain.ActorFrom(testkit.As("alice"))
	actor.SessionID = session.ID
	f := followed(t, k, domain.WithActor(t.Context(), actor), nil, nil)
	if _, err := k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: session.ID}); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := f.Next(t.Context())
		if err == nil {
			continue // what came before the end was known
		}
		if !problem.Has(err, problem.SessionExpired) {
			t.Error(err)
		}
		break
	}
	if _, err := k.Follow(domain.WithActor(t.Context(), actor), domain.FollowInput{Operation: "sessionEvents"}); !problem.Has(err, problem.SessionExpired) {
		t.Errorf("a session that is over follows: %v", err)
	}

	actor = domain.ActorFrom(testkit.As("alice"))
	actor.ExpiresAt = k.Clock.Now().Add(time.Hour)
	f = followed(t, k, domain.WithActor(t.Context(), actor), nil, nil)
	happen(t, k, "alice", 1)
	heard(t, f, 1)
	k.Clock.Pass(time.Hour)
	if _, err := f.Next(t.Context()); !problem.Has(err, problem.SessionExpired) {
		t.Errorf("an expired token follows: %v", err)
	}
}
