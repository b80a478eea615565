package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

type destinations struct {
	Items      []minoots.Destination
	NextCursor *string
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got destinations
	b.call("GET", "/v1/destinations", "").is(http.StatusOK).into(&got)
	require.Empty(t, got.Items)

	// Limits, by whatever name it is written.
	var one minoots.Destination
	b.call("PUT", "/v1/destinations/HTTPS%3A%2F%2FExample.com%3A443%2F/limits", `{"ratePerSecond": 2.5, "maxConcurrent": 7}`).is(http.StatusOK).into(&one)
	assert.Equal(t, "https://example.com", one.Destination)
	assert.Equal(t, minoots.BreakerClosed, one.State)
	assert.Equal(t, 2.5, *one.RatePerSecond)
	assert.Equal(t, 7, *one.MaxConcurrent)

	// One that fails.
	_, _, err := b.db.DestinationOpen(t.Context(), db.Opening{
		Tenant: "acme", Destination: "https://down.example", Failures: 5, Reason: "refused: nobody there", Replica: "r",
		WaitLeast: time.Minute, WaitMost: time.Minute,
	})
	require.NoError(t, err)
	b.call("GET", "/v1/destinations?limit=1", "").is(http.StatusOK).into(&got)
	require.Len(t, got.Items, 1)
	assert.Equal(t, "https://down.example", got.Items[0].Destination)
	assert.Equal(t, minoots.BreakerOpen, got.Items[0].State)
	assert.Equal(t, "refused: nobody there", *got.Items[0].Reason)
	assert.Equal(t, 5, got.Items[0].Failures)
	require.NotNil(t, got.NextCursor)
	b.call("GET", "/v1/destinations?limit=1&cursor="+*got.NextCursor, "").is(http.StatusOK).into(&got)
	require.Len(t, got.Items, 1)
	assert.Equal(t, "https://example.com", got.Items[0].Destination)
	assert.Nil(t, got.NextCursor)

	// Another tenant sees nothing of it, and moves nothing.
	b.call("GET", "/v1/destinations", "", "X-Api-Key", b.other).is(http.StatusOK).into(&got)
	assert.Empty(t, got.Items)
	p := b.call("POST", "/v1/destinations/https%3A%2F%2Fdown.example/reset", "", "X-Api-Key", b.other).is(http.StatusNotFound).problem()
	assert.Equal(t, minoots.CodeNotFound, p.Code)

	b.call("POST", "/v1/destinations/https%3A%2F%2Fdown.example/reset", "").is(http.StatusOK).into(&one)
	assert.Equal(t, minoots.BreakerRecovering, one.State)
	b.call("POST", "/v1/destinations/https%3A%2F%2Fexample.com/reset", "").is(http.StatusOK).into(&one)
	assert.Equal(t, minoots.BreakerClosed, one.State, "it had not failed")

	// Without limits an ordinary destination is forgotten, and one that fails is not.
	b.call("PUT", "/v1/destinations/https%3A%2F%2Fexample.com/limits", `{}`).is(http.StatusOK)
	b.call("PUT", "/v1/destinations/https%3A%2F%2Fdown.example/limits", `{"ratePerSecond": null, "maxConcurrent": null}`).is(http.StatusOK).into(&one)
	assert.Equal(t, minoots.BreakerRecovering, one.State)
	assert.Equal(t, 1, b.count("destinations"))
}

func TestDestinationsBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ path, body, says string }{
		{"example.com", `{}`, "must have a scheme and a host"},
		{"https%3A%2F%2F", `{}`, "must have a scheme and a host"},
		{"https%3A%2F%2Fexample.com%2Fhook", `{}`, "it holds for all paths"},
		{"https%3A%2F%2Fu%3Ap%40example.com", `{}`, "must be scheme, host and port alone"},
		{"https%3A%2F%2Fexample.com", `{"ratePerSecond": 0}`, "must be from 0.001 to 100000"},
		{"https%3A%2F%2Fexample.com", `{"ratePerSecond": -1}`, "must be from 0.001 to 100000"},
		{"https%3A%2F%2Fexample.com", `{"maxConcurrent": 0}`, "must be from 1 to 10000"},
		{"https%3A%2F%2Fexample.com", `{"maxConcurrent": 1.5}`, "maxConcurrent"},
		{"https%3A%2F%2Fexample.com", `{"rate": 5}`, "rate"},
	} {
		a := b.call("PUT", "/v1/destinations/"+c.path+"/limits", c.body).is(http.StatusUnprocessableEntity)
		a.problem()
		assert.Contains(t, string(a.body), c.says, "%s %s", c.path, c.body)
		assert.NotContains(t, string(a.body), "u:p@", "no secrets")
	}
	assert.Zero(t, b.count("destinations"))
}
