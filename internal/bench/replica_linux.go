package bench

import "syscall"

// dieWithParent has the system end a replica when the bench is killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
