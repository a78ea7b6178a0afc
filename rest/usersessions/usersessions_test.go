package usersessions_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/resttest"
)

func suite() resttest.Suite {
	return resttest.Suite{
		Document: document, APIDoc: "getApiDoc", Unprovoked: []string{"INTERNAL_ERROR"},
		Samples: map[string]string{"getApiDoc": "GET /sessions/apiDoc HTTP/1.1"},
		New:     func(t testing.TB) *resttest.World { return newWorld(t).World },
	}
}

func TestDocument(t *testing.T) { suite().TestDocument(t) }

func TestEveryProblem(t *testing.T) {
	suite().TestEveryProblem(t, func(w *resttest.World, p *problem.Problem) resttest.Exchange {
		// A token that was refused with this problem is the shortest way to an error response.
		r := httptest.NewRequest(http.MethodPost, "/sessions/auth/phone/verify", http.NoBody)
		return w.Serve(r.WithContext(domain.WithActor(r.Context(), domain.Actor{Refused: p})))
	})
}
