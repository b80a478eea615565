package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/rig"
)

// judgeSoak waits until all is settled and holds what is left to the promises.
func (s *soak) judgeSoak(ctx context.Context) error {
	if err := s.comeToRest(ctx); err != nil {
		return err
	}
	if err := s.judgePromises(ctx); err != nil {
		return err
	}
	if err := s.judgeAudit(ctx); err != nil {
		return err
	}
	s.judgeGrowth()
	if ends := s.unexpected(); len(ends) > 0 {
		s.row.must(false, "%s", strings.Join(ends, "; "))
	}
	if err := s.stopAll(); err != nil {
		return err
	}
	return s.judgeHistory(ctx)
}

// judgePromises holds what the clients of the run have been promised to what came.
func (s *soak) judgePromises(ctx context.Context) error {
	missing, distant := s.ledger.waiting(time.Now().Add(soakAway / 2))
	s.report.ledgerSums = s.ledger.total()
	s.judgeTimers(missing)
	if err := s.judgeWords(ctx); err != nil {
		return err
	}
	for _, b := range s.books {
		if err := b.judge(ctx, s.db, s.row); err != nil {
			return err
		}
	}
	if err := s.judgeDistant(ctx, distant); err != nil {
		return err
	}
	s.row.must(s.report.addsUp(), "the account does not add up: not every acknowledged timer is in one of its sums")
	return nil
}

