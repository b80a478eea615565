package endtoend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/rig"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// kind is what is to become of a timer.
type kind string

const (
	kindPlain     kind = "plain"     // one webhook
	kindSlow      kind = "slow"      // one that is answered after the kill
	kindBundle    kind = "bundle"    // two, one after the other
	kindRecurring kind = "recurring" // three occurrences, a second apart
	kindCancelled kind = "cancelled" // before it is due
	kindPaused    kind = "paused"    // and resumed; the first wave's across the kill
	kindReplayed  kind = "replayed"  // and run again when it is over
	kindRetried   kind = "retried"   // 503, and then well
	kindDead      kind = "dead"      // 404, which is for good
)

// counts is how many timers of each kind there are, by halves over both doors and
// in both waves.
var counts = map[kind]int{
	kindPlain: 120, kindSlow: 40, kindBundle: 40, kindRecurring: 12, kindCancelled: 12, kindPaused: 12, kindReplayed: 8, kindRetried: 8, kindDead: 8,
}

// timer is one that was asked for.
type timer struct {
	kind kind
	n    int // among its kind
	id   minoots.ID
}

func (m *timer) name() string   { return fmt.Sprintf("%s-%d", m.kind, m.n) }
func (m *timer) overGRPC() bool { return m.n%2 == 1 }
func (m *timer) wave() int      { return m.n / 2 % 2 }

// spec is due within some seconds, so that timers fire for as long as the test
// works.
func (w *world) spec(m *timer) minoots.TimerSpec {
	due := minoots.Duration(500*time.Millisecond + time.Duration(m.n*37%35)*100*time.Millisecond)
	failing := w.receiver.failing[m.n%len(w.receiver.failing)]
	spec := minoots.TimerSpec{Name: m.name(), Duration: &due, Labels: map[string]string{"kind": string(m.kind)}}
	actions := []minoots.Action{webhook("a", w.receiver.good+pathOK)}
	switch m.kind {
	case kindPlain, kindReplayed:
	case kindSlow:
		due = minoots.Duration(100+m.n*37%1000) * minoots.Duration(time.Millisecond)
		actions = []minoots.Action{webhook("a", w.receiver.slow+pathSlow)}
	case kindBundle:
		actions = append(actions, webhook("b", w.receiver.good+pathOK))
	case kindRecurring:
		every, most := minoots.Duration(time.Second), 3
		spec.Duration, spec.Recurrence = nil, &minoots.Recurrence{Every: &every, MaxOccurrences: &most}
	case kindCancelled:
		due = minoots.Duration(time.Hour)
	case kindPaused:
		due = minoots.Duration(8 * time.Second) // paused long before
	case kindRetried:
		actions = []minoots.Action{webhook("a", failing+pathFlaky)}
	case kindDead:
		actions = []minoots.Action{webhook("a", failing+pathGone)}
	}
	spec.ActionBundle = &minoots.Bundle{Actions: actions}
	return spec
}

// callers schedule and change timers, at any replica.
type callers struct {
	*world
	rest *client.Client
	grpc *grpc.ClientConn
}

func (w *world) callers() *callers {
	rest, _ := w.rest(w.hosts(0), true)
	return &callers{w, rest, w.dial(w.hosts(0), "round_robin")}
}

// again calls until there is an answer. One that a killed replica kept to itself is
// had from another.
func (c *callers) again(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	for {
		err := call(ctx)
		if status.Code(err) != codes.Unavailable && minoots.ErrorCode(err) != minoots.CodeUnavailable {
			return err
		}
		if stop := rig.Pause(ctx, tick); stop != nil {
			return errors.Join(err, stop)
		}
	}
}

// schedule makes a wave of timers, several at a time, and counts them as it goes.
// What is to be cancelled or paused is, when it returns.
func (c *callers) schedule(ctx context.Context, timers []*timer, made *atomic.Int64) error {
	const callers = 6
	work := make(chan *timer)
	var wait sync.WaitGroup
	var errs [callers]error
	for i := range callers {
		wait.Go(func() {
			for m := range work {
				if err := c.create(ctx, m); err != nil {
					errs[i] = errors.Join(errs[i], fmt.Errorf("%s: %w", m.name(), err))
				}
				made.Add(1)
			}
		})
	}
	for _, m := range timers {
		work <- m
	}
	close(work)
	wait.Wait()
	return errors.Join(errs[:]...)
}

