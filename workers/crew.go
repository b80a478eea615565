package workers

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Crew is a replica's workers with a presence: as long as it can prove that it is
// alive they work, and when it cannot they are cut, before others take their jobs
// over. Then it begins a new life, under a new name. It plans for the present
// life; between two, all deliveries go to the queues.
type Crew struct {
	queues  *Planner
	present atomic.Pointer[Workers]
	cfg     Config
	metrics *metrics
	log     *slog.Logger
}

// NewCrew makes a crew; Run runs it. Replica is the name of its first life.
func NewCrew(cfg Config) (*Crew, error) {
	m, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	return &Crew{queues: NewPlanner(cfg.Actions), cfg: cfg, metrics: m, log: cfg.Log.With("part", "workers")}, nil
}

// planner is that of the present life, as long as it can prove that it lives.
func (c *Crew) planner() *Planner {
	if w := c.present.Load(); w != nil && w.alive() {
		return w.Planner
	}
	return c.queues
}

// Plan makes jobs of deliveries, as Planner does.
func (c *Crew) Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error) {
	return c.planner().Plan(ctx, deliveries)
}

// Placed has queues looked for that have just been filled.
func (c *Crew) Placed() {
	if w := c.present.Load(); w != nil {
		w.lanes.soon()
	}
}

// Room is Planner's.
func (c *Crew) Room(ctx context.Context) int { return c.planner().Room(ctx) }

// Run works, in one life after another, until ctx is done, and ends as
// Workers.Run does. Where connections stall, to put back jobs and to take leave
// may each wait a second more: six after the grace.
func (c *Crew) Run(ctx context.Context) error {
	var lives sync.WaitGroup
	defer lives.Wait() // those that were lost wind up beside the next
	for n := 1; ; n++ {
		presence := c.register(ctx, &n)
		if presence == nil {
			return nil // asked to stop
		}
		cfg := c.cfg
		cfg.Replica = c.name(n)
		lost, ended := make(chan struct{}), make(chan error, 1)
		w, err := newWorkers(cfg, c.metrics, life{alive: presence.Alive, lost: lost})
		if err != nil {
			presence.Leave(ctx, true)
			return err
		}
		c.present.Store(w)
		c.metrics.present.Set(1)
		c.log.Info("workers run", "name", cfg.Replica, "presence", presence.Mode())
		lives.Go(func() { ended <- c.live(ctx, presence, w, lost) })
		select {
		case <-lost:
			continue
		case err = <-ended:
		}
		c.metrics.present.Set(0)
		if ctx.Err() != nil {
			return err
		}
		c.log.Warn("workers could not begin; trying again", "error", err)
		c.pause(ctx, 5)
	}
}

// name gives the name of the nth life.
func (c *Crew) name(n int) string {
	if n == 1 {
		return c.cfg.Replica
	}
	return fmt.Sprintf("%s-%d", c.cfg.Replica, n)
}

// register registers the nth life, or one after it: a registration whose answer
// was lost has used its name up. nil means that ctx is done.
func (c *Crew) register(ctx context.Context, n *int) *db.Presence {
	for failures := 0; ctx.Err() == nil; *n++ {
		presence := c.cfg.DB.NewPresence(c.name(*n), c.cfg.ListenURL, c.log)
		err := presence.Register(ctx)
		if err == nil {
			return presence
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			c.log.Warn("not registered, so nothing is run yet; trying again", "error", err)
		}
		c.pause(ctx, failures)
	}
	return nil
}

func (c *Crew) pause(ctx context.Context, failures int) {
	pause := min(25*time.Millisecond<<min(failures, 6), time.Second)
	select {
	case <-ctx.Done():
	case <-time.After(pause/2 + rand.N(pause/2)):
	}
}

// lostStopTimeout is how long the client of a lost life gets to give up its
// leadership and its jobs, when Postgres is away or has just come back. A crew
// that is asked to stop does not wait for it: Run has its time.
const lostStopTimeout = 5 * time.Second

// live is one life, from its registration to the end of its last action. It
// closes lost when the presence is.
func (c *Crew) live(ctx context.Context, presence *db.Presence, w *Workers, lost chan struct{}) error {
	lasting := context.WithoutCancel(ctx)
	keeping, done := context.WithCancel(lasting)
	defer done()
	var keeper sync.WaitGroup
	keeper.Go(func() {
		if err := presence.Keep(keeping); err != nil {
			c.metrics.present.Set(0)
			c.metrics.losses.Inc()
			close(lost) // it cuts what runs
			c.log.Warn("others may take this replica for dead: all actions cut; it registers anew", "name", w.cfg.Replica, "error", err)
			w.cfg.DB.Reset() // the pools' connections are probably dead too
			w.cfg.River.Reset()
		}
	})
	err := w.Run(ctx)
	done()
	keeper.Wait()
	presence.Leave(lasting, err == nil && !w.isLost())
	if err != nil && w.isLost() {
		c.log.Warn("the lost life has not ended well", "name", w.cfg.Replica, "error", err)
		select {
		case <-w.client.Stopped():
		case <-time.After(lostStopTimeout):
		case <-ctx.Done():
		}
	}
	return err
}
