package minoots

// Status says where a timer stands.
type Status string

// StatusArmed exists for clients of the published enum and is never stored:
// arming is a replica's private hint, so no row can be armed.
const (
	StatusScheduled Status = "scheduled" // waiting for its due instant
	StatusArmed     Status = "armed"     // never stored
	StatusPaused    Status = "paused"    // not due until resumed
	StatusFired     Status = "fired"     // its actions are running
	StatusSettled   Status = "settled"   // its actions are done
	StatusFailed    Status = "failed"    // an action ran out of attempts
	StatusCancelled Status = "cancelled" // called off before it fired
)

// Statuses lists what a row may hold, in the order of a timer's life.
var Statuses = []Status{
	StatusScheduled, StatusPaused, StatusFired, StatusSettled, StatusFailed, StatusCancelled,
}

// transitions is the one table of legal changes. docs/concepts.md draws it, the
// CHECK constraint of minoots.timer_states lists its statuses, and a test holds
// the three together. A recurring timer goes back to scheduled inside the fire
// transaction: scheduled → fired → scheduled, and only the result is ever seen.
var transitions = map[Status][]Status{
	StatusScheduled: {StatusPaused, StatusFired, StatusSettled, StatusCancelled},
	StatusPaused:    {StatusScheduled, StatusCancelled},
	StatusFired:     {StatusSettled, StatusFailed},
	StatusSettled:   {StatusScheduled},
	StatusFailed:    {StatusScheduled, StatusSettled},
}

// CanBecome tells whether a timer in status s may go to status next.
// scheduled → settled is the way of a timer without actions, which fires and
// settles in one transaction; failed → settled that of one whose dead letters were
// redriven and have succeeded; settled → scheduled and failed → scheduled that of
// one that is replayed.
func (s Status) CanBecome(next Status) bool {
	for _, legal := range transitions[s] {
		if legal == next {
			return true
		}
	}
	return false
}

// Terminal tells whether a timer in this status is over: nothing moves it any
// more but somebody who asks for it.
func (s Status) Terminal() bool {
	return s == StatusSettled || s == StatusFailed || s == StatusCancelled
}

// FiringStatus says where one occurrence of a timer stands.
type FiringStatus string

// A firing starts running and ends once; a failed one is settled after all when its
// dead letters were redriven and have succeeded.
const (
	FiringRunning   FiringStatus = "running"
	FiringSettled   FiringStatus = "settled"
	FiringFailed    FiringStatus = "failed"
	FiringCancelled FiringStatus = "cancelled"
	FiringSkipped   FiringStatus = "skipped" // never ran, by misfire policy; the reason stands beside it
)

// FiringStatuses lists what a row may hold.
var FiringStatuses = []FiringStatus{
	FiringRunning, FiringSettled, FiringFailed, FiringCancelled, FiringSkipped,
}
