package clientsessions_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/testkit"
)

// race is a world with one session of alice on the laptop, on one of the databases.
type race struct {
	*world
	id string
}

// races runs a test on both databases.
func races(t *testing.T, story func(*testing.T, *race)) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database.URL(t))
			w.do("login alice laptop")
			story(t, &race{w, w.seen["sess"][0]})
		})
	}
}

// post sends a request of the native application on the laptop, and returns status, code and session of the response.
func (r *race) post(t *testing.T, action, key string) (status int, code, shown string, replayed bool) {
	t.Helper()
	q := httptest.NewRequest(http.MethodPost, "/v1/client/sessions/"+r.id+"/"+action+"?_is_native=1", http.NoBody)
	if action == "" {
		q = httptest.NewRequest(http.MethodGet, "/v1/client/sessions/"+r.id+"?_is_native=1", http.NoBody)
	}
	q.Header.Set("Authorization", "Bearer "+credential("laptop"))
	if key != "" {
		q.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	var body struct {
		Response struct {
			Status string `json:"status"`
		} `json:"response"`
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Error(err)
	}
	if len(body.Errors) > 0 {
		code = body.Errors[0].Code
	}
	return w.Code, code, body.Response.Status, w.Header().Get("Idempotent-Replayed") == "true"
}

// together runs calls at the same time.
func together(n int, call func(int)) {
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	wait.Wait()
}

// journal returns the events of the session after its creation.
func (r *race) journal(t *testing.T) string {
	t.Helper()
	page, err := r.kit.DB.Events().List(t.Context(), listing.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(page.Items, func(a, b *domain.LifecycleEvent) int { return a.Version - b.Version }) // the clock stands still
	var names []string
	for _, e := range page.Items {
		if e.SubjectID == r.id && e.Name != "createSession" {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, " ")
}

// dead checks that no call returns the session as live.
func (r *race) dead(t *testing.T, action, want string) {
	t.Helper()
	status, code, shown, _ := r.post(t, action, "")
	if got := strings.Join(strings.Fields(http.StatusText(status)+" "+code+" "+shown), " "); got != want {
		t.Errorf("afterwards %q: %s, want %s", action, got, want)
	}
}

func TestManyTouches(t *testing.T) {
	races(t, func(t *testing.T, r *race) {
		together(64, func(int) {
			if status, code, shown, _ := r.post(t, "touch", ""); status != http.StatusOK || shown != "active" {
				t.Errorf("%d %s %s", status, code, shown)
			}
		})
		session, err := r.kit.DB.Sessions().Get(t.Context(), r.id)
		if err != nil || session.Version != 1 || r.journal(t) != "" {
			t.Errorf("a touch is no transition: %v %+v %s", err, session, r.journal(t))
		}
		client, _, err := r.kit.ClientSessions(t.Context(), "laptop")
		if err != nil || client.LastActiveSessionID == nil || *client.LastActiveSessionID != r.id {
			t.Errorf("the session is the active one: %v %+v", err, client)
		}
	})
}

// against runs many calls of an action concurrently with one termination by the institution. Each either succeeds
// before it, or is refused after it.
func against(t *testing.T, action string, after string) {
	races(t, func(t *testing.T, r *race) {
		together(33, func(i int) {
			if i == 16 {
				if _, err := r.kit.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: r.id}); err != nil {
					t.Error(err)
				}
				r.dead(t, action, after) // from here on
				return
			}
			status, code, _, _ := r.post(t, action, "")
			if got := http.StatusText(status) + " " + code; status != http.StatusOK && got != after {
				t.Errorf("got %s", got)
			}
		})
		r.dead(t, action, after)
		r.dead(t, "", "OK revoked")
		if got := r.journal(t); got != "terminateSession" {
			t.Errorf("journal: %s", got)
		}
	})
}

func TestTouchAgainstTerminate(t *testing.T) {
	against(t, "touch", "Bad Request invalid_action_for_session")
}

func TestTokenAgainstTerminate(t *testing.T) { against(t, "tokens", "Unauthorized signed_out") }

func TestEndAgainstRemove(t *testing.T) {
	races(t, func(t *testing.T, r *race) {
		var mu sync.Mutex
		done := map[string]int{}
		together(32, func(i int) {
			action := []string{"end", "remove"}[i%2]
			status, code, shown, _ := r.post(t, action, "")
			mu.Lock()
			defer mu.Unlock()
			if status == http.StatusOK {
				done[action+" "+shown]++
			} else if code != "resource_not_found" && (action != "end" || code != "invalid_action_for_session") {
				t.Errorf("%s: %d %s", action, status, code)
			}
		})
		if done["remove removed"] != 1 || done["end ended"] > 1 || len(done) > 2 {
			t.Errorf("each transition is made once: %v", done)
		}
		want := "removeSession"
		if done["end ended"] == 1 {
			want = "endSession removeSession"
		}
		if got := r.journal(t); got != want {
			t.Errorf("journal %s, want %s", got, want)
		}
		for _, action := range []string{"", "touch", "end", "remove", "tokens"} {
			r.dead(t, action, "Not Found resource_not_found")
		}
	})
}

func TestOneOfManyRepeatsDoesTheWork(t *testing.T) {
	races(t, func(t *testing.T, r *race) {
		var mu sync.Mutex
		first := 0
		together(16, func(int) {
			status, code, shown, replayed := r.post(t, "end", "k1")
			mu.Lock()
			defer mu.Unlock()
			if status != http.StatusOK || shown != "ended" {
				t.Errorf("%d %s %s", status, code, shown)
			}
			if !replayed {
				first++
			}
		})
		if first != 1 || r.journal(t) != "endSession" {
			t.Errorf("%d did the work: %s", first, r.journal(t))
		}
	})
}
