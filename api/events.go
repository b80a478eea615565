package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const tagEvents = "events"

const eventStream = "text/event-stream"

func (a *API) eventRoutes() {
	register(a, route{
		ID: "listEvents", Method: http.MethodGet, Path: "/v1/events", Tag: tagEvents,
		Summary: "Follow or read the log of events",
		Description: "Every change of a timer is an event. By default the answer is a stream of server-sent events: " +
			"`event` is the type, `data` the Event, `id` a cursor behind it. A reader that connects again with the last `id` as " +
			"`Last-Event-ID`, or as `after`, has missed nothing and gets nothing twice, and each timer's events come in order. " +
			"A comment is sent every 15 s if nothing else is, with a cursor. A stream that the server ends has an event `stream.end` at its end, " +
			"with the reason and the cursor to go on from; a reader that is too slow is ended so.\n\n" +
			"With `Accept: application/json` the answer is one page.",
		Role: minoots.RoleTimerRead, Errors: []int{http.StatusGone, http.StatusTooManyRequests},
		Responses: a.eventResponses(),
	}, a.listEvents)
}

// eventResponses says both ways to answer.
func (a *API) eventResponses() map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "A stream, or a page",
		Content: map[string]*huma.MediaType{
			eventStream:        {Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-sent events; data is an Event."}},
			"application/json": {Schema: a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[eventPage](), true, "")},
		},
	}}
}

type listEventsInput struct {
	Topics      []string   `query:"topics,explode" doc:"Types, or parts of them such as timer.*; repeat it, or separate with commas. All, if absent." example:"timer.fired"`
	TimerID     minoots.ID `query:"timerId" format:"uuid" doc:"Only events of this timer."`
	Label       []string   `query:"label,explode" doc:"Only events of timers that now have this label, as key:value; repeat it for timers that have them all." example:"session:s-17"`
	After       string     `query:"after" maxLength:"65536" doc:"A cursor; or oldest, or latest. By default a stream begins with what happens from now on, and the first page is the oldest."`
	LastEventID string     `header:"Last-Event-ID" maxLength:"65536" doc:"A cursor; it comes before after, since an EventSource that connects again repeats its URL."`
	Limit       int        `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Events of a page at most."`
	filter      db.EventFilter
	cursor      db.EventCursor // zero: oldest or latest
	oldest      bool
	page        bool
}

const (
	afterOldest = "oldest"
	afterLatest = "latest"
)

// Resolve implements huma.Resolver.
func (in *listEventsInput) Resolve(ctx huma.Context) []error {
	var bad []error
	in.page = wantsPage(ctx.Header("Accept"))
	types, err := minoots.Topics(in.Topics)
	var unknown *minoots.Error
	if errors.As(err, &unknown) {
		for _, f := range unknown.Fields {
			bad = append(bad, badParam("query", f.Path, "%s", f.Message))
		}
	}
	if in.Limit < 1 || in.Limit > maxLimit {
		bad = append(bad, badParam("query", "limit", "must be from 1 to %d", maxLimit))
	}
	labels := listTimersInput{Label: in.Label}
	bad = append(bad, labels.labels()...)
	in.filter = db.EventFilter{Types: types, TimerID: in.TimerID, Labels: labels.request.Labels}
	return append(bad, in.place()...)
}

// place finds out where to begin.
func (in *listEventsInput) place() []error {
	where, name, text := "query", "after", in.After
	if in.LastEventID != "" {
		where, name, text = "header", "Last-Event-ID", in.LastEventID
	}
	switch text {
	case "":
		in.oldest = in.page
	case afterOldest:
		in.oldest = true
	case afterLatest:
	default:
		var err error
		if in.cursor, err = db.ParseEventCursor(text); err != nil {
			return []error{badParam(where, name, "must be %s, %s, or a cursor that an event or a page came with", afterOldest, afterLatest)}
		}
	}
	return nil
}

// wantsPage tells whether JSON is named, and named before a stream.
func wantsPage(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		media, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch media {
		case eventStream:
			return false
		case "application/json":
			return true
		}
	}
	return false
}

// eventPage is a page of the log.
type eventPage struct {
	Items      []minoots.Event `json:"items"`
	NextCursor string          `json:"nextCursor" doc:"Send it as after for the next page. There always is one: the log goes on."`
	More       bool            `json:"more" doc:"There is more to read now; also if the page is short or empty, since each looks at a part of the log."`
}

func (a *API) listEvents(ctx context.Context, in *listEventsInput) (*huma.StreamResponse, error) {
	in.filter.TenantID = principalOf(ctx).TenantID
	if in.oldest {
		var err error
		if in.cursor, err = a.db.EventOldest(ctx); err != nil {
			return nil, err
		}
	}
	if !in.page {
		return a.streamEvents(ctx, in)
	}
	page, err := a.readEvents(ctx, in)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "application/json")
		ctx.SetHeader("Vary", "Accept")
		_, w := humago.Unwrap(ctx)
		_ = a.huma.Marshal(w, "application/json", page) // a connection that breaks, the exchange notes
	}}, nil
}

// emptyPages is how many parts of the log without an event that the caller wants
// are looked at for one page.
const emptyPages = 20

func (a *API) readEvents(ctx context.Context, in *listEventsInput) (*eventPage, error) {
	out := &eventPage{Items: []minoots.Event{}}
	at := in.cursor
	if at.IsZero() {
		latest, err := a.db.EventLatest(ctx)
		out.NextCursor = latest.String()
		return out, err
	}
	for range emptyPages {
		page, err := a.db.EventPage(ctx, db.EventRequest{After: at, Limit: in.Limit, EventFilter: in.filter})
		if err != nil {
			return nil, err
		}
		at, out.More = page.Next, page.More
		for i := range page.Events {
			out.Items = append(out.Items, page.Events[i].Event)
		}
		if len(out.Items) > 0 || !page.More {
			break
		}
	}
	out.NextCursor = at.String()
	return out, nil
}
