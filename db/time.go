package db

import (
	"time"
)

// micros is how times are stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// instant is how times are read.
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// maybeMicros stores the zero time as a missing one.
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

// microsOf is micros of a time that may be missing.
func microsOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := micros(*t)
	return &us
}

// instantOf is instant of a time that may be missing.
func instantOf(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := instant(*us)
	return &t
}
