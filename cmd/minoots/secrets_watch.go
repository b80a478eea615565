package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/seal"
)

// How the signing secrets of a database stand, as readiness tells it.
const (
	secretsSealed  = "sealed"  // there is a key, and all live secrets are sealed
	secretsPlain   = "plain"   // there is no key: those who read the table can sign
	secretsMixed   = "mixed"   // there is a key, and some live secrets are not sealed yet
	secretsUnknown = "unknown" // not looked yet
	secretsLocked  = "locked"  // some live secrets are sealed with a key that is not here
)

// secretsLookEvery is how old an answer may be: a look reads all secrets.
const secretsLookEvery = time.Minute

// secretsWatch tells how signing secrets stand. It looks when it is asked, so
// that a service that nobody asks spends nothing.
type secretsWatch struct {
	plain, locked prometheus.Gauge
	keys          *seal.Ring

	mu     sync.Mutex    // held while it looks: others wait for the answer
	db     secretCounter // nil until connected
	looked time.Time
	state  string
}

// secretCounter is what a look needs.
type secretCounter interface {
	SecretKeys(ctx context.Context) ([]db.SecretKey, error)
}

func newSecretsWatch(keys *seal.Ring, reg prometheus.Registerer) *secretsWatch {
	w := &secretsWatch{
		keys: keys, state: secretsUnknown,
		plain: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_signing_secrets_plain", Help: "Live signing secrets, and subscriptions' headers, that are not sealed, at the last look.",
		}),
		locked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "minoots_signing_secrets_locked", Help: "The same that are sealed with a key this replica lacks.",
		}),
	}
	reg.MustRegister(w.plain, w.locked)
	return w
}

// check gives the state, from memory if that is fresh.
func (w *secretsWatch) check(ctx context.Context) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.db == nil || time.Since(w.looked) < secretsLookEvery {
		return w.state
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	keys, err := w.db.SecretKeys(ctx)
	if err != nil {
		return w.state
	}
	w.looked = time.Now()
	plain, locked := int64(0), int64(0)
	for _, k := range keys {
		switch {
		case !k.Known:
			locked += k.Live
		case k.KeyID == "":
			plain += k.Live
		}
	}
	w.plain.Set(float64(plain))
	w.locked.Set(float64(locked))
	switch {
	case locked > 0:
		w.state = secretsLocked
	case w.keys == nil:
		w.state = secretsPlain
	case plain > 0:
		w.state = secretsMixed
	default:
		w.state = secretsSealed
	}
	return w.state
}

// watchSecrets begins to look at a database, and says loudly what is not as it should be.
func (r *replica) watchSecrets(ctx context.Context, d secretCounter) {
	r.secrets.mu.Lock()
	r.secrets.db = d
	r.secrets.mu.Unlock()
	switch r.secrets.check(ctx) {
	case secretsPlain:
		r.log.Warn("no operator's key: signing secrets stand in the database as they are, and whoever reads them can sign as their tenants; "+
			"docs/security.md tells how to seal them", "setting", config.SecretsKey)
	case secretsMixed:
		r.log.Warn("some signing secrets are not sealed yet: run minoots secrets seal")
	case secretsLocked:
		r.log.Error("some signing secrets are sealed with a key that this replica does not have: their tenants' deliveries fail, and are tried again",
			"setting", config.SecretsKey, "keys", r.cfg.SecretsKeys.String())
	}
}
