package dbtest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

func roundTrip(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	full := s.create(t, invitation(s.now()))
	bare := invitation(s.now())
	bare.FirstName, bare.LastName, bare.Identification, bare.AccountURI, bare.CustomerID, bare.CustomerGroup = nil, nil, nil, nil, nil, nil
	bare.MailKeyHash, bare.AccountID, bare.OrganizationID, bare.Type = nil, "", "org-1", domain.InvitationAuthorizedSigner
	bare.OrganizationURI, bare.OrganizationRole = ptr("/organizations/organizations/org-1"), ptr("")
	s.create(t, bare)
	for _, want := range []*domain.Invitation{full, bare} {
		got, err := s.Invitations().Get(t.Context(), want.ID)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	accepted := next(full)
	accepted.State, accepted.AcceptedBy, accepted.VerificationCount = domain.InvitationAccepted, ptr("dora"), 3
	must(t, s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: accepted, Was: 1}}}))
	got, err := s.Invitations().GetMany(t.Context(), []string{full.ID, "inv_none", full.ID})
	must(t, err)
	if len(got) != 1 || !reflect.DeepEqual(got[0], accepted) {
		t.Errorf("got %+v\nwant %+v", got, accepted)
	}
	if _, err := s.Invitations().Get(t.Context(), "inv_none"); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("an unknown id: %v", err)
	}
}

func wholeUnits(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	i := s.create(t, invitation(s.now()))
	other := invitation(s.now())
	memory := &domain.IdempotencyRecord{Key: []byte("k"), Fingerprint: []byte("f"), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour)}
	err := s.commit(t.Context(), &domain.Unit{
		Changes: []domain.Change{{Record: other}, {Record: next(i), Was: 7}}, Events: []*domain.LifecycleEvent{event(i, "x", s.now())},
		Messages: []*domain.Message{message(i.ID, s.now())}, IdempotencyRecord: memory,
	})
	if !errors.Is(err, domain.ErrStale) {
		t.Fatalf("a unit on an old version: %v", err)
	}
	for table, want := range map[string]int{"invitations": 1, "lifecycle_events": 1, "messages": 0, "idempotency_keys": 0} {
		if n := count(t, s.url, table); n != want {
			t.Errorf("%d rows in %s after a unit that failed, want %d", n, table, want)
		}
	}
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: i}}}); !errors.Is(err, domain.ErrStale) {
		t.Errorf("a new record with an id that is taken: %v", err)
	}
	// The same with concurrent units: a failure must not affect other units.
	var wrong atomic.Int64
	parallel(64, func(n int) {
		unit := &domain.Unit{Changes: []domain.Change{{Record: invitation(s.now())}}}
		if n%2 == 0 {
			unit.Changes = append(unit.Changes, domain.Change{Record: next(i), Was: 7})
		}
		if err := s.commit(context.Background(), unit); (err != nil) != (n%2 == 0) {
			wrong.Add(1)
		}
	})
	if n := count(t, s.url, "invitations"); wrong.Load() > 0 || n != 33 {
		t.Errorf("%d units had the wrong end, %d rows, want 33", wrong.Load(), n)
	}
}

