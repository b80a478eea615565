package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/bench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure limits and product side by side, on a Postgres of its own",
		Long: "Starts a Postgres with default durability and replicas of this program, measures what Postgres can\n" +
			"do at best (L1 to L3) and what the service does (P1 to P10, N), and prints one table with the goals.\n" +
			"All of it takes about ten minutes, --short ninety seconds. With --url it measures of a running\n" +
			"deployment what callers see: P1, P2 and P5.\n\n" +
			"It reads nothing from the environment, so that a setting for a server in use cannot put that under\n" +
			"load. Figures that miss their goal do not make it fail; a lost timer does.",
		Example: "  minoots bench --json bench.json\n" +
			"  minoots bench --only L1,P1 --short\n" +
			"  minoots bench --url https://timers.example.com --key \"$KEY\" --receiver-addr :7000 --receiver-url http://10.1.2.3:7000",
		Args: cobra.NoArgs,
	}
	var cfg bench.Config
	f := cmd.Flags()
	f.StringVar(&cfg.DatabaseURL, "database-url", "", "a server to make the bench's databases on, instead of one of its own")
	f.StringVar(&cfg.URL, "url", "", "a running deployment to measure from outside")
	f.StringVar(&cfg.Key, "key", "", "an API key of that deployment")
	f.StringVar(&cfg.ReceiverAddr, "receiver-addr", "", "where to listen for webhooks (default: a free port of 127.0.0.1)")
	f.StringVar(&cfg.ReceiverURL, "receiver-url", "", "how the deployment reaches that address, if otherwise")
	f.StringSliceVar(&cfg.Only, "only", nil, "measure only these: "+bench.StepNames())
	f.IntVar(&cfg.Found, "found", 0, "how many timers F finds some among (default 1000000; 10000000 take some 10 GB of disk)")
	f.BoolVar(&cfg.Short, "short", false, "small sizes: shows that all works, not how well")
	f.BoolVar(&cfg.Keep, "keep", false, "leave the databases, and the files in --dir, where they are")
	f.StringVar(&cfg.Dir, "dir", ".minoots", "where to keep the server while it runs; on disk")
	f.StringVar(&cfg.ProfileDir, "profile", "", "a directory for CPU profiles of the replicas, if they serve any")
	file := f.String("json", "", "write all that was measured to this file")
	cmd.MarkFlagsRequiredTogether("url", "key")
	cmd.MarkFlagsMutuallyExclusive("url", "database-url")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cfg.Found < 0 {
			return misuse("--found %d: want 1 or more", cfg.Found)
		}
		cfg.Progress = cmd.ErrOrStderr()
		report, err := bench.Run(cmd.Context(), cfg)
		if report == nil {
			return misuse("%s", err)
		}
		_, _ = fmt.Fprintln(cmd.ErrOrStderr())
		err = errors.Join(err, report.WriteTable(cmd.OutOrStdout()))
		if *file != "" {
			err = errors.Join(err, report.WriteJSON(*file))
		}
		return err
	}
	return cmd
}
