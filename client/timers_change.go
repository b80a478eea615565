package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/minoots/minoots"
)

// PauseTimer keeps a scheduled timer from firing until it is resumed. A paused
// one is given unchanged; one that has fired or is over is minoots.CodeConflict.
func (c *Client) PauseTimer(ctx context.Context, id minoots.ID) (minoots.Timer, error) {
	return c.change(ctx, id, "pause", nil)
}

// ResumeTimer lets a paused timer go on; an empty policy is minoots.ResumeShift.
// A scheduled one is given unchanged.
func (c *Client) ResumeTimer(ctx context.Context, id minoots.ID, policy minoots.ResumePolicy) (minoots.Timer, error) {
	return c.change(ctx, id, "resume", struct {
		Policy minoots.ResumePolicy `json:"policy,omitempty"`
	}{policy})
}

// SnoozeTimer makes a scheduled timer due later by a duration: after its time, or
// after now if that has passed. Repeated, it does so again; see SnoozeTimerUntil.
func (c *Client) SnoozeTimer(ctx context.Context, id minoots.ID, by minoots.Duration) (minoots.Timer, error) {
	return c.change(ctx, id, "snooze", struct {
		Duration minoots.Duration `json:"duration"`
	}{by})
}

// SnoozeTimerUntil makes a scheduled timer due at an instant, which must not be
// before its time: that is minoots.CodeConflict.
func (c *Client) SnoozeTimerUntil(ctx context.Context, id minoots.ID, until time.Time) (minoots.Timer, error) {
	return c.change(ctx, id, "snooze", struct {
		Until minoots.Instant `json:"until"`
	}{minoots.InstantOf(until)})
}

// FireTimer makes a scheduled or paused timer due now, and does not wait for it
// to fire. One that has fired or is over is minoots.CodeConflict.
func (c *Client) FireTimer(ctx context.Context, id minoots.ID) (minoots.Timer, error) {
	return c.change(ctx, id, "fire", nil)
}

// PatchTimer changes a scheduled or paused timer by a merge patch (RFC 7396),
// anything that encodes as a JSON object: what it names is replaced, and null
// takes away. With a version other than 0, a timer that has another one by now is
// minoots.CodeStale, and is left as it is.
func (c *Client) PatchTimer(ctx context.Context, id minoots.ID, patch any, version int64) (minoots.Timer, error) {
	what := call{method: http.MethodPatch, path: "/v1/timers/" + id.String(), body: patch}
	if version != 0 {
		what.header = map[string]string{"If-Match": strconv.Quote(strconv.FormatInt(version, 10))}
	}
	var t minoots.Timer
	err := c.do(ctx, what, &t)
	return t, err
}

func (c *Client) change(ctx context.Context, id minoots.ID, operation string, body any) (minoots.Timer, error) {
	var t minoots.Timer
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/" + id.String() + "/" + operation, body: body}, &t)
	return t, err
}
