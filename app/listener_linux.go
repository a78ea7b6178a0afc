package app

import (
	"net"
	"os"
	"syscall"
)

// drainQueue stops listening and returns the connections in the accept queue, which would be reset if the listener were
// closed. It is not atomic: one step lies between the check that the queue is empty and the end of listening.
func drainQueue(l *net.TCPListener) []net.Conn {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil
	}
	var out []net.Conn
	_ = raw.Control(func(fd uintptr) {
		for {
			conn, _, err := syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
			if err != nil {
				_ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR)
				return
			}
			f := os.NewFile(uintptr(conn), "connection")
			if c, err := net.FileConn(f); err == nil {
				out = append(out, c)
			}
			_ = f.Close()
		}
	})
	return out
}
