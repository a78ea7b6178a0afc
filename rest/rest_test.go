package rest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/rest"
)

func TestEveryDialectHasItsPrefixAndNothingElse(t *testing.T) {
	t.Parallel()
	noon := time.Date(2020, time.June, 1, 12, 0, 0, 0, time.UTC)
	handler := rest.New(rest.Options{Service: &domain.Service{}, Now: func() time.Time { return noon }})
	status := func(path string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if w.Code == http.StatusNotFound && w.Header().Get("Content-Type") == "application/json" {
			return http.StatusUnauthorized // user sessions has paths that need none, and handles unknown paths itself
		}
		return w.Code
	}
	// Every other documented API checks a credential first, so 401 shows that it was reached.
	for _, prefix := range rest.Prefixes() {
		for _, path := range []string{prefix, prefix + "/", prefix + "/x"} {
			if got := status(path); got != http.StatusUnauthorized {
				t.Errorf("%s: %d", path, got)
			}
		}
		if got := status(prefix + "x"); got != http.StatusNotFound {
			t.Errorf("%sx: %d", prefix, got)
		}
	}
	if got := status("/"); got != http.StatusNotFound {
		t.Errorf("/: %d", got)
	}
	prefixes := rest.Prefixes()
	slices.Sort(prefixes)
	if len(slices.Compact(prefixes)) != len(rest.Prefixes()) {
		t.Errorf("a prefix stands twice: %v", prefixes)
	}
}
