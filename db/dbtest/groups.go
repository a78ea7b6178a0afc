package dbtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// mergedReads: many concurrent callers read rows, existing and missing, and some cancel before they get a result.
func mergedReads(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	var ids []string
	for range 16 {
		ids = append(ids, s.create(t, invitation(s.now())).ID)
	}
	for range 5 {
		parallel(96, func(n int) {
			id, there := ids[n%16], true
			switch n % 6 {
			case 1:
				id, there = fmt.Sprintf("inv_none%d", n), false
			case 2:
				id, there = "inv_\x00", false // no database can store it
			}
			ctx := context.Background()
			if n%6 == 3 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Duration(n)*10*time.Microsecond)
				defer cancel()
			}
			got, err := s.Invitations().Get(ctx, id)
			switch {
			case ctx.Err() != nil && errors.Is(err, ctx.Err()): // the caller had cancelled
			case there && (err != nil || got.ID != id), !there && !errors.Is(err, domain.ErrMissing):
				t.Errorf("%q: %+v, %v", id, got, err)
			}
		})
	}
	if _, err := s.Invitations().Get(canceled(), ids[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that had cancelled before: %v", err)
	}
	// A read after a commit returns the committed row, even in a merged lookup.
	parallel(32, func(int) {
		i := s.create(t, invitation(s.now()))
		for range 5 {
			was := i
			i = next(i)
			if err := s.commit(context.Background(), &domain.Unit{Changes: []domain.Change{{Record: i, Was: was.Version}}}); err != nil {
				t.Error(err)
				return
			}
			if got, err := s.Invitations().Get(context.Background(), i.ID); err != nil || got.Version != i.Version {
				t.Errorf("version %d was written, and read is %+v, %v", i.Version, got, err)
			}
		}
	})
}

// staleInCompany: among concurrent units only the stale ones are refused, and units whose statement fails do not affect
// others.
func staleInCompany(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	const n = 48
	var all []*domain.Invitation
	for range n {
		all = append(all, s.create(t, invitation(s.now())))
	}
	for range 4 {
		parallel(n, func(i int) {
			to := next(all[i])
			unit := &domain.Unit{
				Changes: []domain.Change{{Record: to, Was: all[i].Version}}, Events: []*domain.LifecycleEvent{event(to, "x", s.now())},
			}
			bad := i%8 == 3
			wrong := i%8 == 5
			switch {
			case bad:
				unit.Changes[0].Was = 99
			case wrong:
				to.State = "flying" // refused by the database
			}
			err := s.commit(context.Background(), unit)
			if bad != errors.Is(err, domain.ErrStale) || (bad || wrong) != (err != nil) {
				t.Errorf("stale %t, refused %t: %v", bad, wrong, err)
			}
			if err == nil {
				all[i] = to
			}
		})
	}
	for i := range all {
		if got, err := s.Invitations().Get(t.Context(), all[i].ID); err != nil || got.Version != all[i].Version || got.State != domain.InvitationSent {
			t.Errorf("written is version %d, and there is %+v, %v", all[i].Version, got, err)
		}
	}
	if got := count(t, s.url, "lifecycle_events"); got != n+4*n*6/8 {
		t.Errorf("%d events, want %d", got, n+4*n*6/8)
	}
}

// crossing: units that lock the same rows in different orders all end, without deadlocks.
func crossing(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	second := s
	if s.url[:6] != "sqlite" {
		second = connect(t, s.url) // another instance
	}
	var ids []string
	for n := range 6 {
		r := session(s.now())
		r.ClientID = ptr(name("client", n))
		ids = append(ids, s.login(t, r).ID)
	}
	parallel(24, func(n int) {
		from := s
		if n%2 == 1 {
			from = second
		}
		for i := range 20 {
			at := (n*7 + i*5) % 6
			if n%3 == 0 { // a transition among the touches
				r, err := from.Sessions().Get(context.Background(), ids[at])
				if err != nil {
					t.Error(err)
					return
				}
				to := after(r, domain.SessionActive, r.UpdatedAt)
				err = from.commit(context.Background(), &domain.Unit{
					Changes: []domain.Change{{Record: to, Was: r.Version}}, Events: []*domain.LifecycleEvent{event(to, "resumeSession", s.now())},
					Seen: []domain.Sighting{{ClientID: *r.ClientID, SessionID: r.ID, At: s.now()}},
				})
				if err != nil && !errors.Is(err, domain.ErrStale) {
					t.Errorf("a transition: %v", err)
				}
				continue
			}
			if _, err := from.note(ids[at], domain.Touch{At: s.now(), Idle: idle, Foremost: true}); err != nil {
				t.Errorf("a touch: %v", err)
			}
		}
	})
}

// orderInCompany: the events of a record are in the order of its versions, regardless of concurrent writes.
func orderInCompany(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	const subjects, each = 16, 12
	parallel(subjects, func(int) {
		i := s.create(t, invitation(s.now()))
		for range each {
			was := i
			i = next(i)
			if err := s.commit(context.Background(), &domain.Unit{
				Changes: []domain.Change{{Record: i, Was: was.Version}},
				Events:  []*domain.LifecycleEvent{event(i, "a", s.now()), event(i, "b", s.now())},
			}); err != nil {
				t.Error(err)
			}
		}
	})
	seen, last := map[string]int{}, map[string]string{}
	total := 0
	var at domain.FeedPosition
	for tooLate := time.After(20 * time.Second); total < subjects*(1+2*each); {
		got, err := s.Feed(t.Context(), at, 50)
		must(t, err)
		for _, e := range got {
			if e.Version < seen[e.SubjectID] || e.Version == seen[e.SubjectID] && last[e.SubjectID] != "a" {
				t.Fatalf("%s: version %d %s comes after %d %s", e.SubjectID, e.Version, e.Name, seen[e.SubjectID], last[e.SubjectID])
			}
			seen[e.SubjectID], last[e.SubjectID], at = e.Version, e.Name, e.Position
			total++
		}
		select {
		case <-tooLate:
			t.Fatalf("%d events of %d", total, subjects*(1+2*each))
		default:
		}
	}
}

// memoryInCompany: of concurrent repetitions one is written, among unrelated units.
func memoryInCompany(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	var mu sync.Mutex
	won := map[int]int{}
	parallel(96, func(n int) {
		unit := &domain.Unit{Changes: []domain.Change{{Record: invitation(s.now())}}}
		key := n % 8
		if key < 4 {
			unit.IdempotencyRecord = &domain.IdempotencyRecord{Key: []byte{byte(key)}, Fingerprint: []byte("f"), CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour)}
		}
		err := s.commit(context.Background(), unit)
		if err != nil && (key >= 4 || !errors.Is(err, domain.ErrRemembered)) {
			t.Errorf("key %d: %v", key, err)
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			won[key]++
		}
	})
	for key := range 8 {
		if want := map[bool]int{true: 1, false: 12}[key < 4]; won[key] != want {
			t.Errorf("key %d: %d were written, want %d", key, won[key], want)
		}
	}
	if n := count(t, s.url, "invitations"); n != 4+4*12 {
		t.Errorf("%d rows", n)
	}
}
