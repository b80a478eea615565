package testdb

import (
	"log/slog"
	"testing"

	"github.com/minoots/minoots/db"
)

// Connect opens a replica's pool, closed when the test ends. A test that plays
// many replicas calls it many times. Its name defaults to "test", and it is silent
// unless it is given a log.
func Connect(t testing.TB, cfg db.Config) *db.DB {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d, err := db.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("testdb: connect: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}
