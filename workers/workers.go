// Package workers executes the actions of firings, one River job each, and
// records what came of them. What the replica's own kernel claims begins here at
// once; River fetches the rest, retries and rescues. The outcomes are ours,
// committed in groups in the transaction that ends the jobs.
//
// Read in this order: plan.go (where a delivery runs), desk.go and flow.go (what
// runs here at once, and fairly), lane.go (where a crowd waits), workers.go
// (River's client), run.go (start and stop), attempt.go and job.go (one attempt),
// recorder.go (how outcomes are committed), resolve.go (what goes back to the
// queues), breaker.go and breaker_pump.go (destinations that fail or have limits),
// crew.go (one life after another).
package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Executor makes one attempt of an action and says how it went.
type Executor interface {
	Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome
	Kinds() []minoots.ActionKind
	// Destination names who a delivery goes to, for bounds by destination.
	Destination(d *minoots.Delivery) string
}

// Config says how a replica's workers work.
type Config struct {
	DB *db.DB
	// River is River's pool, best one with db.Config.CustomPlans. Defaults to DB.
	River   *db.DB
	Actions Executor
	// Replica names this process incarnation in attempts and to River; it must
	// never be used twice.
	Replica string
	// ListenURL is a direct connection, on which a Crew proves that it is alive.
	// Empty: it does so by a lease.
	ListenURL string
	// PollOnly is for a pool behind a transaction pooler, where River cannot
	// LISTEN: it then polls every 100 ms.
	PollOnly bool
	// Concurrency is how many actions of one kind run at once of those that this
	// replica's kernel claimed, and as many again of those that River fetched.
	// Other kinds than webhooks have less; see slots. Defaults to 200.
	Concurrency int
	// PublicURL is the API as agents reach it, for the URLs by which they
	// acknowledge. Empty: they are not asked to, and to be sent is to succeed.
	PublicURL string
	// Breaker says when a destination that fails is left alone.
	Breaker Breaker
	// Grace is how long Run lets running actions finish after its ctx is done.
	// Defaults to 20 s.
	Grace time.Duration

	// Subscriptions is told every two seconds whether there are any. May be nil.
	Subscriptions func(any bool)

	Registerer prometheus.Registerer
	Log        *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.River == nil {
		c.River = c.DB
	}
	if c.Concurrency == 0 {
		c.Concurrency = 200
	}
	c.Breaker = c.Breaker.withDefaults()
	if c.Grace == 0 {
		c.Grace = 20 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

const (
	// jobMargin is what a job gets beyond its action's own timeout, so that River
	// cuts only what did not cut itself.
	jobMargin = 30 * time.Second
	// rescueAfter is when River gives a running job up for lost whose own time is
	// over by then: the backstop behind the kernels' reaper.
	rescueAfter = time.Minute
	// fetchCooldown is the least time between two fetches of a queue: what a
	// notification can cost in lateness when another came just before.
	fetchCooldown = 2 * time.Millisecond
	// fetchPoll finds retries, which no notification announces, and what a lost
	// notification left.
	fetchPoll     = time.Second
	fetchPollOnly = 100 * time.Millisecond
	// finishedKept is for jobs that River itself ended; those that were recorded
	// are gone with their outcome.
	finishedKept = time.Hour
)

// Workers is one replica's workers, and the Planner that gives them work.
type Workers struct {
	*Planner
	life
	cfg      Config
	client   *river.Client[pgx.Tx]
	recorder *recorder
	metrics  *metrics
	log      *slog.Logger
	lanes    *laneKeeper
	breaker  *breaker
	errands  errands
	endLife  context.CancelFunc // cuts all attempts
}

// life is how workers know that others take them for alive.
type life struct {
	alive func() bool
	lost  <-chan struct{} // closed when they do not any more; nil for never
}

// New makes the workers; Run runs them. What they were doing when their process
// died is found by River's rescue; a Crew has workers that are found at once.
func New(cfg Config) (*Workers, error) {
	m, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	return newWorkers(cfg, m, life{alive: func() bool { return true }})
}

// prepare fills the defaults in and makes the metrics.
func (c *Config) prepare() (*metrics, error) {
	*c = c.withDefaults()
	if c.DB == nil || c.Actions == nil || c.Replica == "" {
		return nil, errors.New("workers: DB, Actions and Replica are required")
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register worker metrics: %w", err)
	}
	return m, nil
}

func newWorkers(cfg Config, m *metrics, life life) (*Workers, error) {
	log := cfg.Log.With("part", "workers")
	w := &Workers{Planner: NewPlanner(cfg.Actions), life: life, cfg: cfg, metrics: m, log: log}
	w.lanes = newLaneKeeper(w)
	w.recorder = newRecorder(cfg.DB, cfg.Replica, func(ctx context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
		return w.Plan(ctx, next)
	}, m, log)
	attempts := &attempter{
		actions: cfg.Actions, recorder: w.recorder, metrics: m, clock: cfg.DB.Clock(), alive: life.alive, log: log,
		headers: newHeaders(cfg.DB, log),
		acks:    &acknowledger{db: cfg.DB, replica: cfg.Replica, base: cfg.PublicURL, metrics: m, log: log},
	}
	w.openBreaker(attempts)
	attempts.life, w.endLife = context.WithCancel(context.Background())
	w.openDesks(attempts)
	bundle := river.NewWorkers()
	if err := river.AddWorkerSafely(bundle, &actionWorker{attempter: attempts}); err != nil {
		return nil, fmt.Errorf("add river worker: %w", err)
	}
	if err := river.AddWorkerSafely(bundle, &subscriptionWorker{
		of:    actionWorker{attempter: attempts},
		share: newShare(cfg.DB, cfg.Replica, w.queueWorkers(db.SubscriptionQueue), w.lanes.soon),
	}); err != nil {
		return nil, fmt.Errorf("add river worker: %w", err)
	}
	var err error
	if w.client, err = river.NewClient(riverpgxv5.New(cfg.River.Pool()), riverConfig(cfg, bundle, log)); err != nil {
		return nil, fmt.Errorf("make river client: %w", err)
	}
	return w, nil
}

// openDesks makes the Planner one that gives deliveries to these workers.
func (w *Workers) openDesks(attempts *attempter) {
	w.replica = w.cfg.Replica
	w.unknown = func(pl *plan) { w.errands.run(func(ctx context.Context) { w.resolve(ctx, pl) }) }
	w.placed = func(jobs []db.Job) {
		w.metrics.placed(jobs)
		w.lanes.placed(jobs)
		w.breaker.pump.placed(jobs)
	}
	w.desks = map[minoots.ActionKind]*desk{}
	for _, kind := range w.cfg.Actions.Kinds() {
		w.desks[kind] = newDesk(w.cfg.slots(kind), func(ctx context.Context, k *task) time.Duration {
			return attempts.here(ctx, k, func(k *task) { w.handBack([]*task{k}, false) })
		}, w.handBack)
	}
	w.metrics.desks.show(w.desks)
}

// openBreaker has attempts and plans ask which destinations are left alone.
func (w *Workers) openBreaker(attempts *attempter) {
	b := &breaker{
		db: w.cfg.DB, replica: w.cfg.Replica, gates: newGates(), health: newHealth(w.cfg.Breaker), policy: w.cfg.Breaker,
		actions: w.cfg.Actions, metrics: w.metrics.breaker, errands: &w.errands, soon: w.lanes.soon, log: w.log,
	}
	b.holder = &holder{b: b}
	b.pump = newPump(b, attempts, w.cfg.Concurrency)
	attempts.breaker, w.breaker, w.gates = b, b, b.gates
}

// handBack moves tasks on in the background.
func (w *Workers) handBack(tasks []*task, crowding bool) {
	w.errands.run(func(ctx context.Context) { w.moveOn(ctx, tasks, crowding) })
}

func riverConfig(cfg Config, bundle *river.Workers, log *slog.Logger) *river.Config {
	poll := fetchPoll
	if cfg.PollOnly {
		poll = fetchPollOnly
	}
	queues := map[string]river.QueueConfig{string(minoots.KindWebhook): {MaxWorkers: cfg.Concurrency}}
	return &river.Config{
		ID: cfg.Replica, Schema: db.RiverSchema, Workers: bundle, Queues: queues, PollOnly: cfg.PollOnly,
		FetchCooldown: fetchCooldown, FetchPollInterval: poll,
		JobTimeout: rescueAfter, RescueStuckJobsAfter: rescueAfter, // the first is for no job: see Timeout
		CompletedJobRetentionPeriod: finishedKept, CancelledJobRetentionPeriod: finishedKept,
		DiscardedJobRetentionPeriod: finishedKept,
		ReindexerIndexNames:         []string{"river_job_pkey", "river_job_prioritized_fetching_index"},
		Logger:                      slog.New(quiet{log.Handler()}),
		// Its name notwithstanding: the only way to give River a clock.
		Test: river.TestConfig{Time: riverClock{cfg.DB.Clock()}},
	}
}
