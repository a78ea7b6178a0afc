package db

import (
	"time"
)

// micros returns a time in its stored form.
func micros(t time.Time) int64 { return t.UnixMicro() }

// instant returns the time of a stored value.
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// maybeMicros stores the zero time as NULL.
func maybeMicros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := micros(t)
	return &us
}

func maybeInstant(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return instant(*us)
}

// microsOf is micros for an optional time.
func microsOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := micros(*t)
	return &us
}

// instantOf is instant for an optional time.
func instantOf(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := instant(*us)
	return &t
}
