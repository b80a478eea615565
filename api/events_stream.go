package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/eventhub"
)

const (
	// heartbeat is the time between two signs of life. At each the key is looked
	// at again, so that a stream outlives its key by this and keyLifetime.
	heartbeat = 15 * time.Second
	// streamWrite is how long a consumer may leave a write waiting.
	streamWrite = 10 * time.Second
	// streamRetry is what an EventSource is told to wait before it connects again.
	streamRetry = time.Second
)

// streamEvents answers with a stream. What can go wrong with the request goes
// wrong before it begins.
func (a *API) streamEvents(ctx context.Context, in *listEventsInput) (*huma.StreamResponse, error) {
	if a.hub == nil {
		return nil, minoots.Errorf(minoots.CodeUnavailable, "this replica has no event streams")
	}
	s, err := a.hub.Subscribe(ctx, in.filter, in.cursor)
	if errors.Is(err, eventhub.ErrStopping) {
		err = &minoots.Error{Code: minoots.CodeUnavailable, Message: "this replica stops", Hint: "connect again, to another"}
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer s.Close()
		r, w := humago.Unwrap(ctx)
		secret, _ := credential(r.Header) // it has been let in with it
		sse := &sseWriter{w: w, rc: http.NewResponseController(w)}
		// The request's own context: an operation's ends too soon.
		sse.end(s, a.stream(r.Context(), sse, s, secret))
	}}, nil
}

// stream writes events until something ends it, and gives the reason in a word
// for the consumer, or an empty one if there is no consumer any more.
func (a *API) stream(ctx context.Context, sse *sseWriter, s *eventhub.Stream, secret string) (reason string) {
	h := sse.w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	h.Set("Vary", "Accept")
	sse.w.WriteHeader(http.StatusOK)
	sse.retry(streamRetry)
	sse.beat(s.Cursor())
	for beat := time.Now().Add(a.heartbeat); sse.flush(); {
		wait, cancel := context.WithDeadline(ctx, beat)
		events, err := s.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ""
		case errors.Is(err, context.DeadlineExceeded) && time.Now().After(beat):
			sse.beat(s.Cursor())
		case errors.Is(err, eventhub.ErrSlow):
			return "too_slow"
		case errors.Is(err, eventhub.ErrStopping):
			return "stopping"
		case minoots.ErrorCode(err) == minoots.CodeGone:
			return "expired"
		case err != nil:
			a.log.Warn("event stream ends", "error", err)
			return "unavailable"
		}
		if time.Now().After(beat) {
			beat = time.Now().Add(a.heartbeat)
			if !a.stillAllowed(ctx, secret) {
				return "revoked"
			}
		}
		for i := range events {
			sse.event(&events[i])
		}
		a.metrics.eventsSent.Add(float64(len(events)))
	}
	return ""
}

// stillAllowed tells whether the key still opens streams. If nobody can tell, it
// does.
func (a *API) stillAllowed(ctx context.Context, secret string) bool {
	principal, err := a.keys.find(ctx, secret)
	if err != nil {
		return minoots.ErrorCode(err) != minoots.CodeNotFound
	}
	return principal.May(minoots.RoleTimerRead)
}

// sseWriter collects what is to be sent and sends it in one piece.
type sseWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
}

// event adds an event. Its JSON has no line breaks.
func (s *sseWriter) event(e *eventhub.Event) {
	s.buf.WriteString("id: " + e.Cursor + "\nevent: " + string(e.Type) + "\ndata: ")
	s.buf.Write(e.JSON)
	s.buf.WriteString("\n\n")
}

// beat adds a sign of life. Without data it is no event, but consumers note its id.
func (s *sseWriter) beat(cursor string) { s.buf.WriteString(": beat\nid: " + cursor + "\n\n") }

func (s *sseWriter) retry(after time.Duration) {
	s.buf.WriteString("retry: " + strconv.FormatInt(after.Milliseconds(), 10) + "\n\n")
}

// flush sends what there is, and tells whether it went. The deadline is for the
// write only: over HTTP/2 one that is left behind ends the stream.
func (s *sseWriter) flush() bool {
	if s.buf.Len() == 0 {
		return true
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	_, err := s.w.Write(s.buf.Bytes())
	s.buf.Reset()
	if err == nil {
		err = s.rc.Flush()
	}
	_ = s.rc.SetWriteDeadline(time.Time{})
	return err == nil
}

// end says why the stream ends and where to go on.
func (s *sseWriter) end(stream *eventhub.Stream, reason string) {
	if reason == "" {
		return
	}
	cursor := stream.Cursor()
	data, _ := json.Marshal(map[string]string{"reason": reason, "cursor": cursor})
	s.buf.WriteString("id: " + cursor + "\nevent: stream.end\ndata: ")
	s.buf.Write(data)
	s.buf.WriteString("\n\n")
	s.flush()
}
