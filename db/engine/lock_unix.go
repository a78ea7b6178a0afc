//go:build unix

package engine

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks the file for this process; the system releases the lock when the process ends, even after a crash.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrServed
	}
	return err
}
