// Package fault marks the places between two steps that belong together, for
// internal/chaos to kill a replica there. In a normal build a point is an empty
// function, which the compiler removes. With the build tag `faults` the process
// kills itself at the point that MINOOTS_FAULT names: NAME:N at the N-th passing.
//
// A replica's clock needs no mark: see internal/fault/skew.
package fault

// Points lists all there are, in the order of a timer's life.
var Points = []string{
	"fire.claimed",     // due timers are locked and marked; there are no jobs yet
	"fire.planned",     // the jobs and the commit are about to be sent, together
	"fire.committed",   // committed; the workers and the kernel do not know it yet
	"record.gathered",  // actions are done; no outcome has been sent
	"record.stated",    // of bundles: outcomes are written
	"record.enqueued",  // of bundles: and the next actions' jobs; not committed
	"record.committed", // committed; the workers do not know it yet
}
