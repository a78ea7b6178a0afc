package app

import (
	"net"
	"os"
	"syscall"
)

// emptied ends the listening and gives the connections that were in the queue: to close a listener resets them. Between
// the look at the empty queue and the end of the listening is one step.
func emptied(l *net.TCPListener) []net.Conn {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil
	}
	var out []net.Conn
	_ = raw.Control(func(fd uintptr) {
		for {
			one, _, err := syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
			if err != nil {
				_ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR)
				return
			}
			f := os.NewFile(uintptr(one), "connection")
			if c, err := net.FileConn(f); err == nil {
				out = append(out, c)
			}
			_ = f.Close()
		}
	})
	return out
}
