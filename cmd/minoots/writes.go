package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
)

// newWrites follows whether Postgres takes writes, and tells the log and the
// metrics when that changes; readiness asks it.
func newWrites(reg prometheus.Registerer, log *slog.Logger) *db.Writes {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "minoots_writes_refused", Help: "1 while Postgres answers and refuses writes: out of disk space, or read-only.",
	})
	reg.MustRegister(gauge)
	return &db.Writes{OnChange: func(refused error) {
		if refused == nil {
			gauge.Set(0)
			log.Info("postgres takes writes again: ready")
			return
		}
		gauge.Set(1)
		log.Warn("postgres refuses writes: not ready", "error", refused)
	}}
}
