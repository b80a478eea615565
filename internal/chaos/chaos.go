package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// Config says what to break, and with what.
type Config struct {
	// Executable is the minoots binary under test. Defaults to the one that is
	// running now.
	Executable string
	// Faults is the same built with the tag `faults`, Skewed with the overlay of
	// internal/fault/skew, and Old an earlier release. Each defaults to the
	// executable's path with -faults, -skewed and -old behind. Without it the
	// scenarios that need it are not run.
	Faults, Skewed, Old string
	// Dir is where the run keeps its server and the replicas' logs: on disk.
	// Defaults to .minoots in this directory.
	Dir string
	// Only names the scenarios. Defaults to all; with Short, to those for CI.
	Only []string
	// Short takes a low rate and little time.
	Short bool
	// Rate is how many timers are due in a second. Defaults to 500, and to 100
	// with Short.
	Rate int
	// Seed decides what is hit, and when. 0 takes any; the report names it.
	Seed uint64
	// Keep leaves the databases, logs and the server's files where they are.
	Keep bool
	// Progress receives a line for each thing that takes time.
	Progress io.Writer
	// Tell receives each row as soon as there is one.
	Tell func(Row)
}

// scenario is one kind of fault.
type scenario struct {
	name, what string
	short      bool // part of the short form
	size       size
	needs      func(Config) error // nil, or why it cannot be run here
	run        func(context.Context, *world) error
}

// size is how long timers are due, in the full and in the short form.
type size struct{ full, short time.Duration }

// scenarios is all there is.
var scenarios = []scenario{
	{"kill", "kill -9 of a random replica every 3 s", true, size{30 * time.Second, 7 * time.Second}, nil, killRandom},
	{"points", "kill -9 between the steps of fire and record", false, size{42 * time.Second, 28 * time.Second}, needsFaults, killAtPoints},
	{"zombie", "SIGSTOP of a replica for 30 s, then SIGCONT", false, size{45 * time.Second, 12 * time.Second}, nil, zombie},
	{"rolling", "SIGTERM, rolling restart of all replicas", true, size{20 * time.Second, 7 * time.Second}, nil, rolling},
	{"postgres", "immediate shutdown of Postgres, away 2 s", true, size{20 * time.Second, 6 * time.Second}, nil, postgresAway},
	{"terminate", "pg_terminate_backend at random", false, size{20 * time.Second, 6 * time.Second}, nil, terminate},
	{"mixed", "kill -9 and ended connections; agents, subscription, stream, series", false, size{30 * time.Second, 8 * time.Second}, nil, mixed},
	{"stall", "a replica's connections stall for 20 s", false, size{40 * time.Second, 30 * time.Second}, nil, stall},
	{"clock-ahead", "replica clocks 10 s ahead", false, size{15 * time.Second, 5 * time.Second}, needsSkewed, clock("10s", "10s", "10s")},
	{"clock-behind", "replica clocks 10 s behind", false, size{15 * time.Second, 5 * time.Second}, needsSkewed, clock("-10s", "-10s", "-10s")},
	{"clock-jump", "replica clocks that jump by 10 s every 3 s", false, size{24 * time.Second, 13 * time.Second}, needsSkewed, clock("jump", "jump", "jump")},
	{"clock-mixed", "one ahead, one behind, one right", false, size{15 * time.Second, 5 * time.Second}, needsSkewed, clock("10s", "-10s", "0s")},
	{"pooler-direct", "PgBouncer in transaction mode, with a direct listen URL", false, size{15 * time.Second, 5 * time.Second}, needsPgBouncer, pooler(true)},
	{"pooler-only", "PgBouncer in transaction mode, without", false, size{15 * time.Second, 5 * time.Second}, needsPgBouncer, pooler(false)},
	{"receiver", "receivers that refuse, reset, hang, drip, flood, redirect", false, size{20 * time.Second, 15 * time.Second}, nil, badReceivers},
	{"disk", "Postgres has no space left for 5 s", false, size{25 * time.Second, 12 * time.Second}, needsTmpfs, diskFull},
	{"versions", "an old version beside this one, during a migration", false, size{25 * time.Second, 12 * time.Second}, needsOld, versions},
}

// Names lists the scenarios.
func Names() string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return strings.Join(all, ", ")
}

