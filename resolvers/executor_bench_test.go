//go:build unix

package resolvers_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

// BenchmarkExecutors sends the documents of docs/performance.md to the handler, on SQLite, with and without plans. The
// two alternate every hundred requests, so that both run under the same conditions. It reports the processor time of
// one request, including the share of the store, the collector and the test itself.
func BenchmarkExecutors(b *testing.B) {
	kit := testkit.New(b, testkit.SQLite(b))
	ids := populate(b, kit)
	o := resolvers.Options{Service: kit.Service, Log: slog.New(slog.DiscardHandler), Now: kit.Clock.Now}
	planned := resolvers.New(o)
	resolvers.Generated(&o)
	doors := []struct {
		name string
		http.Handler
	}{{"planned", planned}, {"generated", resolvers.New(o)}}
	variables := `,"variables":{"id":"` + ids[domain.KindSession][0] + `"}}`
	for _, c := range []struct{ name, body string }{
		{"R1", `{"query":"query($id:ID!){session(id:$id){id status userId lastActiveAt expireAt abandonAt version}}"` + variables},
		{"R2", `{"query":"query($after:String){invitations(first:50,after:$after,where:{state:{eq:SENT}}){edges{cursor node{id state type accountUri createdAt expiresAt resendCount version}}}}"}`},
		{"W1", `{"query":"mutation($id:ID!){touchSession(input:{sessionId:$id}){session{id status lastActiveAt abandonAt}problems{code}}}"` + variables},
		{"actions", `{"query":"{invitations(first:50){nodes{id state actions{name allowed}}}}"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			var spent [2]time.Duration
			for b.Loop() {
				for i, d := range doors {
					before := processor(b)
					for range 100 {
						r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(c.body))
						r.Header.Set("Content-Type", asJSON)
						w := httptest.NewRecorder()
						d.ServeHTTP(w, r.WithContext(domain.WithActor(r.Context(), administrator())))
						if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"errors"`) {
							b.Fatal(w.Code, w.Body)
						}
					}
					spent[i] += processor(b) - before
				}
			}
			for i, d := range doors {
				b.ReportMetric(float64(spent[i].Nanoseconds())/1000/100/float64(b.N), d.name+"-us")
			}
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "ratio")
		})
	}
}

// processor returns the processor time of the process.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
