package dbtest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
)

func claims(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	const total = 100
	var all []*domain.Message
	for range total {
		all = append(all, message("inv_1", s.now()))
	}
	must(t, s.commit(t.Context(), &domain.Unit{Messages: all}))
	select {
	case <-s.Woken():
	default:
		t.Error("no signal was sent")
	}
	var mu sync.Mutex
	taken := map[string]int{}
	parallel(8, func(int) {
		for {
			got, err := s.Claim(context.Background(), s.now(), time.Minute, 7)
			if err != nil {
				t.Error(err)
				return
			}
			if len(got) == 0 {
				return
			}
			for _, m := range got {
				mu.Lock()
				taken[m.ID]++
				mu.Unlock()
				if m.To != "dora@example.net" || m.Values["link"] == "" || m.State != domain.MessageSending || m.Attempts != 1 {
					t.Errorf("got %+v", m)
				}
				if err := s.Sent(context.Background(), m, s.now()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for id, n := range taken {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	tally, err := s.Tally(t.Context())
	must(t, err)
	if len(taken) != total || tally[domain.MessageSent] != total || tally[domain.MessagePending] != 0 {
		t.Errorf("%d were claimed; %v", len(taken), tally)
	}
	var kept int
	must(t, raw(t, s.url).QueryRowContext(t.Context(), "SELECT count(*) FROM messages WHERE payload IS NOT NULL").Scan(&kept))
	if kept != 0 {
		t.Errorf("%d sent messages keep their content", kept)
	}
}

func leases(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	must(t, s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{message("inv_1", s.now())}}))
	claim := func(want int) *domain.Message {
		t.Helper()
		got, err := s.Claim(t.Context(), s.now(), time.Minute, 5)
		must(t, err)
		if len(got) != want {
			t.Fatalf("%d were claimed, want %d", len(got), want)
		}
		if want == 0 {
			return nil
		}
		return got[0]
	}
	first := claim(1)
	claim(0)
	s.pass(time.Minute)
	second := claim(1)
	if second.Attempts != 2 {
		t.Errorf("attempt %d, want 2", second.Attempts)
	}
	must(t, s.Bury(t.Context(), first, s.now(), "too late")) // the lease has ended
	if tally, _ := s.Tally(t.Context()); tally[domain.MessageSending] != 1 {
		t.Errorf("%v after the end of an expired attempt", tally)
	}
	must(t, s.ReleaseLeases(t.Context()))
	if s.url[:6] == "sqlite" {
		if m := claim(1); m.Attempts != 3 {
			t.Errorf("attempt %d, want 3", m.Attempts)
		}
	} else {
		claim(0) // another instance may be sending it
	}
}

func outbox(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	m := message("inv_1", s.now())
	must(t, s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{m}}))
	claim := func() *domain.Message {
		t.Helper()
		got, err := s.Claim(t.Context(), s.now(), time.Minute, 5)
		must(t, err)
		if len(got) != 1 {
			t.Fatalf("%d were claimed", len(got))
		}
		return got[0]
	}
	must(t, s.Retry(t.Context(), claim(), s.now().Add(time.Hour), "busy"))
	if got, err := s.Claim(t.Context(), s.now(), time.Minute, 5); err != nil || len(got) != 0 {
		t.Fatalf("claimed too early: %v, %v", got, err)
	}
	s.pass(time.Hour)
	must(t, s.Bury(t.Context(), claim(), s.now(), "no such mailbox"))
	dead, err := s.Messages(t.Context(), domain.MessageDead, 5)
	must(t, err)
	if len(dead) != 1 || dead[0].Failure != "no such mailbox" || dead[0].To != "" || dead[0].Values != nil || dead[0].Attempts != 2 {
		t.Fatalf("the dead: %+v", dead)
	}
	if err := s.Revive(t.Context(), "msg_none", s.now()); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("reviving an unknown message: %v", err)
	}
	must(t, s.Revive(t.Context(), m.ID, s.now()))
	if err := s.Revive(t.Context(), m.ID, s.now()); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("reviving a pending message: %v", err)
	}
	if again := claim(); again.To != m.To || !reflect.DeepEqual(again.Values, m.Values) {
		t.Errorf("got %+v", again)
	}
}

