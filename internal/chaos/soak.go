package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// SoakConfig says how long to use the service hard, and how.
type SoakConfig struct {
	// For is how long timers are created. Defaults to an hour, with Short to 20 s.
	For time.Duration
	// Rate is how many timers are created in a second. Defaults to 100.
	Rate int
	// Seed decides what breaks, and when. 0 takes any; the report names it.
	Seed uint64
	// Short has all happen within a few seconds: it shows that all works, and not
	// that nothing grows.
	Short bool
	// FaultEvery is the mean time between two faults, and SampleEvery that between
	// two samples. Default to 20 s, and to 10 s or a twentieth of the run if that is
	// less; with Short to 1 s.
	FaultEvery, SampleEvery time.Duration
	// Executable, Dir, Keep and Progress are as in Config.
	Executable string
	Dir        string
	Keep       bool
	Progress   io.Writer
}

// soakLeast is the shortest run with anything to judge.
const soakLeast = 20 * time.Second

func (c *SoakConfig) fill() error {
	if c.Short {
		c.For = cmp.Or(c.For, soakLeast)
		c.FaultEvery, c.SampleEvery = cmp.Or(c.FaultEvery, time.Second), cmp.Or(c.SampleEvery, time.Second)
	}
	c.For = cmp.Or(c.For, time.Hour)
	c.Rate = cmp.Or(c.Rate, 100)
	if c.For < soakLeast {
		return fmt.Errorf("%s is too short: at least %s", c.For, soakLeast)
	}
	c.FaultEvery = cmp.Or(c.FaultEvery, 20*time.Second)
	c.SampleEvery = cmp.Or(c.SampleEvery, min(10*time.Second, c.For/20))
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return nil
}

// soak is a world that is used for long. See soak_load.go for what is asked of it,
// soak_agents.go for who answers, soak_faults.go for what breaks, soak_ledger.go and
// soak_events.go for what must arrive, soak_watch.go and soak_later.go for what must
// not grow, soak_judge.go and soak_words.go for the verdict.
type soak struct {
	*world
	cfg     SoakConfig
	report  *SoakReport
	ledger  *ledger
	traffic *soakLoad
	agents  *agents
	books   []*eventBook
	veteran *member // the replica that lives through it all
	picked  int     // faults that had their first turn
	sizes   map[string][]float64
	last    string // fault
}

// soakSettings have the server vacuum as often in an hour as otherwise in a few.
var soakSettings = map[string]string{"max_connections": "400", "autovacuum_naptime": "15s"}

// Soak uses the service hard for a while, with faults, and judges what is left.
// The report has what was found even when there is an error, which is never about
// a promise.
func Soak(ctx context.Context, cfg SoakConfig) (*SoakReport, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	common := Config{Executable: cfg.Executable, Dir: cfg.Dir, Rate: cfg.Rate, Seed: cfg.Seed, Short: cfg.Short, Keep: cfg.Keep, Progress: cfg.Progress}
	if err := common.fill(); err != nil {
		return nil, err
	}
	h := &harness{cfg: common}
	s := &soak{
		cfg: cfg, sizes: map[string][]float64{}, last: "none",
		report: &SoakReport{StartedAt: time.Now().UTC(), ForMs: cfg.For.Milliseconds(), Rate: cfg.Rate, Seed: common.Seed, Faults: map[string]int{}},
	}
	s.world = h.newWorld(scenario{name: "soak", what: "mixed load and random faults", size: size{cfg.For, cfg.For}}, &s.report.row)
	err := s.openSoak(ctx)
	if err == nil {
		err = s.runSoak(ctx)
	}
	err = errors.Join(err, s.close(), h.close())
	s.report.TookMs = time.Since(s.report.StartedAt).Milliseconds()
	s.report.Broken, s.report.Notes = s.row.Broken, s.row.Notes
	return s.report, err
}

