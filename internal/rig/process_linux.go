package rig

import "syscall"

// dieWithParent has the system end a replica when its harness is killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
