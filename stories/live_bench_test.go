package stories

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// BenchmarkSubscribers holds idle subscribers, and says what each costs the server: memory by the kernel's count, and
// statements of the database. GATEHOUSE_SUBSCRIBERS is how many; the transports take turns.
func BenchmarkSubscribers(b *testing.B) {
	many, _ := strconv.Atoi(os.Getenv("GATEHOUSE_SUBSCRIBERS"))
	if many == 0 {
		many = 1000
	}
	for name, socket := range map[string]bool{"sse": false, "websocket": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			s := w.serve()
			admin := w.must("token", "--subject", "login", "--scope", "admin/full")
			s.gql(admin, `{ viewer { id } }`, nil)
			all := s.history(admin)
			from := map[string]any{"after": all[len(all)-1].Cursor}
			for b.Loop() {
				before := resident(b, s)
				streams := make([]*stream, many)
				for n := range streams {
					if socket {
						streams[n] = s.openSocket(admin, from)
					} else {
						streams[n] = s.open(admin, following, from)
					}
				}
				time.Sleep(2 * time.Second) // the collector has its turn
				b.ReportMetric(float64(resident(b, s)-before)/float64(many), "KiB/subscriber")
				began := time.Now()
				s.gql(admin, `mutation { createSession(input: {userId: "alice"}) { session { id } } }`, nil)
				for _, one := range streams {
					one.event()
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/event-to-all")
				for _, one := range streams {
					one.close()
				}
			}
		})
	}
}

// resident is the memory of the server in KiB.
func resident(b *testing.B, s *server) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		testkit.Without(b, "proc", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	b.Fatal(err)
	return 0
}
