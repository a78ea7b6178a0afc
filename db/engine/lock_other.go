//go:build !unix

package engine

import "os"

// lockFile does nothing on systems without locks that are released automatically.
func lockFile(*os.File) error { return nil }
