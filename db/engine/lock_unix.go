//go:build unix

package engine

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock on the file for this process; the system frees it when the process ends, however it ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrServed
	}
	return err
}
