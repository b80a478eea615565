//go:build !linux

package devpg

// No other system has a file system in memory that is there without being asked
// for.
const memoryDir = ""

func memoryFree() uint64 { return 0 }
