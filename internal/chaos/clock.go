package chaos

import (
	"context"
	"math"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

func needsSkewed(cfg Config) error {
	return needsBinary(cfg.Skewed, "go run ./internal/fault/skew bin/skew && go build -overlay bin/skew/overlay.json -o %s ./cmd/minoots")
}

// lateness is what there is without any fault.
type lateness struct{ p50, p99 time.Duration }

// clock runs replicas whose clocks are wrong. See internal/fault/skew for modes.
func clock(modes ...string) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		if w.h.normal == nil {
			normal, err := w.measureNormal(ctx)
			if err != nil {
				return err
			}
			w.h.normal = normal
		}
		for _, mode := range modes {
			if _, err := w.start(ctx, 1, kind{executable: w.h.cfg.Skewed, env: []string{"MINOOTS_SKEW=" + mode}}); err != nil {
				return err
			}
		}
		w.startLoad(ctx, w.window(), slowness{})
		seen, err := w.watchSkew(ctx)
		if err != nil {
			return err
		}
		t, err := w.settle(ctx)
		if err != nil {
			return err
		}
		const margin = 50 * time.Millisecond
		w.row.note("p50/p99 %s/%s, without a fault %s/%s", t.percentile(50), t.percentile(99), w.h.normal.p50, w.h.normal.p99)
		w.row.must(t.percentile(99) <= w.h.normal.p99+margin, "p99 %s, without a fault %s", t.percentile(99), w.h.normal.p99)
		w.row.must(w.row.Repeated == 0, "%d repeated", w.row.Repeated)
		for failure, n := range w.row.API {
			w.row.must(false, "%d API requests failed by %s", n, failure)
		}
		for i, mode := range modes {
			w.mustShow(mode, seen[i])
		}
		return nil
	}
}

// watchSkew reads the metric of each replica until the last timer is due.
func (w *world) watchSkew(ctx context.Context) ([][]float64, error) {
	fleet := w.live()
	seen := make([][]float64, len(fleet))
	for time.Now().Before(w.load.end) {
		for i, m := range fleet {
			if v, err := m.Metric(ctx, "minoots_clock_skew_seconds"); err == nil {
				seen[i] = append(seen[i], v)
			}
		}
		if err := rig.Pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// mustShow holds the metric, which is the database's clock minus the machine's,
// to what the clock was set to.
func (w *world) mustShow(mode string, seen []float64) {
	wrong := map[string][]float64{"0s": {0}, "10s": {-10}, "-10s": {10}, "jump": {0, -10, 10}}[mode]
	for _, want := range wrong {
		shown := false
		for _, v := range seen {
			shown = shown || math.Abs(v-want) < 0.5
		}
		w.row.must(shown, "minoots_clock_skew_seconds never showed %+g", want)
	}
}

// measureNormal takes the lateness of the same load on replicas whose clocks are
// right, in a world of its own.
func (w *world) measureNormal(ctx context.Context) (*lateness, error) {
	s := scenario{name: "clock-normal", what: "the same without a fault", size: size{10 * time.Second, 5 * time.Second}}
	plain := w.h.newWorld(s, &Row{})
	err := plain.open(ctx)
	if err == nil {
		err = plain.begin(ctx, kind{}, slowness{})
	}
	var t *tally
	if err == nil {
		t, err = plain.settle(ctx)
	}
	if closed := plain.close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	return &lateness{t.percentile(50), t.percentile(99)}, nil
}
