//go:build !linux

package devpg

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent does nothing: only Linux has a signal for it. A server whose
// parent was killed stays, and the next Start attaches to it.
func dieWithParent(*syscall.SysProcAttr) {}

// isPostmaster reports whether the process is a PostgreSQL server; of which
// directory, this system does not readily say.
func isPostmaster(pid int, _ string) bool {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.HasPrefix(filepath.Base(strings.TrimSpace(string(out))), "post")
}
