package dbtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

const idle, lifetime = 15 * time.Minute, 12 * time.Hour

// session returns a live session with all fields set.
func session(now time.Time) *domain.Session {
	now = now.Truncate(time.Microsecond)
	return &domain.Session{
		Meta:  domain.Meta{ID: domain.NewID("sess", now), Version: 1, CreatedAt: now, UpdatedAt: now},
		State: domain.SessionPending, UserID: "alice", ClientID: ptr("browser"), HandleHash: []byte(domain.NewID("hash", now)),
		Tasks: []string{"setup-mfa"}, LastActiveAt: now, AbandonAt: now.Add(idle), ExpireAt: now.Add(lifetime),
		IPAddress: ptr("192.0.2.1"), UserAgent: ptr("Browser/1.0 \u0000 ü"),
	}
}

// login writes a session with its client and its event.
func (s *store) login(t testing.TB, r *domain.Session) *domain.Session {
	t.Helper()
	unit := &domain.Unit{Changes: []domain.Change{{Record: r}}, Events: []*domain.LifecycleEvent{event(r, "createSession", s.now())}}
	if r.ClientID != nil {
		unit.Seen = []domain.Sighting{{ClientID: *r.ClientID, SessionID: r.ID, At: s.now()}}
	}
	must(t, s.commit(context.WithoutCancel(t.Context()), unit))
	return r
}

// after returns the session after another transition.
func after(r *domain.Session, to domain.SessionState, at time.Time) *domain.Session {
	n := *r
	n.Version++
	n.State, n.UpdatedAt = to, at
	return &n
}

func (s *store) touch(id string, foremost bool) (*domain.Session, error) {
	return s.note(id, domain.Touch{At: s.now(), Idle: idle, Foremost: foremost})
}

// note touches a session, regardless of its user.
func (s *store) note(id string, t domain.Touch) (*domain.Session, error) {
	t.SessionID, t.Guard = id, domain.TouchGuard{Any: true}
	return s.TouchSession(context.Background(), t)
}

func (s *store) session(t testing.TB, id string) *domain.Session {
	t.Helper()
	r, err := s.Sessions().Get(t.Context(), id)
	must(t, err)
	return r
}

func sessionRoundTrip(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	full := s.login(t, session(s.now()))
	bare := session(s.now())
	bare.ClientID, bare.HandleHash, bare.Tasks, bare.IPAddress, bare.UserAgent, bare.State = nil, nil, nil, nil, nil, domain.SessionActive
	s.login(t, bare)
	for _, want := range []*domain.Session{full, bare} {
		if got := s.session(t, want.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	ended := after(full, domain.SessionEnded, s.now())
	ended.EndedAt, ended.EndReason, ended.EndedBy, ended.Tasks = ptr(s.now()), ptr("lost phone"), ptr("alice"), nil
	must(t, s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: ended, Was: 1}}}))
	got, err := s.Sessions().GetMany(t.Context(), []string{full.ID, "sess_none"})
	must(t, err)
	if len(got) != 1 || !reflect.DeepEqual(got[0], ended) {
		t.Errorf("got %+v\nwant %+v", got, ended)
	}
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: ended, Was: 1}}}); !errors.Is(err, domain.ErrStale) {
		t.Errorf("an old version: %v", err)
	}
	stray := session(s.now())
	stray.ClientID = ptr("nobody-has-seen")
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: stray}}}); err == nil {
		t.Error("a session with an unknown client was written")
	}
}

