package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/minoots/minoots"
)

// Acknowledge says, once, that the delivery with this token has succeeded; result
// is what is kept of it, anything that encodes as JSON, up to 4 KiB, and nil for
// nothing. A delivery that was acknowledged or given up is minoots.CodeConflict.
// The token is the credential: a Client for this needs no key.
func (c *Client) Acknowledge(ctx context.Context, token string, result any) (minoots.AcknowledgementReceipt, error) {
	var text json.RawMessage
	if result != nil {
		var err error
		if text, err = json.Marshal(result); err != nil {
			return minoots.AcknowledgementReceipt{}, &minoots.Error{
				Code: minoots.CodeInvalid, Message: "the result does not encode as JSON", Err: err,
			}
		}
	}
	return c.acknowledge(ctx, token, acknowledgement{Status: minoots.AcknowledgementSucceeded, Result: text})
}

// AcknowledgeFailure says, once, that the delivery has failed, and why. That is a
// failed attempt; retry says that another may help.
func (c *Client) AcknowledgeFailure(ctx context.Context, token, why string, retry bool) (minoots.AcknowledgementReceipt, error) {
	return c.acknowledge(ctx, token, acknowledgement{Status: minoots.AcknowledgementFailed, Error: why, Retry: &retry})
}

type acknowledgement struct {
	Status minoots.AcknowledgementStatus `json:"status"`
	Result json.RawMessage               `json:"result,omitempty"`
	Error  string                        `json:"error,omitempty"`
	Retry  *bool                         `json:"retry,omitempty"`
}

func (c *Client) acknowledge(ctx context.Context, token string, said acknowledgement) (r minoots.AcknowledgementReceipt, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: "/v1/acks/" + url.PathEscape(token), body: said}, &r)
	return r, err
}

// Heartbeat asks for more time for the delivery with this token: until by from
// now, or the binding's timeout from now if that is 0. Progress is for people,
// and may be empty.
func (c *Client) Heartbeat(ctx context.Context, token string, by time.Duration, progress string) (h minoots.Heartbeat, err error) {
	body := struct {
		ExtendMs int64  `json:"extendMs,omitempty"`
		Progress string `json:"progress,omitempty"`
	}{by.Milliseconds(), progress}
	err = c.do(ctx, call{method: http.MethodPost, path: "/v1/acks/" + url.PathEscape(token) + "/heartbeat", body: body}, &h)
	return h, err
}
