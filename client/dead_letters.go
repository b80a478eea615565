package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/minoots/minoots"
)

// DeadLetterFilter says which dead letters are meant. A zero field is no filter.
type DeadLetterFilter struct {
	// Status is where they stand. Defaults to dead; only lists heed it.
	Status        minoots.DeadLetterStatus
	TimerID       minoots.ID
	Kind          minoots.ActionKind
	ErrorClass    string
	CreatedAfter  time.Time // inclusive
	CreatedBefore time.Time // exclusive

	// PageSize is how many to ask for at a time, 1000 at most. Defaults to the
	// server's, 100.
	PageSize int
	// Cursor is where to go on: the NextCursor of the page before.
	Cursor string
}

// IsZero tells whether the filter lets all pass.
func (f DeadLetterFilter) IsZero() bool {
	return f.TimerID.IsZero() && f.Kind == "" && f.ErrorClass == "" && f.CreatedAfter.IsZero() && f.CreatedBefore.IsZero()
}

// DeadLetterPage is a part of a list. NextCursor is empty on the last one.
type DeadLetterPage struct {
	Items      []minoots.DeadLetter `json:"items"`
	NextCursor string               `json:"nextCursor"`
}

// ListDeadLetters reads one page of dead letters, the oldest first.
func (c *Client) ListDeadLetters(ctx context.Context, f DeadLetterFilter) (DeadLetterPage, error) {
	q := url.Values{}
	setText(q, "status", string(f.Status))
	if !f.TimerID.IsZero() {
		q.Set("timerId", f.TimerID.String())
	}
	setText(q, "kind", string(f.Kind))
	setText(q, "errorClass", f.ErrorClass)
	if !f.CreatedAfter.IsZero() {
		q.Set("createdAfter", minoots.InstantOf(f.CreatedAfter).String())
	}
	if !f.CreatedBefore.IsZero() {
		q.Set("createdBefore", minoots.InstantOf(f.CreatedBefore).String())
	}
	setPage(q, f.PageSize, f.Cursor)
	var page DeadLetterPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/dead-letters", query: q}, &page)
	return page, err
}

// GetDeadLetter reads one, with its action and all its attempts.
func (c *Client) GetDeadLetter(ctx context.Context, id minoots.ID) (minoots.DeadLetter, error) {
	var l minoots.DeadLetter
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/dead-letters/" + id.String()}, &l)
	return l, err
}

// RedriveDeadLetter has one delivered again. One that is not dead, because it is
// on its way already for example, is minoots.CodeConflict.
func (c *Client) RedriveDeadLetter(ctx context.Context, id minoots.ID) (minoots.DeadLetter, error) {
	var l minoots.DeadLetter
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/dead-letters/" + id.String() + "/redrive"}, &l)
	return l, err
}

// Redriven is what became of a redrive by filter.
type Redriven struct {
	DryRun bool `json:"dryRun"`
	Count  int  `json:"count"`
	// More says that there are more than one request redrives: repeat it.
	More bool `json:"more"`
}

// RedriveDeadLetters has up to minoots.MaxRedrive dead letters delivered again, the
// oldest first; a zero filter means all. A dry run only counts them.
func (c *Client) RedriveDeadLetters(ctx context.Context, f DeadLetterFilter, dryRun bool) (Redriven, error) {
	body := struct {
		TimerID       *minoots.ID        `json:"timerId,omitempty"`
		Kind          minoots.ActionKind `json:"kind,omitempty"`
		ErrorClass    string             `json:"errorClass,omitempty"`
		CreatedAfter  *minoots.Instant   `json:"createdAfter,omitempty"`
		CreatedBefore *minoots.Instant   `json:"createdBefore,omitempty"`
		All           bool               `json:"all,omitempty"`
		DryRun        bool               `json:"dryRun,omitempty"`
	}{Kind: f.Kind, ErrorClass: f.ErrorClass, All: f.IsZero(), DryRun: dryRun}
	if !f.TimerID.IsZero() {
		body.TimerID = &f.TimerID
	}
	for from, to := range map[*time.Time]**minoots.Instant{&f.CreatedAfter: &body.CreatedAfter, &f.CreatedBefore: &body.CreatedBefore} {
		if !from.IsZero() {
			at := minoots.InstantOf(*from)
			*to = &at
		}
	}
	var out Redriven
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/dead-letters/redrive", body: body}, &out)
	return out, err
}

// DiscardDeadLetter gives one up. It stays on record.
func (c *Client) DiscardDeadLetter(ctx context.Context, id minoots.ID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/v1/dead-letters/" + id.String()}, nil)
}