func touches(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	began := s.now()
	r := s.login(t, session(began))
	s.pass(5 * time.Minute)
	got, err := s.touch(r.ID, false)
	must(t, err)
	want := *r
	want.LastActiveAt, want.AbandonAt = s.now(), s.now().Add(idle)
	if !reflect.DeepEqual(got, &want) || !reflect.DeepEqual(s.session(t, r.ID), &want) {
		t.Errorf("got %+v\nwant %+v", got, &want)
	}
	// A late touch, or one from an instance whose clock is behind, moves no time backward.
	late, err := s.note(r.ID, domain.Touch{At: began.Add(time.Minute), Idle: idle})
	must(t, err)
	if !reflect.DeepEqual(late, &want) {
		t.Errorf("got %+v\nwant %+v", late, &want)
	}
	for _, c := range []struct {
		given *string
		want  *string
	}{{ptr("org-1"), ptr("org-1")}, {nil, ptr("org-1")}, {ptr("org-2"), ptr("org-2")}, {ptr(""), nil}} {
		got, err := s.note(r.ID, domain.Touch{At: s.now(), Idle: idle, Foremost: true, Organization: c.given})
		must(t, err)
		if !reflect.DeepEqual(got.OrganizationID, c.want) {
			t.Errorf("the organization is %v, want %v", got.OrganizationID, c.want)
		}
		if kept := s.session(t, r.ID); !reflect.DeepEqual(got, kept) {
			t.Errorf("returned %+v\nstored %+v", got, kept)
		}
	}
	// The idle timeout never exceeds the maximum lifetime, at which the session ends.
	for range 60 {
		s.pass(12 * time.Minute)
		got, err = s.touch(r.ID, true)
		if err != nil {
			break
		}
		if kept := s.session(t, r.ID); !reflect.DeepEqual(got, kept) {
			t.Errorf("returned %+v\nstored %+v", got, kept)
		}
	}
	if !errors.Is(err, domain.ErrStale) || got != nil {
		t.Errorf("a touch after the maximum lifetime: %+v, %v", got, err)
	}
	if last := s.session(t, r.ID); last.AbandonAt != r.ExpireAt || !last.LastActiveAt.After(r.ExpireAt.Add(-12*time.Minute-1)) {
		t.Errorf("got %+v", last)
	}
	must(t, s.commit(t.Context(), &domain.Unit{})) // an empty unit
	for _, id := range []string{"sess_none", "", "a\x00b", "\xff"} {
		if _, err := s.touch(id, true); !errors.Is(err, domain.ErrStale) {
			t.Errorf("%q: %v", id, err)
		}
	}
	// The guard permits the user, the client, and callers that may touch any session, and no others.
	mine := s.login(t, session(s.now()))
	for _, c := range []struct {
		claim string
		guard domain.TouchGuard
		want  error
	}{
		{"any", domain.TouchGuard{Any: true}, nil},
		{"the user", domain.TouchGuard{UserID: mine.UserID}, nil},
		{"the client", domain.TouchGuard{ClientID: *mine.ClientID}, nil},
		{"one of both", domain.TouchGuard{UserID: "another", ClientID: *mine.ClientID}, nil},
		{"another user", domain.TouchGuard{UserID: "another"}, domain.ErrStale},
		{"another client", domain.TouchGuard{ClientID: "another"}, domain.ErrStale},
		{"no one", domain.TouchGuard{}, domain.ErrStale},
	} {
		for _, foremost := range []bool{false, true} {
			before := s.session(t, mine.ID)
			s.pass(time.Second)
			_, err := s.TouchSession(t.Context(), domain.Touch{SessionID: mine.ID, Guard: c.guard, At: s.now(), Idle: idle, Foremost: foremost})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.claim, err, c.want)
			}
			if got := s.session(t, mine.ID); c.want != nil && !reflect.DeepEqual(got, before) {
				t.Errorf("%s: a touch that the guard refused moved %+v to %+v", c.claim, before, got)
			}
		}
	}
	// The active session is set on the client of the session, not on the client of the caller.
	elsewhere := session(s.now())
	elsewhere.ClientID = ptr("another browser")
	s.login(t, elsewhere)
	s.pass(time.Second)
	_, err = s.TouchSession(t.Context(), domain.Touch{
		SessionID: mine.ID, Guard: domain.TouchGuard{UserID: mine.UserID, ClientID: "another browser"}, At: s.now(), Idle: idle, Foremost: true,
	})
	must(t, err)
	for id, want := range map[string]string{*mine.ClientID: mine.ID, "another browser": elsewhere.ID} {
		client, err := s.Client(t.Context(), id)
		must(t, err)
		if client.LastActiveSessionID == nil || *client.LastActiveSessionID != want {
			t.Errorf("the client %q is %+v, want the session %s", id, client, want)
		}
	}
	idler := s.login(t, session(s.now()))
	s.pass(idle)
	if _, err := s.touch(idler.ID, true); !errors.Is(err, domain.ErrStale) {
		t.Errorf("a touch after the idle timeout: %v", err)
	}
}

