package devpg

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dieWithParent has the kernel ask the server for a fast shutdown when the
// thread that started it ends, even by SIGKILL.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// isPostmaster reports whether the process is a server at work in data. A
// server's working directory is its data directory; where we may not look at
// that, the program's name has to do. A zombie counts as dead: in a container
// whose first process reaps nobody it would hold its data for ever.
func isPostmaster(pid int, data string) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // 4711 (postgres) S …
	if err != nil || !strings.Contains(string(stat), " (post") || strings.Contains(string(stat), ") Z ") {
		return false
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err != nil || dir == data
}
