package chaos

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

func needsOld(cfg Config) error {
	return needsBinary(cfg.Old, "build an earlier release as %s")
}

// versions migrates under the load of an old version, starts the new one beside
// it, restarts an old one on the new schema, and lets the old ones go.
func versions(ctx context.Context, w *world) error {
	if err := w.db.drop(ctx); err != nil { // it has the new schema already
		return err
	}
	if err := w.inhabit(ctx, w.server, ""); err != nil {
		return err
	}
	old := kind{executable: w.h.cfg.Old, env: graceful.env}
	if err := w.migrate(ctx, w.h.cfg.Old); err != nil {
		return err
	}
	var err error
	if w.caller.key, err = rig.MakeTenant(ctx, w.db.url, tenant); err != nil {
		return err
	}
	before, err := one[int64](ctx, w.db, schemaVersion)
	if err != nil {
		return err
	}
	if err := w.begin(ctx, old, slowReceivers); err != nil {
		return err
	}
	if err := w.migrate(ctx, w.h.cfg.Executable); err != nil {
		return err
	}
	w.fault()
	after, err := one[int64](ctx, w.db, schemaVersion)
	if err != nil {
		return err
	}
	w.row.note("schema %d to %d", before, after)
	w.row.must(after > before, "the old version has the same schema: nothing was migrated")
	olds := w.live()
	if _, err := w.start(ctx, replicas, kind{env: old.env}); err != nil {
		return err
	}
	// One of the old comes back on the new schema, as after a crash in mid-rollout.
	if _, err := w.terminate(ctx, olds[0]); err != nil {
		return err
	}
	back, err := w.start(ctx, 1, old)
	if err != nil {
		return err
	}
	for _, m := range append(olds[1:], back...) {
		if err := rig.Pause(ctx, time.Second); err != nil {
			return err
		}
		if _, err := w.terminate(ctx, m); err != nil {
			return err
		}
	}
	if _, err := w.settle(ctx); err != nil {
		return err
	}
	w.row.must(w.row.Repeated == 0, "%d repeated", w.row.Repeated)
	for failure, n := range w.row.API {
		w.row.must(failure == refused, "%d API requests failed by %s", n, failure)
	}
	return nil
}

const schemaVersion = "SELECT max(version_id) FROM minoots.schema_versions"

// migrate runs a version's own migrations.
func (w *world) migrate(ctx context.Context, executable string) error {
	cmd := exec.CommandContext(ctx, executable, "migrate", "up")
	cmd.Env = append(rig.PlainEnv(), "MINOOTS_DATABASE_URL="+w.db.url)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w: %s", err, out)
	}
	return nil
}
