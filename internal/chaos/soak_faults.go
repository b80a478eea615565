package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// soakFault is one that a soak has happen again and again.
type soakFault struct {
	name   string
	weight int
	run    func(context.Context, *soak) error
}

// soakFaults are those after which all is as before. The first replica is neither
// killed nor restarted, but meets all else: its memory is what is judged.
var soakFaults = []soakFault{
	{"kill", 4, soakKill},
	{"stop", 3, soakStop},
	{"terminate", 4, soakTerminate},
	{"rolling", 1, soakRolling},
	{"postgres", 2, soakPostgres},
}

// breakThings has faults happen until it is time to come to rest.
func (s *soak) breakThings(ctx context.Context, until time.Time) error {
	for {
		pause := s.cfg.FaultEvery/2 + time.Duration(s.rng.Int64N(int64(s.cfg.FaultEvery)))
		if time.Now().Add(pause).After(until) {
			return nil
		}
		if err := rig.Pause(ctx, pause); err != nil {
			return err
		}
		if ends := s.unexpected(); len(ends) > 0 {
			return errors.New(strings.Join(ends, "; "))
		}
		fault := s.pickFault()
		s.count(fault.name)
		if err := fault.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
	}
}

// pickFault takes each in turn first, so that a short run has them all, and then
// any by its weight.
func (s *soak) pickFault() soakFault {
	if n := s.picked; n < len(soakFaults) {
		s.picked++
		return soakFaults[n]
	}
	all := 0
	for _, f := range soakFaults {
		all += f.weight
	}
	n := s.rng.IntN(all)
	for _, f := range soakFaults {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return soakFaults[0]
}

// others are the replicas that may be ended.
func (s *soak) others() []*member { return s.live()[1:] }

func soakKill(ctx context.Context, s *soak) error {
	others := s.others()
	if err := s.kill(ctx, others[s.rng.IntN(len(others))]); err != nil {
		return err
	}
	_, err := s.start(ctx, 1, graceful)
	return err
}

// soakStop has any replica stand still for two to six seconds. Clients go on
// asking it.
func soakStop(ctx context.Context, s *soak) error {
	victim, err := s.pick()
	if err != nil {
		return err
	}
	if err := victim.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop a replica: %w", err)
	}
	paused := rig.Pause(ctx, 2*time.Second+time.Duration(s.rng.Int64N(int64(4*time.Second))))
	if err := victim.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue a replica: %w", err)
	}
	return paused
}

func soakTerminate(ctx context.Context, s *soak) error {
	for range 1 + s.rng.IntN(8) {
		if _, err := s.endConnection(ctx); err != nil {
			return err
		}
		if err := rig.Pause(ctx, time.Duration(s.rng.Int64N(int64(200*time.Millisecond)))); err != nil {
			return err
		}
	}
	return nil
}

func soakRolling(ctx context.Context, s *soak) error {
	for _, m := range s.others() {
		if _, err := s.terminate(ctx, m); err != nil {
			return err
		}
		if _, err := s.start(ctx, 1, graceful); err != nil {
			return err
		}
	}
	return nil
}

// soakPostgres has Postgres end without a checkpoint, and come back. The replicas
// are ready again before the next fault.
func soakPostgres(ctx context.Context, s *soak) error {
	if err := s.server.own.Quit(); err != nil {
		return err
	}
	if err := rig.Pause(ctx, time.Duration(s.rng.Int64N(int64(2*time.Second)))); err != nil {
		return err
	}
	if err := s.server.again(ctx); err != nil {
		return err
	}
	s.db.pool.Reset()
	return s.untilReady(ctx)
}
