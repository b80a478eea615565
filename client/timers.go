package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minoots/minoots"
)

// CreateTimer schedules a timer. With an idempotency key, which may be any text
// of the caller's, repeating the same request gives the first timer again: that
// is how to make sure of one timer when an answer was lost.
func (c *Client) CreateTimer(ctx context.Context, spec minoots.TimerSpec, idempotencyKey string) (minoots.Timer, error) {
	what := call{method: http.MethodPost, path: "/v1/timers", body: spec}
	if idempotencyKey != "" {
		what.header = map[string]string{"Idempotency-Key": idempotencyKey}
	}
	var t minoots.Timer
	err := c.do(ctx, what, &t)
	return t, err
}

// CreateTimers schedules up to minoots.MaxBatchTimers timers, all or none, and
// gives them in the order of the specs.
func (c *Client) CreateTimers(ctx context.Context, specs []minoots.TimerSpec) ([]minoots.Timer, error) {
	body := struct {
		Timers []minoots.TimerSpec `json:"timers"`
	}{specs}
	var out struct {
		Timers []minoots.Timer `json:"timers"`
	}
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/batch", body: body}, &out)
	return out.Timers, err
}

// GetTimer reads one timer, with its last firing.
func (c *Client) GetTimer(ctx context.Context, id minoots.ID) (minoots.Timer, error) {
	var t minoots.Timer
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/timers/" + id.String()}, &t)
	return t, err
}

// CancelTimer calls a timer off. One that is over is given unchanged; one whose
// actions are running is minoots.CodeConflict. Reason and by may be empty.
func (c *Client) CancelTimer(ctx context.Context, id minoots.ID, reason, by string) (minoots.Timer, error) {
	body := struct {
		Reason      string `json:"reason,omitempty"`
		RequestedBy string `json:"requestedBy,omitempty"`
	}{reason, by}
	var t minoots.Timer
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/" + id.String() + "/cancel", body: body}, &t)
	return t, err
}

// TimerFilter says which timers to list. A zero field is no filter.
type TimerFilter struct {
	Statuses    []minoots.Status
	Labels      map[string]string
	Name        string
	NamePrefix  string
	RequestedBy string
	DueAfter    time.Time // inclusive
	DueBefore   time.Time // exclusive

	// PageSize is how many timers to ask for at a time, 1000 at most. Defaults
	// to the server's, 100.
	PageSize int
	// Cursor is where to go on: the NextCursor of the page before.
	Cursor string
}

func (f TimerFilter) query() url.Values {
	q := url.Values{}
	for _, s := range f.Statuses {
		q.Add("status", string(s))
	}
	for k, v := range f.Labels {
		q.Add("label", k+":"+v)
	}
	setText(q, "name", f.Name)
	setText(q, "namePrefix", f.NamePrefix)
	setText(q, "requestedBy", f.RequestedBy)
	if !f.DueAfter.IsZero() {
		q.Set("dueAfter", minoots.InstantOf(f.DueAfter).String())
	}
	if !f.DueBefore.IsZero() {
		q.Set("dueBefore", minoots.InstantOf(f.DueBefore).String())
	}
	setPage(q, f.PageSize, f.Cursor)
	return q
}

// TimerPage is a part of a list. NextCursor is empty on the last one.
type TimerPage struct {
	Items      []minoots.Timer `json:"items"`
	NextCursor string          `json:"nextCursor"`
}

// ListTimers reads one page of timers, by due time.
func (c *Client) ListTimers(ctx context.Context, f TimerFilter) (TimerPage, error) {
	var page TimerPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/timers", query: f.query()}, &page)
	return page, err
}

// AllTimers walks over all the pages. An error ends the walk.
func (c *Client) AllTimers(ctx context.Context, f TimerFilter) iter.Seq2[minoots.Timer, error] {
	return func(yield func(minoots.Timer, error) bool) {
		for {
			page, err := c.ListTimers(ctx, f)
			if err != nil {
				yield(minoots.Timer{}, err)
				return
			}
			for _, t := range page.Items {
				if !yield(t, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			f.Cursor = page.NextCursor
		}
	}
}

// FiringPage is a part of a timer's firings. NextCursor is empty on the last one.
type FiringPage struct {
	Items      []minoots.Firing `json:"items"`
	NextCursor string           `json:"nextCursor"`
}

// ListFirings reads one page of a timer's firings, in order, each with its
// attempts. Cursor is empty for the first page; a limit of 0 is the server's.
func (c *Client) ListFirings(ctx context.Context, timer minoots.ID, cursor string, limit int) (FiringPage, error) {
	q := url.Values{}
	setPage(q, limit, cursor)
	var page FiringPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/timers/" + timer.String() + "/firings", query: q}, &page)
	return page, err
}

func setText(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setPage(q url.Values, limit int, cursor string) {
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	setText(q, "cursor", cursor)
}
