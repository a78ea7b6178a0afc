package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	t.Parallel()
	waited := func(t *testing.T, prepare func(*drain)) time.Duration {
		var took time.Duration
		synctest.Test(t, func(t *testing.T) {
			d := newDrain(time.Now)
			time.Sleep(time.Hour)
			prepare(d)
			start := time.Now()
			d.wait(t.Context(), 3*time.Second)
			took = time.Since(start)
			if !d.inProgress() {
				t.Error("a stop has not begun")
			}
		})
		return took
	}
	connect := func(d *drain) { d.note(nil, http.StateNew) }
	for _, c := range []struct {
		claim   string
		prepare func(*drain)
		want    time.Duration
	}{
		{"nobody is there", func(*drain) {}, 0},
		{"everybody has gone", func(d *drain) { connect(d); d.note(nil, http.StateActive); d.note(nil, http.StateClosed) }, 0},
		{"a client is there", connect, drainTime},
		{"somebody follows /readyz", func(d *drain) { d.recordPoll() }, 3 * time.Second},
		{"somebody followed /readyz long ago", func(d *drain) { d.recordPoll(); time.Sleep(2 * pollWindow) }, 0},
	} {
		if got := waited(t, c.prepare); got != c.want {
			t.Errorf("%s: it waits for %s, not %s", c.claim, got, c.want)
		}
	}
}

// TestLastAnswer: during a stop a response closes its connection.
func TestLastAnswer(t *testing.T) {
	t.Parallel()
	for _, leaving := range []bool{false, true} {
		w := httptest.NewRecorder()
		rec := &recorder{ResponseWriter: w, leaving: func() bool { return leaving }}
		_, _ = rec.Write([]byte("x"))
		if said := w.Header().Get("Connection") == "close"; said != leaving || rec.status != 200 {
			t.Errorf("leaving %t, said %t, status %d", leaving, said, rec.status)
		}
	}
}
