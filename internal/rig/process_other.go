//go:build !linux

package rig

import "syscall"

// dieWithParent needs a promise that only Linux gives.
func dieWithParent(*syscall.SysProcAttr) {}
