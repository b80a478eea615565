package bench

import (
	"bufio"
	"bytes"
	"net"
	"strconv"
	"sync"
	"time"
)

// door answers webhooks as this service sends them, at the least cost: the receiver
// has its share of the cores that the service is measured on, and a real one has not.
// It is one goroutine a connection, one read and one write a webhook, where
// net/http's server takes 40 µs (docs/adr/0025). With any other request it hands the
// connection over, unread, to the server whose listener it is.
type door struct {
	net.Listener
	note  func(path, id string, at time.Time) bool // whether that is all there is to do
	other chan net.Conn

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // of which the server does not know
	closed chan struct{}
}

func openDoor(l net.Listener, note func(path, id string, at time.Time) bool) *door {
	return &door{Listener: l, note: note, other: make(chan net.Conn), conns: map[net.Conn]struct{}{}, closed: make(chan struct{})}
}

// serve takes connections until the door is closed.
func (d *door) serve() {
	for {
		conn, err := d.Listener.Accept()
		switch {
		case err == nil:
			if d.add(conn) {
				go d.answer(conn)
			}
			continue
		case d.isClosed():
			return
		}
		// No descriptors left, likely: there will be some again.
		select {
		case <-time.After(10 * time.Millisecond):
		case <-d.closed:
			return
		}
	}
}

// Accept implements net.Listener: it gives the connections that the door leaves to
// the server.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.other:
		return conn, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It ends the connections that the server does not
// know of.
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed() {
		return nil
	}
	close(d.closed)
	for conn := range d.conns {
		_ = conn.Close()
	}
	return d.Listener.Close()
}

func (d *door) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}

func (d *door) add(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed() {
		_ = conn.Close()
		return false
	}
	d.conns[conn] = struct{}{}
	return true
}

func (d *door) forget(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, conn)
}

var noContent = []byte("HTTP/1.1 204 No Content\r\n\r\n")

// answer answers webhooks until the other side ends, or something else comes.
func (d *door) answer(conn net.Conn) {
	defer d.forget(conn)
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			_ = conn.Close()
			return
		}
		at := time.Now() // before all else
		come, _ := in.Peek(in.Buffered())
		w, ok := readWebhook(come)
		if !ok || !d.note(string(w.path), string(w.id), at) {
			select {
			case d.other <- &handedOver{conn, in}:
			case <-d.closed:
				_ = conn.Close()
			}
			return
		}
		_, err := in.Discard(w.size)
		if err == nil {
			_, err = conn.Write(noContent)
		}
		if err != nil {
			_ = conn.Close()
			return
		}
	}
}

// handedOver is a connection whose first bytes have been looked at.
type handedOver struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (h *handedOver) Read(p []byte) (int, error) { return h.in.Read(p) }

// webhook is what the door wants to know of a request.
type webhook struct {
	path, id []byte
	size     int // of header and body
}

// maxDoorBody is the largest body that the door reads over itself, in bytes.
const maxDoorBody = 1 << 20

// readWebhook reads the header of a webhook, all of which has come. ok is false for
// whatever has to be looked at closer, and for what is no HTTP.
func readWebhook(come []byte) (w webhook, ok bool) {
	end := bytes.Index(come, []byte("\r\n\r\n"))
	if end < 0 {
		return w, false
	}
	w.size = end + 4
	line, rest := cutLine(come[:end+2])
	line, isPost := bytes.CutPrefix(line, []byte("POST "))
	w.path, ok = bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok || !isPost || len(w.path) == 0 || w.path[0] != '/' || bytes.ContainsAny(w.path, " %?#\r\n") {
		return w, false
	}
	var host, sized bool
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		name, value, isHeader := bytes.Cut(line, []byte(":"))
		if !isHeader || bytes.ContainsAny(name, " \t\r\n") || bytes.ContainsAny(value, "\r\n") {
			return w, false
		}
		switch value = bytes.Trim(value, " \t"); {
		case named(name, "webhook-id"):
			w.id = value
		case named(name, "content-length"):
			length, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || sized || length > maxDoorBody {
				return w, false
			}
			w.size, sized = w.size+int(length), true
		case named(name, "host"):
			host = true
		case named(name, "transfer-encoding"), named(name, "connection"), named(name, "expect"), named(name, "upgrade"):
			return w, false
		}
	}
	return w, host // HTTP/1.1 cannot do without
}

func named(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}

// cutLine cuts b behind its first line, which is complete.
func cutLine(b []byte) (line, rest []byte) {
	end := bytes.Index(b, []byte("\r\n"))
	return b[:end], b[end+2:]
}
