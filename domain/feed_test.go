package domain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/live"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// publish commits events that concern a user, a hundred in one unit, and returns their names.
func publish(t *testing.T, k *testkit.Kit, user string, n int) (names []string) {
	t.Helper()
	for len(names) < n {
		u := &domain.Unit{}
		for range min(100, n-len(names)) {
			name := fmt.Sprint("event", len(names))
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

func startHub(t *testing.T, k *testkit.Kit) *domain.Live {
	t.Helper()
	k.Live = domain.NewLive(k.Service)
	t.Cleanup(k.Live.Stop)
	return k.Live
}

func follow(t *testing.T, k *testkit.Kit, ctx context.Context, after *string, where listing.Predicate) *domain.Subscription {
	t.Helper()
	f, err := k.Follow(ctx, domain.FollowInput{Operation: "lifecycleEvents", After: after, Where: where})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func receive(t *testing.T, f *domain.Subscription, n int) (names []string, cursor string) {
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

// However far a subscription is behind (its queue, the events in memory, or the time before it), it receives each event
// once and in order, and does not delay others.
func TestSlowSubscriptionMissesNothing(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			startHub(t, k)
			alice, bob := testkit.As("alice"), testkit.As("bob")
			slow, quick, other := follow(t, k, alice, nil, nil), follow(t, k, testkit.Admin(), nil, nil), follow(t, k, bob, nil, nil)
			for _, n := range []int{1, 65, 300, 3000} {
				want := publish(t, k, "alice", n)
				if got, _ := receive(t, quick, n); !slices.Equal(got, want) { // while the slow one is not read
					t.Errorf("%d events: the quick subscription received %d, or in another order", n, len(got))
				}
				if got, _ := receive(t, slow, n); !slices.Equal(got, want) {
					t.Errorf("%d events: the slow subscription received %d, or in another order", n, len(got))
				}
			}
			// The slow one is closed in the middle, and others continue from there.
			want := publish(t, k, "alice", 2500)
			_, cursor := receive(t, slow, 1000)
			slow.Close()
			if _, err := slow.Next(alice); !errors.Is(err, live.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
			only := listing.OneOf("name", "event1000", "event1001", "event2499")
			if got, _ := receive(t, follow(t, k, alice, &cursor, only), 3); !slices.Equal(got, []string{"event1000", "event1001", "event2499"}) {
				t.Errorf("selected from the middle on: %v", got)
			}
			if got, _ := receive(t, follow(t, k, alice, &cursor, nil), 1500); !slices.Equal(got, want[1000:]) {
				t.Errorf("from the middle on: %d events, or in another order", len(got))
			}
			beginning := "0.0"
			if got, _ := receive(t, follow(t, k, testkit.As("alice"), &beginning, listing.Eq("name", "event0")), 5); len(got) != 5 {
				t.Errorf("from the beginning: %v", got)
			}
			publish(t, k, "bob", 1)
			if got, _ := receive(t, other, 1); len(got) != 1 {
				t.Error("bob did not receive his own event")
			}
		})
	}
}

// One user cannot use the memory of all. Other users, administrators and closed subscriptions do not count.
func TestSubscriptionsOfUserAreLimited(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	l := startHub(t, k)
	try := func(ctx context.Context) error {
		_, err := k.Follow(ctx, domain.FollowInput{Operation: "lifecycleEvents"})
		return err
	}
	alice := testkit.As("alice")
	first := follow(t, k, alice, nil, nil)
	for range domain.MaxSubscriptions - 1 {
		if err := try(alice); err != nil {
			t.Fatal(err)
		}
	}
	if err := try(alice); !problem.Has(err, problem.TooManyRequests) || l.Subscriptions() != domain.MaxSubscriptions {
		t.Errorf("one more: %v, %d subscriptions", err, l.Subscriptions())
	}
	if err := try(testkit.As("bob")); err != nil {
		t.Errorf("another user: %v", err)
	}
	for range domain.MaxSubscriptions + 1 {
		if err := try(testkit.As("root", domain.ScopeAdminRead)); err != nil {
			t.Fatalf("an administrator: %v", err)
		}
	}
	first.Close()
	if err := try(alice); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

// A subscription ends when its token expires, and with the session of the token.
func TestSubscriptionEndsWithToken(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	startHub(t, k)
	session := k.Login(t, "alice", "")
	actor := domain.ActorFrom(testkit.As("alice"))
	actor.SessionID = session.ID
	f := follow(t, k, domain.WithActor(t.Context(), actor), nil, nil)
	if _, err := k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: session.ID}); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := f.Next(t.Context())
		if err == nil {
			continue // an event from before the end
		}
		if !problem.Has(err, problem.SessionExpired) {
			t.Error(err)
		}
		break
	}
	if _, err := k.Follow(domain.WithActor(t.Context(), actor), domain.FollowInput{Operation: "sessionEvents"}); !problem.Has(err, problem.SessionExpired) {
		t.Errorf("the token of a session that has ended subscribes: %v", err)
	}

	actor = domain.ActorFrom(testkit.As("alice"))
	actor.ExpiresAt = k.Clock.Now().Add(time.Hour)
	f = follow(t, k, domain.WithActor(t.Context(), actor), nil, nil)
	publish(t, k, "alice", 1)
	receive(t, f, 1)
	k.Clock.Pass(time.Hour)
	if _, err := f.Next(t.Context()); !problem.Has(err, problem.SessionExpired) {
		t.Errorf("after the expiry: %v", err)
	}
}
