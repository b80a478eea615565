package action

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// maxHTTP2Origins bounds how many receivers of HTTP/2 are remembered. Whoever is
// forgotten is asked again, which costs a handshake.
const maxHTTP2Origins = 10_000

// exchange sends a message and gives the answer, whose body is still to be read and
// closed. Nearly all deliveries are small requests in HTTP/1.1, and those go over a
// line of ours, which costs a good deal less than net/http's Transport
// (docs/adr/0025). What is not plain, and HTTP/2, is the Transport's.
func (s *sender) exchange(ctx context.Context, m *message, secrets [][]byte) (*http.Response, error) {
	// Signed with the time of sending, not of firing: receivers refuse what is
	// minutes old, and a fifth attempt may be an hour after the first.
	at, to := s.now(), originTo(m.target)
	if m.plain() && !(to.tls && s.http2.has(to)) {
		buffer := outgoing.Get().(*[]byte)
		defer outgoing.Put(buffer)
		if request := m.appendPlain((*buffer)[:0], secrets, at, s.userAgent[0]); request != nil {
			*buffer = request
			answer, err := s.lines.exchange(ctx, to, request)
			if !errors.Is(err, errHTTP2) {
				return answer, err
			}
			s.http2.add(to)
		}
	}
	answer, err := s.transport.RoundTrip(m.request(ctx, secrets, at, s.userAgent))
	if err == nil && answer.ProtoMajor < 2 {
		s.http2.remove(to)
	}
	return answer, err
}

// outgoing holds buffers for requests, of plainLimit and a little more at most.
var outgoing = sync.Pool{New: func() any { return new([]byte) }}

// http2Origins are the receivers that chose HTTP/2 when they were last asked.
type http2Origins struct {
	mu    sync.Mutex
	known map[origin]struct{}
}

func (h *http2Origins) has(o origin) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.known[o]
	return known
}

func (h *http2Origins) add(o origin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= maxHTTP2Origins {
		h.known = map[origin]struct{}{}
	}
	h.known[o] = struct{}{}
}

func (h *http2Origins) remove(o origin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, o)
}
