package chaos

import (
	"context"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// back is how soon after Postgres' return all that had become due is fired.
const back = 3 * time.Second

// postgresAway ends Postgres without a checkpoint and lets it recover.
func postgresAway(ctx context.Context, w *world) error {
	if err := w.begin(ctx, kind{}, slowReceivers); err != nil {
		return err
	}
	if err := w.untilDue(ctx, time.Second+time.Duration(w.rng.Int64N(int64(time.Second)))); err != nil {
		return err
	}
	if err := w.server.own.Quit(); err != nil {
		return err
	}
	if err := rig.Pause(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := w.server.again(ctx); err != nil {
		return err
	}
	returned := w.fault()
	w.db.pool.Reset()
	if _, err := w.settle(ctx); err != nil {
		return err
	}
	late, err := w.fireLateness(ctx, returned)
	if err != nil {
		return err
	}
	w.row.note("fired at most %s after the return", late.Round(time.Millisecond))
	w.row.must(late <= back, "the last was fired %s after the return", late.Round(time.Millisecond))
	w.mustAnswerUnavailable()
	return nil
}

// mustAnswerUnavailable holds the API to telling callers to come again.
func (w *world) mustAnswerUnavailable() {
	w.row.must(w.row.API[unavailable] > 0, "the API never answered 503")
	for failure, n := range w.row.API {
		w.row.must(failure == unavailable, "%d API requests failed by %s", n, failure)
	}
}
