package db_test

import (
	"slices"
)

// modelTally is what a group of outcomes means for one firing.
type modelTally struct {
	ended, failed, mended int
	stops                 bool
}

// count takes the final end of a job into the firing's tally, or does what else
// follows from it.
func (m *model) count(o *modelOutcome, tally *modelTally) {
	t, j := o.job.timer, o.job
	switch {
	case !o.ok && j.redrives == 0 && t.escalates && len(j.action) == 1 && j.action != "u":
		m.jobs = append(m.jobs, &modelJob{timer: t, action: j.action + "2", state: "available"})
		return
	case !o.ok:
		m.bury(j)
	case j.redrives > 0:
		l := m.letter(t, j.action)
		l.status, l.attempts = "resolved", j.attempt
	}
	switch {
	case j.action == "u":
	case j.redrives > 0 && o.ok:
		tally.mended++
	case j.redrives > 0:
	default:
		tally.ended++
		if !o.ok {
			tally.failed++
			tally.stops = tally.stops || t.stops && t.actions > 1
		}
	}
}

func (m *model) letter(t *modelTimer, action string) *modelLetter {
	for _, l := range m.dead {
		if l.timer == t && l.action == action {
			return l
		}
	}
	return nil
}

func (m *model) bury(j *modelJob) {
	l := m.letter(j.timer, j.action)
	if l == nil {
		l = &modelLetter{timer: j.timer, action: j.action}
		m.dead = append(m.dead, l)
	}
	l.status, l.attempts = "dead", j.attempt
	m.note("event %s %d action.dead_lettered %s %d ", j.timer.name, j.timer.occurrence, j.action, j.attempt)
}

// redrive makes a dead letter a job again.
func (m *model) redrive(l *modelLetter) {
	l.status = "redriven"
	l.redrives++
	m.jobs = append(m.jobs, &modelJob{timer: l.timer, action: l.action, state: "available", attempt: l.attempts, redrives: l.redrives})
}

// apply counts a firing on, and starts what there is room for.
func (m *model) apply(t *modelTimer, tally modelTally) {
	f := t.firing
	if f.status != "running" && tally.mended == 0 {
		return
	}
	from := f.started
	f.ended += tally.ended
	f.failed += tally.failed - tally.mended
	if !f.stops && tally.stops {
		f.stops, f.stopped = true, min(f.started, t.actions)
	}
	last := f.stopped
	if !f.stops {
		f.started += tally.ended
		last = t.actions
	}
	if f.ended >= last {
		m.end(t)
	} else if !f.stops {
		m.enqueue(t, from, f.started)
	}
}

func (o *modelOutcome) live(m *model) bool {
	return slices.Contains(m.jobs, o.job) && o.job.state == "running" && o.job.attempt == o.attempt
}

// record notes a group of outcomes in one transaction, and tells which counted.
// What follows is started when all of the group have been counted.
func (m *model) record(group []*modelOutcome) (live []bool) {
	tallies := map[*modelTimer]*modelTally{}
	var firings []*modelTimer
	for _, o := range group {
		counts := o.live(m)
		live = append(live, counts)
		if !counts || o.recorded {
			continue
		}
		t, status, event := o.job.timer, "succeeded", "succeeded"
		if !o.ok {
			status, event = "failed", "failed"
		}
		if !o.final {
			status, o.recorded = "retrying", true
			if o.here {
				o.job.state = "available"
			}
		}
		m.note("attempt %s %d %s %d %s", t.name, t.occurrence, o.job.action, o.attempt, status)
		m.note("event %s %d action.%s %s %d %t", t.name, t.occurrence, event, o.job.action, o.attempt, o.final)
		if !o.final {
			continue
		}
		m.jobs = slices.DeleteFunc(m.jobs, func(j *modelJob) bool { return j == o.job })
		tally := tallies[t]
		if tally == nil {
			tally = &modelTally{}
			tallies[t], firings = tally, append(firings, t)
		}
		m.count(o, tally)
	}
	for _, t := range firings {
		if tally := *tallies[t]; tally != (modelTally{}) {
			m.apply(t, tally)
		}
	}
	return live
}
