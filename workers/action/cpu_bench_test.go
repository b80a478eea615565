//go:build unix

package action

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/require"
)

// receiverProcess is set in the process that BenchmarkDelivery delivers to.
const receiverProcess = "MINOOTS_TEST_RECEIVER"

// TestReceiverProcess is no test: it is the receiver of BenchmarkDelivery, for as
// long as that keeps its standard input open.
func TestReceiverProcess(t *testing.T) {
	if os.Getenv(receiverProcess) == "" {
		t.Skip("is run by BenchmarkDelivery")
	}
	fmt.Println("receiver: " + minimalReceiver(t))
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// BenchmarkDelivery is the CPU time that a delivery costs this process, system
// calls included, without the receiver's: that is another process. It is the
// figure to compare by, since a busy machine distorts it least.
func BenchmarkDelivery(b *testing.B) {
	url := "http://" + receiverApart(b) + "/hook"
	w := NewWebhook(Config{Secrets: fixedSecrets{[]byte("0123456789abcdef01234567")}, Allow: loopback})
	b.Cleanup(w.Close)
	d := testDelivery(minoots.KindWebhook, `{"url": "`+url+`"}`)
	b.SetParallelism(64)
	b.ReportAllocs()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if out := w.Execute(b.Context(), d, 1); !out.Success {
				b.Error(out.Error)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
}

// receiverApart starts a receiver in a process of its own and gives its address.
func receiverApart(b *testing.B) string {
	b.Helper()
	child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestReceiverProcess$")
	child.Env = append(os.Environ(), receiverProcess+"=1")
	in, err := child.StdinPipe()
	require.NoError(b, err)
	out, err := child.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	b.Cleanup(func() { _, _ = in.Close(), child.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "receiver: "); ok {
			return address
		}
	}
	b.Fatal("the receiver did not start")
	return ""
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
