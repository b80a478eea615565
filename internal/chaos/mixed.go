package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// mixedShare is what part of the run's rate the mixed load has: its timers make four
// times as many deliveries, events among them.
const mixedShare = 5

// mixed has replicas killed and connections ended under the load of a soak: agents
// that acknowledge, a subscription and a stream of events, timers that come back,
// bundles that fail and compensate.
func mixed(ctx context.Context, w *world) error {
	s := &soak{
		world: w, cfg: SoakConfig{Short: true, For: w.window(), Rate: max(w.h.cfg.Rate/mixedShare, 1)},
		report: &SoakReport{Faults: map[string]int{}}, sizes: map[string][]float64{},
	}
	if err := s.furnish(ctx); err != nil {
		return err
	}
	if _, err := s.start(ctx, replicas, graceful); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Add(1)
	if err := s.attend(running, beside.Done); err != nil {
		return err
	}
	end := time.Now().Add(s.cfg.For)
	beside.Go(func() { s.traffic.run(running, end) })
	// The rest is for coming back.
	for fault := 0; time.Until(end) > 2*time.Second; fault++ {
		if err := rig.Pause(ctx, time.Second/2+time.Duration(w.rng.Int64N(int64(time.Second/2)))); err != nil {
			return err
		}
		if err := s.breakOne(ctx, fault); err != nil {
			return err
		}
	}
	select {
	case <-s.traffic.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := s.comeToRest(ctx); err != nil {
		return err
	}
	if err := s.judgePromises(ctx); err != nil {
		return err
	}
	r := s.report
	w.row.Acknowledged, w.row.Delivered, w.row.Lost, w.row.Early, w.row.Repeated = r.Acknowledged, r.Delivered, r.Lost, r.Early, r.Repeated
	w.row.LatestMs, w.row.API = r.LateMs["max"], r.API
	w.row.note("faults %v; %d timers cancelled, %d maybe, %d due in a year", r.Faults, r.Cancelled, r.Doubtful, r.Distant)
	return s.judgeAudit(ctx)
}

// breakOne kills a replica and starts another, or ends a connection: by turns, with
// more of the latter.
func (s *soak) breakOne(ctx context.Context, turn int) error {
	if turn%4 != 1 {
		s.count("terminate")
		_, err := s.endConnection(ctx)
		return err
	}
	s.count("kill")
	victim, err := s.pick()
	if err != nil {
		return err
	}
	if err := s.kill(ctx, victim); err != nil {
		return err
	}
	_, err = s.start(ctx, 1, graceful)
	return err
}
