package resolvers_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/testkit"
)

// BenchmarkExecutors asks the documents of docs/performance.md of the door, on SQLite, with and without plans.
func BenchmarkExecutors(b *testing.B) {
	kit := testkit.New(b, testkit.SQLite(b))
	ids := populate(b, kit)
	id := ids[domain.KindSession][0]
	for _, c := range []struct{ name, body string }{
		{"R1", `{"query":"query($id:ID!){session(id:$id){id status userId lastActiveAt expireAt abandonAt version}}","variables":{"id":"` + id + `"}}`},
		{"R2", `{"query":"query($after:String){invitations(first:50,after:$after,where:{state:{eq:SENT}}){edges{cursor node{id state type accountUri createdAt expiresAt resendCount version}}}}"}`},
		{"W1", `{"query":"mutation($id:ID!){touchSession(input:{sessionId:$id}){session{id status lastActiveAt abandonAt}problems{code}}}","variables":{"id":"` + id + `"}}`},
		{"actions", `{"query":"{invitations(first:50){nodes{id state actions{name allowed}}}}"}`},
	} {
		for _, door := range []string{"generated", "planned"} {
			b.Run(c.name+"/"+door, func(b *testing.B) {
				o := resolvers.Options{Service: kit.Service, Log: slog.New(slog.DiscardHandler), Now: kit.Clock.Now}
				if door == "generated" {
					resolvers.Generated(&o)
				}
				handler := resolvers.New(o)
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(c.body))
					r.Header.Set("Content-Type", asJSON)
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r.WithContext(domain.WithActor(r.Context(), administrator())))
					if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"errors"`) {
						b.Fatal(fmt.Sprint(w.Code, w.Body))
					}
				}
			})
		}
	}
}
