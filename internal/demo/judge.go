package demo

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/minoots/minoots"
)

// Report is the judgement. It is what --json prints.
type Report struct {
	OK            bool     `json:"ok"`
	Timers        int      `json:"timers"`
	Expected      int      `json:"expected"`  // deliveries that had to arrive
	Delivered     int      `json:"delivered"` // of them, those that were accepted
	Lost          int      `json:"lost"`
	Early         int      `json:"early"` // requests before their due instant
	BadSignatures int      `json:"badSignatures"`
	Repeated      int      `json:"repeated"` // accepted again under the same webhook-id
	P50Ms         float64  `json:"p50Ms"`    // lateness of each timer's first request
	P99Ms         float64  `json:"p99Ms"`
	MaxMs         float64  `json:"maxMs"`
	Shapes        []Row    `json:"shapes"`
	Faults        []string `json:"faults"` // all that is wrong, in words

	lateness []float64
}

// Row is what became of the timers of one shape.
type Row struct {
	Shape         string     `json:"shape"`
	Timers        int        `json:"timers"`
	Expected      int        `json:"expected"`
	Delivered     int        `json:"delivered"`
	Requests      int        `json:"requests"`
	FirstDue      time.Time  `json:"firstDue"`
	LastDue       time.Time  `json:"lastDue"`
	FirstReceived *time.Time `json:"firstReceived"`
	LastReceived  *time.Time `json:"lastReceived"`
	P50Ms         float64    `json:"p50Ms"` // at the receiver
	MaxMs         float64    `json:"maxMs"`
	FiredP50Ms    float64    `json:"firedP50Ms"` // of the fire transaction, as REST tells it
	FiredMaxMs    float64    `json:"firedMaxMs"`
	Attempts      int        `json:"attempts"` // the most that one delivery took
	Statuses      string     `json:"statuses"` // as REST tells them

	lateness, fired []float64
}

// maxFaults keeps a total failure readable.
const maxFaults = 20

// readBack is what REST says of a timer afterwards.
type readBack struct {
	timer    minoots.Timer
	attempts []minoots.Attempt // of its only firing; read for timers that had to be tried again
}

// judge compares what was expected with what arrived and with what REST tells.
func judge(expected []expectation, arrivals []arrival, after map[minoots.ID]readBack) Report {
	j := &judgement{byTimer: map[minoots.ID][]arrival{}, rows: map[string]*Row{}}
	for _, a := range arrivals {
		j.byTimer[a.timer] = append(j.byTimer[a.timer], a)
	}
	for _, e := range expected {
		j.timer(e, j.byTimer[e.timer.ID], after[e.timer.ID])
		delete(j.byTimer, e.timer.ID)
	}
	for id, strays := range j.byTimer {
		// A timer of an earlier run that was killed may still come here.
		for _, a := range strays {
			if a.badSign {
				j.report.BadSignatures++
				j.fault("a request for timer %s, which is not of this run, has a bad signature", id)
			}
		}
	}
	return j.finish()
}

type judgement struct {
	report  Report
	byTimer map[minoots.ID][]arrival
	rows    map[string]*Row
	order   []string
	faults  int
}

func (j *judgement) fault(format string, args ...any) {
	j.faults++
	if j.faults <= maxFaults {
		j.report.Faults = append(j.report.Faults, fmt.Sprintf(format, args...))
	}
}

func (j *judgement) row(e expectation) *Row {
	row := j.rows[e.shape]
	if row == nil {
		row = &Row{Shape: e.shape, FirstDue: e.timer.FireAt.Time, LastDue: e.timer.FireAt.Time}
		j.rows[e.shape] = row
		j.order = append(j.order, e.shape)
	}
	row.Timers++
	row.Expected += e.actions
	row.FirstDue = earlier(row.FirstDue, e.timer.FireAt.Time)
	row.LastDue = later(row.LastDue, e.timer.FireAt.Time)
	return row
}

// timer judges one timer.
func (j *judgement) timer(e expectation, got []arrival, after readBack) {
	row := j.row(e)
	j.report.Timers++
	j.report.Expected += e.actions
	slices.SortFunc(got, func(a, b arrival) int { return a.at.Compare(b.at) })

	accepted := map[string]int{}
	tries := map[string]int{}
	for _, a := range got {
		j.request(e, a)
		tries[a.webhookID]++
		row.Requests++
		row.Attempts = max(row.Attempts, tries[a.webhookID])
		if a.accepted {
			accepted[a.webhookID]++
		}
	}
	for _, times := range accepted {
		j.report.Repeated += times - 1
	}
	// More than the bundle has actions means a webhook-id that changed between
	// two deliveries of the same action.
	if len(accepted) > e.actions && !e.cancel {
		j.fault("%s %s: %d different webhook-ids for %d actions", e.shape, e.timer.ID, len(accepted), e.actions)
	}
	delivered := min(len(accepted), e.actions)
	row.Delivered += delivered
	j.report.Delivered += delivered
	if lost := e.actions - delivered; lost > 0 {
		j.report.Lost += lost
		j.fault("%s %s: %d of %d deliveries did not arrive; REST says %s", e.shape, e.timer.ID, lost, e.actions, after.state())
	}
	if e.cancel && len(got) > 0 {
		j.fault("%s %s: cancelled, and it came all the same", e.shape, e.timer.ID)
	}
	if len(got) > 0 {
		j.late(row, e, got)
	}
	j.readBack(e, row, after)
}

