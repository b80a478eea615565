//go:build !linux

package bench

import "syscall"

// dieWithParent needs a promise that only Linux gives.
func dieWithParent(*syscall.SysProcAttr) {}
