package testkit

import (
	"os"
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
