package chaos

import (
	"context"
	"time"

	"github.com/minoots/minoots/internal/pgbouncer"
)

func needsPgBouncer(Config) error {
	_, err := pgbouncer.Find()
	return err
}

// polledOnly is the poll interval without a direct connection, with its jitter.
const polledOnly = 275 * time.Millisecond

// pooler puts PgBouncer in transaction mode between all replicas and Postgres.
func pooler(direct bool) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		through, stop, err := pgbouncer.Start(ctx, w.db.url, 30)
		if err != nil {
			return err
		}
		w.atEnd(stop)
		k := kind{url: through}
		limit := polledOnly
		if direct {
			k.env = []string{"MINOOTS_LISTEN_URL=" + w.db.url}
			limit = onTime
		}
		if err := w.begin(ctx, k, slowReceivers); err != nil {
			return err
		}
		for _, m := range w.live() {
			said, _ := m.Readiness(ctx)
			want := map[bool]string{true: "on", false: "off"}[direct]
			w.row.must(said.Listener == want, "the listener is %s, not %s", said.Listener, want)
		}
		t, err := w.settle(ctx)
		if err != nil {
			return err
		}
		late, err := w.fireLateness(ctx, time.Time{})
		if err != nil {
			return err
		}
		w.row.note("fired at most %s late; at the receiver p50/p99 %s/%s", late.Round(time.Millisecond), t.percentile(50), t.percentile(99))
		w.row.must(late <= limit, "fired %s late", late.Round(time.Millisecond))
		w.row.must(w.row.Repeated == 0, "%d repeated", w.row.Repeated)
		for failure, n := range w.row.API {
			w.row.must(false, "%d API requests failed by %s", n, failure)
		}
		return nil
	}
}
