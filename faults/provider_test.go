package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// bureau is a provider of reports and quizzes that misbehaves on demand.
type bureau struct {
	mu   sync.Mutex
	mode string
	// asked counts the answers of quizzes that it scored, by quiz.
	scored map[string]int
}

func (b *bureau) set(mode string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mode = mode
}

func (b *bureau) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	b.mu.Lock()
	mode := b.mode
	b.mu.Unlock()
	switch mode {
	case "slow":
		select {
		case <-time.After(20 * time.Second):
		case <-r.Context().Done():
		}
	case "garbage":
		_, _ = io.WriteString(w, `{"found": "perhaps", "questions": {}, "state": 7`)
		return
	case "nonsense":
		_, _ = io.WriteString(w, `{"found": true, "categories": [{"type": "noSuchCategory"}], "questions": [{"id": "", "question": "?", "choices": ["a"]}], "state": "perhaps"}`)
		return
	case "endless":
		for range 400 {
			_, _ = w.Write(make([]byte, 8<<10))
		}
		return
	case "broken":
		http.Error(w, "no", http.StatusInternalServerError)
		return
	case "drop":
		panic(http.ErrAbortHandler)
	}
	var out any
	switch {
	case strings.HasSuffix(r.URL.Path, "/assessments"):
		out = map[string]any{"found": true, "categories": []any{}}
	case strings.HasSuffix(r.URL.Path, "/questions"):
		out = map[string]any{"questions": []any{map[string]any{"id": "1", "question": "Which?", "choices": []string{"this", "that"}}}}
	default:
		b.mu.Lock()
		b.scored[strings.Split(r.URL.Path, "/")[2]]++
		b.mu.Unlock()
		out = map[string]any{"state": "passed"}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// TestProviderTrouble breaks the provider of reports and quizzes in every way. What needs it is refused with a clear
// word, and no report is made of half an answer; what does not need it is answered as fast as ever; quizzes that were
// answered meanwhile are scored when it is well again.
func TestProviderTrouble(t *testing.T) {
	t.Parallel()
	b := &bureau{scored: map[string]int{}}
	office := httptest.NewServer(b)
	defer office.Close()
	net := newProxy(t, strings.TrimPrefix(office.URL, "http://"))
	w := newWorld(t, "", "GATEHOUSE_RISK_URL=http://"+net.address(), "GATEHOUSE_QUIZ_URL=http://"+net.address(), "GATEHOUSE_QUIZ_LIMIT=1000000/1h")
	s := w.serve()
	machines := s.lifecycles()
	c := newClients(t, w, 1, func() string { return s.url })
	c.begin()
	patient := client(time.Minute)
	defer patient.CloseIdleConnections()
	report := func() answer {
		return graphql(patient, s.url, w.root, `mutation { createFraudRiskReport(input: {contactId: "contact_demo_clean"}) { fraudRiskReport { state } problems { code } } }`, nil)
	}
	quiz := func() string {
		a := graphql(patient, s.url, w.root, `mutation { createQuiz(input: {contactId: "contact_demo_clean"}) { quiz { id } problems { code } } }`, nil)
		return a.text("data", "createQuiz", "quiz", "id")
	}
	questions := func(id string) answer {
		return graphql(patient, s.url, w.root, `mutation($id: ID!) { createQuizQuestions(input: {quizId: $id}) { quiz { state } problems { code } } }`, map[string]any{"id": id})
	}
	answers := func(id string) answer {
		return graphql(patient, s.url, w.root, `mutation($id: ID!) { scoreQuiz(input: {quizId: $id, answers: [{questionId: "1", answer: "this"}]}) { quiz { state } problems { code } } }`, map[string]any{"id": id})
	}
	// others are calls that need no provider.
	session := c.foreign("session")
	others := func() time.Duration {
		var times []time.Duration
		for range often(100, 30, 10) {
			a := graphql(patient, s.url, w.root, `mutation($id: ID!) { resumeSession(input: {sessionId: $id}) { session { status } problems { code } } }`, map[string]any{"id": session})
			if !strings.Contains(a.body, `"problems":[]`) {
				t.Fatalf("a call that needs no provider: %v", a)
			}
			times = append(times, a.took)
		}
		return median(times)
	}
	if a := report(); a.text("data", "createFraudRiskReport", "fraudRiskReport", "state") != "PASSED" {
		t.Fatalf("a report while all is well: %v", a)
	}
	well := others()
	troubles := []string{"down", "slow", "garbage", "nonsense", "endless", "broken", "drop"}
	if !long {
		troubles = troubles[:3]
	}
	if raceDetector && !long {
		troubles = troubles[:1]
	}
	waiting := map[string]bool{}
	for _, trouble := range troubles {
		asked := quiz()
		if a := questions(asked); a.text("data", "createQuizQuestions", "quiz", "state") != "ASKED" {
			t.Fatalf("questions while all is well: %v", a)
		}
		b.set(trouble)
		if trouble == "down" {
			net.set(func() { net.cut = true })
		}
		var refusals sync.WaitGroup
		var slowest time.Duration
		var mu sync.Mutex
		took := func(a answer) answer {
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, a.took)
			return a
		}
		unasked := quiz()
		refusals.Go(func() {
			if a := took(report()); a.text("data", "createFraudRiskReport", "problems", 0, "code") != "PROVIDER_UNAVAILABLE" || a.at("data", "createFraudRiskReport", "fraudRiskReport") != nil {
				t.Errorf("%s: a report: %v", trouble, a)
			}
		})
		refusals.Go(func() {
			if a := took(questions(unasked)); a.text("data", "createQuizQuestions", "problems", 0, "code") != "PROVIDER_UNAVAILABLE" {
				t.Errorf("%s: questions: %v", trouble, a)
			}
		})
		refusals.Go(func() {
			if a := took(answers(asked)); a.text("data", "scoreQuiz", "quiz", "state") != "SCORING" {
				t.Errorf("%s: answers: %v", trouble, a)
			}
		})
		waiting[asked] = true
		beside := others()
		refusals.Wait()
		b.set("")
		net.set(func() { net.cut = false })
		start := time.Now()
		testkit.Eventually(t, "reports after "+trouble, func() bool {
			time.Sleep(100 * time.Millisecond)
			return report().text("data", "createFraudRiskReport", "fraudRiskReport", "state") == "PASSED"
		})
		reports := time.Since(start)
		testkit.Eventually(t, "questions after "+trouble, func() bool {
			time.Sleep(100 * time.Millisecond)
			return questions(unasked).text("data", "createQuizQuestions", "quiz", "state") == "ASKED"
		})
		for id := range waiting {
			testkit.Eventually(t, "a quiz that was answered during "+trouble, func() bool {
				time.Sleep(50 * time.Millisecond)
				return graphql(patient, s.url, w.root, `query($id: ID!) { quiz(id: $id) { state } }`, map[string]any{"id": id}).text("data", "quiz", "state") == "PASSED"
			})
		}
		t.Logf("%s: refused after at most %s; other calls %s (%.2f of well); reports again after %s, answers scored after %s", trouble, slowest.Round(time.Millisecond),
			beside.Round(time.Millisecond/10), float64(beside)/float64(well), reports.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		if slowest > 30*time.Second {
			t.Errorf("%s: a caller waited for %s", trouble, slowest)
		}
	}
	c.audit(w.open(), machines)
	for id := range waiting {
		if n := b.scored[id]; n < 1 {
			t.Errorf("quiz %s was scored %d times", id, n)
		}
	}
	s.Stop()
}
