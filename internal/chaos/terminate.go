package chaos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots/internal/rig"
)

// polled is how late a timer may fire while nobody hears of it: the kernel's poll
// interval of a second, with its jitter of a tenth.
const polled = 1100 * time.Millisecond

// terminate ends connections of the service, one at a time.
func terminate(ctx context.Context, w *world) error {
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	ended := map[string]int{}
	for time.Until(w.load.end) > 2*time.Second { // the rest is for coming back
		name, err := w.endConnection(ctx)
		if err != nil {
			return err
		}
		ended[name]++
		if err := rig.Pause(ctx, 50*time.Millisecond+time.Duration(w.rng.Int64N(int64(400*time.Millisecond)))); err != nil {
			return err
		}
	}
	w.fault()
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		w.row.note("%d connections of %s ended", ended[name], name)
	}
	late, err := w.fireLateness(ctx, time.Time{})
	if err != nil {
		return err
	}
	w.row.note("fired at most %s late; p99 at the receiver %s", late.Round(time.Millisecond), t.percentile(99))
	w.row.must(late <= polled, "fired %s late", late.Round(time.Millisecond))
	for _, m := range w.live() {
		n, err := m.Metric(ctx, "minoots_listener_up")
		w.row.must(err == nil && n == 1, "a replica has not got its direct connection back")
	}
	return nil
}

// endConnection ends one by the seed: of a purpose first, since most are of pools,
// then any of those that serve it. A purpose is the connection's name but for
// what is a replica's own.
func (w *world) endConnection(ctx context.Context) (string, error) {
	rows, err := w.db.pool.Query(ctx, `SELECT pid, application_name FROM pg_stat_activity
		WHERE datname = $1 AND application_name LIKE 'minoots-%' ORDER BY backend_start, pid`, w.db.name)
	if err != nil {
		return "", err
	}
	byPurpose := map[string][]int32{}
	var pid int32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&pid, &name}, func() error {
		purpose := strings.Join(strings.SplitN(name, "-", 3)[:2], "-")
		byPurpose[purpose] = append(byPurpose[purpose], pid)
		return nil
	})
	if err != nil || len(byPurpose) == 0 {
		return "nobody", err
	}
	purposes := slices.Sorted(maps.Keys(byPurpose))
	purpose := purposes[w.rng.IntN(len(purposes))]
	pids := byPurpose[purpose]
	_, err = one[bool](ctx, w.db, "SELECT pg_terminate_backend($1)", pids[w.rng.IntN(len(pids))])
	return purpose, err
}
