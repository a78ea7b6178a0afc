package provider_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/testkit"
)

// known holds the bank's records in memory.
type memberNames map[string][]*domain.IdentityRecord

func (k memberNames) IdentityRecords(_ context.Context, taxID string) ([]*domain.IdentityRecord, error) {
	return k[risk.FoldTaxID(taxID)], nil
}

func keyed(purpose string, parts ...string) []byte {
	sum := sha256.Sum256([]byte(purpose + "\x00" + strings.Join(parts, "\x00")))
	return sum[:]
}

func local(records memberNames, lists *provider.Lists) *provider.Local {
	return &provider.Local{Records: records, Lists: lists, NameMatch: provider.DefaultNameMatch, Rules: provider.DefaultQuizRules(), KeyedHash: keyed, Now: testkit.NewClock().Now}
}

// entryTable holds the institution's lists, and the versions of the published one, in memory.
type entryTable struct {
	mu       sync.Mutex
	entries  []*domain.ListEntry
	versions []*domain.WatchList
}

func (s *entryTable) NewestWatchList(context.Context) (*domain.WatchList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.versions) == 0 {
		return nil, domain.ErrMissing
	}
	return s.versions[len(s.versions)-1], nil
}

func (s *entryTable) WatchListEntries(_ context.Context, seq int64) ([]risk.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < 1 || int(seq) > len(s.versions) {
		return nil, domain.ErrMissing
	}
	return s.versions[seq-1].Entries, nil
}

func (s *entryTable) SaveWatchList(_ context.Context, l *domain.WatchList) (*domain.WatchList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := *l
	saved.Seq, saved.Size = int64(len(s.versions)+1), len(l.Entries)
	s.versions = append(s.versions, &saved)
	return &saved, nil
}

func (s *entryTable) put(seq int64, entries ...risk.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.entries = append(s.entries, &domain.ListEntry{Entry: e, Seq: seq})
	}
}

func (s *entryTable) ListSeq(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) == 0 {
		return 0, nil
	}
	return s.entries[len(s.entries)-1].Seq, nil
}

