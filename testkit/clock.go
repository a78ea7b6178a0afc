package testkit

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ahead is how far the clocks of the tests are ahead of the system's: GATEHOUSE_TEST_CLOCK, as the program reads it.
var ahead = func() time.Duration {
	text := os.Getenv("GATEHOUSE_TEST_CLOCK")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic("GATEHOUSE_TEST_CLOCK: " + err.Error())
	}
	return d
}()

// Now is the time by the clock of the programs that Environment belongs to.
func Now() time.Time { return time.Now().Add(ahead) }

// Epoch is when every test begins.
var Epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(ahead)

// Clock is a clock that a test moves.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock gives a clock that stands at the epoch.
func NewClock() *Clock { return &Clock{at: Epoch} }

// Now reads the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass moves the clock.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var moments = regexp.MustCompile(`\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\d{10}|\d{13})\b`)

// Unmoved moves the times in a text that are within two months of Epoch back to what they are without
// GATEHOUSE_TEST_CLOCK: RFC 3339 in UTC, and seconds and milliseconds since 1970. Golden files hold such texts.
func Unmoved(text string) string {
	if ahead == 0 {
		return text
	}
	return moments.ReplaceAllStringFunc(text, func(found string) string {
		back := func(at time.Time) (time.Time, bool) {
			return at.Add(-ahead), at.Sub(Epoch).Abs() < 60*24*time.Hour
		}
		if at, err := time.Parse(time.RFC3339Nano, found); err == nil {
			if at, near := back(at); near {
				_, fraction, _ := strings.Cut(found, ".")
				layout := "2006-01-02T15:04:05"
				if fraction != "" {
					layout += "." + strings.Repeat("0", len(fraction)-1)
				}
				return at.Format(layout) + "Z"
			}
			return found
		}
		n, err := strconv.ParseInt(found, 10, 64)
		if err != nil {
			return found
		}
		if len(found) == 10 {
			if at, near := back(time.Unix(n, 0)); near {
				return strconv.FormatInt(at.Unix(), 10)
			}
		} else if at, near := back(time.UnixMilli(n)); near {
			return strconv.FormatInt(at.UnixMilli(), 10)
		}
		return found
	})
}