func limits(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	rate := domain.Rate{Limit: 20, Per: time.Minute}
	var ok, refused atomic.Int64
	parallel(64, func(int) {
		for range 4 {
			good, until, err := s.Take(context.Background(), []byte("one"), rate, 10*time.Minute)
			switch {
			case err != nil:
				t.Error(err)
			case good:
				ok.Add(1)
			default:
				refused.Add(1)
				if !until.Equal(s.now().Add(10 * time.Minute)) {
					t.Errorf("blocked until %v", until)
				}
			}
		}
	})
	if ok.Load() != 20 || refused.Load() != 236 {
		t.Errorf("%d were permitted and %d refused, want 20 and 236", ok.Load(), refused.Load())
	}
	if good, _, err := s.Take(t.Context(), []byte("other"), rate, 0); err != nil || !good {
		t.Errorf("another key: %t, %v", good, err)
	}
}

func blocks(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	rate := domain.Rate{Limit: 2, Per: time.Minute}
	take := func(key string, block time.Duration, want bool, wantUntil time.Time) {
		t.Helper()
		ok, until, err := s.Take(t.Context(), []byte(key), rate, block)
		must(t, err)
		if ok != want || !until.Equal(wantUntil) {
			t.Fatalf("%s: %t until %v, want %t until %v", key, ok, until, want, wantUntil)
		}
	}
	began, never := s.now(), time.Time{}
	for _, key := range []string{"long", "short", "none"} {
		take(key, time.Hour, true, never)
		take(key, time.Hour, true, never)
	}
	s.pass(30 * time.Second)
	take("long", time.Hour, false, began.Add(time.Hour+30*time.Second))
	take("short", time.Second, false, began.Add(31*time.Second))
	take("none", 0, false, began.Add(time.Minute))
	s.pass(time.Second) // the short block has ended, as reported; counting restarts
	take("short", time.Second, true, never)
	take("short", time.Second, true, never)
	take("short", time.Second, false, began.Add(32*time.Second))
	s.pass(29 * time.Second) // the window has also ended
	take("long", time.Hour, false, began.Add(time.Hour+30*time.Second))
	take("none", 0, true, never)
	s.pass(time.Hour)
	take("long", time.Hour, true, never)
	take("long", time.Hour, true, never)
	take("long", time.Hour, false, s.now().Add(time.Hour))
	rate.Limit = 0
	take("nothing", 0, false, s.now().Add(time.Minute))
}

func directory(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	empty := func(want bool) {
		t.Helper()
		got, err := s.Empty(t.Context())
		must(t, err)
		if got != want {
			t.Errorf("empty is %t", got)
		}
	}
	empty(true)
	account := &domain.Account{ID: "acc", JointOwnersEnabled: true, MaxOwners: ptr(3), Owners: []string{"alice", "bob", "bob"}}
	organization := &domain.Organization{ID: "org", Owners: []string{"alice"}, Signers: []string{"alice", "carol"}}
	for range 2 {
		must(t, s.ImportBatch(t.Context(), []any{account, organization, &domain.Account{ID: "lone"}}))
	}
	empty(false)
	account.Owners = []string{"alice", "bob"}
	got, err := s.Account(t.Context(), "acc")
	must(t, err)
	if !reflect.DeepEqual(got, account) {
		t.Errorf("got %+v, want %+v", got, account)
	}
	lone, err := s.Account(t.Context(), "lone")
	must(t, err)
	if lone.JointOwnersEnabled || lone.MaxOwners != nil || len(lone.Owners) != 0 {
		t.Errorf("got %+v", lone)
	}
	org, err := s.Organization(t.Context(), "org")
	must(t, err)
	if !reflect.DeepEqual(org, organization) {
		t.Errorf("got %+v, want %+v", org, organization)
	}
	accounts, organizations, err := s.PartOf(t.Context(), "alice")
	must(t, err)
	if !reflect.DeepEqual(accounts, []string{"acc"}) || !reflect.DeepEqual(organizations, []string{"org"}) {
		t.Errorf("alice has a part in %v and %v", accounts, organizations)
	}
	must(t, s.ImportBatch(t.Context(), []any{&domain.Account{ID: "acc", Owners: []string{"bob"}}, &domain.Organization{ID: "org"}}))
	accounts, organizations, err = s.PartOf(t.Context(), "alice")
	must(t, err)
	if len(accounts)+len(organizations) != 0 {
		t.Errorf("alice still has a part in %v and %v", accounts, organizations)
	}
	for _, id := range []string{"none", "a\x00b"} {
		_, err1 := s.Account(t.Context(), id)
		_, err2 := s.Organization(t.Context(), id)
		if !errors.Is(err1, domain.ErrMissing) || !errors.Is(err2, domain.ErrMissing) {
			t.Errorf("%q: %v, %v", id, err1, err2)
		}
	}
	if err := s.ImportBatch(t.Context(), []any{"what"}); err == nil {
		t.Error("a text was imported")
	}
}

