package bench

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots/db"
)

// emptyJob is a job of which nothing is to be done.
type emptyJob struct{}

// Kind implements river.JobArgs.
func (emptyJob) Kind() string { return "bench" }

type emptyWorker struct {
	river.WorkerDefaults[emptyJob]
	worked atomic.Int64
}

// Work implements river.Worker.
func (w *emptyWorker) Work(context.Context, *river.Job[emptyJob]) error {
	w.worked.Add(1)
	return nil
}

const (
	riverWorkers = 1000
	riverBatch   = 1000
	riverConns   = 10
)

// limitRiver is L3: River alone. Jobs are inserted at the same time as they are
// worked, as in a storm; its tables are those of the service, with the indexes
// that it has dropped.
func limitRiver(ctx context.Context, l *lab) error {
	d, err := l.database(ctx, "l3")
	if err != nil {
		return err
	}
	pool, err := open(ctx, d.url, riverConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	workers := river.NewWorkers()
	worker := &emptyWorker{}
	river.AddWorker(workers, worker)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: db.RiverSchema, Workers: workers, Logger: slog.New(slog.DiscardHandler),
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 10 * time.Millisecond,
	})
	if err != nil {
		return fmt.Errorf("make a river client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start river: %w", err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = client.StopAndCancel(stop)
	}()

	began := time.Now()
	if err := insertJobs(ctx, client, l.size.jobs); err != nil {
		return err
	}
	const open = `SELECT count(*) FROM river.river_job WHERE state <> 'completed'`
	err = until(ctx, 10*time.Millisecond, 5*time.Minute, "River has worked its jobs", func() (bool, error) {
		if worker.worked.Load() < int64(l.size.jobs) {
			return false, nil // to count them in Postgres meanwhile would slow it down
		}
		n, err := one[int](ctx, d, open)
		return n == 0, err
	})
	if err != nil {
		return err
	}
	l.report.add("L3", fmt.Sprintf("River alone: %s empty jobs inserted by %s and worked",
		number(float64(l.size.jobs)), number(riverBatch)), float64(l.size.jobs)/time.Since(began).Seconds(), "jobs/s")
	return nil
}

// insertJobs inserts by COPY, from two connections as the kernel does.
func insertJobs(ctx context.Context, client *river.Client[pgx.Tx], jobs int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(claimStreams)
	for from := 0; from < jobs; from += riverBatch {
		g.Go(func() error {
			batch := make([]river.InsertManyParams, min(riverBatch, jobs-from))
			for i := range batch {
				batch[i].Args = emptyJob{}
			}
			_, err := client.InsertManyFast(ctx, batch)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("insert river jobs: %w", err)
	}
	return nil
}
