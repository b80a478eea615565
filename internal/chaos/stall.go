package chaos

import (
	"bufio"
	"context"
	"os"
	"strings"
	"time"

	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/rig"
)

// stall has all connections of one replica hold every byte, without closing. The
// others cannot know whether it lives, and it cannot prove that it does.
func stall(ctx context.Context, w *world) error {
	proxy, err := faultproxy.Start(w.db.url)
	if err != nil {
		return err
	}
	w.atEnd(proxy.Close)
	// First, so that it is the one which claims first.
	behind, err := w.start(ctx, 1, kind{url: proxy.URL()})
	if err != nil {
		return err
	}
	if _, err := w.start(ctx, replicas-1, kind{}); err != nil {
		return err
	}
	// Some receivers take so long that others take over meanwhile.
	w.startLoad(ctx, w.window(), slowness{every: 20, hold: 7 * time.Second})
	if err := w.untilDue(ctx, 2*time.Second+time.Duration(w.rng.Int64N(int64(time.Second)))); err != nil {
		return err
	}
	victim := behind[0]
	inFlight := w.underWay(ctx, victim.name)
	proxy.Set(faultproxy.Stall)
	began := time.Now()
	for id := range w.underWay(ctx, victim.name) { // and what was committed between
		inFlight[id] = true
	}
	if err := rig.Pause(ctx, 20*time.Second); err != nil {
		return err
	}
	proxy.Set(faultproxy.Pass)
	for id := range w.underWay(ctx, victim.name) {
		inFlight[id] = true
	}
	w.ended(victim, began, inFlight)
	t, err := w.settle(ctx)
	if err != nil {
		return err
	}
	line := firstTimeout(victim.Log)
	w.row.note("%d timers in flight when it stalled; the first deadline: %s", len(inFlight), line)
	w.row.must(line != "", "no deadline is named in the log of the replica that stalled")
	w.row.must(t.overlaps == 0, "%d deliveries were made while the replica that stalled was still making the same", t.overlaps)
	w.row.must(t.unasked == 0, "%d repeats of what was not in flight", t.unasked)
	return nil
}

// firstTimeout finds the first line of a log that speaks of a deadline.
func firstTimeout(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text := lines.Text(); strings.Contains(text, "deadline") || strings.Contains(text, "timeout") {
			return text
		}
	}
	return ""
}
