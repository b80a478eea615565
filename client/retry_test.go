package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

// Calls that go on while the API is away tell why, and then do what they are for.
func TestRetryNotice(t *testing.T) {
	t.Parallel()
	away := answer(http.StatusServiceUnavailable, "application/problem+json", `{"code": "unavailable", "detail": "Postgres is away"}`)
	var told []error
	noticed := client.WithRetryNotice(func(err error) { told = append(told, err) })

	c, _ := serverWith(t, []client.Option{noticed}, away, ok(`{"id": "`+timerID+`", "status": "settled"}`))
	id, err := minoots.ParseID(timerID)
	require.NoError(t, err)
	timer, over, err := c.WaitTimer(t.Context(), id, time.Minute)
	require.NoError(t, err)
	require.True(t, over)
	require.Equal(t, minoots.StatusSettled, timer.Status)
	require.Len(t, told, 1)
	require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(told[0]))

	stream := "id: c1\ndata: {\"type\": \"timer.fired\"}\n\n"
	c, _ = serverWith(t, []client.Option{noticed}, away, answer(http.StatusOK, "text/event-stream", stream))
	for e, err := range c.Events(t.Context(), client.EventFilter{}) {
		require.NoError(t, err)
		require.EqualValues(t, "timer.fired", e.Type)
		break
	}
	require.Len(t, told, 2)
}
