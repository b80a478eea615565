package action

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/minoots/minoots"
)

// A receiver that refuses a request before it has read it is heard, whether it then
// closes or just stops reading, and whatever the request's size.
func TestEarlyAnswerIsHeard(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small": 100, "large": 4 << 20} {
		for _, closes := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				url := rawReceiver(t, func(conn *net.TCPConn, _ int) {
					var first [1]byte
					_, _ = io.ReadFull(conn, first[:])
					_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
					if closes {
						_ = conn.CloseWrite()
					}
					<-t.Context().Done() // reads no more
				})
				out := testWebhook(t).Execute(t.Context(), testDelivery(minoots.KindWebhook,
					`{"url": "`+url+`", "body": "`+strings.Repeat("x", size)+`"}`), 1)
				assert.Equal(t, 413, out.HTTPStatus, out.Error)
			})
		}
	}
}
