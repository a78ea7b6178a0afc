package dbtest

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/seal"
)

// states inserts every state of the state machines, and an unknown one.
func states(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	machine, ok := domain.Lifecycle(domain.KindInvitation)
	if !ok || len(machine.States) == 0 {
		t.Fatal("there is no state machine")
	}
	for _, state := range machine.States {
		i := invitation(s.now())
		i.State = domain.InvitationState(state.Name)
		if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: i}}}); err != nil {
			t.Errorf("%s: %v", state.Name, err)
		}
	}
	for _, state := range []domain.MessageState{domain.MessagePending, domain.MessageSending, domain.MessageSent, domain.MessageDead} {
		m := message("inv_1", s.now())
		m.State = state
		if err := s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{m}}); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	i, m := invitation(s.now()), message("inv_1", s.now())
	i.State, m.State = "lost", "lost"
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: i}}}); err == nil {
		t.Error("an invitation in an unknown state was written")
	}
	if err := s.commit(t.Context(), &domain.Unit{Messages: []*domain.Message{m}}); err == nil {
		t.Error("a message in an unknown state was written")
	}
	sessions, ok := domain.Lifecycle(domain.KindSession)
	if !ok || len(sessions.States) != 8 {
		t.Fatal("there is no state machine of sessions")
	}
	lost := session(s.now())
	lost.State = "lost"
	if err := s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: lost}}, Seen: []domain.Sighting{{ClientID: "browser", At: s.now()}}}); err == nil {
		t.Error("a session in an unknown state was written")
	}
	for _, state := range sessions.States {
		r := session(s.now())
		r.State = domain.SessionState(state.Name)
		s.login(t, r)
	}
}

func starters(t *testing.T, fresh Fresh) {
	url := fresh(t)
	all := make([]*store, 4)
	parallel(4, func(n int) { all[n] = open(t, url) })
	if t.Failed() {
		t.FailNow()
	}
	i := all[0].create(t, invitation(all[0].now()))
	for n, s := range all {
		must(t, s.Ready(t.Context()))
		got, err := s.Invitations().Get(t.Context(), i.ID) // with the same keys
		if err != nil || got.EmailAddress != i.EmailAddress {
			t.Errorf("starter %d: %+v, %v", n, got, err)
		}
		status, err := s.Status(t.Context())
		must(t, err)
		for _, m := range status {
			if m.AppliedAt.IsZero() || m.Name == "" {
				t.Errorf("starter %d: %+v", n, m)
			}
		}
	}
	if n := count(t, url, "decoys"); n != 64 {
		t.Errorf("the migration ran more than once: %d decoys", n)
	}
	status, err := all[0].Status(t.Context())
	must(t, err)
	if n := count(t, url, "bun_migrations"); n != len(status) {
		t.Errorf("%d migrations are marked as applied, want %d", n, len(status))
	}
}

func notReady(t *testing.T, fresh Fresh) {
	s := connect(t, fresh(t))
	if err := s.Ready(t.Context()); !problem.Has(err, problem.ServiceUnavailable) {
		t.Errorf("an empty database is ready: %v", err)
	}
	status, err := s.Status(t.Context())
	must(t, err)
	if len(status) == 0 || !status[0].AppliedAt.IsZero() {
		t.Errorf("got %+v", status)
	}
	if err := s.commit(t.Context(), &domain.Unit{Decoy: true}); !problem.Has(err, problem.ServiceUnavailable) {
		t.Errorf("a unit in an empty database: %v", err)
	}
	other := open(t, s.url) // another instance migrates
	i := other.create(t, invitation(s.now()))
	must(t, s.Ready(t.Context()))
	if _, err := s.Invitations().Get(t.Context(), i.ID); err != nil {
		t.Error(err)
	}
	must(t, s.Migrate(t.Context()))
}

func wrongKey(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	d, err := db.Open(t.Context(), db.Options{URL: s.url, Key: seal.NewKey(), Now: s.now})
	if !errors.Is(err, seal.ErrWrongKey) || d != nil {
		t.Errorf("a wrong key: %v", err)
	}
}

