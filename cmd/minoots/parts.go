package main

import (
	"context"
	"fmt"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/cron"
	"github.com/minoots/minoots/internal/eventhub"
	"github.com/minoots/minoots/internal/natsconn"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

// The pools' sizes. Each role has its own, so that a burst of requests cannot
// keep the kernel from Postgres.
const (
	apiConns    = 8
	kernelConns = 6
	workerConns = 4
	riverConns  = 8
)

// riverPool is the name of the pool whose statements are planned anew each time.
const riverPool = "river"

// pools are the connections of the roles that this replica has; the others are
// nil. They share one clock.
type pools struct{ api, kernel, workers, river *db.DB }

func (p *pools) all() []*db.DB {
	var all []*db.DB
	for _, d := range []*db.DB{p.api, p.kernel, p.workers, p.river} {
		if d != nil {
			all = append(all, d)
		}
	}
	return all
}

// Close closes the pools when their connections are back.
func (p *pools) Close() {
	for _, d := range p.all() {
		d.Close()
	}
}

// connect opens the pools and waits until the schema is there.
func (r *replica) connect(ctx context.Context) (*pools, error) {
	p := &pools{}
	clock, writes := db.NewClock(), newWrites(r.registry, r.log)
	for _, role := range []struct {
		on    bool
		pool  **db.DB
		name  string
		conns int32
	}{
		{r.cfg.Roles.API, &p.api, "api", apiConns},
		{r.cfg.Roles.Kernel, &p.kernel, "kernel", kernelConns},
		{r.cfg.Roles.Worker, &p.workers, "worker", workerConns},
		{r.cfg.Roles.Worker, &p.river, riverPool, riverConns},
	} {
		if !role.on {
			continue
		}
		d, err := db.Connect(ctx, db.Config{
			URL: r.cfg.DatabaseURL.Reveal(), Name: role.name, MaxConns: role.conns, Clock: clock, Writes: writes, Log: r.log,
			Keys:        r.cfg.SecretsKeys,
			CustomPlans: role.name == riverPool, Trusting: role.name != "api",
		})
		if err != nil {
			return p, err
		}
		*role.pool = d
	}
	r.health.watch(p.all()[0])
	if err := r.waitForSchema(ctx, p.all()[0]); err != nil {
		return p, err
	}
	r.watchSecrets(ctx, p.all()[0])
	return p, nil
}

// waitForSchema lets replicas be started before or beside the migration.
func (r *replica) waitForSchema(ctx context.Context, d *db.DB) error {
	const every = time.Second
	for told := false; ; {
		pending, err := d.MigrationsPending(ctx)
		if err == nil && !pending {
			return nil
		}
		if !told {
			r.health.set(phaseStarting, "waiting for the schema: run minoots migrate up")
			r.log.Warn("the schema is not up to date; waiting for minoots migrate up", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// parts are the running pieces of a replica, nil where it lacks the role.
type parts struct {
	notifier, kernel, workers *loop
	events                    *loop // feeds event streams
	relay                     *loop // publishes events to NATS
	subscriptions             *loop // makes deliveries of events
	listener                  *loop // of a replica without a kernel
	actions                   *action.Registry
	placed                    func()         // has filled queues looked for; nil without workers
	leave                     func()         // has the API answer those who only wait
	nats                      *natsconn.Conn // nil without MINOOTS_NATS_URL
}

// close releases what the parts hold beside their loops, once those have ended.
func (p *parts) close() {
	p.actions.Close()
	if p.nats != nil {
		p.nats.Close()
	}
}

func (p *parts) loops() []*loop {
	var all []*loop
	for _, l := range []*loop{p.notifier, p.events, p.relay, p.subscriptions, p.listener, p.workers, p.kernel} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

// build makes the parts and joins them: the kernel asks the workers where its
// deliveries are to run, the API hands its hints to the notifier.
func (r *replica) build(pools *pools) (*parts, error) {
	p := &parts{}
	var err error
	if p.actions, p.nats, err = r.actions(pools); err != nil {
		return nil, err
	}
	var planner kernel.Planner = workers.NewPlanner(p.actions)
	subscribed, err := r.subscriptions(p, pools)
	if err != nil {
		return nil, err
	}
	if pools.workers != nil {
		w, err := workers.NewCrew(workers.Config{
			Subscriptions: subscribed,
			DB:            pools.workers, River: pools.river, Actions: p.actions, PollOnly: r.cfg.ListenOff || pools.workers.Pooled(),
			Replica: r.name, Registerer: r.registry, Log: r.log, Grace: r.cfg.ShutdownGrace,
			PublicURL: r.announcedURL(),
			ListenURL: r.cfg.Listen(), // a presence finds out by itself if it leads to a pooler
		})
		if err != nil {
			return nil, fmt.Errorf("make workers: %w", err)
		}
		p.workers, planner, p.placed = &loop{name: "workers", run: w.Run}, w, w.Placed
	}
	if err := r.relay(p, pools); err != nil {
		return nil, err
	}
	var ear db.Ear // an API hears by its kernel's connection, or by one of its own
	if pools.api != nil {
		n := db.NewNotifier(pools.api, r.log)
		hub, err := eventhub.New(eventhub.Config{DB: pools.api, Registerer: r.registry, Log: r.log})
		if err != nil {
			return nil, fmt.Errorf("make the event hub: %w", err)
		}
		p.events = &loop{name: "event hub", run: hub.Run}
		r.watchTransactions(pools.api)
		a, err := api.New(api.Config{
			DB: pools.api, Hinter: n, Hub: hub,
			Deliver: p.actions.Execute, Subscribed: subscribed,
			Ready:      func(ctx context.Context) bool { return r.health.check(ctx).ok() },
			Checks:     minoots.Checks{Parameters: p.actions.Check, Agent: p.actions.CheckAgent, Recurrence: cron.CheckTimer},
			Registerer: r.registry, Log: r.log,
			Follow: planner, Judge: workers.Judge,
		})
		if err != nil {
			return nil, fmt.Errorf("make api: %w", err)
		}
		p.leave = a.Leave
		h := a.Handler()
		r.handler.Store(&h)
		p.notifier = &loop{name: "notifier", run: n.Run}
		if ear = a.Ear(); pools.kernel == nil {
			p.listener = r.listener(pools.api, ear)
		}
	}
	if pools.kernel != nil {
		k, err := kernel.New(kernel.Config{
			DB: pools.kernel, ListenURL: r.listenURL(pools.kernel), Ear: ear, Planner: planner, Judge: workers.Judge,
			Registerer: r.registry, Log: r.log, Replica: r.name,
			HistoryRetention: r.cfg.HistoryRetention, FinishedRetention: r.cfg.FinishedRetention,
		})
		if err != nil {
			return nil, fmt.Errorf("make kernel: %w", err)
		}
		r.health.listens(k.Status, r.listenURL(pools.kernel) != "")
		p.kernel = &loop{name: "kernel", run: k.Run}
	}
	return p, nil
}

// listenURL is where the replica listens: nowhere if that is off, or if all that
// is known is a pooler, behind which LISTEN and session locks do not work.
func (r *replica) listenURL(d *db.DB) string {
	if d.Pooled() && r.cfg.ListenURL.Reveal() == "" && !r.cfg.ListenOff {
		r.log.Warn("the database is behind a transaction pooler: polling only; MINOOTS_LISTEN_URL can name a direct connection")
		return ""
	}
	return r.cfg.Listen()
}