// deadTouches: only live sessions can be touched, and a failed touch does not change the client.
func deadTouches(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	machine, _ := domain.Lifecycle(domain.KindSession)
	for _, state := range machine.States {
		r := session(s.now())
		r.State = domain.SessionState(state.Name)
		s.login(t, r)
		other := s.login(t, session(s.now()))
		for _, foremost := range []bool{false, true} {
			_, err := s.touch(r.ID, foremost)
			if live := r.State.Live(); (err == nil) != live || err != nil && !errors.Is(err, domain.ErrStale) {
				t.Errorf("%s: %v", state.Name, err)
			}
			client, err := s.Client(t.Context(), "browser")
			must(t, err)
			want := other.ID
			if foremost && r.State.Live() {
				want = r.ID
			}
			if *client.LastActiveSessionID != want {
				t.Errorf("%s: the client has %s, want %s", state.Name, *client.LastActiveSessionID, want)
			}
		}
	}
}

// touchesAgainstEnd: continuous touches do not prevent the end of a session, and no touch succeeds after the end was
// acknowledged.
func touchesAgainstEnd(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	r := s.login(t, session(s.now()))
	var done, acknowledged atomic.Int64
	var ended atomic.Bool
	parallel(65, func(n int) {
		if n == 64 {
			for done.Load() < 64 {
				time.Sleep(time.Millisecond)
			}
			for tries := 1; ; tries++ {
				read, err := s.Sessions().Get(context.Background(), r.ID)
				if err != nil {
					t.Error(err)
					return
				}
				err = s.commit(context.Background(), &domain.Unit{
					Changes: []domain.Change{{Record: after(read, domain.SessionRevoked, s.now()), Was: read.Version}},
					Seen:    []domain.Sighting{{ClientID: "browser", SessionID: r.ID, At: s.now(), Gone: true}},
				})
				if err == nil {
					ended.Store(true)
					return
				}
				if !errors.Is(err, domain.ErrStale) || tries > 10 {
					t.Errorf("try %d: %v", tries, err)
					ended.Store(true)
					return
				}
			}
		}
		for {
			over := ended.Load()
			s.pass(time.Millisecond)
			_, err := s.touch(r.ID, n%2 == 0)
			switch {
			case err == nil && over:
				acknowledged.Add(1)
			case errors.Is(err, domain.ErrStale):
				return
			case err != nil:
				t.Error(err)
				return
			}
			if done.Add(1) > 100_000 {
				t.Error("the session did not end")
				return
			}
		}
	})
	if n := acknowledged.Load(); n > 0 {
		t.Errorf("%d touches after the end", n)
	}
	last := s.session(t, r.ID)
	if last.State != domain.SessionRevoked || last.Version != 2 || !last.LastActiveAt.After(r.LastActiveAt) || !last.AbandonAt.Equal(last.LastActiveAt.Add(idle)) {
		t.Errorf("got %+v", last)
	}
	client, err := s.Client(t.Context(), "browser")
	must(t, err)
	if client.LastActiveSessionID != nil {
		t.Errorf("the client still has %s", *client.LastActiveSessionID)
	}
}

// touchesAgainstSweep: of a touch and an abandonment based on an older read, one wins; a session whose touch was
// acknowledged is never abandoned.
func touchesAgainstSweep(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	var swept, touched atomic.Int64
	parallel(64, func(n int) {
		r := session(epoch)
		r.ClientID = nil
		s.login(t, r)
		abandoned := after(r, domain.SessionAbandoned, r.AbandonAt)
		last := make(chan bool, 1)
		go func() { // a caller whose clock is just before the end
			_, err := s.note(r.ID, domain.Touch{At: r.AbandonAt.Add(-time.Microsecond), Idle: idle})
			if err != nil && !errors.Is(err, domain.ErrStale) {
				t.Error(err)
			}
			last <- err == nil
		}()
		if n%2 == 0 {
			time.Sleep(time.Duration(n) * 50 * time.Microsecond)
		}
		err := s.commit(context.Background(), &domain.Unit{Changes: []domain.Change{{Record: abandoned, Was: 1}}})
		if err != nil && !errors.Is(err, domain.ErrStale) {
			t.Error(err)
		}
		alive, gone := <-last, err == nil
		if alive == gone {
			t.Errorf("touched %t and abandoned %t", alive, gone)
		}
		if alive {
			touched.Add(1)
		} else {
			swept.Add(1)
		}
		if got := s.session(t, r.ID); (got.State == domain.SessionAbandoned) != gone {
			t.Errorf("abandoned %t, and it is %s", gone, got.State)
		}
	})
	if swept.Load()+touched.Load() != 64 {
		t.Errorf("%d were abandoned and %d touched", swept.Load(), touched.Load())
	}
}

