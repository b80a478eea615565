package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minoots/minoots"
)

// BulkFilter says which timers a change of many is meant for. A zero field is no
// filter. An empty one needs Bulk.All.
type BulkFilter struct {
	Status      []minoots.Status  `json:"status,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Name        string            `json:"name,omitempty"`
	NamePrefix  string            `json:"namePrefix,omitempty"`
	RequestedBy string            `json:"requestedBy,omitempty"`
	DueAfter    *minoots.Instant  `json:"dueAfter,omitempty"`  // inclusive
	DueBefore   *minoots.Instant  `json:"dueBefore,omitempty"` // exclusive
}

// Bulk is a change of many timers.
type Bulk struct {
	Filter BulkFilter `json:"filter"`
	All    bool       `json:"all,omitempty"`    // every timer is meant, without a filter
	DryRun bool       `json:"dryRun,omitempty"` // only count
	Cursor string     `json:"cursor,omitempty"` // NextCursor of the call before

	Reason      string               `json:"reason,omitempty"`      // of CancelMany
	RequestedBy string               `json:"requestedBy,omitempty"` // of CancelMany
	Policy      minoots.ResumePolicy `json:"policy,omitempty"`      // of ResumeMany
	FireAt      *minoots.Instant     `json:"fireAt,omitempty"`      // of RescheduleMany
	Delay       *minoots.Duration    `json:"delay,omitempty"`       // of RescheduleMany; negative for earlier
}

// BulkResult is what became of them.
type BulkResult struct {
	Matched    int    `json:"matched"`
	Changed    int    `json:"changed"`
	Skipped    int    `json:"skipped"` // fired, or changed by somebody else, meanwhile
	DryRun     bool   `json:"dryRun"`
	More       bool   `json:"more"`
	NextCursor string `json:"nextCursor"` // empty at the end
}

// CancelMany cancels scheduled and paused timers, up to 100,000 a call.
func (c *Client) CancelMany(ctx context.Context, b Bulk) (BulkResult, error) {
	return c.many(ctx, "cancel", b)
}

// PauseMany pauses scheduled timers, up to 100,000 a call.
func (c *Client) PauseMany(ctx context.Context, b Bulk) (BulkResult, error) {
	return c.many(ctx, "pause", b)
}

// ResumeMany resumes paused timers, up to 100,000 a call.
func (c *Client) ResumeMany(ctx context.Context, b Bulk) (BulkResult, error) {
	return c.many(ctx, "resume", b)
}

// RescheduleMany moves scheduled and paused one-shot timers, up to 100,000 a call.
func (c *Client) RescheduleMany(ctx context.Context, b Bulk) (BulkResult, error) {
	return c.many(ctx, "reschedule", b)
}

func (c *Client) many(ctx context.Context, operation string, b Bulk) (BulkResult, error) {
	var out BulkResult
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/" + operation, body: b}, &out)
	return out, err
}

// CreateTimersOnce is CreateTimers with an idempotency key for each timer: those
// that their keys had created before are given as they stand now, and not created
// again. replayed is how many those are.
func (c *Client) CreateTimersOnce(ctx context.Context, specs []minoots.TimerSpec, keys []string) (timers []minoots.Timer, replayed int, err error) {
	body := struct {
		Timers []minoots.TimerSpec `json:"timers"`
		Keys   []string            `json:"idempotencyKeys"`
	}{specs, keys}
	var out struct {
		Timers   []minoots.Timer `json:"timers"`
		Replayed int             `json:"replayed"`
	}
	err = c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/batch", body: body}, &out)
	return out.Timers, out.Replayed, err
}

// ReplayTimer has a settled or failed timer run again after a delay, 0 for now.
// With a version other than 0, a timer that has another one is minoots.CodeStale.
func (c *Client) ReplayTimer(ctx context.Context, id minoots.ID, delay minoots.Duration, version int64) (minoots.Timer, error) {
	what := call{method: http.MethodPost, path: "/v1/timers/" + id.String() + "/replay", header: ifMatch(version), body: struct {
		Delay minoots.Duration `json:"delay"`
	}{delay}}
	var t minoots.Timer
	err := c.do(ctx, what, &t)
	return t, err
}

// waitEach is how long one request of WaitTimer waits: less than what a client, or
// something between, gives a request.
const waitEach = 30 * time.Second

// WaitTimer waits until a timer is over, and gives it; over is false if ctx ended,
// or the time was up, before. It asks again as often as it must, also while the
// API does not answer.
func (c *Client) WaitTimer(ctx context.Context, id minoots.ID, timeout time.Duration) (timer minoots.Timer, over bool, err error) {
	until := time.Now().Add(timeout)
	for {
		left := max(0, min(time.Until(until), waitEach))
		q := url.Values{"timeout": {minoots.Duration(left.Round(time.Millisecond)).String()}}
		began := time.Now()
		err = c.do(ctx, call{method: http.MethodGet, path: "/v1/timers/" + id.String() + "/wait", query: q}, &timer)
		code := minoots.ErrorCode(err)
		retry := code == minoots.CodeUnavailable || code == minoots.CodeRateLimited
		switch {
		case err == nil && timer.ID == id:
			return timer, true, nil
		case err != nil && !retry, ctx.Err() != nil, !time.Now().Before(until):
			return timer, false, err
		}
		if err != nil {
			c.retrying(err)
		}
		if pause := time.Second - time.Since(began); pause > 0 { // it answered at once: it stops, or is away
			select {
			case <-ctx.Done():
			case <-time.After(min(pause, max(0, time.Until(until)))):
			}
		}
	}
}

func ifMatch(version int64) map[string]string {
	if version == 0 {
		return nil
	}
	return map[string]string{"If-Match": `"` + strconv.FormatInt(version, 10) + `"`}
}
