package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// member is a replica and what the harness did to it.
type member struct {
	*rig.Replica
	name    string // as the service calls it
	removed bool   // killed or stopped by the harness: not to be called any more
}

// kind is which replica to start.
type kind struct {
	executable string   // empty for the one under test
	url        string   // empty for the database's own
	env        []string // further settings
}

const replicas = 3

// start starts so many replicas and waits until they are ready.
func (w *world) start(ctx context.Context, n int, k kind) ([]*member, error) {
	var fresh []*member
	for range n {
		r, err := rig.StartReplica(rig.Config{
			Executable: orElse(k.executable, w.h.cfg.Executable), Dir: w.h.dir, Name: w.scenario.name + "-replica",
			DatabaseURL: orElse(k.url, w.db.url), Roles: rig.AllRoles, Env: append([]string{"MINOOTS_LOG_LEVEL=info"}, k.env...),
		})
		if err != nil {
			return nil, err
		}
		m := &member{Replica: r}
		fresh = append(fresh, m)
		w.mu.Lock()
		w.started = append(w.started, m)
		w.mu.Unlock()
	}
	for _, m := range fresh {
		if err := m.Ready(ctx); err != nil {
			return nil, err
		}
		said, _ := m.Readiness(ctx)
		w.mu.Lock()
		m.name = said.Replica
		w.fleet = append(w.fleet, m)
		w.mu.Unlock()
	}
	return fresh, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// live lists the replicas that the harness has left alone, in order of start.
func (w *world) live() []*member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.fleet), func(m *member) bool { return m.removed })
}

// apis is where clients look: at all replicas but those that were taken away or
// have just failed to answer, as through a load balancer.
func (w *world) apis() []string {
	var all, well []string
	live := w.live()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range live {
		all = append(all, m.API)
		if time.Now().After(w.avoided[m.API]) {
			well = append(well, m.API)
		}
	}
	if len(well) == 0 {
		return all
	}
	return well
}

// avoid keeps clients from a replica for a moment.
func (w *world) avoid(api string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.avoided[api] = time.Now().Add(2 * time.Second)
}

// pick takes any of the live ones, by the seed.
func (w *world) pick() (*member, error) {
	live := w.live()
	if len(live) == 0 {
		return nil, errors.New("no replica is left")
	}
	return live[w.rng.IntN(len(live))], nil
}

// kill ends a replica by SIGKILL, and notes what it had under way. It is stopped
// first, by SIGSTOP, so that what the database shows is what dies with it; the
// others cannot take anything over yet, for its connections are still there.
func (w *world) kill(ctx context.Context, m *member) error {
	w.remove(m)
	if err := m.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop a replica: %w", err)
	}
	frozen := time.Now()
	before := w.underWay(ctx, m.name)
	if err := m.Process.Kill(); err != nil {
		return fmt.Errorf("kill a replica: %w", err)
	}
	w.died(ctx, m, time.Now(), before)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths[len(w.deaths)-1].frozen = frozen
	return nil
}

// died notes the death of a replica, and what had been under way on it. A
// statement that it had sent may have been at work after the first look.
func (w *world) died(ctx context.Context, m *member, at time.Time, before map[string]bool) {
	w.remove(m)
	<-m.Done
	for id := range w.underWay(ctx, m.name) {
		before[id] = true
	}
	w.ended(m, at, before)
}

// ended notes the end of a replica, or what looks like one to the others.
func (w *world) ended(m *member, at time.Time, inFlight map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths = append(w.deaths, death{at: at, replica: m.name, inFlight: inFlight})
	w.faults = append(w.faults, at)
}

// remove takes a replica away from the clients.
func (w *world) remove(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.removed = true
}

// death is the end of a replica, and the firings whose actions it had under way.
type death struct {
	at time.Time
	// frozen is since when it stood still, for us to see what it had under way;
	// zero if it did not. That is no part of the fault.
	frozen   time.Time
	replica  string
	inFlight map[string]bool
}

// unexpected lists the ends of replicas that nobody asked for.
func (w *world) unexpected() []string {
	var all []string
	for _, m := range w.live() {
		if m.Over() {
			all = append(all, fmt.Sprintf("%v (%s)", m.Ended(), filepath.Base(m.Log)))
		}
	}
	return all
}

// stopAll ends all processes that were started, whatever state they are in.
func (w *world) stopAll() error {
	w.mu.Lock()
	started := slices.Clone(w.started)
	w.mu.Unlock()
	var running []*rig.Replica
	for _, m := range started {
		if !m.Over() {
			_ = m.Process.Signal(syscall.SIGCONT) // one that stands still would not hear
			running = append(running, m.Replica)
		}
	}
	return rig.StopReplicas(running)
}
