package action

import (
	"context"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minoots/minoots"
)

// receiver starts an HTTP server that the handler answers for.
func receiver(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// answering gives a handler that answers a status and a body.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hanging never answers; it gives up when the sender does, which net/http only
// notices once the body has been read.
func hanging(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// rawReceiver hands each connection to serve, with its number from 1 on, and
// closes it afterwards. It gives the URL.
func rawReceiver(t *testing.T, serve func(conn *net.TCPConn, number int)) string {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for number := 1; ; number++ {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn, number)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// dribble writes text at once and then one byte every two milliseconds until the
// other side has had enough.
func dribble(conn *net.TCPConn, text string) {
	if _, err := io.WriteString(conn, text); err != nil {
		return
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := conn.Write([]byte("x")); err != nil {
			return
		}
	}
}

// resolveTo makes the webhook's dialer ask a name server of ours, which answers
// the nth question for an A record with the nth of answers (the last one for
// ever), each a list of addresses.
func resolveTo(w *Webhook, answers ...[]string) {
	var asked atomic.Int64
	w.guard.dialer.Resolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe() // no packets, so the resolver talks DNS over TCP
			go func() {
				defer func() { _ = server.Close() }()
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, question); err != nil {
					return
				}
				var addresses []string
				if name := 12 + indexZero(question[12:]) + 1; question[name+1] == 1 { // type A
					n := min(int(asked.Add(1)), len(answers))
					addresses = answers[n-1]
				}
				reply := dnsReply(question, addresses)
				_, _ = server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}()
			return client, nil
		},
	}
}

func indexZero(b []byte) int {
	for i := range b {
		if b[i] == 0 {
			return i
		}
	}
	return len(b)
}

// dnsReply answers a question with A records that may not be cached.
func dnsReply(question []byte, addresses []string) []byte {
	end := 12 + indexZero(question[12:]) + 5
	reply := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question[12:end]...)
	for _, address := range addresses {
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, netip.MustParseAddr(address).AsSlice()...)
	}
	return reply
}

// testWebhook builds an executor that may reach loopback and signs with one secret.
func testWebhook(t *testing.T, change ...func(*Config)) *Webhook {
	t.Helper()
	config := Config{Secrets: fixedSecrets{[]byte("a signing secret, s3cret")}, Allow: loopback, Version: "1.2.3"}
	for _, f := range change {
		f(&config)
	}
	w := NewWebhook(config)
	t.Cleanup(w.Close)
	return w
}

// post is a webhook delivery to a URL, without any other parameters.
func post(url string) minoots.Delivery {
	return testDelivery(minoots.KindWebhook, `{"url": "`+url+`"}`)
}

func readAllOf(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body)
	return body
}
