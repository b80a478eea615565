package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

// listTries is how often each list is asked for; the median is what is told.
const listTries = 20

// find is F: lists of a tenant with many timers, by due time, by a label that one
// timer in a thousand has, by a name that all have, and what nobody has.
func find(ctx context.Context, l *lab) error {
	d, err := l.database(ctx, "find")
	if err != nil {
		return err
	}
	span := pendingYears * 365 * 24 * time.Hour
	err = d.seed(ctx, seed{
		tenant: l.server.tenants[0].id, timers: l.size.found, url: l.receiver.url("far"),
		first: time.Now().Add(24 * time.Hour), every: span / time.Duration(l.size.found),
	})
	if err != nil {
		return err
	}
	t, err := l.service(ctx, d, 1)
	if err != nil {
		return err
	}
	c, err := client.New(t.base, t.key)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, list := range []struct {
		key, what string
		filter    client.TimerFilter
	}{
		{"first", "the first", client.TimerFilter{}},
		{"label", "by label", client.TimerFilter{Labels: map[string]string{refLabel: refSession(7)}}},
		{"labelNone", "by label, none has it", client.TimerFilter{Labels: map[string]string{refLabel: "s-none"}}},
		{"prefix", "by prefix, all have it", client.TimerFilter{NamePrefix: refName[:6]}},
		{"failed", "failed, none is", client.TimerFilter{Statuses: []minoots.Status{minoots.StatusFailed}}},
		{"due", "due in an hour in 5 years", client.TimerFilter{
			DueAfter: time.Now().Add(span / 2), DueBefore: time.Now().Add(span/2 + time.Hour),
		}},
	} {
		took := make([]time.Duration, listTries)
		for i := range took {
			began := time.Now()
			if _, err := c.ListTimers(ctx, list.filter); err != nil {
				return err
			}
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		what := fmt.Sprintf("list 100 of %s timers, %s, median", number(float64(l.size.found)), list.what)
		l.report.add("F."+list.key, what, took[listTries/2].Seconds()*1000, "ms")
	}
	began := time.Now()
	if err := t.post(ctx, "/v1/timers/cancel", map[string]any{
		"filter": map[string]any{"namePrefix": refName}, "limit": min(l.size.found, 20_000),
	}, nil); err != nil {
		return err
	}
	l.report.add("F.cancel", "cancel by filter", float64(min(l.size.found, 20_000))/time.Since(began).Seconds(), "timers/s")
	return l.leave(t)
}

// change is M: creates, patches and cancels of single timers beside the pending.
func change(ctx context.Context, l *lab) error {
	d, err := l.withMillion(ctx)
	if err != nil {
		return err
	}
	t, err := l.service(ctx, d, 1)
	if err != nil {
		return err
	}
	c, err := client.New(t.base, t.key)
	if err != nil {
		return err
	}
	defer c.Close()
	ids, err := d.idsOf(ctx, l.size.pending/2)
	if err != nil {
		return err
	}
	far := l.receiver.url("far")
	for _, step := range []struct {
		key, what string
		do        func(ctx context.Context, call int) error
	}{
		{"create", "POST /v1/timers", func(ctx context.Context, call int) error { return t.create(ctx, refSpec(call, farDue(call), far)) }},
		{"patch", "PATCH /v1/timers/{id}", func(ctx context.Context, call int) error {
			_, err := c.PatchTimer(ctx, ids[call%len(ids)], map[string]any{"metadata": call}, 0)
			return err
		}},
		{"cancel", "POST /v1/timers/{id}/cancel", func(ctx context.Context, call int) error {
			_, err := c.CancelTimer(ctx, ids[call%len(ids)], "", "")
			return err
		}},
	} {
		perSecond, err := rate(ctx, clients, l.size.warm, l.size.window, func(ctx context.Context, _, call int) (int, error) {
			return 1, step.do(ctx, call)
		})
		if err != nil {
			return err
		}
		l.report.add("M."+step.key, fmt.Sprintf("%s, %d clients, %s pending", step.what, clients, number(float64(l.size.pending))), perSecond, "timers/s")
	}
	return l.leave(t)
}

// idsOf gives the ids of some timers.
func (d *database) idsOf(ctx context.Context, n int) ([]minoots.ID, error) {
	return one[[]minoots.ID](ctx, d, "SELECT array_agg(id) FROM (SELECT id FROM minoots.timer_states WHERE status = 'scheduled' LIMIT $1) AS s", n)
}
