package subscription_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// One receiver does not answer, and there are far more deliveries for it than there
// are workers: those for another come all the same, and none of its own is lost.
func TestSubscriptionThatIsSlowDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		select {
		case <-release:
		case <-request.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	t.Cleanup(open)
	slow := w.subscribeTo(silent.URL, "acme", "*")
	prompt := w.subscribe("acme", "*")
	sender, _ := w.sender("a", w.db)
	sender.Subscribed(true)
	w.schedule(200)
	w.deliveries(100, prompt, minoots.DeliveryWaiting) // the slow one's are before and between
	// Four workers for all subscriptions, and one for a lane. Without a bound they would
	// be 250 s at the first attempts of the slow one's.
	w.work(w.db, sender, 16)
	w.deliveries(100, prompt, minoots.DeliveryDelivered)
	assert.Len(t, w.receiver.ids(), 100)
	const ofSlow = "SELECT count(*) FROM river.river_job WHERE args #>> '{subscription,id}' = $1::text AND queue = $2"
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.subscription_deliveries WHERE subscription_id = $1 AND status = 'delivered'", slow.ID))
	assert.LessOrEqual(t, w.count(ofSlow, slow.ID.String(), db.SubscriptionQueue), 1, "a quarter of the workers")
	assert.Positive(t, w.count(ofSlow, slow.ID.String(), db.SubscriptionLane(slow.ID)))

	w.schedule(20)
	w.deliveries(110, prompt, minoots.DeliveryDelivered)
	assert.LessOrEqual(t, w.count(ofSlow, slow.ID.String(), db.SubscriptionQueue), 1, "new ones go to the lane at once")

	_, err := w.db.SubscriptionPause(t.Context(), "acme", slow.ID)
	require.NoError(t, err)
	w.schedule(2)
	w.deliveries(111, prompt, minoots.DeliveryDelivered)
	open()
	_, err = w.db.SubscriptionResume(t.Context(), "acme", slow.ID, false)
	require.NoError(t, err)
	w.deliveries(111, slow, minoots.DeliveryDelivered)
}
