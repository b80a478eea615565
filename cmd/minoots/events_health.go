package main

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
)

// oldestFor is how long an answer is believed, so that scrapes and probes that
// come together ask once.
const oldestFor = 5 * time.Second

// oldestTransaction asks, when it is asked, how old the oldest transaction of the
// server is that writes. It holds up no reader of events; but what it has written
// comes when it ends, and vacuum waits for it.
type oldestTransaction struct {
	ask func(context.Context) (time.Duration, error)

	mu  sync.Mutex
	at  time.Time
	age time.Duration
	err error
}

func (o *oldestTransaction) get(ctx context.Context) (time.Duration, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) > oldestFor {
		o.age, o.err = o.ask(ctx)
		o.at = time.Now()
	}
	return o.age, o.err
}

// watchTransactions has /metrics and /readyz tell of the oldest transaction. No
// loop asks: at rest a replica's statements are counted.
func (r *replica) watchTransactions(d *db.DB) {
	o := &oldestTransaction{ask: d.EventOldestTransaction}
	r.health.transactions(o)
	o.register(r.registry)
}

func (o *oldestTransaction) register(to prometheus.Registerer) {
	to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "minoots_events_oldest_transaction_seconds",
		Help: "Age of the oldest transaction of the server that writes, asked when this is read; NaN while Postgres is away.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		defer cancel()
		age, err := o.get(ctx)
		if err != nil {
			return math.NaN()
		}
		return age.Seconds()
	}))
}

func (h *health) transactions(o *oldestTransaction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oldest = o
}

// oldestSeconds is what /readyz says of it: nil where there is no API, or no
// answer.
func (h *health) oldestSeconds(ctx context.Context) *float64 {
	h.mu.Lock()
	o := h.oldest
	h.mu.Unlock()
	if o == nil {
		return nil
	}
	age, err := o.get(ctx)
	if err != nil {
		return nil
	}
	seconds := age.Seconds()
	return &seconds
}