// touchesMeanwhile: a transition based on a read before a touch keeps the touch, and its record contains it.
func touchesMeanwhile(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	r := s.login(t, session(s.now()))
	s.pass(time.Minute)
	touched, err := s.note(r.ID, domain.Touch{At: s.now(), Idle: idle, Foremost: true, Organization: ptr("org-1")})
	must(t, err)
	ended := after(r, domain.SessionEnded, s.now()) // from the earlier read
	before := *ended
	written, err := s.Commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: ended, Was: 1}}})
	must(t, err)
	got := s.session(t, r.ID)
	if got.State != domain.SessionEnded || got.LastActiveAt != touched.LastActiveAt || got.AbandonAt != touched.AbandonAt || *got.OrganizationID != "org-1" {
		t.Errorf("got %+v", got)
	}
	if !reflect.DeepEqual(*ended, before) {
		t.Errorf("the store changed the record of its caller: %+v, was %+v", *ended, before)
	}
	want := domain.Activity{LastActiveAt: got.LastActiveAt, AbandonAt: got.AbandonAt, OrganizationID: got.OrganizationID}
	if !reflect.DeepEqual(written.Activity, map[string]domain.Activity{r.ID: want}) {
		t.Errorf("returned is %+v, want %+v", written, want)
	}
}

func handles(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	var won atomic.Int64
	parallel(32, func(int) {
		r := session(s.now())
		r.ClientID, r.HandleHash = nil, []byte("one hash")
		switch err := s.commit(context.Background(), &domain.Unit{
			Changes: []domain.Change{{Record: r}}, Events: []*domain.LifecycleEvent{event(r, "createSession", s.now())},
		}); {
		case err == nil:
			won.Add(1)
			if id, err := s.SessionByHandle(context.Background(), r.HandleHash); err != nil || id != r.ID {
				t.Errorf("the handle is that of %q, %v", id, err)
			}
		case !errors.Is(err, domain.ErrStale):
			t.Error(err)
		}
	})
	if n := count(t, s.url, "sessions"); won.Load() != 1 || n != 1 {
		t.Errorf("%d sessions have one handle, %d rows", won.Load(), n)
	}
	for _, hash := range [][]byte{[]byte("another"), {}, nil} {
		if _, err := s.SessionByHandle(t.Context(), hash); !errors.Is(err, domain.ErrMissing) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}

func clients(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	began := s.now()
	see := func(sightings ...domain.Sighting) {
		t.Helper()
		must(t, s.commit(t.Context(), &domain.Unit{Seen: sightings}))
	}
	is := func(id string, updated time.Time, session *string) {
		t.Helper()
		got, err := s.Client(t.Context(), id)
		must(t, err)
		if want := (&domain.Client{ID: id, CreatedAt: began, UpdatedAt: updated, LastActiveSessionID: session}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	see(domain.Sighting{ClientID: "b", At: began}, domain.Sighting{ClientID: "a", SessionID: "sess_1", At: began})
	is("a", began, ptr("sess_1"))
	is("b", began, nil)
	s.pass(time.Minute)
	later := s.now()
	see(domain.Sighting{ClientID: "a", At: later}, domain.Sighting{ClientID: "b", SessionID: "sess_2", At: later})
	is("a", began, ptr("sess_1"))
	is("b", later, ptr("sess_2"))
	see(
		domain.Sighting{ClientID: "a", SessionID: "sess_9", At: later, Gone: true}, domain.Sighting{ClientID: "b", SessionID: "sess_2", At: began, Gone: true},
		domain.Sighting{ClientID: "none", SessionID: "sess_1", At: began, Gone: true},
	)
	is("a", began, ptr("sess_1"))
	is("b", later, nil)
	got, err := s.Clients(t.Context(), []string{"a", "b", "none", "a\x00"})
	must(t, err)
	if len(got) != 2 {
		t.Errorf("%d clients, want 2", len(got))
	}
	if _, err := s.Client(t.Context(), "none"); !errors.Is(err, domain.ErrMissing) {
		t.Errorf("an unknown client: %v", err)
	}
	// A session that must be its user's only session.
	alone := func(r *domain.Session) error {
		r.ClientID = ptr("a")
		return s.commit(t.Context(), &domain.Unit{
			Changes: []domain.Change{{Record: r}}, Seen: []domain.Sighting{{ClientID: "a", SessionID: r.ID, SoleOf: "alice", At: s.now()}},
		})
	}
	first := session(s.now())
	must(t, alone(first))
	if err := alone(session(s.now())); !errors.Is(err, domain.ErrStale) {
		t.Errorf("another session was written: %v", err)
	}
	must(t, s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: after(first, domain.SessionReplaced, s.now()), Was: 1}}}))
	must(t, alone(session(s.now())))
	s.pass(lifetime) // that session has expired, whatever its row contains
	must(t, alone(session(s.now())))
	// Units that name clients in different orders do not deadlock.
	parallel(32, func(n int) {
		sightings := []domain.Sighting{{ClientID: "a", SessionID: "x", At: later}, {ClientID: "b", SessionID: "y", At: later}, {ClientID: name("c", n), At: later}}
		if n%2 == 0 {
			slices.Reverse(sightings)
		}
		if err := s.commit(context.Background(), &domain.Unit{Seen: sightings}); err != nil {
			t.Error(err)
		}
	})
}

