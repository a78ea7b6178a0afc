package app

import (
	"log/slog"
	"net/http/httptest"
	"testing"
)

// TestBare: the baseline of measurements is a response of 200 bytes, on the second listener.
func TestBare(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	adminHandler(newMetrics(nil, slog.New(slog.DiscardHandler))).ServeHTTP(answer, httptest.NewRequest("GET", "/bare", nil))
	if answer.Code != 200 || answer.Body.Len() != 200 || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d, %d bytes of %s", answer.Code, answer.Body.Len(), answer.Header().Get("Content-Type"))
	}
}