// openSoak starts a server, and makes a database with some tenants on it.
func (s *soak) openSoak(ctx context.Context) error {
	h := s.h
	var err error
	if h.dir, err = rig.MakeDir(cmp.Or(h.cfg.Dir, ".minoots"), "chaos-"); err != nil {
		return fmt.Errorf("make the run's directory: %w", err)
	}
	h.say("soak for %s, %d timers/s, seed %d, files in %s", s.cfg.For, s.cfg.Rate, s.report.Seed, h.dir)
	if h.server, err = h.startServer(ctx, filepath.Join(h.dir, "postgres"), soakSettings); err != nil {
		return err
	}
	s.server = h.server
	if err := s.open(ctx); err != nil {
		return err
	}
	// An audit trusts a history from a day after its beginning.
	if _, err := s.db.pool.Exec(ctx, "SELECT minoots.ensure_partitions(now() - interval '14 days', 3)"); err != nil {
		return fmt.Errorf("make partitions: %w", err)
	}
	return s.furnish(ctx)
}

// furnish makes some tenants, and what is asked of the service and receives what
// comes of it.
func (s *soak) furnish(ctx context.Context) error {
	s.ledger = newLedger(s.receiver.over)
	callers := []*caller{newCaller(s.server.key)}
	names := []string{tenant, "soak-a", "soak-b", "soak-c"}
	for _, name := range names[1:] {
		key, err := rig.MakeTenant(ctx, s.db.url, name)
		if err != nil {
			return err
		}
		callers = append(callers, newCaller(key))
	}
	for _, c := range callers {
		// A crowd of requests during a fault must not leave as many connections, and
		// the replica's goroutines with them.
		c.http.Transport = &http.Transport{MaxIdleConnsPerHost: 4}
	}
	s.traffic = &soakLoad{
		world: s.world, ledger: s.ledger, callers: callers, rate: s.cfg.Rate, rng: rand.New(rand.NewPCG(s.h.cfg.Seed, 1)),
		farthest: min(max(s.cfg.For/6, 3*time.Second), 45*time.Second), patience: soakKept(s.cfg.For) * 3 / 4,
		done: make(chan struct{}), failures: map[string]int{},
	}
	s.agents = newAgents(ctx, s.traffic)
	s.atEnd(s.agents.close)
	s.ledger.agents = s.agents
	subscriber := newEventBook("subscription", names[0])
	subscriber.loose = true
	s.books = []*eventBook{subscriber, newEventBook("stream", names[1])}
	paths := http.NewServeMux()
	paths.Handle("/soak/", s.ledger)
	paths.Handle(eventsPath, subscriber)
	s.receiver.other = paths
	return nil
}

// attend has the events of two tenants followed: those of one by a subscription,
// those of the other by a stream until ctx is done, when over is called. Nothing has
// happened to either yet.
func (s *soak) attend(ctx context.Context, over func()) error {
	if !s.traffic.subscribe(ctx, s.traffic.callers[0], eventsPath) {
		over()
		return fmt.Errorf("subscribe: %v", s.traffic.failures)
	}
	go func() {
		defer over()
		s.books[1].follow(ctx, s.world, s.traffic.callers[1].key)
	}()
	return nil
}

// eventsPath is where the receiver takes a subscription's events.
const eventsPath = "/soak-events"

// calm is the end of the run, in which nothing breaks any more.
const calm = 5 * time.Second

// runSoak is the run itself, however long.
func (s *soak) runSoak(ctx context.Context) error {
	if _, err := s.start(ctx, replicas, graceful); err != nil {
		return err
	}
	s.veteran = s.live()[0]
	end := time.Now().Add(s.cfg.For)
	running, stop := context.WithCancel(ctx)
	defer stop()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Add(1)
	if err := s.attend(running, beside.Done); err != nil {
		return err
	}
	beside.Go(func() { s.watch(running) })
	tidying, stopTidying := context.WithCancel(running)
	defer stopTidying()
	tidied := make(chan struct{})
	beside.Go(func() { defer close(tidied); s.tidy(tidying) })
	beside.Go(func() { s.traffic.run(running, end) })
	if err := s.breakThings(ctx, end.Add(-calm)); err != nil {
		return err
	}
	select {
	case <-s.traffic.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	stopTidying()
	<-tidied
	return s.judgeSoak(ctx)
}

// count notes a fault.
func (s *soak) count(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Faults[fault]++
	s.last = fault
}

// happened tells how many faults there were, and the last.
func (s *soak) happened() (faults int, last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.report.Faults {
		faults += n
	}
	return faults, s.last
}
