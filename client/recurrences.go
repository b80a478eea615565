package client

import (
	"context"
	"net/http"

	"github.com/minoots/minoots"
)

// PreviewRecurrence asks when a recurrence would be due. It creates nothing.
func (c *Client) PreviewRecurrence(ctx context.Context, ask minoots.RecurrencePreviewRequest) (minoots.RecurrencePreview, error) {
	var p minoots.RecurrencePreview
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/recurrences/preview", body: ask}, &p)
	return p, err
}
