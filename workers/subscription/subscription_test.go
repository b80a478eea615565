package subscription_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
)

func TestSubscriptionGetsItsEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := []byte("0123456789abcdef0123456789abcdef")
	_, err := w.db.SecretEnsure(t.Context(), "acme", db.Secret{ID: minoots.NewID(), Secret: secret})
	require.NoError(t, err)
	w.schedule(10) // before: not for it
	s := w.subscribe("acme", "timer.*")
	other := w.subscribe("acme", "action.*")
	sender, _ := w.sender("a", w.db)
	w.work(w.db, sender) // tells the sender that there are subscriptions
	w.schedule(60)       // half of them are the other tenant's
	w.deliveries(30, s, minoots.DeliveryDelivered)
	assert.Len(t, w.receiver.ids(), 30)
	for _, one := range w.receiver.all() {
		assert.Equal(t, "acme", one.event.TenantID)
		assert.Equal(t, minoots.EventTimerScheduled, one.event.Type)
		assert.Equal(t, token, one.header.Get("X-Own"))
		assert.Equal(t, one.event.TimerID.String(), one.header.Get("X-Minoots-Timer-Id"))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(one.header.Get("Webhook-Id") + "." + one.header.Get("Webhook-Timestamp") + "." + string(one.body)))
		assert.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), one.header.Get("Webhook-Signature"))
	}
	w.deliveries(0, other, minoots.DeliveryDelivered)
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
	log, err := w.db.DeliveryPage(t.Context(), "acme", s.ID, db.DeliveryFilter{Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, 1, log[0].Attempts)
	assert.Equal(t, 200, *log[0].HTTPStatus)
	assert.NotNil(t, log[0].EndedAt)
	_, err = w.db.DeliveryPage(t.Context(), "globex", s.ID, db.DeliveryFilter{Limit: 1})
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))

	_, err = w.Pool.Exec(t.Context(), "UPDATE minoots.subscription_deliveries SET status = 'failed'")
	require.NoError(t, err)
	_, err = w.db.HistoryForget(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.Equal(t, 30, w.count("SELECT count(*) FROM minoots.subscription_deliveries"), "young")
	_, err = w.db.HistoryForget(t.Context(), -time.Hour)
	require.NoError(t, err)
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.subscription_deliveries"), "retention")
}

func TestSubscriptionRetriesAndRedelivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subscribe("acme", "*")
	sender, _ := w.sender("a", w.db)
	w.work(w.db, sender)
	w.receiver.answers(http.StatusServiceUnavailable)
	w.schedule(2)
	w.deliveries(1, s, minoots.DeliveryFailed)
	got := w.receiver.all()
	require.Len(t, got, 3, "the policy's attempts")
	assert.Equal(t, got[0].header.Get("Webhook-Id"), got[2].header.Get("Webhook-Id"))
	assert.Equal(t, "3", got[2].header.Get("X-Minoots-Attempt"))
	log, err := w.db.DeliveryPage(t.Context(), "acme", s.ID, db.DeliveryFilter{Status: minoots.DeliveryFailed, Limit: 10})
	require.NoError(t, err)
	require.Len(t, log, 1)
	assert.Equal(t, "http_status", *log[0].ErrorClass)

	w.receiver.answers(http.StatusNoContent)
	again, err := w.db.DeliveryAgain(t.Context(), "acme", s.ID, log[0].ID)
	require.NoError(t, err)
	assert.Equal(t, minoots.DeliveryWaiting, again.Status)
	w.deliveries(1, s, minoots.DeliveryDelivered)
	got = w.receiver.all()
	assert.Equal(t, "4", got[3].header.Get("X-Minoots-Attempt"), "counted on")
	assert.Equal(t, got[0].header.Get("Webhook-Id"), got[3].header.Get("Webhook-Id"))

	// A receiver that wants no more is left alone.
	w.receiver.answers(http.StatusGone)
	w.schedule(2)
	w.deliveries(1, s, minoots.DeliveryFailed)
	require.Eventually(t, func() bool {
		now, err := w.db.SubscriptionGet(t.Context(), "acme", s.ID)
		return err == nil && now.Status == minoots.SubscriptionPaused && now.PausedReason != nil
	}, soon, tick)
}

func TestSubscriptionPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subscribe("acme", "*")
	sender, _ := w.sender("a", w.db)
	w.receiver.answers(http.StatusServiceUnavailable)
	sender.Subscribed(true)
	w.schedule(20)
	w.deliveries(10, s, minoots.DeliveryWaiting) // nobody works yet
	_, err := w.db.SubscriptionPause(t.Context(), "acme", s.ID)
	require.NoError(t, err)
	w.deliveries(10, s, minoots.DeliveryPaused)
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
	w.receiver.answers(http.StatusOK)
	w.work(w.db, sender)
	w.schedule(20)
	w.deliveries(20, s, minoots.DeliveryPaused)
	assert.Empty(t, w.receiver.all())
	_, err = w.db.SubscriptionResume(t.Context(), "acme", s.ID, false)
	require.NoError(t, err)
	w.deliveries(20, s, minoots.DeliveryDelivered)
	assert.Len(t, w.receiver.ids(), 20)

	_, err = w.db.SubscriptionPause(t.Context(), "acme", s.ID)
	require.NoError(t, err)
	w.schedule(6)
	w.deliveries(3, s, minoots.DeliveryPaused)
	_, err = w.db.SubscriptionResume(t.Context(), "acme", s.ID, true)
	require.NoError(t, err)
	w.deliveries(3, s, minoots.DeliveryDropped)
	w.schedule(2)
	w.deliveries(21, s, minoots.DeliveryDelivered)
	require.NoError(t, w.db.SubscriptionDelete(t.Context(), "acme", s.ID))
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.subscriptions"))
}

// The replica that reads dies without a word: another goes on, and between them
// each event becomes one delivery.
func TestSubscriptionSenderIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subscribe("acme", "*")
	proxy := faultproxy.New(t, w.URL)
	first, firstSeen := w.sender("first", w.connect(proxy.URL()))
	first.Subscribed(true)
	require.Eventually(t, func() bool { return active(t, firstSeen) }, soon, tick)
	second, secondSeen := w.sender("second", w.connect(w.URL))
	second.Subscribed(true)
	for i := range 20 {
		w.schedule(20)
		if i == 10 {
			proxy.Close()
		}
	}
	require.Eventually(t, func() bool { return active(t, secondSeen) }, soon, tick)
	w.deliveries(200, s, minoots.DeliveryWaiting)
	assert.Equal(t, 200, w.count("SELECT count(DISTINCT args #>> '{subscription,deliveryId}') FROM river.river_job WHERE kind = 'subscription'"))
	assert.Equal(t, 200, w.count("SELECT count(*) FROM river.river_job"), "none twice")
	w.work(w.connect(w.URL), second)
	w.deliveries(200, s, minoots.DeliveryDelivered)
	assert.Len(t, w.receiver.ids(), 200)
}

// A sender that has lost its lease makes nothing; one whose answer was lost may do
// it all again.
func TestSubscriptionDispatchIsFenced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subscribe("acme", "*")
	before, err := w.db.EventLatest(t.Context())
	require.NoError(t, err)
	w.schedule(2)
	page, err := w.db.EventPage(t.Context(), db.EventRequest{After: before, Limit: 10, EventFilter: db.EventFilter{TenantID: "acme"}})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	made := func() []db.NewDelivery {
		body, err := json.Marshal(page.Events[0].Event)
		require.NoError(t, err)
		return []db.NewDelivery{{ID: minoots.NewID(), Subscription: s.ID, Event: &page.Events[0], Body: body}}
	}
	mine := db.EventReader{DB: w.db, Name: "subscriptions", Replica: "mine", Lease: time.Minute}
	other := db.EventReader{DB: w.db, Name: "subscriptions", Replica: "other", Lease: time.Minute}
	_, ok, err := mine.Take(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	got, err := other.Dispatch(t.Context(), page.Next, 1, true, made())
	require.NoError(t, err)
	assert.Equal(t, db.Dispatched{}, got)
	assert.Zero(t, w.count("SELECT count(*) FROM river.river_job"))
	for _, want := range []db.Dispatched{{Moved: true, Made: 1, Waiting: 1}, {Moved: true}} {
		got, err = mine.Dispatch(t.Context(), page.Next, 1, true, made())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	assert.Equal(t, 1, w.count("SELECT count(*) FROM river.river_job"))
}
