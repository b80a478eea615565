package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/demo"
	"github.com/minoots/minoots/workers"
)

// demoTenant is the tenant of the demo; a run marks its own timers by a label.
const demoTenant = "demo"

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The main job from end to end: schedule, fire, deliver, verify",
		Long: "Starts what dev starts, with a Postgres of its own in " + devDir + "/demo and on free ports, schedules\n" +
			"the timers of examples/ over REST, receives their webhooks, verifies the signatures, and reads\n" +
			"the outcome back. It exits 0 only if every one arrived, none early, all well signed.",
		Example: "  minoots demo\n  minoots demo --json | jq .p99Ms",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL, config.ListenURL, config.LogLevel, config.ShutdownGrace,
		config.SecretsKey, config.SecretsKeyFile)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings(cmd)
		if err != nil {
			return err
		}
		dir := filepath.Join(devDir, "demo")
		errOut := cmd.ErrOrStderr()
		say(errOut, "starting Postgres and a replica …")
		l, err := startLocal(cmd.Context(), cfg, filepath.Join(dir, "postgres"), errOut)
		if err != nil {
			return err
		}
		report, logFile, err := runDemo(cmd, l, dir)
		if err = errors.Join(err, l.stop()); err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			say(errOut, "")
			err = report.Print(cmd.OutOrStdout())
		}
		if err == nil && !report.OK {
			err = &minoots.Error{Message: "not everything is as it must be", Hint: "the replica's log is " + logFile}
		}
		return err
	}
	return cmd
}

// runDemo runs a replica and the demo against it.
func runDemo(cmd *cobra.Command, l *local, dir string) (demo.Report, string, error) {
	var report demo.Report
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return report, "", err
	}
	logFile, err := os.Create(filepath.Join(dir, "replica.log"))
	if err != nil {
		return report, "", fmt.Errorf("open the replica's log: %w", err)
	}
	defer func() { _ = logFile.Close() }()

	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = listen(ctx, "127.0.0.1:0", config.HTTPAddr); err != nil {
			return report, "", fmt.Errorf("listen: %w", err)
		}
	}
	r, err := newReplica(ctx, replicaConfig{
		Config: l.cfg, Log: newLog(logFile, l.cfg), HTTP: listeners[0], Ops: listeners[1],
	})
	if err != nil {
		return report, "", err
	}
	var demoErr error
	err = l.run(ctx, r, func() error {
		defer cancel() // the end of the demo is the end of the replica
		report, demoErr = demonstrate(ctx, cmd, l, "http://"+listeners[0].Addr().String())
		return nil
	})
	if err == nil && demoErr == nil && cmd.Context().Err() != nil {
		err = cmd.Context().Err()
	}
	return report, logFile.Name(), errors.Join(demoErr, err)
}

// demonstrate makes a key, runs the demo with it and revokes it.
func demonstrate(ctx context.Context, cmd *cobra.Command, l *local, url string) (demo.Report, error) {
	var none demo.Report
	if err := l.ensureTenant(ctx, demoTenant); err != nil {
		return none, err
	}
	key, err := createKey(ctx, l.db, demoTenant, "minoots demo", []minoots.Role{minoots.RoleTenantAdmin})
	if err != nil {
		return none, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = l.db.KeyRevoke(ctx, demoTenant, key.ID) // of no use to anybody any more
	}()
	c, err := client.New(url, key.Secret)
	if err != nil {
		return none, err
	}
	defer c.Close()
	secrets, err := workers.NewSecrets(l.db).Live(ctx, demoTenant)
	if err != nil {
		return none, err
	}
	now := time.Now
	if l.server == nil { // its clock may be another machine's
		if now, err = measureClock(ctx, l.db); err != nil {
			return none, err
		}
	}
	return demo.Run(ctx, demo.Config{
		Client: c, Secrets: secrets, Run: minoots.NewID().String(), Now: now,
		Say: func(line string) { say(cmd.ErrOrStderr(), "%s", line) },
	})
}
