//go:build !unix

package engine

import "os"

// lockFile does nothing where the system has no locks that it frees by itself.
func lockFile(*os.File) error { return nil }