// comeToRest waits until all that was to arrive has, and is on record, or nothing
// more is to be hoped for.
func (s *soak) comeToRest(ctx context.Context) error {
	deadline := time.Now().Add(s.traffic.farthest + 2*patience)
	for time.Now().Before(deadline) {
		missing, _ := s.ledger.waiting(time.Now().Add(soakAway / 2))
		open, err := one[int](ctx, s.db, `SELECT count(*) FROM minoots.timer_states
			WHERE status = 'fired' OR status = 'scheduled' AND fire_at < now() + interval '1 day'`)
		if err == nil && len(missing)+open == 0 {
			open, err = s.eventsToCome(ctx)
		}
		if err == nil && len(missing)+open == 0 {
			return nil
		}
		if err := rig.Pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil // it is judged as it is
}

// eventsToCome counts the events that have happened and not been heard of.
func (s *soak) eventsToCome(ctx context.Context) (all int, err error) {
	for _, b := range s.books {
		missing, _, err := b.missing(ctx, s.db)
		if err != nil {
			return 0, err
		}
		all += missing
	}
	return all, nil
}

// expected are the failures that faults cause, and that clients bear.
var expected = []string{refused, unavailable, "connection broken", fmt.Sprintf("no answer within %s", requestTimeout)}

func (s *soak) judgeTimers(missing []string) {
	r, sums := s.report, &s.report.ledgerSums
	r.Missing = missing[:min(len(missing), 20)]
	r.Lost = len(missing)
	r.GivenUp, r.API = s.traffic.given, s.traffic.failures
	late := s.ledger.lateness(50, 99, 100)
	r.LateMs = map[string]float64{"p50": late[0], "p99": late[1], "max": late[2]}
	s.row.must(sums.Acknowledged > s.cfg.Rate*int(s.cfg.For.Seconds())/2, "only %d timers were acknowledged", sums.Acknowledged)
	s.row.must(r.Lost == 0, "%d lost: %s", r.Lost, strings.Join(r.Missing, ", "))
	s.row.must(sums.Early == 0, "%d early", sums.Early)
	s.row.must(sums.Undead == 0, "%d deliveries of timers that were cancelled", sums.Undead)
	s.row.must(sums.Unasked == 0, "%d deliveries of actions that were not to run", sums.Unasked)
	s.row.must(sums.Renamed == 0, "%d deliveries of one occurrence under the webhook-id of another", sums.Renamed)
	for _, failure := range slices.Sorted(maps.Keys(r.API)) {
		s.row.must(slices.Contains(expected, failure), "%d API requests failed by %s", r.API[failure], failure)
	}
}

// judgeDistant holds the timers that are due only long after the run.
func (s *soak) judgeDistant(ctx context.Context, distant []string) error {
	s.report.Distant = len(distant)
	there, err := one[int](ctx, s.db, `SELECT count(*) FROM minoots.timer_states s JOIN minoots.timers USING (id)
		WHERE id = ANY ($1::uuid[]) AND status = 'scheduled'`, distant)
	s.row.must(there == len(distant), "of %d timers that are due in a year, %d are still scheduled", len(distant), there)
	return err
}

func (s *soak) judgeAudit(ctx context.Context) error {
	audit, err := s.audit(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, c := range audit.Checks {
		s.row.must(c.Found == 0, "audit %s: %d found: %s", c.Name, c.Found, strings.Join(c.Examples, "; "))
		s.report.AuditLooked += c.Looked
	}
	s.report.Audit = audit.Checks
	return s.doubles(ctx)
}

// soakTelling is the shortest run of which memory and goroutines are judged: after
// an outage a replica keeps the connections of the crowd for two minutes.
const soakTelling = 10 * time.Minute

// judgeGrowth holds memory, goroutines and tables to staying as they are.
func (s *soak) judgeGrowth() {
	var memory, goroutines []float64
	s.mu.Lock()
	for _, at := range s.report.Samples {
		memory, goroutines = append(memory, at.MemoryMB), append(goroutines, at.Goroutines)
	}
	s.mu.Unlock()
	process := []Trend{
		trendOf("memory of the first replica", "MB", memory, median, false, flatMemory),
		trendOf("goroutines of the first replica", "", goroutines, quartile, false, flatGoroutines),
	}
	var trends []Trend
	for _, name := range slices.Sorted(maps.Keys(s.sizes)) {
		trends = append(trends, trendOf(name, "MB", s.sizes[name], greatest, true, flatTable))
	}
	s.row.must(len(memory) >= 6, "only %d samples of memory", len(memory))
	s.row.must(len(s.sizes["minoots.timers"]) >= 6, "only %d passes of retention", len(s.sizes["minoots.timers"]))
	s.report.Trends = slices.Concat(process, trends)
	if s.cfg.For >= soakTelling {
		trends = s.report.Trends
	} else {
		s.row.note("memory and goroutines are judged in runs of %s and more", soakTelling)
	}
	for _, t := range trends {
		s.row.must(t.Last <= t.Limit, "growth of %s", t)
	}
}

// remains is what the tables of history may take when there is none: the empty
// pages of their indexes.
const remains = 4.0 // MB

const historyMB = `SELECT coalesce(sum(pg_total_relation_size(partition::regclass)), 0)::float8 / (1 << 20) FROM (
	SELECT inhrelid AS partition FROM pg_inherits JOIN pg_class c ON c.oid = inhparent WHERE c.relnamespace = 'minoots'::regnamespace) p`

// judgeHistory has all of the run become old, and retention remove it.
func (s *soak) judgeHistory(ctx context.Context) error {
	before, err := one[float64](ctx, s.db, historyMB)
	if err != nil {
		return fmt.Errorf("measure history: %w", err)
	}
	if err := s.endHistory(ctx); err != nil {
		return fmt.Errorf("end history: %w", err)
	}
	after, err := one[float64](ctx, s.db, historyMB)
	if err != nil {
		return fmt.Errorf("measure history: %w", err)
	}
	timers, err := one[int](ctx, s.db, "SELECT count(*) FROM minoots.timers")
	if err != nil {
		return fmt.Errorf("count timers: %w", err)
	}
	jobs, err := one[int](ctx, s.db, "SELECT count(*) FROM river.river_job")
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	s.report.HistoryMB, s.report.HistoryAfterMB = before, after
	s.row.note("history took %.1f MB, %.1f KB a timer, and %.1f MB after retention", before,
		before*1024/float64(max(s.report.Acknowledged, 1)), after)
	s.row.must(after <= remains, "history takes %.1f MB after retention", after)
	waiting, err := one[int](ctx, s.db, "SELECT count(*) FROM minoots.timer_states WHERE status = 'scheduled'")
	s.row.must(timers == waiting, "%d timers are left after retention, and %d still wait", timers, waiting)
	s.row.must(jobs == 0, "%d jobs are left", jobs)
	return err
}

// SoakReport is all that a soak has found.
type SoakReport struct {
	StartedAt time.Time `json:"startedAt"`
	TookMs    int64     `json:"tookMs"`
	ForMs     int64     `json:"forMs"`
	Rate      int       `json:"rate"`
	Seed      uint64    `json:"seed"`
	ledgerSums
	Lost           int                `json:"lost"`
	Missing        []string           `json:"missing,omitempty"` // some of those that are lost
	Distant        int                `json:"distant"`           // still scheduled at the end, as they should be
	GivenUp        int                `json:"givenUp"`           // creations
	API            map[string]int     `json:"api,omitempty"`     // requests that failed, by how
	LateMs         map[string]float64 `json:"lateMs"`            // at the receiver, faults and all
	Faults         map[string]int     `json:"faults"`
	Removed        int64              `json:"removed"` // timers, by retention
	Trends         []Trend            `json:"trends"`
	HistoryMB      float64            `json:"historyMB"`
	HistoryAfterMB float64            `json:"historyAfterMB"`
	AuditLooked    int64              `json:"auditLooked"`
	Audit          []db.AuditCheck    `json:"audit"`
	Samples        []sample           `json:"samples"`
	Notes          []string           `json:"notes,omitempty"`
	Broken         []string           `json:"broken,omitempty"`

	row Row // of the world; its promises are the soak's
}

// addsUp tells that each acknowledged timer is accounted for, once.
func (r *SoakReport) addsUp() bool {
	return r.Acknowledged == r.Delivered+r.Cancelled+r.Doubtful+r.Distant+r.Lost
}

// Lines is the report for people.
func (r *SoakReport) Lines() []string {
	lines := []string{
		fmt.Sprintf("%d timers acknowledged: %d delivered, %d cancelled, %d maybe, %d due in a year; %d lost, %d early, %d deliveries repeated, %d retried",
			r.Acknowledged, r.Delivered, r.Cancelled, r.Doubtful, r.Distant, r.Lost, r.Early, r.Repeated, r.Retried),
		fmt.Sprintf("faults %v; API requests that failed %v; creations given up %d", r.Faults, r.API, r.GivenUp),
		fmt.Sprintf("late at the receiver: p50 %.1f ms, p99 %.1f ms, at most %.0f ms", r.LateMs["p50"], r.LateMs["p99"], r.LateMs["max"]),
		fmt.Sprintf("audit: %d checks looked at %d rows; retention removed %d timers", len(r.Audit), r.AuditLooked, r.Removed),
	}
	for _, t := range r.Trends {
		lines = append(lines, t.String())
	}
	lines = append(lines, r.Notes...)
	for _, broken := range r.Broken {
		lines = append(lines, "BROKEN: "+broken)
	}
	return lines
}
