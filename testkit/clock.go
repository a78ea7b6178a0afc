package testkit

import (
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// ahead is the offset of the test clocks from the system clock: GATEHOUSE_TEST_CLOCK, which the program reads too.
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

// Now returns the current time of programs that run with Environment.
func Now() time.Time { return time.Now().Add(ahead) }

// Epoch is the time at which every test begins.
var Epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(ahead)

// Clock is a clock that only the test advances.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that is set to Epoch.
func NewClock() *Clock { return &Clock{at: Epoch} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass advances the clock.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var moments = regexp.MustCompile(`\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|\d{10}\b|\d{13}\b)`)

// Unmoved subtracts the offset of GATEHOUSE_TEST_CLOCK from the times in a text that are within two months of Epoch, so
// that the text can be compared with a golden file. Times are in RFC 3339, or in seconds or milliseconds since 1970.
func Unmoved(text string) string { return move(text, -ahead, Epoch) }

// Moved is the inverse of Unmoved, for test inputs that are written for a clock without offset.
func Moved(text string) string { return move(text, ahead, Epoch.Add(-ahead)) }

// move adds d to the times in a text that are within two months of near.
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
			// The fraction and the UTC offset do not change.
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
