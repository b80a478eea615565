package main

import (
	"github.com/minoots/minoots/workers/relay"
)

// relay adds what publishes events to NATS, if there is one: every replica with
// workers has it, and one at a time works.
func (r *replica) relay(p *parts, pools *pools) error {
	if p.nats == nil || pools.workers == nil {
		return nil
	}
	made, err := relay.New(relay.Config{
		DB: pools.workers, JetStream: p.nats.JetStream(), Replica: r.name, Registerer: r.registry, Log: r.log,
	})
	if err != nil {
		return err
	}
	p.relay = &loop{name: "event relay", run: made.Run}
	return nil
}
