package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/chaos"
)

func newSoak() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Use the service hard for an hour, with faults, and judge that nothing is lost and nothing grows",
		Long: "Starts a Postgres and three replicas of this program; creates and cancels timers of all sorts for\n" +
			"several tenants, with receivers that fail and take their time; and kills, stops, restarts and cuts\n" +
			"what there is, at random. In the end it waits until all is settled and judges: every acknowledged\n" +
			"timer delivered, cancelled or still waiting; no finding of an audit; memory, goroutines, tables and\n" +
			"indexes no larger than before. docs/operations.md says how. The exit status is 1 if a promise was\n" +
			"broken. It reads nothing from the environment.",
		Example: "  minoots soak --for 1h --rate 100 --json soak.json\n  minoots soak --short --seed 4711",
		Args:    cobra.NoArgs,
	}
	var cfg chaos.SoakConfig
	f := cmd.Flags()
	f.DurationVar(&cfg.For, "for", 0, "how long timers are created (default 1h, with --short 20s)")
	f.IntVar(&cfg.Rate, "rate", 0, "timers created in a second (default 100)")
	f.Uint64Var(&cfg.Seed, "seed", 0, "repeat what breaks in a run, and when (default: any)")
	f.BoolVar(&cfg.Short, "short", false, "20 s with a fault each second: shows that all works, not that nothing grows")
	f.DurationVar(&cfg.FaultEvery, "fault-every", 0, "the mean time between two faults (default 20s, with --short 1s)")
	f.StringVar(&cfg.Dir, "dir", ".minoots", "where to keep the server while it runs; on disk")
	f.BoolVar(&cfg.Keep, "keep", false, "leave the database, the logs and the server's files where they are")
	file := f.String("json", "", "write all that was found to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg.Progress = cmd.ErrOrStderr()
		report, err := chaos.Soak(cmd.Context(), cfg)
		if report == nil {
			return misuse("%s", err)
		}
		if *file != "" {
			err = errors.Join(err, report.WriteJSON(*file))
		}
		for _, line := range report.Lines() {
			say(cmd.OutOrStdout(), "%s", line)
		}
		if err == nil && len(report.Broken) > 0 {
			err = fmt.Errorf("%d promises were broken (repeat with --seed %d)", len(report.Broken), report.Seed)
		}
		return err
	}
	return cmd
}
