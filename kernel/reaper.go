package kernel

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// reapEvery is how often the kernel in the first seat, or one that polls,
	// looks for processes that are gone: one statement, which at rest asks one
	// lock a process and writes nothing. With its jitter it is 0.9 of the
	// five statements a second that a replica may cost at rest.
	reapEvery = 1100 * time.Millisecond
	// reapEveryBehind is for higher seats. The first may be the very process that
	// stands still, with its seat in its hands.
	reapEveryBehind = 2 * time.Second
	// reapGrace is the time between finding a process gone and taking its jobs:
	// what a process gets to stop whose connection was cut, and who hears of it
	// as soon as we. Of the 2 s to a repeat, the look and this take 1.5 at most.
	reapGrace = 300 * time.Millisecond
	// reapFor is how long each look also looks for jobs of processes that were
	// found gone: a fetch may have been under way. Later ones are the sweep's.
	reapFor = 30 * time.Second
	// reapSweepEvery is how often all is looked through: jobs of processes lost
	// longer ago, and jobs that River has ended.
	reapSweepEvery = 30 * time.Second
	// reapForget is when a lost process is forgotten. Until then a zombie may come
	// to itself and fetch a job before it knows; after it, that is River's rescue's.
	reapForget = time.Hour

	reapTimeout = 5 * time.Second // of one pass
	reapStep    = "reap"          // in the count of errors
)

// reaper dispatches again what dead processes were running, until ctx is done.
// Every kernel has one, and no two hinder each other.
func (k *Kernel) reaper(ctx context.Context) error {
	look := time.NewTimer(0)
	defer look.Stop()
	swept, failures := time.Time{}, 0 // the first look is a sweep
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.moved: // into the seat of one that may be dead
		case <-look.C:
		}
		within := reapFor
		sweeps := time.Since(swept) > reapSweepEvery
		if sweeps {
			within = 2 * reapForget
		}
		fresh, err := k.reap(ctx, within)
		if err == nil && sweeps {
			swept = time.Now()
			err = k.reapSweep(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			k.metrics.errors.WithLabelValues(reapStep).Inc()
			if failures++; failures == 1 { // the loop tells of an outage, again and again
				k.log.Warn("looking for dead replicas failed; trying again", "error", err)
			}
			look.Reset(max(backoff(failures), k.reapPause()))
		case fresh:
			failures = 0
			look.Reset(reapGrace)
		default:
			failures = 0
			look.Reset(k.reapPause())
		}
	}
}

func (k *Kernel) reapPause() time.Duration {
	pause := reapEvery
	if k.seat.Load() > 0 {
		pause = reapEveryBehind
	}
	return pause + rand.N(pause/10)
}

// reap looks once, and takes the jobs of those that have had their grace. fresh
// says that others have not.
func (k *Kernel) reap(ctx context.Context, within time.Duration) (fresh bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	lost, expired, err := k.db.ReplicaLost(ctx, within)
	if err != nil {
		return false, err
	}
	if expired {
		if err := k.expire(ctx); err != nil {
			return false, err
		}
	}
	var ripe []string
	for _, l := range lost {
		switch {
		case l.For == 0:
			k.metrics.lost.Inc()
			k.log.Warn("a replica is gone; what it was running is run again", "lost", l.Replica, "presence", l.Mode)
			fresh = true
		case l.For < reapGrace:
			fresh = true
		default:
			ripe = append(ripe, l.Replica)
		}
	}
	if len(ripe) == 0 {
		return fresh, nil
	}
	jobs, err := k.db.JobRedispatch(ctx, ripe)
	if jobs > 0 {
		k.metrics.redispatched.Add(float64(jobs))
		k.log.Warn("jobs of lost replicas dispatched again", "jobs", jobs, "replicas", ripe)
	}
	if err != nil {
		return fresh, err
	}
	worn, err := k.db.JobWorn(ctx, ripe, k.follow)
	k.gaveUp(worn, "every replica that ran them was lost")
	return fresh, err
}

// reapSweep settles what River has ended by itself, and forgets the dead.
func (k *Kernel) reapSweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	n, err := k.db.JobAbandoned(ctx, k.follow)
	k.gaveUp(n, "River discarded their jobs, or somebody cancelled them")
	_, forgetErr := k.db.ReplicaForget(ctx, reapForget)
	return errors.Join(err, forgetErr)
}

func (k *Kernel) gaveUp(actions int, why string) {
	if actions > 0 {
		k.metrics.abandoned.Add(float64(actions))
		k.log.Error("actions failed", "actions", actions, "why", why)
	}
}

// follow makes jobs of the actions that follow one that was given up.
func (k *Kernel) follow(ctx context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
	return k.cfg.Planner.Plan(ctx, next)
}
