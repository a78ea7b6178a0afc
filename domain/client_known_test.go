package domain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestKnownClients: an accepted client token is not verified again; a refused one is, because its client may be created
// later.
func TestKnownClients(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			const token = string(domain.TokenClient) + `:{"id":"phone"}`
			for range 2 {
				if _, err := k.WithClient(t.Context(), token); !problem.Has(err, problem.ClientTokenInvalid) {
					t.Fatalf("a client that there is not yet: %v", err)
				}
			}
			k.Login(t, "alice", "phone")
			for n := range 3 {
				k.Read.Take()
				ctx, err := k.WithClient(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if a := domain.ActorFrom(ctx); a.ClientKey != "phone" || a.ID != "" {
					t.Errorf("the actor is %+v", a)
				}
				looks := slices.ContainsFunc(k.Read.Take(), func(text string) bool { return strings.Contains(text, `FROM "clients"`) })
				if database.Name == "sqlite" && looks != (n == 0) {
					t.Errorf("call %d looks for the client: %t", n, looks)
				}
			}
			if _, err := k.WithClient(t.Context(), "nonsense"); !problem.Has(err, problem.ClientTokenInvalid) {
				t.Errorf("nonsense: %v", err)
			}
		})
	}
}
