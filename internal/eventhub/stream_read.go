package eventhub

import (
	"context"
	"slices"

	"github.com/minoots/minoots/db"
)

// catchUpLimit is how many events a stream reads at a time that is behind: few
// enough that what it holds is little.
const catchUpLimit = 1000

// Next waits for events and gives at least one, or the error of ctx when that is
// done first: then it may be called again. Other errors end the stream.
func (s *Stream) Next(ctx context.Context) ([]Event, error) {
	if events := s.first; len(events) > 0 {
		s.first = nil
		return events, nil
	}
	for {
		var events []Event
		var err error
		if s.live {
			events, err = s.follow(ctx)
		} else {
			events, err = s.catchUp(ctx)
		}
		if err != nil || len(events) > 0 {
			return events, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// catchUp reads a page of the stream's own. If the stream had its place in the
// ring before, and the page is the last, there is no gap between what it has read
// and what the ring has from there on; the overlap is left out by follow. A place
// that the ring has let go meanwhile is taken anew.
func (s *Stream) catchUp(ctx context.Context) ([]Event, error) {
	if !s.joined || s.next < s.hub.first() {
		if err := s.join(ctx); err != nil {
			return nil, err
		}
	}
	select {
	case s.hub.reads <- struct{}{}:
		defer func() { <-s.hub.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// A page that takes longer than the caller's patience is not begun anew again
	// and again.
	read, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	page, err := s.hub.db.EventPage(read, db.EventRequest{After: s.at, Limit: catchUpLimit, EventFilter: s.filter})
	if err != nil {
		return nil, err
	}
	s.hub.metrics.caughtUp.Add(float64(len(page.Events)))
	b := &batch{EventPage: page, shared: make([]shared, len(page.Events))}
	var events []Event
	for i := range page.Events {
		own := b.encoded(i)
		events = append(events, Event{LogEvent: &page.Events[i], JSON: own.json, Cursor: own.cursor})
	}
	s.at = page.Next
	if !page.More {
		s.live = s.joined && s.next >= s.hub.first()
		s.joined = false
	}
	return events, nil
}

// join takes a place in the ring, when there is one.
func (s *Stream) join(ctx context.Context) error {
	h := s.hub
	for {
		h.mu.Lock()
		s.next, s.joined = h.tail.next(), !h.tail.end.IsZero()
		changed, stopped := h.changed, h.stopped
		h.mu.Unlock()
		switch {
		case stopped:
			return ErrStopping
		case s.joined:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *Hub) first() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tail.first
}

// follow takes the next batch of the ring.
func (s *Stream) follow(ctx context.Context) ([]Event, error) {
	b, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.filter.Labels) > 0 && !b.labelled { // read before anybody asked for labels
		s.live, s.joined = false, false
		return nil, nil
	}
	s.next++
	var events []Event
	own := s.at.Compare(b.From()) > 0
	for i := range b.Events {
		e := &b.Events[i]
		if !s.wants(e) || own && s.at.Sees(e) {
			continue
		}
		common := b.encoded(i)
		event := Event{LogEvent: e, JSON: common.json, Cursor: common.cursor}
		if own {
			event.Cursor = b.CursorFor(s.at, i).String()
		}
		events = append(events, event)
	}
	s.at = b.CursorFor(s.at, len(b.Events)-1)
	return events, nil
}

// take waits for the stream's next batch.
func (s *Stream) take(ctx context.Context) (*batch, error) {
	h := s.hub
	for {
		h.mu.Lock()
		var b *batch
		if i := s.next - h.tail.first; i >= 0 && i < len(h.tail.batches) {
			b = h.tail.batches[i]
		}
		slow, stopped, changed := s.next < h.tail.first, h.stopped, h.changed
		h.mu.Unlock()
		switch {
		case b != nil:
			return b, nil
		case stopped:
			return nil, ErrStopping
		case slow:
			h.metrics.cutOff.Inc()
			return nil, ErrSlow
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Stream) wants(e *db.LogEvent) bool {
	f := &s.filter
	return (f.TenantID == "" || f.TenantID == e.TenantID) &&
		(f.Types == nil || slices.Contains(f.Types, e.Type)) &&
		(f.TimerID.IsZero() || f.TimerID == e.TimerID) &&
		(len(f.Labels) == 0 || hasLabels(e.Labels, f.Labels))
}

func hasLabels(has, want map[string]string) bool {
	for k, v := range want {
		if got, ok := has[k]; !ok || got != v {
			return false
		}
	}
	return true
}