// request judges one request.
func (j *judgement) request(e expectation, a arrival) {
	if a.badSign {
		j.report.BadSignatures++
		j.fault("%s %s: bad signature", e.shape, e.timer.ID)
	}
	if a.fault != "" {
		j.fault("%s %s: %s", e.shape, e.timer.ID, a.fault)
	}
	due := e.timer.FireAt.Time
	if !a.dueAt.IsZero() {
		window := due.Add(time.Duration(e.timer.JitterMs) * time.Millisecond)
		if a.dueAt.Before(due) || a.dueAt.After(window) {
			j.fault("%s %s: says that it was due at %s, and it was at %s", e.shape, e.timer.ID, a.dueAt, due)
		}
		due = later(due, a.dueAt)
	}
	if a.at.Before(due) {
		j.report.Early++
		j.fault("%s %s: arrived %s early", e.shape, e.timer.ID, due.Sub(a.at))
	}
}

// late measures the first request of a timer: later ones wait for earlier
// actions, or for a receiver that refused.
func (j *judgement) late(row *Row, e expectation, got []arrival) {
	first, last := got[0], got[len(got)-1]
	due := later(e.timer.FireAt.Time, first.dueAt)
	ms := float64(first.at.Sub(due).Microseconds()) / 1000
	row.lateness = append(row.lateness, ms)
	j.report.lateness = append(j.report.lateness, ms)
	if row.FirstReceived == nil {
		row.FirstReceived, row.LastReceived = &first.at, &last.at
	}
	from, to := earlier(*row.FirstReceived, first.at), later(*row.LastReceived, last.at)
	row.FirstReceived, row.LastReceived = &from, &to
}

// readBack compares with what REST tells, which is what Postgres has.
func (j *judgement) readBack(e expectation, row *Row, after readBack) {
	want := minoots.StatusSettled
	if e.cancel {
		want = minoots.StatusCancelled
	}
	t := after.timer
	if t.Status != want {
		j.fault("%s %s: must be %s, and REST says %s", e.shape, e.timer.ID, want, after.state())
		return
	}
	row.Statuses = string(want)
	if e.cancel {
		return
	}
	f := t.LastFiring
	if f == nil {
		j.fault("%s %s: settled without a firing", e.shape, e.timer.ID)
		return
	}
	row.fired = append(row.fired, f.LatenessMs)
	switch {
	case f.LatenessMs < 0:
		j.report.Early++
		j.fault("%s %s: Postgres says that it fired %g ms early", e.shape, e.timer.ID, -f.LatenessMs)
	case f.Status != minoots.FiringSettled || f.Failed != 0 || f.Occurrence != 1:
		j.fault("%s %s: its firing %d is %s, with %d actions failed", e.shape, e.timer.ID, f.Occurrence, f.Status, f.Failed)
	}
	if e.fails > 0 {
		j.attempts(e, after.attempts)
	}
}

// attempts checks the record of a delivery that was refused at first.
func (j *judgement) attempts(e expectation, attempts []minoots.Attempt) {
	succeeded := 0
	for _, a := range attempts {
		if a.Status == minoots.AttemptSucceeded {
			succeeded++
		}
	}
	if len(attempts) != e.fails+1 || succeeded != 1 {
		j.fault("%s %s: the record has %d attempts of which %d succeeded; want %d and 1",
			e.shape, e.timer.ID, len(attempts), succeeded, e.fails+1)
	}
}

// state is what REST says of a timer, in words.
func (r readBack) state() string {
	switch {
	case r.timer.Status == "":
		return "nothing"
	case r.timer.FailureReason != nil:
		return string(r.timer.Status) + ": " + *r.timer.FailureReason
	default:
		return string(r.timer.Status)
	}
}

func (j *judgement) finish() Report {
	r := &j.report
	for _, name := range j.order {
		row := j.rows[name]
		row.P50Ms, row.MaxMs = percentile(row.lateness, 50), percentile(row.lateness, 100)
		row.FiredP50Ms, row.FiredMaxMs = percentile(row.fired, 50), percentile(row.fired, 100)
		r.Shapes = append(r.Shapes, *row)
	}
	r.P50Ms, r.P99Ms, r.MaxMs = percentile(r.lateness, 50), percentile(r.lateness, 99), percentile(r.lateness, 100)
	r.OK = j.faults == 0 && r.Timers > 0
	switch more := j.faults - maxFaults; {
	case more > 0:
		r.Faults = append(r.Faults, fmt.Sprintf("and %d more", more))
	case r.Faults == nil:
		r.Faults = []string{}
	}
	return *r
}

// percentile is the smallest value that p per cent of the values do not exceed.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[max(at, 0)]
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