func dueSessions(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	at := s.now()
	add := func(state domain.SessionState, abandon, expire time.Duration) string {
		r := session(at)
		r.State, r.AbandonAt, r.ExpireAt = state, at.Add(abandon), at.Add(expire)
		return s.login(t, r).ID
	}
	third := add(domain.SessionPending, 3*time.Minute, time.Hour)
	second := add(domain.SessionAbandoned, time.Minute, 2*time.Minute)
	first := add(domain.SessionActive, time.Minute, time.Minute)
	fourth := add(domain.SessionActive, 4*time.Minute, time.Hour)
	add(domain.SessionActive, 4*time.Minute+time.Microsecond, time.Hour)
	add(domain.SessionAbandoned, time.Minute, 5*time.Minute)
	for _, over := range []domain.SessionState{domain.SessionExpired, domain.SessionEnded, domain.SessionRemoved, domain.SessionRevoked, domain.SessionReplaced} {
		add(over, time.Minute, time.Minute)
	}
	all := []string{first, second, third, fourth}
	for limit := range 6 {
		got, err := s.Sessions().Due(t.Context(), at.Add(4*time.Minute), limit)
		must(t, err)
		if want := all[:min(limit, 4)]; !slices.Equal(got, want) {
			t.Errorf("the first %d: %v, want %v", limit, got, want)
		}
	}
}

// putOffSessions: activity moves the timeout, but not the sweeper's check, which is postponed when it is due.
func putOffSessions(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	const many = 25
	var used []string
	for range many {
		used = append(used, s.login(t, session(s.now())).ID)
	}
	s.pass(time.Minute)
	left := s.login(t, session(s.now())).ID // after all others, regardless of the batch size
	due := func(limit int) []string {
		ids, err := s.Sessions().Due(t.Context(), s.now(), limit)
		must(t, err)
		return ids
	}
	s.pass(5 * time.Minute)
	for _, id := range used {
		_, err := s.touch(id, false)
		must(t, err)
	}
	s.pass(idle - 5*time.Minute) // the idle timeout of all except the touched ones
	if got := due(4); !slices.Equal(got, []string{left}) {
		t.Errorf("due after the idle timeout: %v, want %v", got, left)
	}
	if got := due(4); !slices.Equal(got, []string{left}) {
		t.Errorf("due once more: %v, want %v", got, left)
	}
	// A list filtered by the timeout does not use the check times.
	page, err := s.Sessions().List(t.Context(), listing.Query{Limit: 100, Where: listing.Is(listing.LE, "abandonAt", s.now())})
	must(t, err)
	if len(page.Items) != 1 || page.Items[0].ID != left {
		t.Errorf("idle by the list: %d sessions", len(page.Items))
	}
	s.pass(5 * time.Minute)
	got := due(many + 2)
	if want := append([]string{left}, used...); len(got) != len(want) || got[0] != left {
		t.Errorf("due after the idle timeout of the touched sessions: %d, want %d", len(got), len(want))
	}
	page, err = s.Sessions().List(t.Context(), listing.Query{Limit: 100, Where: listing.Is(listing.GT, "abandonAt", s.now())})
	must(t, err)
	if len(page.Items) != 0 {
		t.Errorf("%d are not idle by the list", len(page.Items))
	}
}

