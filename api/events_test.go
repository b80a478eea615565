package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestEventStream(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	for proto, transport := range transports(t) {
		t.Run(proto, func(t *testing.T) {
			// Headers come at once, though nothing happens.
			stream := s.stream(t, transport, s.admin, "topics=timer.scheduled,timer.*&topics=action.failed")
			assert.Equal(t, proto, stream.res.Proto)
			other := s.stream(t, transport, s.other, "")
			first := stream.next()
			assert.NotEmpty(t, first.id, "a cursor before the first event")

			timer := s.create(`{"duration":"1h","name":"x","labels":{"session":"` + proto + `"}}`)
			e, cursor := stream.event()
			assert.Equal(t, minoots.EventTimerScheduled, e.Type)
			assert.Equal(t, timer.ID, e.TimerID)
			assert.Equal(t, "acme", e.TenantID)
			s.call("POST", "/v1/timers/"+timer.ID.String()+"/cancel", `{}`).is(http.StatusOK)
			e, _ = stream.event()
			assert.Equal(t, minoots.EventTimerCancelled, e.Type)

			mine := s.create(`{"duration":"1h"}`, "X-Api-Key", s.other)
			e, _ = other.event()
			assert.Equal(t, mine.ID, e.TimerID, "a stream has its own tenant's events only")

			again := s.stream(t, transport, s.admin, "timerId="+timer.ID.String()+"&after=oldest", "Last-Event-ID", cursor)
			e, _ = again.event()
			assert.Equal(t, minoots.EventTimerCancelled, e.Type, "Last-Event-ID comes before after")
			label := s.stream(t, transport, s.admin, "label=session:"+proto+"&after=oldest")
			e, _ = label.event()
			assert.Equal(t, timer.ID, e.TimerID)
		})
	}
}

func TestEventStreamBeats(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	stream := s.stream(t, transports(t)["HTTP/2.0"], s.admin, "topics=timer.fired")
	before := stream.next()
	s.create(`{"duration":"1h"}`) // which the stream does not want
	require.Eventually(t, func() bool { return stream.next().id != before.id }, time.Minute, time.Millisecond,
		"the cursor moves on all the same")
}

func TestEventStreamEndsWithTheReplica(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	stream := s.stream(t, transports(t)["HTTP/1.1"], s.admin, "")
	s.stopHub()
	m := stream.next()
	for m.event == "" {
		m = stream.next()
	}
	assert.Equal(t, "stream.end", m.event)
	assert.JSONEq(t, `{"reason":"stopping","cursor":"`+m.id+`"}`, m.data)
	s.call("GET", "/v1/events", "").is(http.StatusServiceUnavailable)
}

func TestEventStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	var made struct{ ID, Key string }
	s.call("POST", "/v1/api-keys", `{"roles":["timer.read"]}`).is(http.StatusCreated).into(&made)
	stream := s.stream(t, transports(t)["HTTP/1.1"], made.Key, "")
	s.call("DELETE", "/v1/api-keys/"+made.ID, "")
	m := stream.next()
	for m.event == "" {
		m = stream.next()
	}
	assert.Contains(t, m.data, `"revoked"`)
}

type eventPage struct {
	Items      []minoots.Event
	NextCursor string
	More       bool
}

func TestEventPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for range 3 {
		ids = append(ids, b.create(`{"duration":"1h"}`).ID.String())
	}
	b.create(`{"duration":"1h"}`, "X-Api-Key", b.other)
	var got []string
	page := eventPage{NextCursor: "oldest", More: true}
	for page.More {
		b.call("GET", "/v1/events?limit=2&after="+page.NextCursor, "", "Accept", "application/json").is(http.StatusOK).into(&page)
		for _, e := range page.Items {
			got = append(got, e.TimerID.String())
		}
	}
	assert.Equal(t, ids, got)
	end := page.NextCursor
	b.call("GET", "/v1/events?after="+end, "", "Accept", "application/json").into(&page)
	assert.Empty(t, page.Items)
	b.call("GET", "/v1/events?after=latest", "", "Accept", "application/json").into(&page)
	assert.Empty(t, page.Items)
	b.create(`{"duration":"1h"}`)
	for _, after := range []string{end, page.NextCursor} {
		b.call("GET", "/v1/events?topics=timer.scheduled&after="+after, "", "Accept", "application/json").into(&page)
		assert.Len(t, page.Items, 1)
	}
	b.call("GET", "/v1/events?timerId="+minoots.NewID().String(), "", "Accept", "application/json").into(&page)
	assert.Empty(t, page.Items, "a timer that is not there, or another tenant's, has no events")
}

func TestEventsRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var page eventPage
	b.call("GET", "/v1/events", "", "Accept", "application/json").into(&page)
	other := "A"
	if page.NextCursor[9] == 'A' {
		other = "B"
	}
	forged := page.NextCursor[:9] + other + page.NextCursor[10:]
	for query, want := range map[string]string{
		"topics=timer.exploded":            `query.topics "timer.exploded" is not a topic: want *, timer.*`,
		"topics=timer*":                    `query.topics "timer*" is not a topic`,
		"timerId=x":                        "query.timerId",
		"label=x":                          "query.label must be key:value",
		"limit=0":                          "query.limit must be from 1 to 1000",
		"limit=1001":                       "query.limit must be from 1 to 1000",
		"after=yesterday":                  "query.after must be oldest, latest, or a cursor",
		"after=" + forged:                  "query.after must be oldest, latest, or a cursor",
		"after=" + page.NextCursor[:8]:     "query.after must be oldest, latest, or a cursor",
		"cursor=x":                         "query.cursor is not a parameter here",
		"after=a&after=b":                  "query.after stands twice",
		"topic=timer.fired":                "query.topic is not a parameter here",
		"after=" + strings.Repeat("A", 99): "query.after must be oldest",
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			p := b.call("GET", "/v1/events?"+query, "", "Accept", accept).is(http.StatusUnprocessableEntity).problem()
			require.NotEmpty(t, p.Errors, query)
			assert.Contains(t, p.Errors[0].Location+" "+p.Errors[0].Message, want, query)
		}
	}

	_, err := b.pool.Exec(t.Context(), "UPDATE minoots.event_log SET dropped = pg_current_xact_id()")
	require.NoError(t, err)
	gone := b.call("GET", "/v1/events?after="+page.NextCursor, "", "Accept", "application/json").is(http.StatusGone).problem()
	assert.Equal(t, minoots.CodeGone, gone.Code)
	b.call("GET", "/v1/events?after="+gone.OldestCursor, "", "Accept", "application/json").is(http.StatusOK)
	_, err = b.pool.Exec(t.Context(), "UPDATE minoots.event_log SET id = 1 - id % 2")
	require.NoError(t, err)
	p := b.call("GET", "/v1/events?after="+page.NextCursor, "", "Accept", "application/json").is(http.StatusUnprocessableEntity).problem()
	assert.Contains(t, p.Detail, "another log")
}
