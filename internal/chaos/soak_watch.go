package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots/internal/rig"
)

// sample is how the first replica stood at a moment, and the ledger.
type sample struct {
	AtMs       int64   `json:"atMs"` // since the beginning
	MemoryMB   float64 `json:"memoryMB"`
	Goroutines float64 `json:"goroutines"`
	Delivered  int     `json:"delivered"`
	Missing    int     `json:"missing"` // acknowledged, due, and not there
}

// watch takes a sample every so often, and tells how it goes, until ctx is done.
func (s *soak) watch(ctx context.Context) {
	tick := time.NewTicker(s.cfg.SampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.ledger.forget(ledgerKeep)
		missing, _ := s.ledger.waiting(time.Now().Add(-time.Second))
		sums := s.ledger.total()
		now := sample{AtMs: time.Since(s.report.StartedAt).Milliseconds(), Delivered: sums.Delivered, Missing: len(missing)}
		faults, last := s.happened()
		stands := "the first replica does not answer"
		if s.measure(ctx, &now) == nil {
			stands = fmt.Sprintf("%.0f MB, %.0f goroutines", now.MemoryMB, now.Goroutines)
			s.keep(now)
		}
		s.h.say("%8s  acknowledged %d, delivered %d, missing %d, cancelled %d; %d faults, the last: %s; %s",
			time.Since(s.report.StartedAt).Round(time.Second), sums.Acknowledged, sums.Delivered, len(missing), sums.Cancelled, faults, last, stands)
	}
}

// keep keeps a sample that was taken under load: only such can be compared.
func (s *soak) keep(now sample) {
	select {
	case <-s.traffic.done:
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.report.Samples = append(s.report.Samples, now)
	}
}

// measure asks the first replica what it takes. One that stands still just then
// does not answer.
func (s *soak) measure(ctx context.Context, to *sample) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	bytes, err := s.veteran.Metric(ctx, "process_resident_memory_bytes")
	if err != nil {
		return err
	}
	to.MemoryMB = bytes / (1 << 20)
	to.Goroutines, err = s.veteran.Metric(ctx, "go_goroutines")
	return err
}

// Trend is what a figure was in the first, middle and last third of the run, the
// first sixth of which is left out: caches fill, pools grow. For memory it is the
// median; for goroutines the lower quartile, since a crowd after an outage is no
// leak; for sizes the greatest.
type Trend struct {
	What   string  `json:"what"`
	First  float64 `json:"first"`
	Middle float64 `json:"middle"`
	Last   float64 `json:"last"`
	Limit  float64 `json:"limit"` // of the last
	Unit   string  `json:"unit"`
}

// How much more the last third may show before that is called growth.
const (
	flatRatio      = 1.25
	flatMemory     = 16.0 // MB beyond the ratio: what the collector leaves to chance
	flatGoroutines = 50   // requests under way
	flatTable      = 4.0  // MB: what waits for the next vacuum
)

func (t Trend) String() string {
	return fmt.Sprintf("%s: %.1f, then %.1f, at last %.1f %s (at most %.1f)", t.What, t.First, t.Middle, t.Last, t.Unit, t.Limit)
}

// trendOf makes thirds of a run's values. The limit is by the first third, or for
// what reaches its level only later by the middle one.
func trendOf(what, unit string, values []float64, pick func([]float64) float64, byMiddle bool, slack float64) Trend {
	values = values[len(values)/6:]
	third := func(n int) float64 { return pick(values[n*len(values)/3 : (n+1)*len(values)/3]) }
	t := Trend{What: what, Unit: unit, First: third(0), Middle: third(1), Last: third(2)}
	level := t.First
	if byMiddle {
		level = max(t.First, t.Middle)
	}
	t.Limit = level*flatRatio + slack
	return t
}

func median(values []float64) float64   { return quantile(values, 2) }
func quartile(values []float64) float64 { return quantile(values, 4) }

// quantile gives the value that one in so many is below.
func quantile(values []float64, oneIn int) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/oneIn]
}

func greatest(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values)
}

// soakTables are the tables that must not grow while old timers go as new ones
// come. History goes by the week, and is judged at the end.
const soakTables = `
	SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid)::float8 / (1 << 20), pg_indexes_size(c.oid)::float8 / (1 << 20)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname || '.' || c.relname IN
		('minoots.timers', 'minoots.timer_states', 'minoots.idempotency_keys', 'minoots.replicas', 'river.river_job')
	ORDER BY 1`

// size notes the sizes of the tables.
func (s *soak) size(ctx context.Context) error {
	rows, err := s.db.pool.Query(ctx, soakTables)
	if err != nil {
		return err
	}
	var name string
	var table, index float64
	_, err = pgx.ForEachRow(rows, []any{&name, &table, &index}, func() error {
		s.sizes[name] = append(s.sizes[name], table)
		s.sizes[name+" indexes"] = append(s.sizes[name+" indexes"], index)
		return nil
	})
	return err
}

// tidy has retention take what is over, again and again, and notes the sizes
// after it. Where Postgres is away just then, the next time will do.
func (s *soak) tidy(ctx context.Context) {
	for rig.Pause(ctx, s.cfg.For/soakPasses) == nil {
		pass, cancel := context.WithTimeout(ctx, time.Minute)
		removed, err := s.retain(pass, soakKept(s.cfg.For))
		if err == nil {
			err = s.size(pass)
		}
		cancel()
		if err != nil {
			s.h.say("          retention did not come to its end: %v", err)
			continue
		}
		s.h.say("          retention removed %d timers", removed)
		s.mu.Lock()
		s.report.Removed += removed
		s.mu.Unlock()
	}
}

// soakPasses is how often retention comes in a run.
const soakPasses = 24
