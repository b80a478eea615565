package eventhub

import (
	"context"
	"errors"

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
