package db

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

//go:embed query/timer_rearm.sql
var timerRearmSQL string

const (
	// judgeBudget bounds the time in which a claim judges timers, and skipsBudget
	// the firings that it skips: what is left over stays due, for the next claim.
	// Else a great batch after a long outage would run out of time again and again.
	judgeBudget = time.Second
	skipsBudget = 10_000
	// The rate of catching up, for occurrences that were missed and are all fired:
	// a timer's are so far apart at least, and so are those of all timers that one
	// replica claims.
	catchUpTimer   = 100 * time.Millisecond
	catchUpReplica = 10 * time.Millisecond
)

// catchUp hands out the instants at which missed occurrences are fired.
type catchUp struct {
	mu   sync.Mutex
	next time.Time
}

func (c *catchUp) slot(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := later(now.Add(catchUpTimer), c.next)
	c.next = at.Add(catchUpReplica)
	return at
}

// court judges the timers of one claim.
type court struct {
	db      *DB
	now     time.Time // of the claim
	began   time.Time
	left    bool // some were left to the next claim
	skipped int
	cases   []verdictOn
}

// verdictOn is a judged timer and what becomes of it.
type verdictOn struct {
	judged
	verdict
	fired *Fired // nil if it does not fire
	held  *Fired // as it was claimed
}

// judge sorts out what a claim has taken: it gives what fires, in the order of
// the claim, and notes what becomes of the rest.
func (c *court) judge(taken []Fired) []Fired {
	judged := 0
	for i := range taken {
		if taken[i].judged != nil {
			judged++
		}
	}
	if judged == 0 {
		return taken
	}
	c.began, c.cases = time.Now(), make([]verdictOn, 0, judged)
	fired := make([]Fired, 0, len(taken)) // cases point into it
	for i := range taken {
		f := &taken[i]
		if f.judged == nil {
			fired = append(fired, *f)
			continue
		}
		if len(c.cases) > 0 && (c.skipped >= skipsBudget || time.Since(c.began) > judgeBudget) {
			c.left = true
			continue
		}
		v := c.decide(f)
		c.skipped += len(v.skipped)
		if v.fires != nil {
			f.Occurrence, f.DueAt, f.Recurring = v.fires.number, v.fires.due, !v.over
			fired = append(fired, *f)
		}
		on := verdictOn{judged: *f.judged, verdict: v, held: f}
		if v.fires != nil {
			on.fired = &fired[len(fired)-1]
		}
		c.cases = append(c.cases, on)
	}
	return fired
}

func (c *court) decide(f *Fired) verdict {
	j := f.judged
	var s *cron.Schedule
	if j.recurring {
		var err error
		if s, err = c.db.schedules.of(j.recurrence, j.anchor); err != nil {
			// A zone may be gone from a newer time zone database.
			o := occurrence{number: j.occurrence + 1, at: j.fireAt, due: j.dueAt, reason: fmt.Sprintf("its recurrence cannot be computed: %s", err)}
			return verdict{skipped: []occurrence{o}, number: o.number, over: true, failed: true, reason: o.reason}
		}
	}
	return j.judge(s, c.now)
}

// queue adds the statement to a round trip, if there is anything to write.
func (c *court) queue(to *pgx.Batch) bool {
	if len(c.cases) == 0 {
		return false
	}
	cols := rearmColumns{}
	for i := range c.cases {
		cols.add(c, i)
	}
	to.Queue(timerRearmSQL, cols.ids, cols.tenants, cols.occurrences, cols.actions, cols.statuses, cols.fireAt, cols.dueAt,
		cols.fires, cols.reasons, cols.timers, cols.numbers, cols.due, cols.firings, cols.why, c.now)
	return true
}

// rearmColumns are the timers and their firings, turned on their side.
type rearmColumns struct {
	ids         []minoots.ID
	tenants     []string
	occurrences []int32
	actions     []int16
	statuses    []string
	fireAt      []time.Time
	dueAt       []*time.Time
	fires       []bool
	reasons     []*string

	timers  []int64 // places among the ids, from 1
	numbers []int32
	due     []time.Time
	firings []string
	why     []*string
}