// harness is what the scenarios of one run share.
type harness struct {
	cfg    Config
	dir    string
	server *server
	report *Report
	normal *lateness // without any fault; see clock.go
}

// Run takes the scenarios one after another. The report has what was found even
// when there is an error, which is never about a promise.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	chosen, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	h := &harness{cfg: cfg, report: &Report{StartedAt: time.Now().UTC(), Short: cfg.Short, Seed: cfg.Seed, Rate: cfg.Rate}}
	if err = h.open(ctx); err == nil {
		h.say("seed %d, %d timers/s, files in %s", cfg.Seed, cfg.Rate, h.dir)
		for _, s := range chosen {
			if err = h.take(ctx, s); err != nil {
				break
			}
		}
	}
	h.report.TookMs = time.Since(h.report.StartedAt).Milliseconds()
	return h.report, errors.Join(err, h.close())
}

func (c *Config) fill() error {
	if c.Executable == "" {
		var err error
		if c.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("find the program to run replicas of: %w", err)
		}
	}
	// Replicas run in another directory.
	for _, file := range []*string{&c.Executable, &c.Faults, &c.Skewed, &c.Old} {
		if *file != "" {
			path, err := filepath.Abs(*file)
			if err != nil {
				return err
			}
			*file = path
		}
	}
	c.Faults = cmp.Or(c.Faults, c.Executable+"-faults")
	c.Skewed = cmp.Or(c.Skewed, c.Executable+"-skewed")
	c.Old = cmp.Or(c.Old, c.Executable+"-old")
	if c.Rate == 0 {
		c.Rate = 500
		if c.Short {
			c.Rate = 100
		}
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000) + 1 // short, to be typed
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return nil
}

func choose(cfg Config) ([]scenario, error) {
	var chosen []scenario
	unknown := slices.Clone(cfg.Only)
	for _, s := range scenarios {
		// A family goes by the word before the dash.
		named := func(only string) bool { return only == s.name || strings.HasPrefix(s.name, only+"-") }
		if slices.ContainsFunc(cfg.Only, named) || len(cfg.Only) == 0 && (s.short || !cfg.Short) {
			chosen = append(chosen, s)
		}
		unknown = slices.DeleteFunc(unknown, named)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("nothing is called %s: there are %s", strings.Join(unknown, ", "), Names())
	}
	return chosen, nil
}

func (h *harness) open(ctx context.Context) error {
	var err error
	if h.dir, err = rig.MakeDir(cmp.Or(h.cfg.Dir, ".minoots"), "chaos-"); err != nil {
		return fmt.Errorf("make the run's directory: %w", err)
	}
	h.server, err = h.startServer(ctx, filepath.Join(h.dir, "postgres"), nil)
	return err
}

func (h *harness) close() error {
	var err error
	if h.server != nil {
		err = h.server.close()
	}
	switch {
	case h.dir == "":
		return err
	case h.cfg.Keep:
		h.say("kept: %s (the replicas' logs are there too)", h.dir)
		return errors.Join(err, rig.KeepDir(h.dir))
	default:
		return errors.Join(err, os.RemoveAll(h.dir))
	}
}

func (h *harness) say(format string, args ...any) {
	_, _ = fmt.Fprintf(h.cfg.Progress, format+"\n", args...)
}

// take runs one scenario and tells its row. Only an interruption is an error:
// whatever else goes wrong is the scenario's, and breaks it.
func (h *harness) take(ctx context.Context, s scenario) error {
	row := Row{Name: s.name, What: s.what}
	began := time.Now()
	if s.needs != nil {
		if err := s.needs(h.cfg); err != nil {
			row.NotRun = err.Error()
		}
	}
	if row.NotRun == "" {
		w := h.newWorld(s, &row)
		err := w.open(ctx)
		if err == nil {
			err = s.run(ctx, w)
		}
		if err = errors.Join(err, w.close()); ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			row.Broken = append(row.Broken, "the scenario failed: "+err.Error())
		}
	}
	row.TookMs = time.Since(began).Milliseconds()
	h.report.Rows = append(h.report.Rows, row)
	if h.cfg.Tell != nil {
		h.cfg.Tell(row)
	}
	return nil
}
