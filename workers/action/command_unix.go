//go:build unix

package action

import (
	"os/exec"
	"syscall"
)

// commandsRun says that this system has process groups.
const commandsRun = true

// ownGroup makes the program the leader of a process group, all of which is killed
// when its time is over. SIGKILL at once: a program that is cut by its timeout has
// had its time, and TERM would leave it to the program to go.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup kills what is left of a group whose leader has ended. The number cannot
// have become another's while the group has members; and if it has none, the
// system hands numbers out in turn, not the one that was freed a moment ago.
func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
