package workers

import (
	"context"
	"time"
)

// resolve asks Postgres what became of a transaction whose commit's answer was
// lost, until it answers, and then begins its tasks or gives them up. Those that
// another has taken over meanwhile are not begun.
func (w *Workers) resolve(ctx context.Context, pl *plan) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		committed, err := w.tryResolve(ctx, pl)
		if err == nil {
			w.log.Warn("a transaction whose end was not seen is resolved", "committed", committed, "jobs", len(pl.jobs.Jobs))
			return
		}
		select {
		case <-ctx.Done():
			pl.release()
			return
		case <-time.After(pause):
		}
	}
}

func (w *Workers) tryResolve(ctx context.Context, pl *plan) (committed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	committed, running, err := w.cfg.DB.JobResolve(ctx, pl.jobs.Xid)
	if err != nil {
		return false, err
	}
	for i, t := range pl.tasks {
		if t == nil {
			continue
		}
		id, there := running[t.delivery.WebhookID()]
		if !there {
			pl.desks[i].release(t.flow)
			pl.tasks[i] = nil
			continue
		}
		pl.jobs.Jobs[i].ID = id
	}
	pl.begin()
	return committed, nil
}

// moveOn puts tasks that are not to wait here any more into queues, until
// Postgres takes them: into the lanes of their flows if they would crowd out
// others. It does not give up before ctx is done; what then still stands as
// running here is found by whoever finds this process gone.
func (w *Workers) moveOn(ctx context.Context, tasks []*task, crowding bool) {
	ids, queues := make([]int64, len(tasks)), make([]string, len(tasks))
	for i, k := range tasks {
		kind := k.delivery.Action.Kind
		ids[i], queues[i] = k.jobID, string(kind)
		if crowding {
			queues[i] = laneOf(kind, flowKey{k.flow.tenant, k.flow.destination})
		}
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := w.tryMoveOn(ctx, ids, queues)
		if err == nil {
			w.metrics.movedOn.Add(float64(len(tasks)))
			w.lanes.soon()
			return
		}
		w.log.Warn("deliveries not handed back yet; trying again", "deliveries", len(tasks), "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (w *Workers) tryMoveOn(ctx context.Context, ids []int64, queues []string) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return w.cfg.DB.JobRelease(ctx, w.cfg.Replica, ids, queues)
}