func importBeside(t *testing.T, fresh Fresh) {
	server := open(t, fresh(t))
	command := connect(t, server.url)
	var both sync.WaitGroup
	both.Go(func() {
		for n := range 20 {
			var records []any
			for m := range 50 {
				records = append(records, &domain.Account{ID: name("acc", n*50+m), Owners: []string{"alice", "bob"}})
			}
			if err := command.ImportBatch(context.Background(), records); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		both.Go(func() {
			for range 25 {
				if err := server.commit(context.Background(), &domain.Unit{Changes: []domain.Change{{Record: invitation(server.now())}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	accounts, _, err := server.PartOf(t.Context(), "bob")
	must(t, err)
	if n := count(t, server.url, "invitations"); len(accounts) != 1000 || n != 100 {
		t.Errorf("%d accounts and %d invitations, want 1000 and 100", len(accounts), n)
	}
}

func apiKeys(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	must(t, s.CreateAPIKey(t.Context(), "mobile", []byte("hash"), s.now()))
	if err := s.CreateAPIKey(t.Context(), "mobile", []byte("other"), s.now()); !errors.Is(err, db.ErrNameTaken) {
		t.Errorf("a taken name: %v", err)
	}
	if name, found, err := s.APIKey(t.Context(), []byte("hash")); err != nil || !found || name != "mobile" {
		t.Errorf("got %q, %t, %v", name, found, err)
	}
	if _, found, err := s.APIKey(t.Context(), []byte("other")); err != nil || found {
		t.Errorf("another hash: %t, %v", found, err)
	}
	if found, err := s.RevokeAPIKey(t.Context(), "mobile"); err != nil || !found {
		t.Errorf("revoked %t, %v", found, err)
	}
	if found, err := s.RevokeAPIKey(t.Context(), "mobile"); err != nil || found {
		t.Errorf("revoked again %t, %v", found, err)
	}
	if _, found, err := s.APIKey(t.Context(), []byte("hash")); err != nil || found {
		t.Errorf("a revoked key: %t, %v", found, err)
	}
	listed := func(want db.APIKey) {
		t.Helper()
		if keys, err := s.ListAPIKeys(t.Context()); err != nil || !reflect.DeepEqual(keys, []db.APIKey{want}) {
			t.Errorf("got %+v, %v, want %+v", keys, err, want)
		}
	}
	listed(db.APIKey{Name: "mobile", CreatedAt: s.now(), RevokedAt: s.now()})

	// The name of a revoked key is free, and the revoked key stays refused.
	must(t, s.CreateAPIKey(t.Context(), "mobile", []byte("next"), s.now().Add(time.Hour)))
	listed(db.APIKey{Name: "mobile", CreatedAt: s.now().Add(time.Hour)})
	if _, found, err := s.APIKey(t.Context(), []byte("next")); err != nil || !found {
		t.Errorf("the new key of an old name: %t, %v", found, err)
	}
	if _, found, err := s.APIKey(t.Context(), []byte("hash")); err != nil || found {
		t.Errorf("the revoked key: %t, %v", found, err)
	}
}

func purge(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	old, young := message("inv_1", s.now()), message("inv_1", s.now())
	must(t, s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{old, young, message("inv_2", s.now().Add(time.Hour))}}))
	for _, key := range []string{"a", "b"} {
		must(t, s.commit(t.Context(), &domain.Unit{IdempotencyRecord: &domain.IdempotencyRecord{
			Key: []byte(key), Fingerprint: []byte("f"), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour),
		}}))
	}
	_, _, err := s.Take(t.Context(), []byte("k"), domain.Rate{Limit: 1, Per: time.Hour}, 0)
	must(t, err)
	taken, err := s.Claim(t.Context(), s.now(), time.Minute, 5)
	must(t, err)
	if len(taken) != 2 {
		t.Fatalf("%d were claimed", len(taken))
	}
	must(t, s.Sent(t.Context(), taken[0], s.now().Add(-31*24*time.Hour)))
	must(t, s.Sent(t.Context(), taken[1], s.now()))
	rows := func(want map[string]int) {
		t.Helper()
		for table, n := range want {
			if got := count(t, s.url, table); got != n {
				t.Errorf("%d rows in %s, want %d", got, table, n)
			}
		}
	}
	must(t, s.Purge(t.Context(), s.now()))
	rows(map[string]int{"messages": 2, "idempotency_keys": 2, "limits": 1})
	s.pass(time.Hour)
	must(t, s.Purge(t.Context(), s.now()))
	rows(map[string]int{"messages": 2, "idempotency_keys": 0, "limits": 0})
}
