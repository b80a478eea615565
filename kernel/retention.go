package kernel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	retentionStep = "retention" // in the count of errors
	// retentionPause lies between two batches: the firing of timers goes before
	// the tidying up.
	retentionPause = 10 * time.Millisecond
	// retentionTimeout bounds one batch. The longest looks through a week's
	// firings for one that runs: at 1,000 timers/s those are some 90 GB.
	retentionTimeout = 10 * time.Minute
)

// retentionMetrics tell what retention did.
type retentionMetrics struct {
	removed *prometheus.CounterVec
	kept    *prometheus.GaugeVec
}

func newRetentionMetrics(reg prometheus.Registerer) (*retentionMetrics, error) {
	m := &retentionMetrics{
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "minoots_retention_removed_total", Help: "What retention removed: finished timers, weekly partitions of history, rows of history outside them.",
		}, []string{"what"}),
		kept: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "minoots_retention_kept_partitions", Help: "Expired partitions that the last pass could not drop, by reason: a firing still runs, or somebody holds the table.",
		}, []string{"reason"}),
	}
	for _, what := range []string{"timers", "partitions", "rows"} {
		m.removed.WithLabelValues(what)
	}
	m.keep(nil)
	return m, errors.Join(reg.Register(m.removed), reg.Register(m.kept))
}

func (m *retentionMetrics) keep(kept map[db.Drop]int) {
	for _, reason := range []db.Drop{db.DropRunning, db.DropLocked} {
		m.kept.WithLabelValues(string(reason)).Set(float64(kept[reason]))
	}
}

// retain removes what is past its time, every now and then. One kernel does it,
// that on seat 0; without a direct connection each does, and steps over what
// another is at.
func (k *Kernel) retain(ctx context.Context) error {
	// Not at once: a replica that has just started has better things to do, and
	// one that restarts again and again must not.
	alarm := time.NewTimer(k.cfg.RetentionInterval/60 + rand.N(k.cfg.RetentionInterval/60))
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alarm.C:
		}
		alarm.Reset(k.retainInTurn(ctx))
	}
}

// retainInTurn makes a pass if it is this kernel's to make, and tells when to
// look again.
func (k *Kernel) retainInTurn(ctx context.Context) (next time.Duration) {
	next = k.cfg.RetentionInterval
	if seat := k.seat.Load(); seat != 0 && seat != db.NoSeat {
		k.retention.keep(nil) // another's to tell
		return next
	}
	if err := k.retainOnce(ctx); err != nil && ctx.Err() == nil {
		next /= 10
		k.metrics.errors.WithLabelValues(retentionStep).Inc()
		k.log.Warn("retention failed; trying again later", "error", err)
	}
	return next
}

// retainOnce is one pass over all that may be past its time.
func (k *Kernel) retainOnce(ctx context.Context) error {
	var errs []error
	if k.cfg.FinishedRetention > 0 {
		errs = append(errs, k.forgetTimers(ctx))
	}
	if k.cfg.HistoryRetention > 0 {
		errs = append(errs, k.dropPartitions(ctx), k.forgetHistory(ctx))
	}
	return errors.Join(errs...)
}

// forgetTimers walks over the timers that are old enough and removes those that
// are over.
func (k *Kernel) forgetTimers(ctx context.Context) error {
	all, after := int64(0), minoots.ID{}
	err := k.batches(ctx, func(ctx context.Context) (bool, error) {
		last, forgotten, err := k.db.TimerForget(ctx, k.cfg.FinishedRetention, after)
		k.retention.removed.WithLabelValues("timers").Add(float64(forgotten))
		all, after = all+forgotten, last
		return !last.IsZero(), err
	})
	if all > 0 {
		k.log.Info("finished timers removed", "timers", all, "older_than", k.cfg.FinishedRetention)
	}
	return wrap("remove finished timers", err)
}

// dropPartitions drops the weeks of history that are past their time.
func (k *Kernel) dropPartitions(ctx context.Context) error {
	kept, after := map[db.Drop]int{}, ""
	err := k.batches(ctx, func(ctx context.Context) (bool, error) {
		partition, became, err := k.db.PartitionDrop(ctx, k.cfg.HistoryRetention, after)
		if err != nil || partition == "" {
			return false, err
		}
		after = partition
		switch became {
		case db.DropDone:
			k.retention.removed.WithLabelValues("partitions").Inc()
			k.log.Info("partition dropped", "partition", partition, "older_than", k.cfg.HistoryRetention)
		case db.DropRunning:
			kept[became]++
			k.log.Warn("expired partition kept: a firing in it still runs", "partition", partition)
		case db.DropLocked:
			kept[became]++
			k.log.Info("expired partition kept for now: somebody holds the table", "partition", partition)
		}
		return true, nil
	})
	k.retention.keep(kept)
	return wrap("drop partitions", err)
}

// forgetHistory removes what stands outside the weeks.
func (k *Kernel) forgetHistory(ctx context.Context) error {
	all := int64(0)
	err := k.batches(ctx, func(ctx context.Context) (bool, error) {
		rows, err := k.db.HistoryForget(ctx, k.cfg.HistoryRetention)
		k.retention.removed.WithLabelValues("rows").Add(float64(rows))
		all += rows
		return rows > 0, err
	})
	if all > 0 {
		k.log.Info("history outside the weekly partitions removed", "rows", all, "older_than", k.cfg.HistoryRetention)
	}
	return wrap("remove history", err)
}

// batches does one batch after the other until there is no more.
func (k *Kernel) batches(ctx context.Context, do func(context.Context) (more bool, err error)) error {
	for ctx.Err() == nil {
		batch, cancel := context.WithTimeout(ctx, retentionTimeout)
		more, err := do(batch)
		cancel()
		if err != nil || !more {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(retentionPause):
		}
	}
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
