package bench

import (
	"bufio"
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkReceiver is a webhook received and answered, with a client beside it that
// does next to nothing. What matters is cpu-µs/op, which a busy machine distorts
// least; it has both sides. Measured: 49 µs with net/http's server, 26 µs with the
// door.
func BenchmarkReceiver(b *testing.B) {
	r, err := startReceiver(b.Context(), "", "")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, r.close()) })
	n := r.expect("run", b.N+1)
	request := []byte("POST " + strings.TrimPrefix(n.url, r.base) + "1800000000000000 HTTP/1.1\r\n" +
		"Host: " + strings.TrimPrefix(r.base, "http://") + "\r\nUser-Agent: minoots/1.2.3\r\nContent-Type: application/json\r\n" +
		"Content-Length: 500\r\nWebhook-Id: 01890a5d-ac96-774b-bcce-b302099a8057_1_wake\r\nWebhook-Timestamp: 1800000000\r\n" +
		"Webhook-Signature: v1," + strings.Repeat("x", 44) + "\r\nX-Minoots-Timer-Id: 01890a5d-ac96-774b-bcce-b302099a8057\r\n" +
		"X-Minoots-Tenant-Id: acme\r\nX-Minoots-Attempt: 1\r\nTraceparent: 00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-01\r\n\r\n" +
		strings.Repeat("x", 500))
	b.SetParallelism(32)
	b.ReportAllocs()
	before, err := usageOf(os.Getpid())
	require.NoError(b, err)
	b.RunParallel(func(pb *testing.PB) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(context.Background(), "tcp", strings.TrimPrefix(r.base, "http://"))
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		for pb.Next() {
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			for line := "-"; line != "\r\n"; {
				if line, err = in.ReadString('\n'); err != nil {
					b.Error(err)
					return
				}
			}
		}
	})
	after, err := usageOf(os.Getpid())
	require.NoError(b, err)
	b.ReportMetric(float64((after.cpu-before.cpu).Microseconds())/float64(b.N), "cpu-µs/op")
}
