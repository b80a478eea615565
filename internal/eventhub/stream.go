package eventhub

import (
	"context"
	"errors"
	"slices"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// What ends a stream. Its Cursor tells where to go on.
var (
	// ErrSlow says that the consumer did not take events as fast as they came.
	ErrSlow = errors.New("the consumer is too slow")
	// ErrStopping says that this process stops.
	ErrStopping = errors.New("this replica stops")
)

// Event is an event as a stream gives it.
type Event struct {
	*db.LogEvent
	// JSON is the envelope. It is shared: do not change it.
	JSON []byte
	// Cursor is the place behind the event.
	Cursor string
}

// Stream is one consumer's way through the log. It is for one goroutine.
type Stream struct {
	hub    *Hub
	filter db.EventFilter
	at     db.EventCursor // what the consumer has had
	live   bool           // follows the ring; else it reads pages of its own
	next   int            // batch to take, once it has joined the ring
	joined bool
	closed bool
	first  []Event // that Subscribe has read
}

// catchUpLimit is how many events a stream reads at a time that is behind: few
// enough that what it holds is little.
const catchUpLimit = 1000

// Subscribe opens a stream of a tenant's events, or everybody's if the filter
// names no tenant. It begins behind the cursor; behind a zero one, with what is
// committed from now on. The errors are those of db.EventPage, ErrStopping, and
// CodeRateLimited or CodeUnavailable where there are too many streams. The caller
// must Close the stream.
func (h *Hub) Subscribe(ctx context.Context, filter db.EventFilter, after db.EventCursor) (*Stream, error) {
	s := &Stream{hub: h, filter: filter, at: after}
	if err := h.admit(s); err != nil {
		return nil, err
	}
	if !after.IsZero() {
		var err error
		if s.first, err = s.catchUp(ctx); err != nil {
			s.Close()
			if ctx.Err() != nil {
				err = noLog(ctx)
			}
			return nil, err
		}
		return s, nil
	}
	for {
		h.mu.Lock()
		s.at, s.next, s.live = h.tail.end, h.tail.next(), true
		changed, stopped := h.changed, h.stopped
		h.mu.Unlock()
		switch {
		case stopped:
			s.Close()
			return nil, ErrStopping
		case !s.at.IsZero():
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.Close()
			return nil, noLog(ctx)
		}
	}
}

func noLog(ctx context.Context) error {
	return &minoots.Error{
		Code: minoots.CodeUnavailable, Message: "the event log cannot be read now", Hint: "try again shortly", Err: ctx.Err(),
	}
}

func (h *Hub) admit(s *Stream) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return ErrStopping
	case h.streams >= MaxStreams:
		return &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "this replica has as many event streams as it takes", Hint: "try again: another replica may have room",
		}
	case h.tenants[s.filter.TenantID] >= MaxTenantStreams:
		return &minoots.Error{
			Code: minoots.CodeRateLimited, Message: "the tenant has as many event streams on this replica as one may have", Hint: "close streams that nobody reads",
		}
	}
	h.streams++
	h.tenants[s.filter.TenantID]++
	if len(s.filter.Labels) > 0 {
		h.labelled++
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return nil
}

// Close ends the stream. It may be called twice.
func (s *Stream) Close() {
	if s.closed {
		return
	}
	s.closed = true
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	if h.tenants[s.filter.TenantID]--; h.tenants[s.filter.TenantID] == 0 {
		delete(h.tenants, s.filter.TenantID)
	}
	if len(s.filter.Labels) > 0 {
		h.labelled--
	}
}

// Cursor is the place behind all that Next has given, and what it left out. It
// moves on while there is nothing to give.
func (s *Stream) Cursor() string {
	if s.live {
		h := s.hub
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.next == h.tail.next() && s.at.Compare(h.tail.end) < 0 {
			s.at = h.tail.end
		}
	}
	return s.at.String()
}

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
