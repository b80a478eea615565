package db

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/event_page.sql
var eventPageSQL string

//go:embed query/event_latest.sql
var eventLatestSQL string

//go:embed query/event_oldest_transaction.sql
var eventOldestTransactionSQL string

// MaxEventPage is the most events that one page has.
const MaxEventPage = 10_000

// EventRequest says which page of the log to read.
type EventRequest struct {
	// After is where to go on: of an event, of a page, or from EventOldest or
	// EventLatest.
	After EventCursor
	// Limit is how many events at most, from 1 to MaxEventPage.
	Limit int
	EventFilter
	// WithLabels asks for the labels that each event's timer has now.
	WithLabels bool
}

// EventFilter chooses events. A zero field is no filter.
type EventFilter struct {
	TenantID string // only relays of the operator's leave it empty
	Types    []minoots.EventType
	TimerID  minoots.ID
	Labels   map[string]string // of the timer, as it has them now
}

// LogEvent is an event with its place in the log.
type LogEvent struct {
	minoots.Event
	// Seq is the order in which events of one timer happened.
	Seq    int64
	Labels map[string]string // if they were asked for
	xid    uint64
}

// EventPage is a part of the log. Events come in the order of Seq within a page,
// and one timer's in order over all pages.
type EventPage struct {
	Events []LogEvent
	// Next is behind the page: where to go on, also if the page is empty.
	Next EventCursor
	// More tells whether there is more to read now. It may be so after a page that
	// is not full, even an empty one: each looks at a bounded part of the log.
	More bool
	// ReadAt is when the page was read, by the database's clock.
	ReadAt time.Time

	from EventCursor
	s    snapshot
}

// From is the cursor behind which the page was read.
func (p *EventPage) From() EventCursor { return p.from }

// Cursor is the place behind the i-th event of the page.
func (p *EventPage) Cursor(i int) EventCursor {
	if i == len(p.Events)-1 {
		return p.Next
	}
	return p.from.within(p.s, p.Events[i].Seq)
}

// CursorFor is the place behind the i-th event, -1 for none, for a reader who was
// at another place than the page's when it came to the page: at one where a page
// ended that was all that there was. It skips the events that it has had.
func (p *EventPage) CursorFor(reader EventCursor, i int) EventCursor {
	switch {
	case reader.p.compare(p.s) >= 0:
		return reader // it has had the whole page
	case i == len(p.Events)-1 && p.Next.after == 0:
		return p.Next
	case i < 0:
		return reader
	case reader.p.compare(p.from.p) <= 0:
		return p.Cursor(i)
	default:
		return reader.within(p.s, p.Events[i].Seq)
	}
}

func (c EventCursor) within(s snapshot, after int64) EventCursor {
	return EventCursor{log: c.log, base: c.base, p: c.p, s: s, after: after}
}

// EventPage reads a page of the log. No event is ever skipped or repeated by a
// reader that goes on at Next or at the Cursor of an event, however transactions
// overlap, and a transaction that stays open holds nobody up. A cursor of another
// log is CodeInvalid; one that is older than retention is CodeGone, with a
// *minoots.CursorExpiredError.
func (d *DB) EventPage(ctx context.Context, req EventRequest) (EventPage, error) {
	limit := min(max(req.Limit, 1), MaxEventPage)
	var s *string
	if req.After.after > 0 {
		text := req.After.s.String()
		s = &text
	}
	var labels []byte
	if len(req.Labels) > 0 {
		var err error
		if labels, err = json.Marshal(req.Labels); err != nil {
			return EventPage{}, fmt.Errorf("encode labels: %w", err)
		}
	}
	rows, err := d.pool.Query(ctx, eventPageSQL, req.After.p.String(), s, req.After.after, limit+1,
		optional(req.TenantID), eventTypes(req.Types), optionalID(req.TimerID), req.WithLabels, labels)
	if err != nil {
		return EventPage{}, translate(err)
	}
	defer rows.Close()
	var head eventHead
	page := EventPage{}
	for rows.Next() {
		if head.texts == nil {
			if page.ReadAt, err = head.scan(rows); err != nil {
				return EventPage{}, translate(err)
			}
			if err := head.admit(req.After); err != nil {
				return EventPage{}, err
			}
			continue
		}
		e, err := scanEvent(rows)
		if err != nil {
			return EventPage{}, translate(err)
		}
		page.Events = append(page.Events, e)
	}
	if err := rows.Err(); err != nil {
		return EventPage{}, translate(err)
	}
	if head.texts == nil {
		return EventPage{}, minoots.Errorf(minoots.CodeInternal, "the table minoots.event_log has no row")
	}
	head.finish(&page, req.After, limit)
	return page, nil
}

// EventLatest gives the cursor at the end of the log.
func (d *DB) EventLatest(ctx context.Context) (EventCursor, error) {
	c, _, err := d.eventEnds(ctx)
	return c, err
}

// EventOldest gives the cursor before the first event that is kept.
func (d *DB) EventOldest(ctx context.Context) (EventCursor, error) {
	_, c, err := d.eventEnds(ctx)
	return c, err
}

func (d *DB) eventEnds(ctx context.Context) (latest, oldest EventCursor, err error) {
	var text string
	var highest, dropped uint64
	var log int64
	if err := d.pool.QueryRow(ctx, eventLatestSQL).Scan(&text, &highest, &log, &dropped); err != nil {
		return latest, oldest, translate(err)
	}
	s, err := parseSnapshot(text)
	if err != nil {
		return latest, oldest, translate(err)
	}
	h := eventHead{log: uint32(log), dropped: dropped}
	oldest = h.oldest()
	latest = EventCursor{log: h.log, base: dropped, p: s.upTo(highest)}
	return latest, oldest, nil
}

// EventOldestTransaction gives the age of the oldest transaction of the server
// that writes. It holds up no reader of the log, but what it has written itself
// cannot be read before it ends, and vacuum cannot clean behind it.
func (d *DB) EventOldestTransaction(ctx context.Context) (time.Duration, error) {
	var seconds float64
	err := d.pool.QueryRow(ctx, eventOldestTransactionSQL).Scan(&seconds)
	return time.Duration(seconds * float64(time.Second)), translate(err)
}

func scanEvent(rows pgx.Rows) (LogEvent, error) {
	var e LogEvent
	var at time.Time
	var data, labels []byte
	err := rows.Scan(&e.Seq, &e.xid, &at, &e.TimerID, &e.Occurrence, &e.TenantID, &e.Type, &data, &labels, nil)
	if err != nil {
		return e, err
	}
	e.OccurredAt, e.Data = instant(at), data
	e.Event = minoots.NewEvent(e.Seq, e.Event)
	if labels != nil {
		err = json.Unmarshal(labels, &e.Labels)
	}
	return e, err
}

func optionalID(id minoots.ID) *minoots.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

func eventTypes(types []minoots.EventType) []string {
	var texts []string
	for _, t := range types {
		texts = append(texts, string(t))
	}
	return texts
}
