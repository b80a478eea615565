package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/minoots/minoots"
)

// CreateSubscription has events sent to a URL.
func (c *Client) CreateSubscription(ctx context.Context, spec minoots.SubscriptionSpec) (minoots.Subscription, error) {
	var s minoots.Subscription
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/subscriptions", body: spec}, &s)
	return s, err
}

// SubscriptionList is a part of a list. NextCursor is empty on the last one.
type SubscriptionList struct {
	Items      []minoots.Subscription `json:"items"`
	NextCursor string                 `json:"nextCursor"`
}

// ListSubscriptions reads one page, by age: size at most, 0 for the server's default.
func (c *Client) ListSubscriptions(ctx context.Context, size int, cursor string) (SubscriptionList, error) {
	q := url.Values{}
	setPage(q, size, cursor)
	var page SubscriptionList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/subscriptions", query: q}, &page)
	return page, err
}

// GetSubscription gives one.
func (c *Client) GetSubscription(ctx context.Context, id minoots.ID) (minoots.Subscription, error) {
	var s minoots.Subscription
	err := c.do(ctx, call{method: http.MethodGet, path: subscriptionPath(id, "")}, &s)
	return s, err
}

// UpdateSubscription changes what a merge patch (RFC 7396) names.
func (c *Client) UpdateSubscription(ctx context.Context, id minoots.ID, patch map[string]any) (minoots.Subscription, error) {
	var s minoots.Subscription
	err := c.do(ctx, call{method: http.MethodPatch, path: subscriptionPath(id, ""), body: patch}, &s)
	return s, err
}

// DeleteSubscription removes one, and what waits to be sent.
func (c *Client) DeleteSubscription(ctx context.Context, id minoots.ID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: subscriptionPath(id, "")}, nil)
}

// PauseSubscription has what happens wait.
func (c *Client) PauseSubscription(ctx context.Context, id minoots.ID) (minoots.Subscription, error) {
	var s minoots.Subscription
	err := c.do(ctx, call{method: http.MethodPost, path: subscriptionPath(id, "/pause")}, &s)
	return s, err
}

// ResumeSubscription has one go on: what has waited is sent, or dropped with skip.
func (c *Client) ResumeSubscription(ctx context.Context, id minoots.ID, skip bool) (minoots.Subscription, error) {
	var s minoots.Subscription
	err := c.do(ctx, call{method: http.MethodPost, path: subscriptionPath(id, "/resume"), body: map[string]bool{"skip": skip}}, &s)
	return s, err
}

// SubscriptionTest is how a test of a subscription went.
type SubscriptionTest struct {
	Delivered  bool    `json:"delivered"`
	WebhookID  string  `json:"webhookId"`
	HTTPStatus int     `json:"httpStatus,omitempty"` // 0 if no answer came
	ErrorClass string  `json:"errorClass,omitempty"`
	Error      string  `json:"error,omitempty"`
	Response   string  `json:"response,omitempty"`
	DurationMs float64 `json:"durationMs"`
}

// TestSubscription sends a test event at once.
func (c *Client) TestSubscription(ctx context.Context, id minoots.ID) (SubscriptionTest, error) {
	var t SubscriptionTest
	err := c.do(ctx, call{method: http.MethodPost, path: subscriptionPath(id, "/test")}, &t)
	return t, err
}

// DeliveryList is a part of a subscription's log. NextCursor is empty on the last one.
type DeliveryList struct {
	Items      []minoots.SubscriptionDelivery `json:"items"`
	NextCursor string                         `json:"nextCursor"`
}

// ListDeliveries reads one page of a subscription's log, the newest first. An empty
// status stands for all.
func (c *Client) ListDeliveries(ctx context.Context, id minoots.ID, status minoots.DeliveryStatus, size int, cursor string) (DeliveryList, error) {
	q := url.Values{}
	setText(q, "status", string(status))
	setPage(q, size, cursor)
	var page DeliveryList
	err := c.do(ctx, call{method: http.MethodGet, path: subscriptionPath(id, "/deliveries"), query: q}, &page)
	return page, err
}

// Redeliver sends a delivery that has ended once more.
func (c *Client) Redeliver(ctx context.Context, subscription, id minoots.ID) (minoots.SubscriptionDelivery, error) {
	var d minoots.SubscriptionDelivery
	err := c.do(ctx, call{method: http.MethodPost, path: subscriptionPath(subscription, "/deliveries/"+id.String()+"/redeliver")}, &d)
	return d, err
}

func subscriptionPath(id minoots.ID, rest string) string {
	return "/v1/subscriptions/" + id.String() + rest
}
