package bench

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
)

// waitEnds is how many timers that are waited for end in a second.
const waitEnds = 50

// wait is W: requests that wait for timers on one replica. What they take while
// nothing ends; how soon they are answered when timers are fired and settle, and
// when they are cancelled, by another replica; and when all the rest is cancelled
// at once.
func wait(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "wait", 2)
	if err != nil {
		return err
	}
	specs := make([]minoots.TimerSpec, l.size.waiters)
	for i := range specs {
		specs[i] = refSpec(i, farDue(i), l.receiver.url("far"))
	}
	if err := t.createAll(ctx, specs); err != nil {
		return err
	}
	ids, err := t.database.idsOf(ctx, len(specs))
	if err != nil {
		return err
	}
	if err := pause(ctx, l.size.settle); err != nil {
		return err
	}
	before, err := lookAt(ctx, t.database, t.fleet)
	if err != nil {
		return err
	}
	w := &waiting{
		lab: l, target: t, other: newCaller(t.fleet[1].API, t.key, clients), waiters: newCaller(t.base, t.key, len(ids)),
		what: fmt.Sprintf("%s waiters on one replica: ", number(float64(len(ids)))), after: map[minoots.ID]time.Duration{},
	}
	defer w.other.close()
	defer w.waiters.close()
	if err := w.begin(ctx, ids); err != nil {
		return err
	}
	list, used, err := w.during(ctx, func() error { return pause(ctx, l.size.settle) })
	if err != nil {
		return err
	}
	if l.server.statements {
		sum := 0.0
		for _, s := range list {
			sum += s.Calls
		}
		l.report.add("W.statements", w.what+"nothing ends, two replicas in all", sum, "statements/s")
		l.report.Statements["W"] = StatementReport{Per: "second", Statements: list}
	}
	if len(used) > 0 && len(before.usage) > 0 {
		l.report.add("W.memory", w.what+"more than without", float64(used[0].memory-before.usage[0].memory)/1e6, "MB resident")
		l.report.add("W.cpu", w.what+"the replica", 100*used[0].cpu.Seconds(), "% of a core")
	}
	some := min(len(ids)/4, int(l.size.settle.Seconds()*waitEnds))
	if err := w.end(ctx, "fired", "fire", ids[:some]); err != nil {
		return err
	}
	if err := w.end(ctx, "cancelled", "cancel", ids[some:2*some]); err != nil {
		return err
	}
	began := time.Now()
	if err := w.other.post(ctx, "/v1/timers/cancel", map[string]any{"all": true}, nil); err != nil {
		return err
	}
	if err := w.requests.Wait(); err != nil {
		return err
	}
	l.report.add("W.answered", w.what+"all answered after one cancel of all", time.Since(began).Seconds()*1000, "ms")
	return l.leave(t)
}

// waiting is requests that wait, and how late they were answered.
type waiting struct {
	*target
	lab      *lab
	waiters  *caller
	other    *caller // of the other replica
	what     string
	requests errgroup.Group

	mu    sync.Mutex
	after map[minoots.ID]time.Duration // of those that have been answered
}

// begin has one request wait for each timer, and lets them come to rest.
func (w *waiting) begin(ctx context.Context, ids []minoots.ID) error {
	path := "/wait?" + url.Values{"timeout": {"4m"}}.Encode()
	for i, id := range ids {
		// A few thousand connections in one instant are another measurement.
		if err := pause(ctx, time.Duration(i%2)*time.Millisecond); err != nil {
			return err
		}
		w.requests.Go(func() error {
			var timer minoots.Timer
			if err := w.waiters.get(ctx, "/v1/timers/"+id.String()+path, &timer); err != nil {
				return err
			}
			w.answered(&timer)
			return nil
		})
	}
	return pause(ctx, w.lab.size.settle)
}

// answered notes how long ago a timer ended, by the clock that the bench and its
// server share.
func (w *waiting) answered(timer *minoots.Timer) {
	ended := timer.SettledAt
	if ended == nil {
		ended = timer.CancelledAt
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended != nil {
		w.after[timer.ID] = time.Since(ended.Time)
	}
}

// end ends timers one by one through the other replica.
func (w *waiting) end(ctx context.Context, key, verb string, ids []minoots.ID) error {
	list, _, err := w.during(ctx, func() error {
		var g errgroup.Group
		began := time.Now()
		for i, id := range ids {
			if err := pause(ctx, time.Until(began.Add(time.Duration(i)*time.Second/waitEnds))); err != nil {
				return err
			}
			g.Go(func() error { return w.other.post(ctx, "/v1/timers/"+id.String()+"/"+verb, struct{}{}, nil) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		return until(ctx, 50*time.Millisecond, time.Minute, "all are answered", func() (bool, error) { return len(w.samples(ids)) == len(ids), nil })
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s%d a second %s by another replica: end to answer", w.what, waitEnds, key)
	w.lab.report.addLateness("W."+key, what, latenessOf(w.samples(ids)))
	if w.lab.server.statements {
		w.lab.report.add("W."+key+".looks", fmt.Sprintf("%slooks, %d a second %s", w.what, waitEnds, key), calls(list, timerPick), "statements/s")
	}
	return nil
}

func (w *waiting) samples(ids []minoots.ID) []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Duration
	for _, id := range ids {
		if after, ok := w.after[id]; ok {
			all = append(all, after)
		}
	}
	return all
}

// during gives the statements and the CPU time, each by the second, of what is
// done, and the memory after it.
func (w *waiting) during(ctx context.Context, do func() error) (list []Statement, used []usage, err error) {
	begin, err := lookAt(ctx, w.database, w.fleet)
	if err != nil {
		return nil, nil, err
	}
	if err := do(); err != nil {
		return nil, nil, err
	}
	end, err := lookAt(ctx, w.database, w.fleet)
	if err != nil {
		return nil, nil, err
	}
	seconds := end.at.Sub(begin.at).Seconds()
	for i := range min(len(end.usage), len(begin.usage)) {
		used = append(used, usage{
			cpu: time.Duration(float64(end.usage[i].cpu-begin.usage[i].cpu) / seconds), memory: end.usage[i].memory,
		})
	}
	return end.statements.since(begin.statements, seconds), used, nil
}
