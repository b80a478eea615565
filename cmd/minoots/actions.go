package main

import (
	"fmt"

	"github.com/minoots/minoots/internal/natsconn"
	"github.com/minoots/minoots/workers"
	"github.com/minoots/minoots/workers/action"
)

// actions makes the executors, with what the settings allow them. A replica
// without workers has them too: to check what it is asked to store.
func (r *replica) actions(pools *pools) (*action.Registry, *natsconn.Conn, error) {
	do := action.Config{
		Allow: r.cfg.WebhookAllowCIDRs, Version: buildInfo().Version, Commands: r.cfg.CommandAllow,
		// The database's time, which is what timers are due by: attempts of a replica
		// whose clock is wrong stand in their place all the same.
		Now: pools.all()[0].Clock().Now,
	}
	if pools.workers != nil {
		secrets := workers.NewSecrets(pools.workers)
		secrets.Log, do.Secrets = r.log, secrets
	} else if pools.api != nil { // for tests of subscriptions
		secrets := workers.NewSecrets(pools.api)
		secrets.Log, do.Secrets = r.log, secrets
	}
	url := r.cfg.NATSURL.Reveal()
	if url == "" {
		return action.NewRegistry(do), nil, nil
	}
	conn, err := natsconn.Open(natsconn.Config{URL: url, Name: r.name, Log: r.log, Registerer: r.registry})
	if err != nil {
		return nil, nil, fmt.Errorf("open NATS: %w", err)
	}
	do.NATS = conn
	return action.NewRegistry(do), conn, nil
}
