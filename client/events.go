package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// EventFilter says which events to read, and from where on. A zero field is no
// filter.
type EventFilter struct {
	Topics  []string // types, or parts of them such as "timer.*"
	TimerID minoots.ID
	Labels  map[string]string // that the timer has now

	// After is a cursor, "oldest" or "latest". By default Events begins with what
	// happens from now on, and ListEvents with the oldest event.
	After string
	// PageSize is how many events ListEvents asks for, 1000 at most. Defaults to
	// the server's, 100.
	PageSize int
}

func (f EventFilter) query() url.Values {
	q := url.Values{}
	for _, topic := range f.Topics {
		q.Add("topics", topic)
	}
	if !f.TimerID.IsZero() {
		q.Set("timerId", f.TimerID.String())
	}
	for k, v := range f.Labels {
		q.Add("label", k+":"+v)
	}
	setText(q, "after", f.After)
	return q
}

// EventPage is a part of the log of events. NextCursor is where to go on, now if
// there is More, else later: the log has no end.
type EventPage struct {
	Items      []minoots.Event `json:"items"`
	NextCursor string          `json:"nextCursor"`
	More       bool            `json:"more"`
}

// ListEvents reads one page of the log of events.
func (c *Client) ListEvents(ctx context.Context, f EventFilter) (EventPage, error) {
	q := f.query()
	setPage(q, f.PageSize, "")
	var page EventPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/events", query: q}, &page)
	return page, err
}

// StreamedEvent is an event with the cursor behind it, from which a later reader
// goes on.
type StreamedEvent struct {
	minoots.Event
	Cursor string `json:"cursor"`
}

const (
	// streamSilence is how long a stream may say nothing before it is given up: the
	// server sends a sign of life every 15 s.
	streamSilence = 40 * time.Second
	// A stream that breaks is opened again after streamPause, and up to
	// streamPauseMost while that fails.
	streamPause     = time.Second
	streamPauseMost = 15 * time.Second
)

// Events follows the log of events. A stream that breaks, or that the server ends,
// is opened again where it was, so that no event is missed or seen twice. It ends
// with an error if the request is refused, for example with minoots.CodeGone for a
// cursor older than what is kept, and without one when ctx is done.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[StreamedEvent, error] {
	return func(yield func(StreamedEvent, error) bool) {
		for pause := streamPause; ; {
			s := &eventStream{client: c, filter: &f, yield: yield}
			err := s.follow(ctx)
			if s.stopped || ctx.Err() != nil {
				return
			}
			if s.moved {
				pause = streamPause
			}
			switch minoots.ErrorCode(err) {
			case "", minoots.CodeUnavailable, minoots.CodeRateLimited:
			default:
				yield(StreamedEvent{}, err)
				return
			}
			if !s.opened {
				c.retrying(err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, streamPauseMost)
		}
	}
}

// eventStream is one connection.
type eventStream struct {
	client  *Client
	filter  *EventFilter // After moves on
	yield   func(StreamedEvent, error) bool
	opened  bool
	moved   bool // something came
	stopped bool // the reader wants no more
}

func (s *eventStream) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := s.client.request(ctx, call{method: http.MethodGet, path: "/v1/events", query: s.filter.query()})
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	endless := *s.client.http
	endless.Timeout = 0
	silence := time.AfterFunc(streamSilence, cancel)
	defer silence.Stop()
	res, err := endless.Do(req)
	if err != nil {
		return noAnswer(s.client.base, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return noAnswer(s.client.base, err)
		}
		return problem(res, body)
	}
	s.opened = true
	return s.read(res.Body, func() { silence.Reset(streamSilence) })
}

// errEnd is the code of a stream that ended, by a broken connection or by the
// server's wish: it is to be opened again.
func errEnd(why string) error {
	return &minoots.Error{Code: minoots.CodeUnavailable, Message: "the event stream ended: " + why}
}

// read takes apart what comes, by the HTML standard's section on server-sent
// events, as far as this server uses it.
func (s *eventStream) read(body io.Reader, alive func()) error {
	r := bufio.NewReader(body)
	var id, event, data string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return errEnd(err.Error())
		}
		alive()
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if line != "\n" && line != "\r\n" {
				continue // a comment
			}
			if err := s.dispatch(id, event, data); err != nil {
				return err
			}
			event, data = "", ""
		}
	}
}

var errStopped = errors.New("the reader wants no more")

func (s *eventStream) dispatch(id, event, data string) error {
	if event == "stream.end" {
		s.filter.After = id
		return errEnd(data)
	}
	if data != "" {
		e := StreamedEvent{Cursor: id}
		if err := json.Unmarshal([]byte(data), &e.Event); err != nil {
			return &minoots.Error{Code: minoots.CodeInternal, Message: "an event is not what the API promises", Err: err}
		}
		s.moved = true
		if !s.yield(e, nil) {
			s.stopped = true
			return errStopped
		}
	}
	if id != "" {
		s.filter.After = id
	}
	return nil
}
