package bench

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/rig"
)

// deliver sends a webhook as a replica does.
func deliver(t *testing.T, url, id string, due time.Time) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+strconv.FormatInt(due.UnixMicro(), 10), nil)
	require.NoError(t, err)
	req.Header.Set("webhook-id", id)
	res, err := rig.Operator.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}

func setupReceiver(t *testing.T) *receiver {
	t.Helper()
	r, err := startReceiver(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	return r
}

func TestReceiverMeasuresLateness(t *testing.T) {
	t.Parallel()
	r := setupReceiver(t)
	n := r.expect("run", 2)
	due := time.Now().Add(-time.Second)
	deliver(t, n.url, "a", due)
	deliver(t, n.url, "a", due) // repeated: counted, and not measured
	deliver(t, r.url("other"), "b", due)
	came, _ := n.came()
	require.Equal(t, 1, came)
	deliver(t, n.url, "b", due.Add(-time.Second))
	require.NoError(t, n.wait(t.Context(), due, time.Hour))
	l := n.lateness()
	require.Equal(t, 2, l.Timers)
	require.Equal(t, 1, l.Repeats)
	require.Zero(t, l.Unseen)
	require.GreaterOrEqual(t, l.Min, 1000.0)
	require.GreaterOrEqual(t, l.Max, 2000.0)
}

func TestReceiverMissesWhatIsLost(t *testing.T) {
	t.Parallel()
	n := setupReceiver(t).expect("run", 2)
	due := time.Now()
	deliver(t, n.url, "a", due)
	err := n.wait(t.Context(), due, 100*time.Millisecond)
	require.ErrorIs(t, err, errLost)
	require.ErrorContains(t, err, "of 2 only 1")

	l := n.latenessAtLeast(time.Minute)
	require.Equal(t, 1, l.Unseen)
	require.InDelta(t, 60_000, l.P99, 1, "what did not come counts as late by the wait")
}

func TestReceiverDawdlesUntilForgotten(t *testing.T) {
	t.Parallel()
	r := setupReceiver(t)
	n := r.expect("slow", 1)
	n.delay = time.Hour
	done := make(chan struct{})
	go func() {
		defer close(done)
		deliver(t, n.url, "a", time.Now())
	}()
	<-n.full
	select {
	case <-done:
		t.Fatal("answered at once")
	default:
	}
	r.forget()
	<-done
}