func (cols *rearmColumns) add(c *court, i int) {
	on := &c.cases[i]
	status, fireAt, dueAt, reason := on.becomes(&c.db.catchUp, c.now)
	cols.ids = append(cols.ids, on.id)
	cols.tenants = append(cols.tenants, on.held.TenantID)
	cols.occurrences = append(cols.occurrences, int32(on.number))
	cols.actions = append(cols.actions, int16(on.held.Actions))
	cols.statuses = append(cols.statuses, string(status))
	cols.fireAt = append(cols.fireAt, fireAt)
	cols.dueAt = append(cols.dueAt, optionalTime(dueAt))
	cols.fires = append(cols.fires, on.fires != nil)
	cols.reasons = append(cols.reasons, optional(reason))
	firing := func(o occurrence, status minoots.FiringStatus, why string) {
		cols.timers = append(cols.timers, int64(i+1))
		cols.numbers = append(cols.numbers, int32(o.number))
		cols.due = append(cols.due, o.due)
		cols.firings = append(cols.firings, string(status))
		cols.why = append(cols.why, optional(why))
	}
	for _, o := range on.skipped {
		if on.failed {
			firing(o, minoots.FiringFailed, o.reason)
		} else {
			firing(o, minoots.FiringSkipped, o.reason)
		}
	}
	switch {
	case on.fires == nil:
	case on.fired.judged.refused != "":
		firing(*on.fires, minoots.FiringFailed, on.fired.judged.refused)
	case on.held.Actions == 0:
		firing(*on.fires, minoots.FiringSettled, "")
	default:
		firing(*on.fires, minoots.FiringRunning, "")
	}
}

// becomes gives where the timer stands then. What is due next is due from now on
// at the earliest, to be found above the claims' low-water mark; how late it is
// follows from fireAt.
func (on *verdictOn) becomes(slots *catchUp, now time.Time) (status minoots.Status, fireAt, dueAt time.Time, reason string) {
	switch {
	case !on.over && on.paced:
		dueAt = slots.slot(now)
		on.next.due = dueAt
		return minoots.StatusScheduled, on.next.at, dueAt, ""
	case !on.over:
		on.next.due = later(on.next.due, now)
		return minoots.StatusScheduled, on.next.at, on.next.due, ""
	case on.failed:
		status, reason = minoots.StatusFailed, on.reason
	case on.cancelled:
		status, reason = minoots.StatusCancelled, on.reason
	case on.fires == nil: // its schedule has run out
		status, reason = minoots.StatusSettled, on.reason
	case on.fired.judged.refused != "":
		status, reason = minoots.StatusFailed, on.fired.judged.refused
	case on.held.Actions == 0:
		status = minoots.StatusSettled
	default:
		status = minoots.StatusFired
	}
	fireAt = on.fireAt
	if on.fires != nil {
		fireAt = on.fires.at
	}
	return status, fireAt, time.Time{}, reason
}

// upcoming gives when the timers are due next.
func (c *court) upcoming() []time.Time {
	var all []time.Time
	for i := range c.cases {
		if !c.cases[i].over {
			all = append(all, c.cases[i].next.due)
		}
	}
	return all
}

// judgedRow are the columns of a claim that only judged timers have.
type judgedRow struct {
	fireAt, anchor      *time.Time
	recurring, unarmed  *bool
	recurrence, misfire []byte
	jitterMs            *int64
}

// of gives the timer to judge, nil for one that has fired already.
func (r *judgedRow) of(f *Fired) (*judged, error) {
	if r.recurring == nil {
		return nil, nil
	}
	j := &judged{
		id: f.ID, recurring: *r.recurring, unarmed: r.unarmed != nil && *r.unarmed, occurrence: f.Occurrence,
		fireAt: *r.fireAt, dueAt: f.DueAt, anchor: *r.anchor, recurrence: r.recurrence, jitterMs: *r.jitterMs,
	}
	if r.misfire == nil {
		return j, nil
	}
	return j, json.Unmarshal(r.misfire, &j.misfire)
}
