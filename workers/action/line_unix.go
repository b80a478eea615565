//go:build unix

package action

import (
	"net"
	"syscall"
)

// silence gives a question to ask of an idle connection: has nothing come? An idle
// connection on which something has come is over: its end, or words that answer no
// question. Nobody reads from it meanwhile, so it has to be asked.
func silence(conn net.Conn) func() bool {
	var none bool
	peek := func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		none = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR //nolint:errorlint // a bare errno
		return true                                                                        // do not wait
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return func() bool { return true }
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return func() bool { return true }
	}
	return func() bool { return raw.Read(peek) == nil && none }
}
