package chaos

import "time"

// plan is what is to come of a timer.
type plan struct {
	due     time.Time     // first
	gap     time.Duration // from one occurrence to the next
	times   int           // that it fires
	actions int           // that are to arrive, each time: those with the lowest numbers
	word    bool          // action 0 is an agent's, whose word must have been taken
}

// at is when an occurrence is due, the first being 1.
func (p plan) at(occurrence int) time.Time { return p.due.Add(time.Duration(occurrence-1) * p.gap) }

// promise is one timer, acknowledged or not.
type promise struct {
	plan
	acked     bool
	cancelled bool
	doubtful  bool        // it is not known whether it was cancelled
	heard     bool        // its agent's word was taken
	first     []time.Time // arrivals, by place
	before    []arrival   // what has arrived before the timer was acknowledged
	moved     time.Time   // of the last thing that happened
}

// arrival is a delivery that the receiver has got.
type arrival struct {
	occurrence, action int
	due                time.Time // as it says itself
	at                 time.Time
	again              bool // and not the first of its webhook-id
}

// place is where an action of an occurrence stands in promise.first.
func (a arrival) place() int { return (a.occurrence-1)*maxActions + a.action }

// arrive notes the first of each, and tells whether this is.
func (p *promise) arrive(a arrival) bool {
	place := a.place()
	if more := place + 1 - len(p.first); more > 0 {
		p.first = append(p.first, make([]time.Time, more)...)
	}
	if !p.first[place].IsZero() {
		return false
	}
	p.first[place] = a.at
	return true
}

// whole tells that all that was to come has.
func (p *promise) whole() bool {
	if p.word && !p.heard || len(p.first) < (p.times-1)*maxActions+p.actions {
		return false
	}
	for occurrence := range p.times {
		for action := range p.actions {
			if p.first[occurrence*maxActions+action].IsZero() {
				return false
			}
		}
	}
	return true
}

// planned tells whether the delivery is one that was to come.
func (p *promise) planned(a arrival) bool { return a.action < p.actions && a.occurrence <= p.times }