func (s *entryTable) ListEntries(_ context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*domain.ListEntry
	for _, e := range s.entries {
		if (e.Seq > afterSeq || e.Seq == afterSeq && e.ID > afterID) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// sdn writes a small list in the published format.
func sdn(t *testing.T, dir string, more ...string) {
	t.Helper()
	rows := append([]string{
		`36,"AEROCARIBBEAN AIRLINES",-0- ,"CUBA",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- `,
		`22790,"MADURO MOROS, Nicolas","individual","VENEZUELA","President",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 23 Nov 1962; POB Caracas, Venezuela; citizen Venezuela; Gender Male."`,
		`7157,"DOE, ""Jim"" Q.","individual","SDGT",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 1960 to 1962; alt. DOB circa 1970; a.k.a. 'THE GHOST'."`,
	}, more...)
	if err := os.WriteFile(filepath.Join(dir, "sdn.csv"), []byte(strings.Join(rows, "\r\n")+"\r\n\x1a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "add.csv"), []byte(`22790,1,"Caracas","Caracas","Venezuela",-0- `+"\r\n\x1a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ALT.CSV"), []byte(`22790,1,"aka","MADURO, Nico",-0- `+"\r\n\x1a"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheGovernmentListIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), testkit.NewClock()
	lists := provider.NewLists(&entryTable{}, dir, clock.Now, slog.New(slog.DiscardHandler))
	if _, err := lists.Current(t.Context()); err == nil {
		t.Error("an empty folder is a list")
	}
	sdn(t, dir)
	clock.Pass(time.Minute)
	find := func(name, birthdate string) []risk.NameMatch {
		t.Helper()
		books, err := lists.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return books.Names(risk.GovernmentWatchlist, name, birthdate, provider.DefaultNameMatch)
	}
	for name, born := range map[string]string{"Nicolás Maduro": "1962-11-23", "Nico Maduro": "1962-11-23", "Jim Doe": "1961-05-05", "The Ghost": "1971-01-01"} {
		if len(find(name, born)) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	if found := find("Nicolás Maduro", "1962-11-23"); len(found) > 0 && (found[0].Entry != "ofac-22790" || found[0].Score != 1) {
		t.Errorf("got %v", found)
	}
	if len(find("Aerocaribbean Airlines", "")) != 0 || len(find("Nicolas Maduro", "1999-01-01")) != 0 || len(find("New Name", "")) != 0 {
		t.Error("somebody is found who is not listed")
	}
	sdn(t, dir, `1,"NAME, New","individual","X",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- `)
	clock.Pass(time.Minute)
	if len(find("New Name", "")) != 1 {
		t.Error("the new file is not read")
	}
	if err := os.WriteFile(filepath.Join(dir, "sdn.csv"), []byte("broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Pass(time.Minute)
	if len(find("New Name", "")) != 1 {
		t.Error("a broken file takes the list away")
	}
}

func TestImportsTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	entries := &entryTable{}
	lists := provider.NewLists(entries, "", testkit.NewClock().Now, slog.New(slog.DiscardHandler))
	p := local(memberNames{}, lists)
	who := testkit.Pike()
	for step, want := range []int{0, 1, 2, 1} {
		switch step {
		case 1:
			entries.put(1, risk.Entry{ID: "n", List: risk.RestrictedIP, Value: "198.51.100.0/24"})
		case 2:
			entries.put(2, risk.Entry{ID: "m", List: risk.RestrictedEmail, Value: "example.com"})
		case 3:
			entries.put(3, risk.Entry{ID: "n", List: risk.RestrictedIP, Value: "203.0.113.0/24"})
		}
		a, err := p.Screen(t.Context(), who)
		if err != nil || len(a.Findings) != want {
			t.Errorf("step %d: %v, %v", step, a.Findings, err)
		}
	}
}

// service is an external provider.
type service struct {
	*httptest.Server
	calls  atomic.Int32
	answer atomic.Value // func(http.ResponseWriter, *http.Request)
}

func serve(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *service {
	t.Helper()
	s := &service{}
	s.answer.Store(answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		s.answer.Load().(func(http.ResponseWriter, *http.Request))(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(status int, text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestAnHTTPProviderOfReports(t *testing.T) {
	t.Parallel()
	var got map[string]any
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/risk/assessments" {
			w.WriteHeader(http.StatusTeapot)
		}
		_ = json.NewDecoder(r.Body).Decode(&got)
		_, _ = io.WriteString(w, `{"found":true,"mismatch":true,"partial":true,"categories":[{"type":"emailRestricted","rule":"their rule with 219-55-0142","inputs":["email","secret"],"entry":"e-1","score":2},{"type":"ipRestricted"}]}`)
	})
	p := provider.NewHTTPScreening(provider.HTTPConfig{URL: s.URL + "/risk/", Now: time.Now})
	a, err := p.Screen(t.Context(), testkit.Pike())
	if err != nil || got["taxId"] != "219-55-0142" {
		t.Fatalf("%v, sent %v", err, got)
	}
	var told []string
	for _, f := range a.Findings {
		for _, e := range f.Evidence {
			told = append(told, string(f.Category)+": "+e.String())
		}
	}
	want := []string{"ipRestricted: rule provider, input ", "personalInfoDoesNotMatch: rule provider, input ", "emailRestricted: rule provider, input email, entry e-1, score 1.00"}
	if !a.Found || !a.Partial || !slices.Equal(told, want) {
		t.Errorf("got %q", told)
	}
	for claim, answer := range map[string]string{
		"not JSON": "<html>", "no word on a record": `{"categories":[]}`, "an unknown category": `{"found":true,"categories":[{"type":"badMood"}]}`, "too large": `{"x":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		s.answer.Store(says(http.StatusOK, answer))
		if _, err := p.Screen(t.Context(), testkit.Pike()); !problem.Has(err, problem.ProviderUnavailable) || strings.Contains(err.Error(), "badMood") {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

// TestAProviderLeadsNowhereElse: following a redirect would send personal data to another host.
func TestAProviderLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := atomic.Int32{}
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		says(http.StatusOK, `{"found":false}`)(w, r)
	})
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+r.URL.Path, status) })
		p := provider.NewHTTPScreening(provider.HTTPConfig{URL: s.URL, Now: time.Now})
		if _, err := p.Screen(t.Context(), testkit.Pike()); !problem.Has(err, problem.ProviderUnavailable) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, nil2)
	failures := atomic.Int32{}
	s.answer.Store(func(w http.ResponseWriter, r *http.Request) {
		if failures.Add(1) < 3 {
			says(http.StatusBadGateway, "")(w, r)
			return
		}
		says(http.StatusOK, `{"found":false}`)(w, r)
	})
	p := provider.NewHTTPScreening(provider.HTTPConfig{URL: s.URL, Now: time.Now})
	if _, err := p.Screen(t.Context(), testkit.Pike()); err != nil || s.calls.Load() != 3 {
		t.Errorf("%d calls, %v", s.calls.Load(), err)
	}
	s.answer.Store(says(http.StatusBadRequest, ""))
	if _, err := p.Screen(t.Context(), testkit.Pike()); !problem.Has(err, problem.ProviderUnavailable) || s.calls.Load() != 4 {
		t.Errorf("a refusal is tried again: %d calls, %v", s.calls.Load(), err)
	}
}

func nil2(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestAProviderThatIsSlowHasADeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	p := provider.NewHTTPScreening(provider.HTTPConfig{URL: s.URL, Now: time.Now, Deadline: 30 * time.Millisecond, Overall: 200 * time.Millisecond})
	begun := time.Now()
	if _, err := p.Screen(t.Context(), testkit.Pike()); !problem.Has(err, problem.ProviderUnavailable) || strings.Contains(err.Error(), s.URL) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAProviderThatIsDownIsLeftAlone(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	s := serve(t, says(http.StatusBadRequest, ""))
	p := provider.NewHTTPScreening(provider.HTTPConfig{URL: s.URL, Now: clock.Now})
	ask := func() error {
		_, err := p.Screen(t.Context(), testkit.Pike())
		return err
	}
	for range 5 {
		_ = ask()
	}
	err := ask()
	if !problem.Has(err, problem.ProviderUnavailable) || s.calls.Load() != 5 || problem.Of(err).AvailableAt.IsZero() {
		t.Errorf("%d calls, %v", s.calls.Load(), err)
	}
	s.answer.Store(says(http.StatusOK, `{"found":true}`))
	if ask() == nil {
		t.Error("it is asked before its time")
	}
	clock.Pass(time.Minute)
	if err := ask(); err != nil {
		t.Error(err)
	}
	if err := ask(); err != nil || s.calls.Load() != 7 {
		t.Errorf("%d calls, %v", s.calls.Load(), err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 6 {
		_, _ = p.Screen(gone, testkit.Pike())
	}
	if err := ask(); err != nil {
		t.Errorf("callers who gave up count against the provider: %v", err)
	}
}

func TestAnHTTPProviderOfQuizzes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil2)
	p := provider.NewHTTPQuizmaster(provider.HTTPConfig{URL: s.URL, Now: time.Now})
	q := &domain.Quiz{Meta: domain.Meta{ID: "quiz_1"}, Inputs: testkit.Pike(), Answers: []domain.QuizAnswer{{QuestionID: "a", Answer: "x"}}}
	s.answer.Store(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quizzes/quiz_1/questions" || r.Header.Get("Idempotency-Key") == "" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, `{"questions":[{"id":"a","question":"Which?","choices":["x","y"]}]}`)
	})
	questions, err := p.Questions(t.Context(), q)
	if err != nil || len(questions) != 1 || questions[0].Right != "" || len(questions[0].Choices) != 2 {
		t.Errorf("got %+v, %v", questions, err)
	}
	for claim, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   *problem.Definition
	}{
		"none for this person": {says(http.StatusConflict, ""), problem.QuizQuestionsUnavailable},
		"an empty list":        {says(http.StatusOK, `{"questions":[]}`), problem.QuizQuestionsUnavailable},
		"an id twice":          {says(http.StatusOK, `{"questions":[{"id":"a","question":"?","choices":["x","y"]},{"id":"a","question":"?","choices":["x","y"]}]}`), problem.ProviderUnavailable},
		"a choice twice":       {says(http.StatusOK, `{"questions":[{"id":"a","question":"?","choices":["x","x"]}]}`), problem.ProviderUnavailable},
	} {
		s.answer.Store(c.answer)
		if _, err := p.Questions(t.Context(), q); !problem.Has(err, c.want) {
			t.Errorf("%s: %v", claim, err)
		}
	}
	if _, ok := p.Mark(q, nil); ok {
		t.Error("it scores what only the service can")
	}
	for text, want := range map[string]domain.QuizVerdict{"passed": domain.VerdictPassed, "failed": domain.VerdictFailed, "scoring": domain.VerdictLater} {
		s.answer.Store(func(w http.ResponseWriter, r *http.Request) {
			var body struct {
				Answers []domain.QuizAnswer `json:"answers"`
			}
			_ = json.NewDecoder(r.Body).Decode(&body)
			if r.Method != http.MethodPut || r.URL.Path != "/quizzes/quiz_1/answers" || len(body.Answers) != 1 {
				w.WriteHeader(http.StatusTeapot)
			}
			_, _ = io.WriteString(w, `{"state":"`+text+`"}`)
		})
		if got, err := p.Score(t.Context(), q); got != want || err != nil {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	s.answer.Store(says(http.StatusOK, `{"state":"maybe"}`))
	if _, err := p.Score(t.Context(), q); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTheDemonstrationsBadProviders(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	d := provider.Demonstration{Quizmaster: local(memberNames{}, nil), Now: clock.Now}
	quiz := func(taxID string) *domain.Quiz {
		who := testkit.Pike()
		who.TaxID = &taxID
		return &domain.Quiz{Meta: domain.Meta{ID: "quiz_1", UpdatedAt: clock.Now()}, Inputs: who, Questions: []domain.QuizQuestion{{ID: "1", Right: "a"}}, Answers: []domain.QuizAnswer{{QuestionID: "1", Answer: "a"}}}
	}
	if _, err := d.Questions(t.Context(), quiz(provider.OutageTaxID)); !problem.Has(err, problem.ProviderUnavailable) {
		t.Errorf("the outage: %v", err)
	}
	slow := quiz(provider.SlowTaxID)
	if _, ok := d.Mark(slow, slow.Answers); ok {
		t.Error("the slow one is quick")
	}
	if v, _ := d.Score(t.Context(), slow); v != domain.VerdictLater {
		t.Errorf("at once it is %s", v)
	}
	clock.Pass(time.Minute)
	if v, _ := d.Score(t.Context(), slow); v != domain.VerdictPassed {
		t.Errorf("later it is %s", v)
	}
	if _, ok := d.Mark(quiz("219-55-0142"), nil); !ok {
		t.Error("everybody is slow")
	}
}
