package testkit

import (
	"os"
	"regexp"
	"strconv"
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

var moments = regexp.MustCompile(`\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|\d{10}\b|\d{13}\b)`)

// Unmoved moves the times in a text that are within two months of Epoch back to what they are without
// GATEHOUSE_TEST_CLOCK: RFC 3339, and seconds and milliseconds since 1970. Golden files hold such texts.
func Unmoved(text string) string { return move(text, -ahead, Epoch) }

// Moved is the inverse of Unmoved, for times in the inputs of a test that are written for a clock that is not moved.
func Moved(text string) string { return move(text, ahead, Epoch.Add(-ahead)) }

// move adds d to the times in a text that are within two months of the time near.
func move(text string, d time.Duration, near time.Time) string {
	if d == 0 {
		return text
	}
	return moments.ReplaceAllStringFunc(text, func(found string) string {
		moved := func(at time.Time) (time.Time, bool) { return at.Add(d), at.Sub(near).Abs() < 60*24*time.Hour }
		if at, err := time.Parse(time.RFC3339Nano, found); err == nil {
			at, is := moved(at)
			if !is {
				return found
			}
			// The digits of the fraction and the offset stay as they are.
			seconds := len("2006-01-02T15:04:05")
			return at.Format("2006-01-02T15:04:05") + found[seconds:]
		}
		n, err := strconv.ParseInt(found, 10, 64)
		if err != nil {
			return found
		}
		if len(found) == 10 {
			if at, is := moved(time.Unix(n, 0)); is {
				return strconv.FormatInt(at.Unix(), 10)
			}
		} else if at, is := moved(time.UnixMilli(n)); is {
			return strconv.FormatInt(at.UnixMilli(), 10)
		}
		return found
	})
}
