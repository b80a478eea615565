package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func (b *bundle) subscribe(body string) (s minoots.Subscription) {
	b.t.Helper()
	b.call("POST", "/v1/subscriptions", body).is(http.StatusCreated).into(&s)
	return s
}

func TestSubscriptionIsMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.subscribe(`{"name":"audit","url":"https://example.com/e","topics":["timer.*"],"headers":{"X-Token":"secret"}}`)
	assert.Equal(t, []string{"X-Token"}, made.HeaderNames)
	assert.Equal(t, 5, made.RetryPolicy.MaxAttempts)
	assert.Equal(t, minoots.SubscriptionActive, made.Status)
	path := "/v1/subscriptions/" + made.ID.String()
	for _, seen := range []*answer{b.call("GET", path, ""), b.call("GET", "/v1/subscriptions", "")} {
		seen.is(http.StatusOK)
		assert.NotContains(t, string(seen.body), "secret")
		assert.Contains(t, string(seen.body), "X-Token")
	}
	var changed minoots.Subscription
	b.call("PATCH", path, `{"topics":["*"],"headers":{"X-More":"b"},"retryPolicy":{"maxAttempts":2}}`).is(http.StatusOK).into(&changed)
	assert.Equal(t, []string{"X-More", "X-Token"}, changed.HeaderNames)
	assert.Equal(t, []string{"*"}, changed.Topics)
	assert.Equal(t, "audit", changed.Name)
	assert.Equal(t, 2, changed.RetryPolicy.MaxAttempts)
	assert.Greater(t, changed.Version, made.Version)
	b.call("PATCH", path, `{"url":null}`).is(http.StatusUnprocessableEntity)
	b.call("POST", path+"/pause", "").is(http.StatusOK).into(&changed)
	assert.Equal(t, minoots.SubscriptionPaused, changed.Status)
	b.call("POST", path+"/resume", `{"skip":true}`).is(http.StatusOK).into(&changed)
	assert.Equal(t, minoots.SubscriptionActive, changed.Status)
	b.call("DELETE", path, "").is(http.StatusNoContent)
	b.call("DELETE", path, "").is(http.StatusNotFound)
}

func TestSubscriptionRefusesBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, path := range map[string]string{
		`{"topics":["*"]}`:                                                               "url",
		`{"url":"https://example.com"}`:                                                  "topics",
		`{"url":"https://example.com","topics":[]}`:                                      "topics",
		`{"url":"https://example.com","topics":["*","timer.exploded"]}`:                  "topics[1]",
		`{"url":"https://example.com","topics":["*"],"name":"\u0000"}`:                   "name",
		`{"url":"https://example.com","topics":["*"],"timerId":"x"}`:                     "timerId",
		`{"url":"https://example.com","topics":["*"],"retryPolicy":{"maxAttempts":101}}`: "retryPolicy.maxAttempts",
		`{"url":"https://example.com","topics":["*"],"more":1}`:                          "more",
	} {
		got := b.call("POST", "/v1/subscriptions", body).is(http.StatusUnprocessableEntity)
		assert.Contains(t, string(got.body), `"path":"`+path+`"`, body)
	}
	assert.Zero(t, b.count("subscriptions"))
	b.call("GET", "/v1/subscriptions?cursor=x", "").is(http.StatusUnprocessableEntity)
	s := b.subscribe(`{"url":"https://example.com","topics":["*"]}`)
	b.call("GET", "/v1/subscriptions/"+s.ID.String()+"/deliveries?status=lost", "").is(http.StatusUnprocessableEntity)
	b.call("POST", "/v1/subscriptions/"+s.ID.String()+"/deliveries/"+s.ID.String()+"/redeliver", "").is(http.StatusNotFound)
}

func TestSubscriptionIsItsTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.subscribe(`{"url":"https://example.com","topics":["*"]}`)
	path := "/v1/subscriptions/" + s.ID.String()
	for _, request := range [][2]string{
		{"GET", path}, {"DELETE", path}, {"POST", path + "/pause"}, {"POST", path + "/resume"}, {"POST", path + "/test"},
		{"GET", path + "/deliveries"}, {"POST", path + "/deliveries/" + s.ID.String() + "/redeliver"},
	} {
		b.call(request[0], request[1], "", "X-Api-Key", b.other).is(http.StatusNotFound)
	}
	b.call("PATCH", path, `{"name":"mine"}`, "X-Api-Key", b.other).is(http.StatusNotFound)
	assert.NotContains(t, string(b.call("GET", "/v1/subscriptions", "", "X-Api-Key", b.other).body), s.ID.String())
}

func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range minoots.MaxSubscriptions {
		b.subscribe(fmt.Sprintf(`{"name":"%d","url":"https://example.com","topics":["*"]}`, i))
	}
	b.call("POST", "/v1/subscriptions", `{"url":"https://example.com","topics":["*"]}`).is(http.StatusConflict)
	b.call("POST", "/v1/subscriptions", `{"url":"https://example.com","topics":["*"]}`, "X-Api-Key", b.other).is(http.StatusCreated)
	assert.Equal(t, minoots.MaxSubscriptions+1, b.count("subscriptions"))
}

func TestSubscriptionTest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := make(chan *http.Request, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		got <- r
	}))
	t.Cleanup(receiver.Close)
	b.call("POST", "/v1/signing-secrets", "").is(http.StatusCreated)
	s := b.subscribe(fmt.Sprintf(`{"url":%q,"topics":["*"],"headers":{"X-Own":"mine"}}`, receiver.URL+"/good"))
	var result struct {
		Delivered             bool
		HTTPStatus            int
		ErrorClass, WebhookID string
	}
	b.call("POST", "/v1/subscriptions/"+s.ID.String()+"/test", "").is(http.StatusOK).into(&result)
	assert.True(t, result.Delivered)
	assert.Equal(t, http.StatusOK, result.HTTPStatus)
	request := <-got
	assert.Equal(t, result.WebhookID, request.Header.Get("Webhook-Id"))
	assert.Equal(t, "mine", request.Header.Get("X-Own"))
	require.True(t, strings.HasPrefix(request.Header.Get("Webhook-Signature"), "v1,"))
	b.call("PATCH", "/v1/subscriptions/"+s.ID.String(), fmt.Sprintf(`{"url":%q}`, receiver.URL+"/bad")).is(http.StatusOK)
	b.call("POST", "/v1/subscriptions/"+s.ID.String()+"/test", "").is(http.StatusOK).into(&result)
	assert.False(t, result.Delivered)
	assert.Equal(t, http.StatusTeapot, result.HTTPStatus)
	assert.Equal(t, "http_status", result.ErrorClass)
}
