package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/chaos"
)

func newChaos() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break replicas, Postgres, network and clocks under load, and judge what holds",
		Long: "Starts a Postgres and replicas of this program, creates timers, and injects faults while they are\n" +
			"due. Each scenario prints one line: timers acknowledged, delivered and lost, deliveries early and\n" +
			"repeated, the greatest lateness, the time to recover, and the promises that were broken.\n\n" +
			"Some scenarios need other builds of this program beside it (see --faults, --skewed, --old; 'make\n" +
			"chaos' makes them), pgbouncer, or root. What cannot be run is said, and makes it fail, unless\n" +
			"--allow-skip. It reads nothing from the environment.",
		Example: "  minoots chaos --short\n  minoots chaos --only kill,postgres --seed 4711 --json chaos.json",
		Args:    cobra.NoArgs,
	}
	var cfg chaos.Config
	f := cmd.Flags()
	f.StringSliceVar(&cfg.Only, "only", nil, "run only these: "+chaos.Names())
	f.BoolVar(&cfg.Short, "short", false, "little load for a short time, and unless named only the scenarios of CI")
	f.IntVar(&cfg.Rate, "rate", 0, "timers due in a second (default 500, with --short 100)")
	f.Uint64Var(&cfg.Seed, "seed", 0, "repeat the faults of a run (default: any)")
	f.StringVar(&cfg.Faults, "faults", "", "this program built with -tags faults (default: this one's path with -faults behind)")
	f.StringVar(&cfg.Skewed, "skewed", "", "this program built with a clock that can be wrong (default: with -skewed behind)")
	f.StringVar(&cfg.Old, "old", "", "an earlier release (default: with -old behind)")
	f.StringVar(&cfg.Dir, "dir", ".minoots", "where to keep the server while it runs; on disk")
	f.BoolVar(&cfg.Keep, "keep", false, "leave the databases, the logs and the server's files where they are")
	file := f.String("json", "", "write all that was found to this file")
	allowSkip := f.Bool("allow-skip", false, "do not fail because of what cannot be run here")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg.Progress = cmd.ErrOrStderr()
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintln(out, chaos.Head())
		cfg.Tell = func(row chaos.Row) { _, _ = fmt.Fprintln(out, row.Line()) }
		report, err := chaos.Run(cmd.Context(), cfg)
		if report == nil {
			return misuse("%s", err)
		}
		if *file != "" {
			err = errors.Join(err, report.WriteJSON(*file))
		}
		if err != nil {
			return err
		}
		broken, notRun := report.Count()
		switch {
		case broken > 0:
			return fmt.Errorf("%d scenarios broke a promise (repeat with --seed %d)", broken, report.Seed)
		case notRun > 0 && !*allowSkip:
			return fmt.Errorf("%d scenarios were not run (--allow-skip bears that)", notRun)
		}
		return nil
	}
	return cmd
}
