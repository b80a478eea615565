//go:build faults

package fault

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	armed  string
	passes atomic.Int64 // left
)

func init() {
	name, count, _ := strings.Cut(os.Getenv("MINOOTS_FAULT"), ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	armed = name
	passes.Store(n)
}

// Point is a place to crash at.
func Point(name string) {
	if name == armed && passes.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
}
