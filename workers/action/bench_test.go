package action

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/minoots/minoots"
)

// BenchmarkWebhook is one delivery over loopback, all included: parameters,
// body, two signatures, exchange, answer. The receiver reads and answers by hand
// without allocating, so that the figures are the sender's alone (its CPU time is
// not: sender and receiver share the cores; BenchmarkDelivery has that).
func BenchmarkWebhook(b *testing.B) {
	url := "http://" + minimalReceiver(b) + "/hook"
	w := NewWebhook(Config{
		Secrets: fixedSecrets{[]byte("0123456789abcdef01234567"), []byte("89abcdef0123456701234567")},
		Allow:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	b.Cleanup(w.Close)
	d := testDelivery(minoots.KindWebhook, `{"url": "`+url+`", "method": "POST", "headers": {"Authorization": "Bearer x"}}`)
	b.SetParallelism(64) // as many deliveries at once as a small worker pool makes
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if out := w.Execute(b.Context(), d, 1); !out.Success {
				b.Error(out.Error)
				return
			}
		}
	})
}

// minimalReceiver answers 204 to everything and gives its address.
func minimalReceiver(tb testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn)
		}
	}()
	return listener.Addr().String()
}

func answerAll(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = 0
			for _, digit := range bytes.TrimSpace(value) {
				length = length*10 + int(digit-'0')
			}
		}
		if len(line) > 2 {
			continue
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		if _, err := conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n")); err != nil {
			return
		}
	}
}