func staleUnits(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	i := s.create(t, invitation(s.now()))
	var won, lost atomic.Int64
	parallel(32, func(int) {
		switch err := s.commit(context.Background(), &domain.Unit{
			Changes: []domain.Change{{Record: next(i), Was: 1}}, Events: []*domain.LifecycleEvent{event(next(i), "x", s.now())},
		}); {
		case err == nil:
			won.Add(1)
		case errors.Is(err, domain.ErrStale):
			lost.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || lost.Load() != 31 {
		t.Errorf("%d won and %d were stale, want 1 and 31", won.Load(), lost.Load())
	}
	if n := count(t, s.url, "lifecycle_events"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func memories(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	m := &domain.IdempotencyRecord{
		Key: []byte("key"), Fingerprint: []byte("print"), Operation: "revokeInvitation", SubjectID: "inv_1", Code: "staleVersion",
		Detail: "Too late.", Path: []string{"input", "x"}, Attributes: map[string]any{"currentVersion": 3.0},
		AvailableAt: s.now(), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour),
	}
	if _, err := s.Recall(t.Context(), m.Key, s.now()); !errors.Is(err, domain.ErrMissing) {
		t.Fatalf("a free key: %v", err)
	}
	must(t, s.commit(t.Context(), &domain.Unit{IdempotencyRecord: m}))
	got, err := s.Recall(t.Context(), m.Key, s.now())
	must(t, err)
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v\nwant %+v", got, m)
	}
	i := invitation(s.now())
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: i}}, IdempotencyRecord: m}); !errors.Is(err, domain.ErrRemembered) {
		t.Errorf("a taken key: %v", err)
	}
	if _, err := s.Invitations().Get(t.Context(), i.ID); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("the rest of the unit: %v", err)
	}
	s.pass(time.Hour)
	if _, err := s.Recall(t.Context(), m.Key, s.now()); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("an expired key: %v", err)
	}
	again := &domain.IdempotencyRecord{Key: m.Key, Fingerprint: []byte("other"), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour)}
	must(t, s.commit(t.Context(), &domain.Unit{IdempotencyRecord: again}))
	got, err = s.Recall(t.Context(), m.Key, s.now())
	must(t, err)
	if !reflect.DeepEqual(got, again) {
		t.Errorf("got %+v\nwant %+v", got, again)
	}
	var won atomic.Int64
	parallel(32, func(int) {
		switch err := s.commit(context.Background(), &domain.Unit{
			Changes:           []domain.Change{{Record: invitation(s.now())}},
			IdempotencyRecord: &domain.IdempotencyRecord{Key: []byte("race"), Fingerprint: []byte("f"), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour)},
		}); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, domain.ErrRemembered):
			t.Error(err)
		}
	})
	if n := count(t, s.url, "invitations"); won.Load() != 1 || n != 1 {
		t.Errorf("%d calls with one key won, %d rows", won.Load(), n)
	}
}

