package relay

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// SubjectOf is where an event is published: minoots.acme.timer.fired.
func SubjectOf(e *minoots.Event) string { return "minoots." + e.TenantID + "." + string(e.Type) }

// messageOf is an event as NATS has it: the envelope, and headers to choose by
// without reading it.
func messageOf(e *minoots.Event) (*nats.Msg, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return &nats.Msg{Subject: SubjectOf(e), Data: body, Header: nats.Header{
		jetstream.MsgIDHeader: {e.ID},
		"Minoots-Event-Type":  {string(e.Type)},
		"Minoots-Timer-Id":    {e.TimerID.String()},
	}}, nil
}

// publish publishes a page and waits until the server has all of it.
//
// Publications under way at once may end in any order, and one may fail where the
// next succeeds. So a page goes in waves: the first event of each timer, then the
// second, and so on, each wave when the one before is acknowledged. A page of
// many timers has few waves.
func (r *Relay) publish(ctx context.Context, events []db.LogEvent) error {
	for _, wave := range waves(events) {
		if err := r.publishWave(ctx, wave); err != nil {
			return err
		}
	}
	return nil
}

// waves sorts events so that no wave has two of one timer, and each timer's are in
// order.
func waves(events []db.LogEvent) [][]*minoots.Event {
	var out [][]*minoots.Event
	seen := make(map[minoots.ID]int, len(events))
	for i := range events {
		e := &events[i].Event
		n := seen[e.TimerID]
		seen[e.TimerID]++
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], e)
	}
	return out
}

func (r *Relay) publishWave(ctx context.Context, wave []*minoots.Event) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	futures := make([]jetstream.PubAckFuture, 0, len(wave))
	for _, e := range wave {
		msg, err := messageOf(e)
		if err != nil {
			return err
		}
		future, err := r.stream.PublishMsgAsync(msg)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			return fmt.Errorf("publish: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("publish: no acknowledgement: %w", ctx.Err())
		}
	}
	return nil
}
