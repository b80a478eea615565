package action

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who takes over for others finds out why in the body.
func TestWebhookTellsWhy(t *testing.T) {
	t.Parallel()
	url, seen := recorder(t)
	d := post(url)
	d.Cause = &minoots.ActionEnd{ActionID: "wake", Kind: "webhook", Attempts: 3, HTTPStatus: 503, ErrorClass: "http_status", Error: "no"}
	d.Compensates = &minoots.Compensates{Failed: []minoots.ActionEnd{*d.Cause}, Succeeded: []minoots.ActionEnd{}}
	require.True(t, testWebhook(t).Execute(t.Context(), d, 1).Success)
	var got struct {
		Data struct{ Cause, Compensates json.RawMessage }
	}
	require.NoError(t, json.Unmarshal((<-seen).body, &got))
	const cause = `{"actionId":"wake","kind":"webhook","attempts":3,"httpStatus":503,"errorClass":"http_status","error":"no"}`
	assert.JSONEq(t, cause, string(got.Data.Cause))
	assert.JSONEq(t, `{"failed":[`+cause+`],"succeeded":[]}`, string(got.Data.Compensates))
}

// A receiver that fails can ask for no more, which is final whatever the policy.
func TestWebhookIsAborted(t *testing.T) {
	t.Parallel()
	s := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Webhook-Delivery", "abort-message")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	out := testWebhook(t).Execute(t.Context(), post(s.URL), 1)
	assert.Equal(t, ClassAborted, out.ErrorClass)
	assert.Equal(t, 503, out.HTTPStatus)
	assert.False(t, out.Retryable)
	assert.Equal(t, 7*time.Second, out.RetryAfter)
	assert.False(t, Retries(minoots.RetryPolicy{RetryOn: []string{"503", "http_status"}}, &out))
}