func templates(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	began := s.now()
	claims := map[string]any{"a": "{{user.id}} \u0000", "n": json.Number("12345678901234567890"), "o": map[string]any{"x": []any{nil, true}}}
	made := func(name string) *domain.JwtTemplate {
		return &domain.JwtTemplate{Name: name, Claims: claims, Lifetime: 60, AllowedClockSkew: 5, CreatedAt: s.now(), UpdatedAt: s.now()}
	}
	for _, name := range []string{"b", "A", "a"} {
		got, err := s.SaveJwtTemplate(t.Context(), made(name))
		must(t, err)
		if !reflect.DeepEqual(got, made(name)) {
			t.Errorf("got %+v\nwant %+v", got, made(name))
		}
	}
	s.pass(time.Hour)
	claims = map[string]any{"other": json.Number("1")}
	got, err := s.SaveJwtTemplate(t.Context(), made("b"))
	must(t, err)
	want := made("b")
	want.CreatedAt = began
	if found, err := s.JwtTemplate(t.Context(), "b"); err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(found, want) {
		t.Errorf("got %+v and %+v, %v\nwant %+v", got, found, err, want)
	}
	all, err := s.JwtTemplates(t.Context())
	must(t, err)
	if len(all) != 3 || all[0].Name != "A" || all[1].Name != "a" || all[2].Name != "b" {
		t.Errorf("the list: %+v", all)
	}
	must(t, s.DeleteJwtTemplate(t.Context(), "b"))
	for _, name := range []string{"b", "none", "a\x00"} {
		_, err := s.JwtTemplate(t.Context(), name)
		if gone := s.DeleteJwtTemplate(t.Context(), name); !errors.Is(err, domain.ErrMissing) || !errors.Is(gone, domain.ErrMissing) {
			t.Errorf("%q: %v, %v", name, err, gone)
		}
	}
}

func customer(id string, at time.Time) *domain.Customer {
	return &domain.Customer{
		ID: id, Username: "Dora", Email: "Dora@Example.net", Phone: "+12025550104", EmailVerified: true, PINHash: "$argon2id$pin",
		PasswordHash: "$argon2id$password", Jurisdiction: "US", CreatedAt: at, UpdatedAt: at,
	}
}

func customers(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	began := s.now()
	full, bare := customer("dora", began), &domain.Customer{ID: "bare", PhoneVerified: true, CreatedAt: began, UpdatedAt: began}
	must(t, s.ImportBatch(t.Context(), []any{full, bare}))
	if empty, err := s.Empty(t.Context()); err != nil || empty {
		t.Errorf("empty is %t, %v", empty, err)
	}
	s.pass(time.Hour)
	changed := customer("dora", s.now())
	changed.Email, changed.PINHash, changed.EmailVerified = "other@example.net", "", false
	must(t, s.ImportBatch(t.Context(), []any{changed}))
	changed.CreatedAt = began
	for _, want := range []*domain.Customer{changed, bare} {
		got, err := s.Customer(t.Context(), want.ID)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	several, err := s.Customers(t.Context(), []string{"dora", "none", "bare"})
	must(t, err)
	if len(several) != 2 {
		t.Errorf("%d customers, want 2", len(several))
	}
	for _, id := range []string{"none", "a\x00b"} {
		if _, err := s.Customer(t.Context(), id); !errors.Is(err, domain.ErrMissing) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// importedSessions: of concurrent imports of one session, one writes it, with one event.
func importedSessions(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	hash := []byte("a handle")
	parallel(16, func(n int) {
		own, foreign := session(s.now()), session(s.now())
		own.ID, own.HandleHash, own.ClientID = "sess_imported", nil, ptr(fmt.Sprintf("client-%d", n%3))
		foreign.HandleHash = hash
		var records []any
		for _, r := range []*domain.Session{own, foreign} {
			records = append(records, &domain.ImportedSession{Session: r, Event: event(r, "createSession", s.now())})
		}
		if err := s.ImportBatch(context.Background(), records); err != nil {
			t.Error(err)
		}
	})
	for table, want := range map[string]int{"sessions": 2, "lifecycle_events": 2} {
		if n := count(t, s.url, table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
	id, err := s.SessionByHandle(t.Context(), hash)
	must(t, err)
	events, err := s.Feed(t.Context(), domain.FeedPosition{}, 10)
	must(t, err)
	for _, e := range events {
		if e.SubjectID != id && e.SubjectID != "sess_imported" {
			t.Errorf("an event of a session that was not written: %+v", e)
		}
	}
}
