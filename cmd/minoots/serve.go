package main

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a replica: the API, the kernel that fires timers, the workers that act",
		Long: "Runs one replica until SIGTERM or SIGINT; a second signal ends it at once. Any number may run\n" +
			"on one database, with any of the roles. A replica waits for Postgres and for the schema\n" +
			"(minoots migrate up) and says on /readyz what it waits for.",
		Example: "  MINOOTS_DATABASE_URL=postgres://minoots:secret@db:5432/minoots minoots serve\n" +
			"  minoots serve --roles kernel,worker --http-addr :8080 --ops-addr :9090",
		Args: cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Serve...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings(cmd, config.DatabaseURL)
		if err != nil {
			return err
		}
		log := newLog(cmd.ErrOrStderr(), cfg)
		r, err := newReplica(cmd.Context(), replicaConfig{Config: cfg, Log: log})
		if err != nil {
			return err
		}
		return r.Run(cmd.Context())
	}
	return cmd
}

// listen takes an address, and says which setting to change if it is taken.
func listen(ctx context.Context, addr, env string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w (set %s to another address)", err, env)
	}
	return l, nil
}
