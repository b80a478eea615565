package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Config says what to measure, and on what.
type Config struct {
	// Executable is the minoots binary that replicas run. Defaults to the one
	// that is running now.
	Executable string
	// DatabaseURL names a server to make databases on; its user must be allowed
	// to. The database it names is only connected to. Defaults to a server of
	// the bench's own.
	DatabaseURL string
	// URL and Key name a running deployment, of which only what callers see can
	// be measured.
	URL, Key string
	// ReceiverAddr is where to listen for webhooks. Defaults to a free port of
	// 127.0.0.1. ReceiverURL is how the deployment reaches that, if otherwise.
	ReceiverAddr, ReceiverURL string
	// Dir is where the bench keeps its server while it runs: on disk, for a
	// commit must cost what it costs. Defaults to .minoots in this directory.
	Dir string
	// Only names the steps to take, such as P1. Defaults to all.
	Only []string
	// Short takes small sizes: it shows that all works, not how well.
	Short bool
	// Keep leaves the databases, and the server's files, where they are.
	Keep bool
	// ProfileDir receives CPU profiles of the replicas, if they serve any.
	ProfileDir string
	// Progress receives a line for each thing that takes time.
	Progress io.Writer
}

// step is one thing to measure.
type step struct {
	names    []string // of the figures, for --only
	what     string
	takes    func(sizes) time.Duration // about
	blackBox bool                      // needs the API alone
	run      func(context.Context, *lab) error
}

// steps is all there is, in order: a limit stands next to what is held against
// it, since a machine is not equally fast all day; what needs the million
// pending timers comes last, and the one that ruins them (P6) at the very end.
var steps = []step{
	{[]string{"L1"}, "insert timers one at a time", rateTakes, false, limitInsert},
	{[]string{"P1"}, "create timers one at a time", rateTakes, true, createSingle},
	{[]string{"P2"}, "create timers in batches", rateTakes, true, createBatch},
	{[]string{"P9"}, "creates near and far, with listeners", rateTakes, false, notifyShare},
	{[]string{"L2"}, "claim and update alone", countTakes(func(s sizes) int { return s.backlog }, 12_000), false, limitClaim},
	{[]string{"P3"}, "fire a backlog", countTakes(func(s sizes) int { return s.backlog }, 10_000), false, claimBacklog},
	{[]string{"L3"}, "River alone", countTakes(func(s sizes) int { return s.jobs }, 8_000), false, limitRiver},
	{[]string{"P4"}, "storms", stormTakes, false, storms},
	{[]string{"P8"}, "many replicas", windowTakes(1), false, herd},
	{[]string{"R"}, "timers of every second", recurringTakes, false, recurring},
	{[]string{"P10"}, "the cost of a timer", countTakes(func(s sizes) int { return s.costTimers }, 500), false, cost},
	{[]string{"N"}, "a noisy neighbour", windowTakes(4), false, neighbour},
	{[]string{"B"}, "a dead host", windowTakes(2), false, breaker},
	{[]string{"P5"}, "lateness", latenessTakes, true, latenessAll},
	{[]string{"P7"}, "at rest", func(s sizes) time.Duration { return s.settle + s.rest + 5*time.Second }, false, rest},
	{[]string{"P6"}, "lateness beside an open snapshot", countTakes(func(s sizes) int { return s.firedBefore }, 3_000), false, latenessSnapshot},
}

// apart is what is only measured when it is named: it takes long, or much disk.
var apart = []step{
	{[]string{"M"}, "change timers beside the pending", rateTakes, false, change},
	{[]string{"W"}, "wait for timers", func(s sizes) time.Duration { return 5*s.settle + setUp }, false, wait},
	{[]string{"F"}, "find timers among many", countTakes(func(s sizes) int { return s.found }, 15_000), false, find},
}

// Run takes the steps and reports. The report has what was measured even when
// there is an error: a step that failed, as by a lost timer, does not keep the
// others from being taken.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	chosen, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Executable == "" {
		if cfg.Executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the program to run replicas of: %w", err)
		}
	}
	l := newLab(cfg)
	err = l.run(ctx, chosen)
	return l.report, err
}

// run takes the steps and ends all that they have left, whatever happens.
func (l *lab) run(ctx context.Context, chosen []step) error {
	err := l.open(ctx)
	if err == nil {
		err = l.take(ctx, chosen)
	}
	err = errors.Join(err, l.close())
	l.report.judge()
	return err
}

// choose gives the steps that were asked for and can be taken.
func choose(cfg Config) ([]step, error) {
	var chosen []step
	unknown := slices.Clone(cfg.Only)
	for i, s := range slices.Concat(steps, apart) {
		named := func(only string) bool {
			return slices.ContainsFunc(s.names, func(n string) bool { return strings.EqualFold(n, only) })
		}
		asked := len(cfg.Only) == 0 && i < len(steps) || slices.ContainsFunc(cfg.Only, named)
		unknown = slices.DeleteFunc(unknown, named)
		if asked && (cfg.URL == "" || s.blackBox) {
			chosen = append(chosen, s)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("nothing is called %s: there are %s", strings.Join(unknown, ", "), StepNames())
	}
	if len(chosen) == 0 {
		return nil, errors.New("of a deployment only P1, P2 and P5 can be measured from outside")
	}
	return chosen, nil
}

// StepNames lists what Config.Only may name.
func StepNames() string {
	var all []string
	for _, s := range slices.Concat(steps, apart) {
		all = append(all, s.names...)
	}
	return strings.Join(all, ", ")
}

// take takes the steps one after another, and goes on after a failure.
func (l *lab) take(ctx context.Context, chosen []step) error {
	var errs []error
	for i, s := range chosen {
		name := strings.Join(s.names, ", ")
		l.say("[%d/%d] %s  %s: about %s", i+1, len(chosen), name, s.what, s.takes(l.size).Round(time.Second))
		began := time.Now()
		err := errors.Join(s.run(ctx, l), l.tidy())
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			errs = append(errs, err)
			l.report.Errors = append(l.report.Errors, err.Error())
			l.say("      %v", err)
		}
		l.say("      took %s", time.Since(began).Round(100*time.Millisecond))
	}
	if len(errs) > 1 { // the report has them all
		return fmt.Errorf("%w (and %d more that failed)", errs[0], len(errs)-1)
	}
	return errors.Join(errs...)
}
