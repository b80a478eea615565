//go:build !unix

package action

import "os/exec"

// commandsRun says that this system lacks process groups, so that nothing could be
// promised about what a program leaves behind.
const commandsRun = false

func ownGroup(*exec.Cmd) {}
func endGroup(*exec.Cmd) {}
