//go:build !faults

package fault

// Point is a place to crash at.
func Point(string) {}
