package client

import (
	"context"
	"net/http"

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

func (c *Client) change(ctx context.Context, id minoots.ID, operation string, body any) (minoots.Timer, error) {
	var t minoots.Timer
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/timers/" + id.String() + "/" + operation, body: body}, &t)
	return t, err
}
