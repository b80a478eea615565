package main

import (
	"fmt"

	"github.com/minoots/minoots/workers/subscription"
)

// subscriptions adds what makes deliveries of events for subscriptions, to every
// replica with workers. It gives whom to tell whether there are any, nil for
// nobody.
func (r *replica) subscriptions(p *parts, pools *pools) (subscribed func(any bool), err error) {
	if pools.workers == nil {
		return nil, nil
	}
	sender, err := subscription.New(subscription.Config{
		DB: pools.workers, Replica: r.name, Registerer: r.registry, Log: r.log,
		Placed: func() { p.placed() }, // the workers are made after it
	})
	if err != nil {
		return nil, fmt.Errorf("make the sender of events: %w", err)
	}
	p.subscriptions = &loop{name: "subscriptions", run: sender.Run}
	return sender.Subscribed, nil
}
