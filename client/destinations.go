package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/minoots/minoots"
)

// Destinations lists the tenant's destinations that fail or have limits: a page of
// at most 1,000, and what to pass as cursor for the next, "" on the last.
func (c *Client) Destinations(ctx context.Context, limit int, cursor string) (page []minoots.Destination, next string, err error) {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var answer struct {
		Items      []minoots.Destination `json:"items"`
		NextCursor string                `json:"nextCursor"`
	}
	err = c.do(ctx, call{method: http.MethodGet, path: "/v1/destinations", query: query}, &answer)
	return answer.Items, answer.NextCursor, err
}

// LimitDestination sets what all replicas together may send to a destination such
// as https://example.com. Limits without any take them away.
func (c *Client) LimitDestination(ctx context.Context, destination string, limits minoots.DestinationLimits) (minoots.Destination, error) {
	var d minoots.Destination
	err := c.do(ctx, call{method: http.MethodPut, path: destinationPath(destination, "limits"), body: limits}, &d)
	return d, err
}

// ResetDestination has the deliveries that wait for a failing destination go on.
// One of which nothing is known is minoots.CodeNotFound.
func (c *Client) ResetDestination(ctx context.Context, destination string) (minoots.Destination, error) {
	var d minoots.Destination
	err := c.do(ctx, call{method: http.MethodPost, path: destinationPath(destination, "reset")}, &d)
	return d, err
}

func destinationPath(destination, operation string) string {
	return "/v1/destinations/" + url.PathEscape(destination) + "/" + operation
}
