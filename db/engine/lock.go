package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrServed reports that another server uses the database file.
var ErrServed = errors.New("another server uses this database file; a SQLite file can have only one server")

// claimAttempts is the number of attempts to claim the file: a command that only checks the lock holds it briefly.
const claimAttempts = 10

// fileLock is the lock of the server that uses a SQLite file.
type fileLock struct {
	path string
	held *os.File
}

func (l *fileLock) Serve() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("db: claim the database file: %w", err)
	}
	for n := 1; ; n++ {
		err := lockFile(f)
		if err == nil {
			l.held = f
			return nil
		}
		if n == claimAttempts {
			return errors.Join(err, f.Close())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// elsewhere reports whether another process has claimed the file.
func (l *fileLock) elsewhere() bool {
	f, err := os.OpenFile(l.path, os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // releases the lock, if it was ours
	return lockFile(f) != nil
}

func (l *fileLock) Yield(ctx context.Context, took time.Duration) error {
	if l.held != nil || !l.elsewhere() {
		return nil
	}
	select {
	case <-time.After(max(took, 5*lockPause)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *fileLock) release() error {
	if l.held == nil {
		return nil
	}
	err := l.held.Close()
	l.held = nil
	return err
}
