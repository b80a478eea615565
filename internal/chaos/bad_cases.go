package chaos

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// badCase is one way to behave badly, and what the service must make of it.
type badCase struct {
	name, url string
	want      []string      // status and class of each attempt
	wait      time.Duration // before the second at least
	followed  *atomic.Bool  // whether the redirect's target was called
}

func (c badCase) timers() int {
	if strings.HasPrefix(c.want[0], "succeeded") {
		return badTimers
	}
	return failingTimers
}

func (c badCase) reached() []string {
	if c.followed != nil && c.followed.Load() {
		return []string{"elsewhere"}
	}
	return nil
}

// nobody is an address that nothing listens on: a port that was free just now may
// be anybody's a moment later.
const nobody = "http://127.0.0.1:1"

// openBad opens the bad receivers.
func (w *world) openBad() ([]badCase, error) {
	resetting, err := w.listenRaw(func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1)) // it has begun to ask
		_ = c.SetLinger(0)             // RST, not FIN
		_ = c.Close()
	})
	if err != nil {
		return nil, err
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS() // nobody knows who has signed its certificate
	w.atEnd(secure.Close)

	followed := &atomic.Bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { w.linger(r, time.Hour) })
	mux.HandleFunc("/drip", w.drip)
	mux.HandleFunc("/flood", flood)
	mux.HandleFunc("/moved", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/elsewhere", http.StatusFound) })
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	mux.HandleFunc("/busy", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", strconv.Itoa(int(badRetry.Seconds())))
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	mux.HandleFunc("/broken", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/gone", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
	w.receiver.other = mux
	dripping, err := w.listenRaw(w.dripHeader)
	if err != nil {
		return nil, err
	}

	here := w.receiver.url
	again := func(class string) []string { return []string{"retrying " + class, "failed " + class} }
	const least = 0 // full jitter
	return []badCase{
		{"refuses", nobody, again("refused"), least, nil},
		{"resets", resetting, again("reset"), least, nil},
		{"hangs", here + "/hang", again("timeout"), least, nil},
		{"drips-header", dripping, again("timeout"), least, nil},
		{"drips-body", here + "/drip", []string{"succeeded "}, 0, nil},
		{"floods", here + "/flood", []string{"succeeded "}, 0, nil},
		{"redirects", here + "/moved", []string{"failed redirect"}, 0, followed},
		{"tls", secure.URL, again("tls"), least, nil},
		{"busy", here + "/busy", again("http_status"), badRetry, nil},
		{"broken", here + "/broken", again("http_status"), least, nil},
		{"gone", here + "/gone", []string{"failed http_status"}, 0, nil},
	}, nil
}

// linger waits until the sender has gone, or so long.
func (w *world) linger(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
	case <-w.receiver.over:
	case <-time.After(d):
		return true
	}
	return false
}

// drip answers, and then sends a body without end byte by byte.
func (w *world) drip(rw http.ResponseWriter, r *http.Request) {
	rw.WriteHeader(http.StatusOK)
	for w.linger(r, 50*time.Millisecond) {
		_, _ = rw.Write([]byte("."))
		_ = http.NewResponseController(rw).Flush()
	}
}

// dripHeader sends a header without end, byte by byte.
func (w *world) dripHeader(c *net.TCPConn) {
	defer c.Close()
	_, _ = c.Read(make([]byte, 1)) // an answer before the question is another fault
	text := "HTTP/1.1 200 OK\r\nX-Long: "
	for i := 0; ; i++ {
		b := byte('x')
		if i < len(text) {
			b = text[i]
		}
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		select {
		case <-w.receiver.over:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// flood sends a gigabyte as fast as it is taken.
func flood(rw http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 1<<20)
	for range 1024 {
		if _, err := rw.Write(block); err != nil {
			return
		}
	}
}

// listenRaw serves connections rather than requests.
func (w *world) listenRaw(serve func(*net.TCPConn)) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return "", fmt.Errorf("listen for webhooks: %w", err)
	}
	w.atEnd(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c.(*net.TCPConn))
		}
	}()
	return "http://" + listener.Addr().String(), nil
}
