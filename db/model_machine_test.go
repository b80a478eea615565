package db_test

import (
	"fmt"
	"slices"
	"strings"
)

// model is what a timer is, without a database: the smallest machine that does
// what the statements are to do. TestModel drives both with the same operations
// and compares what they come to.
type model struct {
	now    int // microseconds since the run began
	timers []*modelTimer
	jobs   []*modelJob
	keys   map[string]modelKey
	log    []string // attempts and events
	dead   []*modelLetter
}

type modelTimer struct {
	name                 string
	due                  int
	actions, concurrency int
	status               string
	version, occurrence  int
	firing               *modelFiring
	past                 []string // of its firings before the last
	modelBundle
}

// modelBundle is what a bundle says besides its actions. Those that escalate do so
// to one of their name and a 2; the compensation is u.
type modelBundle struct{ escalates, stops, compensates bool }

type modelFiring struct {
	name, status           string
	occurrence, of         int
	started, ended, failed int
	stops                  bool
	stopped                int // at so many, if it stops
}

type modelLetter struct {
	timer              *modelTimer
	action, status     string
	attempts, redrives int
}

func (f *modelFiring) String() string {
	line := fmt.Sprintf("firing %s %d %s started %d ended %d failed %d of %d", f.name, f.occurrence, f.status, f.started, f.ended, f.failed, f.of)
	if f.stops {
		line += fmt.Sprintf(" stopped %d", f.stopped)
	}
	return line
}

type modelJob struct {
	timer               *modelTimer
	action              string
	state               string // available or running
	attempt, generation int
	redrives            int
}

type modelKey struct{ timer, fingerprint string }

// modelOutcome is what a worker has in hand after an attempt.
type modelOutcome struct {
	job       *modelJob
	attempt   int
	ok, final bool
	recorded  bool // as one to be retried
	here      bool // its replica began it by itself, and so its retry is ours to arrange
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) create(t *modelTimer) {
	t.status, t.version = "scheduled", 1
	m.timers = append(m.timers, t)
	m.note("event %s 0 timer.scheduled", t.name)
}

// cancel tells whether it was called off, and else whether it was over.
func (m *model) cancel(t *modelTimer) (cancelled, conflict bool) {
	switch t.status {
	case "scheduled", "paused":
		t.status = "cancelled"
		t.version++
		m.note("event %s 0 timer.cancelled", t.name)
		return true, false
	case "fired":
		return false, true
	}
	return false, false
}

// due lists what a claim would take, in order.
func (m *model) due(limit int) (all []*modelTimer) {
	for _, t := range m.timers {
		if t.status == "scheduled" && t.due <= m.now {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *modelTimer) int { return a.due - b.due })
	return all[:min(limit, len(all))]
}

// claim fires. Of the refused no job can be made.
func (m *model) claim(limit int, refused string) (fired int) {
	due := m.due(limit)
	for _, t := range due {
		t.version++
		t.occurrence++
		m.note("event %s %d timer.fired", t.name, t.occurrence)
		if t.firing != nil {
			t.past = append(t.past, t.firing.String())
		}
		t.firing = &modelFiring{status: "running", started: min(t.actions, t.concurrency), of: t.actions, name: t.name, occurrence: t.occurrence}
		switch {
		case t.actions == 0:
			m.end(t)
		case t.name == refused:
			t.firing.status, t.status = "failed", "failed"
			t.version++
			m.note("event %s %d timer.failed", t.name, t.occurrence)
		default:
			t.status = "fired"
			m.enqueue(t, 0, t.firing.started)
		}
	}
	return len(due)
}

func (m *model) enqueue(t *modelTimer, from, to int) {
	for i := from; i < min(to, t.actions); i++ {
		m.jobs = append(m.jobs, &modelJob{timer: t, action: string(rune('a' + i)), state: "available"})
	}
}

// end settles or fails a firing whose last action ended, and its timer.
func (m *model) end(t *modelTimer) {
	f := t.firing
	status := "settled"
	if f.failed > 0 || f.stops && f.stopped < t.actions {
		status = "failed"
	}
	if f.status == status {
		return
	}
	f.status = status
	if t.status == "fired" || t.status == "failed" {
		t.version++
	}
	t.status = status
	m.note("event %s %d timer.%s", t.name, t.occurrence, t.status)
	if status == "failed" && t.compensates {
		m.jobs = append(m.jobs, &modelJob{timer: t, action: "u", state: "available"})
	}
}

// String is all that is to be seen of it.
func (m *model) String() string {
	all := slices.Clone(m.log)
	for _, t := range m.timers {
		all = append(all, fmt.Sprintf("timer %s %s version %d occurrence %d", t.name, t.status, t.version, t.occurrence))
		all = append(all, t.past...)
		if f := t.firing; f != nil {
			all = append(all, f.String())
		}
	}
	for _, j := range m.jobs {
		all = append(all, fmt.Sprintf("job %s %s %s attempt %d generation %d", j.timer.name, j.action, j.state, j.attempt, j.generation))
	}
	for _, l := range m.dead {
		all = append(all, fmt.Sprintf("letter %s %s %s attempts %d redrives %d", l.timer.name, l.action, l.status, l.attempts, l.redrives))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// modelSQL is the same of a database.
const modelSQL = `
SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), '') FROM (
    SELECT format('timer %s %s version %s occurrence %s', name, status, version, occurrence) AS line
    FROM minoots.timers JOIN minoots.timer_states USING (id)
    UNION ALL
    SELECT format('firing %s %s %s started %s ended %s failed %s of %s', name, occurrence, status, started, ended, failed, actions)
        || coalesce(' stopped ' || stopped, '')
    FROM minoots.firings f JOIN minoots.timers t ON t.id = f.timer_id
    UNION ALL
    SELECT format('attempt %s %s %s %s %s', name, occurrence, action_id, attempt, status)
    FROM minoots.attempts a JOIN minoots.timers t ON t.id = a.timer_id
    UNION ALL
    SELECT format('event %s %s %s %s %s %s', name, occurrence, type, data ->> 'actionId', data ->> 'attempt', data ->> 'final')
    FROM minoots.events e JOIN minoots.timers t ON t.id = e.timer_id WHERE type LIKE 'action.%'
    UNION ALL
    SELECT format('event %s %s %s', name, occurrence, type) || coalesce(' ' || (data ->> 'policy'), ' ' || (data ->> 'by'), '')
    FROM minoots.events e JOIN minoots.timers t ON t.id = e.timer_id WHERE type LIKE 'timer.%'
    UNION ALL
    SELECT format('job %s %s %s attempt %s generation %s', args #>> '{timer,name}', args #>> '{action,id}', state, attempt,
        coalesce(args ->> 'generation', '0'))
    FROM river.river_job
    UNION ALL
    SELECT format('letter %s %s %s attempts %s redrives %s', name, action_id, status, attempts, redrives)
    FROM minoots.dead_letters d JOIN minoots.timers t ON t.id = d.timer_id
) AS lines`