// catch waits until so many timers are made and the replica has slow deliveries
// under way. A replica runs what it has claimed itself, and while there is little to
// do one claims nearly all: the kernel of seat 0 wakes when a timer is due, that of
// seat 1 30 ms later, for what is left (kernel/pacer.go). Who relays has whichever
// seat. So more slow timers are made until it has some, by the dozen, as their claims
// keep seat 0 from the next.
func (c *callers) catch(ctx context.Context, victim int, made *atomic.Int64, most int) (decoys []*timer, err error) {
	err = rig.Until(ctx, 10*tick, soon, "the replica is in the middle of all", func() (bool, error) {
		if int(made.Load()) >= most && c.holding(victim) > 1 && c.relaying() >= 0 {
			return true, nil
		}
		more := make([]*timer, 8)
		for i := range more {
			more[i] = &timer{kind: kindSlow, n: counts[kindSlow] + len(decoys) + i}
		}
		decoys = append(decoys, more...)
		return false, c.schedule(ctx, more, new(atomic.Int64))
	})
	if err != nil {
		var held []int
		for i := range c.fleet {
			held = append(held, c.holding(i))
		}
		err = fmt.Errorf("%w: %d timers made, of %d at least; the replicas hold %v deliveries; replica %d relays", err, made.Load(), most, held, c.relaying())
	}
	return decoys, err
}

func (c *callers) create(ctx context.Context, m *timer) error {
	err := c.again(ctx, func(ctx context.Context) (err error) {
		if m.overGRPC() {
			m.id, err = c.createGRPC(ctx, c.spec(m))
			return err
		}
		made, err := c.rest.CreateTimer(ctx, c.spec(m), m.name())
		m.id = made.ID
		return err
	})
	if err != nil {
		return err
	}
	return c.again(ctx, func(ctx context.Context) (err error) {
		switch {
		case m.kind == kindPaused:
			_, err = c.rest.PauseTimer(ctx, m.id)
		case m.kind == kindCancelled && m.overGRPC():
			err = c.invoke(ctx, timerv1connect.HorologyKernelCancelTimerProcedure, &timerv1.TimerCancelRequest{TimerId: m.id.String()}, &timerv1.Timer{})
		case m.kind == kindCancelled:
			_, err = c.rest.CancelTimer(ctx, m.id, "", "")
		}
		return err
	})
}

func (c *callers) resume(ctx context.Context, m *timer) error {
	return c.again(ctx, func(ctx context.Context) error {
		_, err := c.rest.ResumeTimer(ctx, m.id, minoots.ResumeShift)
		return err
	})
}

// replay waits until a timer is over and has it run again. By the version, a repeat
// of the call does nothing.
func (c *callers) replay(ctx context.Context, m *timer) error {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	over, ok, err := c.rest.WaitTimer(ctx, m.id, soon)
	if err != nil || !ok {
		return errors.Join(err, ctx.Err())
	}
	err = c.again(ctx, func(ctx context.Context) error {
		_, err := c.rest.ReplayTimer(ctx, m.id, 0, over.Version)
		return err
	})
	if minoots.ErrorCode(err) == minoots.CodeStale { // an answer was lost
		return nil
	}
	return err
}

func (c *callers) createGRPC(ctx context.Context, spec minoots.TimerSpec) (id minoots.ID, err error) {
	bundle, err := json.Marshal(spec.ActionBundle)
	if err != nil {
		return id, err
	}
	in := &timerv1.TimerScheduleRequest{Name: spec.Name, Labels: spec.Labels, ActionBundleJson: string(bundle)}
	if spec.Recurrence == nil {
		in.ScheduleTime = &timerv1.TimerScheduleRequest_DurationMs{DurationMs: uint64(time.Duration(*spec.Duration).Milliseconds())}
	} else {
		recurrence, err := json.Marshal(spec.Recurrence)
		if err != nil {
			return id, err
		}
		in.ScheduleTime = &timerv1.TimerScheduleRequest_RecurrenceJson{RecurrenceJson: string(recurrence)}
	}
	out := &timerv1.TimerScheduleResponse{}
	if err := c.invoke(ctx, timerv1connect.HorologyKernelScheduleTimerProcedure, in, out, "idempotency-key", spec.Name); err != nil {
		return id, err
	}
	return minoots.ParseID(out.GetTimer().GetId())
}

func (c *callers) invoke(ctx context.Context, procedure string, in, out any, pairs ...string) error {
	return c.grpc.Invoke(c.authorized(ctx, pairs...), procedure, in, out, grpc.WaitForReady(true))
}

// log reads all events by pages.
func (c *callers) log(ctx context.Context) (all []minoots.Event, err error) {
	filter := client.EventFilter{After: "oldest", PageSize: 500}
	for more := true; more; {
		page, err := c.rest.ListEvents(ctx, filter)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		filter.After, more = page.NextCursor, page.More
	}
	return all, nil
}
