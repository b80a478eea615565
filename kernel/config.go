package kernel

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Planner decides where deliveries run.
type Planner interface {
	// Plan makes the jobs that the fire transaction is to insert.
	Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error)
	// Room waits, a moment at most, until this replica has room for deliveries,
	// and gives for how many; 0 if that is not to bound a claim.
	Room(ctx context.Context) int
}

// Config says how a kernel works.
type Config struct {
	DB      *db.DB
	Planner Planner
	// Judge tells what follows attempts whose acknowledgement has not come in
	// time. Without it, this kernel leaves them to others.
	Judge db.Judge
	// ListenURL is a direct connection for LISTEN and the seat. Empty: poll only.
	ListenURL string
	// Ear hears, by the same connection, which timers are over. May be nil.
	Ear db.Ear
	// Replica names this process in connections and logs.
	Replica string
	// PollInterval is the time between two looks for timers that no hint told
	// of: the lateness of a lost notification. Defaults to 1 s, or to 250 ms
	// without a ListenURL. Polls have a jitter of a tenth.
	PollInterval time.Duration
	// SweepInterval is the time between two looks without the low-water bound, at
	// least: one that took long is not repeated soon. Defaults to 10 s.
	SweepInterval time.Duration
	// Batch is how many timers a fire transaction claims. Defaults to 500:
	// measured with Postgres on the same two cores, durable, one stream fires
	// 540 timers/s one by one, 3,600 in tens, 10,400 in hundreds, 18,200 in 500
	// and 15,800 in thousands (BenchmarkFire).
	Batch int
	// Streams is how many fire transactions may run at once in a storm, beside
	// those of other kernels. Defaults to 2: one, two and three fire 18,200,
	// 25,300 and 26,900 timers/s.
	Streams int
	// StepTimeout bounds one statement or fire transaction: how long a
	// connection that stalls without closing can hold the loop. Defaults to 10 s.
	StepTimeout time.Duration
	// HistoryRetention is how long firings, attempts and events are kept, by the
	// week. Zero keeps them for ever.
	HistoryRetention time.Duration
	// FinishedRetention is how long a timer is kept after its end, at least
	// db.FinishedKept. Zero keeps it for ever.
	FinishedRetention time.Duration
	// RetentionInterval is the time between two looks for what is past its time.
	// Defaults to an hour.
	RetentionInterval time.Duration

	Registerer prometheus.Registerer
	Log        *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.PollInterval == 0 {
		c.PollInterval = time.Second
		if c.ListenURL == "" {
			c.PollInterval = 250 * time.Millisecond
		}
	}
	if c.SweepInterval == 0 {
		c.SweepInterval = 10 * time.Second
	}
	if c.Batch == 0 {
		c.Batch = 500
	}
	if c.Streams == 0 {
		c.Streams = 2
	}
	if c.StepTimeout == 0 {
		c.StepTimeout = 10 * time.Second
	}
	if c.RetentionInterval == 0 {
		c.RetentionInterval = time.Hour
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}
