//go:build !linux

package app

import "net"

// drainQueue returns nothing on systems without access to the accept queue: a connection completed just before the
// listener closes is reset.
func emptied(*net.TCPListener) []net.Conn { return nil }