// sealed searches everything stored for personal data.
func sealed(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	i := invitation(s.now())
	i.EmailAddress, i.FirstName, i.LastName, i.Identification, i.InviterFullName = "Findme.Mail@example.net", ptr("Findme-First"), ptr("Findme-Last"), ptr("Findme-Ident"), "Findme Inviter"
	m := message(i.ID, s.now())
	m.To, m.Values = "findme.mail@example.net", map[string]string{"link": "findme-link"}
	r := session(s.now())
	r.IPAddress, r.UserAgent = ptr("findme-address"), ptr("Findme/Browser")
	s.login(t, r)
	c := customer("dora", s.now())
	c.Username, c.Email, c.Phone, c.Jurisdiction = "Findme-User", "findme.customer@example.net", "findme-phone", "findme-land"
	must(t, s.ImportBatch(t.Context(), []any{c}))
	must(t, s.commit(t.Context(), &domain.Unit{
		Changes: []domain.Change{{Record: i}}, Messages: []*domain.Message{m}, Events: []*domain.LifecycleEvent{event(i, "createInvitation", s.now())},
	}))
	page, err := s.Invitations().List(t.Context(), listing.Query{Where: listing.Eq("emailAddressFolded", "FINDME.MAIL@EXAMPLE.NET"), Limit: 5})
	must(t, err)
	if len(page.Items) != 1 {
		t.Errorf("%d invitations have the address", len(page.Items))
	}
	for what, text := range stored(t, s.url) {
		if bytes.Contains(bytes.ToLower(text), []byte("findme")) {
			t.Errorf("%s contains personal data", what)
		}
	}
	other := invitation(s.now())
	other.EmailAddress = i.EmailAddress
	s.create(t, other)
	moved := "UPDATE invitations SET email_address = (SELECT email_address FROM invitations WHERE id = '" + i.ID + "') WHERE id = '" + other.ID + "'"
	_, err = raw(t, s.url).ExecContext(t.Context(), moved)
	must(t, err)
	if _, err := s.Invitations().Get(t.Context(), other.ID); !errors.Is(err, seal.ErrUnreadable) {
		t.Errorf("a value that was moved to another row: %v", err)
	}
}

// stored returns all bytes of the files of SQLite, and the rows of PostgreSQL as text.
func stored(t *testing.T, url string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		for _, end := range []string{"", "-wal"} {
			text, err := os.ReadFile(path + end)
			must(t, err)
			out[path+end] = text
		}
		return out
	}
	bytesOf := map[string]string{
		"invitations":      "email_address || first_name || last_name || identification || inviter_full_name",
		"messages":         "payload",
		"lifecycle_events": "CAST('' AS BYTEA)",
		"sessions":         "ip_address || user_agent || handle_hash",
		"customers":        "username || email || phone || jurisdiction || username_index || email_index || phone_index",
	}
	for table := range bytesOf {
		// As text, and again with its bytes as text if they are text.
		text := "SELECT string_agg(CAST(ROW(r.*) AS TEXT) || encode(" + bytesOf[table] + ", 'escape'), ' ') FROM " + table + " AS r"
		var rows []byte
		must(t, raw(t, url).QueryRowContext(t.Context(), text).Scan(&rows))
		if len(rows) < 100 {
			t.Errorf("%s was not checked: %s", table, rows)
		}
		out[table] = rows
	}
	return out
}

// oddTexts are texts that PostgreSQL cannot store. They match nothing and cause no error.
func oddTexts(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	s.create(t, invitation(s.now()))
	for _, odd := range []string{"a\x00b", "\xff", "'; DROP TABLE invitations; --", "$1", "?", "\\"} {
		if _, err := s.Invitations().Get(t.Context(), odd); !errors.Is(err, domain.ErrMissing) {
			t.Errorf("%q: %v", odd, err)
		}
		if got, err := s.Invitations().GetMany(t.Context(), []string{odd}); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", odd, got, err)
		}
		_, err1 := s.Sessions().Get(t.Context(), odd)
		_, err2 := s.Client(t.Context(), odd)
		_, err3 := s.JwtTemplate(t.Context(), odd)
		_, err4 := s.Customer(t.Context(), odd)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, domain.ErrMissing) {
				t.Errorf("%q: %v", odd, err)
			}
		}
		if _, _, err := s.PartOf(t.Context(), odd); err != nil {
			t.Errorf("%q: %v", odd, err)
		}
		for where, want := range map[listing.Predicate]int{
			listing.Eq("createdBy", odd): 0, listing.Ne("createdBy", odd): 1, listing.Eq("emailAddressFolded", odd): 0, listing.Ne("role", odd): 1,
		} {
			page, err := s.Invitations().List(t.Context(), listing.Query{Where: where, Limit: 5})
			if err != nil || len(page.Items) != want {
				t.Errorf("%q: %d items, %v, want %d", odd, len(page.Items), err, want)
			}
		}
	}
}