func erasure(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	i, other := s.create(t, invitation(s.now())), s.create(t, invitation(s.now()))
	must(t, s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{message(i.ID, s.now()), message(other.ID, s.now())}}))
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: i, Was: 9, Erase: true}}}); !errors.Is(err, domain.ErrStale) {
		t.Errorf("erasing an old version: %v", err)
	}
	gone := event(i, "deleteInvitation", s.now())
	must(t, s.commit(t.Context(), &domain.Unit{
		Changes: []domain.Change{{Record: next(i), Was: 1, Erase: true}}, Events: []*domain.LifecycleEvent{gone},
	}))
	for table, want := range map[string]int{"invitations": 1, "messages": 1, "lifecycle_events": 3} {
		if n := count(t, s.url, table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
}

func grants(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	must(t, s.ImportBatch(t.Context(), []any{
		&domain.Account{ID: "acc", Owners: []string{"alice"}}, &domain.Organization{ID: "org", Owners: []string{"alice"}},
	}))
	for range 2 {
		must(t, s.commit(t.Context(), &domain.Unit{Grants: []domain.Grant{
			{Kind: domain.TargetAccount, ID: "acc", UserID: "dora"},
			{Kind: domain.TargetOrganization, ID: "org", UserID: "dora"},
			{Kind: domain.TargetAccount, ID: "gone", UserID: "dora"},
		}}))
	}
	account, err := s.Account(t.Context(), "acc")
	must(t, err)
	organization, err := s.Organization(t.Context(), "org")
	must(t, err)
	if !reflect.DeepEqual(account.Owners, []string{"alice", "dora"}) || !reflect.DeepEqual(organization.Signers, []string{"dora"}) {
		t.Errorf("got %+v and %+v", account, organization)
	}
}

func decoy(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	parallel(16, func(int) {
		if err := s.commit(context.Background(), &domain.Unit{Decoy: true}); err != nil {
			t.Error(err)
		}
	})
	for table, want := range map[string]int{"invitations": 0, "lifecycle_events": 0, "messages": 0, "decoys": 64, "decoy_events": 16} {
		if n := count(t, s.url, table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
	s.pass(2 * time.Hour)
	must(t, s.Purge(t.Context(), s.now()))
	if n := count(t, s.url, "decoy_events"); n != 0 {
		t.Errorf("%d traces of decoys after the purge", n)
	}
}

// goneCallers cancel while their units are in progress: each gets success and the row exists, or an error and it does
// not.
func goneCallers(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	if err := s.commit(canceled(), &domain.Unit{Decoy: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that had cancelled before: %v", err)
	}
	var mu sync.Mutex
	told := map[string]bool{}
	parallel(64, func(n int) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*100*time.Microsecond)
		defer cancel()
		i := invitation(s.now())
		err := s.commit(ctx, &domain.Unit{Changes: []domain.Change{{Record: i}}})
		mu.Lock()
		defer mu.Unlock()
		told[i.ID] = err == nil
	})
	for id, written := range told {
		_, err := s.Invitations().Get(t.Context(), id)
		if (err == nil) != written {
			t.Errorf("reported %t, found %v", written, err)
		}
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func feed(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	second := connect(t, s.url)
	const writers, each = 8, 40
	var writing sync.WaitGroup
	for n := range writers {
		from := s
		if n%2 == 1 && second.url[:6] != "sqlite" {
			from = second // another instance
		}
		writing.Go(func() {
			for range each {
				i := invitation(s.now())
				events := []*domain.LifecycleEvent{event(i, "a", s.now()), event(i, "b", s.now())}
				if err := from.commit(context.Background(), &domain.Unit{Changes: []domain.Change{{Record: i}}, Events: events}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	seen := map[string]bool{}
	var at domain.FeedPosition
	read := func() {
		got, err := s.Feed(t.Context(), at, 7)
		must(t, err)
		for _, e := range got {
			if seen[e.ID] || !at.Before(e.Position) {
				t.Fatalf("event %s at %v comes after %v", e.ID, e.Position, at)
			}
			seen[e.ID], at = true, e.Position
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		read()
	}
	// Other tests write to the same server, and their open transactions delay the end of the feed.
	for tooLate := time.After(20 * time.Second); len(seen) < 2*writers*each; read() {
		select {
		case <-tooLate:
			t.Fatalf("a reader with a cursor saw %d events of %d", len(seen), 2*writers*each)
		default:
		}
	}
}

func timeline(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	i, other := s.create(t, invitation(s.now())), s.create(t, invitation(s.now()))
	var ids []string
	for range 5 {
		e := event(i, "x", s.now())
		ids = append(ids, e.ID)
		must(t, s.commit(t.Context(), &domain.Unit{Events: []*domain.LifecycleEvent{e, event(other, "y", s.now())}}))
	}
	q := listing.Query{
		Where: listing.Eq("subjectId", i.ID), Order: []listing.Order{{Field: "seq"}}, First: ptr(3), WithCount: true,
	}
	page, err := s.Events().List(t.Context(), q)
	must(t, err)
	if page.Count != 6 || len(page.Items) != 3 || !page.HasNext || page.Items[1].ID != ids[0] {
		t.Fatalf("the first page: %+v", page)
	}
	q.After = page.Cursors[2]
	page, err = s.Events().List(t.Context(), q)
	must(t, err)
	if len(page.Items) != 3 || page.HasNext || !page.HasPrevious || page.Items[2].ID != ids[4] {
		t.Fatalf("the second page: %+v", page)
	}
	q.NoEnds = true
	same, err := s.Events().List(t.Context(), q)
	must(t, err)
	if same.HasPrevious || !reflect.DeepEqual(same.Items, page.Items) || !reflect.DeepEqual(same.Cursors, page.Cursors) {
		t.Errorf("without checking the ends: %+v", same)
	}
	e, err := s.Events().Get(t.Context(), ids[0])
	must(t, err)
	if want := event(i, "x", s.now()); e.OccurredAt != want.OccurredAt || !reflect.DeepEqual(e.Concerns, want.Concerns) || e.SubjectKind != want.SubjectKind {
		t.Errorf("got %+v", e)
	}
}

func due(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	var want []string
	for n := range 6 {
		i := invitation(s.now())
		i.ExpiresAt = s.now().Add(time.Duration(6-n) * time.Minute)
		if n == 5 {
			i.State = domain.InvitationAccepted
		}
		s.create(t, i)
		if n >= 2 && n < 5 {
			want = append([]string{i.ID}, want...)
		}
	}
	got, err := s.Invitations().Due(t.Context(), s.now().Add(4*time.Minute), 10)
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("due: %v, want %v", got, want)
	}
	got, err = s.Invitations().Due(t.Context(), s.now().Add(4*time.Minute), 2)
	must(t, err)
	if !reflect.DeepEqual(got, want[:2]) {
		t.Errorf("the first two: %v, want %v", got, want[:2])
	}
}
