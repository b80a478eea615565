package subscription_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/seal"
)

// assertHidden holds that neither the tables nor what the workers say has a text.
func (w *world) assertHidden(text string) {
	w.Helper()
	rows, err := w.Pool.Query(context.Background(), `
		SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
		WHERE table_schema IN ('minoots', 'river') AND table_type = 'BASE TABLE'`)
	require.NoError(w, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w, err)
	require.Contains(w, tables, "river.river_job")
	for _, table := range tables {
		var dump string
		require.NoError(w, w.Pool.QueryRow(context.Background(), fmt.Sprintf("SELECT coalesce(string_agg(t::text, ''), '') FROM %s t", table)).Scan(&dump))
		assert.NotContains(w, dump, text, table)
		assert.NotContains(w, dump, hex.EncodeToString([]byte(text)), table)
	}
	assert.NotContains(w, w.said.String(), text)
}

func (w *world) reseal(d *db.DB, plain bool) (done db.Reseal) {
	w.Helper()
	done, err := d.SecretReseal(w.Context(), plain, func(db.Reseal) {})
	require.NoError(w, err)
	return done
}

// Headers of the time before keys go on working, and are sealed by a command or a
// change, also in what waits; sealed ones are sent, and stand nowhere.
func TestSubscriptionHeadersAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.subscribe("acme", "*")
	bare := w.subscribeTo(w.receiver.server.URL, "acme", "firing.*")
	_, err := w.db.SubscriptionUpdate(t.Context(), "acme", bare.ID, func(s *minoots.Subscription) error { s.Headers = nil; return nil })
	require.NoError(t, err)
	sender, _ := w.sender("a", w.db)
	sender.Subscribed(true)
	w.schedule(20)
	w.deliveries(10, s, minoots.DeliveryWaiting)
	const clear = "SELECT count(*) FROM river.river_job WHERE args::text LIKE '%' || $1 || '%'"
	require.Equal(t, 10, w.count(clear, token), "plain, where there is no key")

	one, two := seal.NewKey(), seal.NewKey()
	keyed := w.connect(w.URL, one)
	assert.EqualValues(t, 1, w.reseal(keyed, false).Sealed, "where there are none, nothing is sealed")
	w.assertHidden(token)
	assert.EqualValues(t, 1, w.reseal(keyed, true).Sealed, "and back, for a version that knows no keys")
	assert.Equal(t, 10, w.count(clear, token))
	assert.EqualValues(t, 1, w.reseal(keyed, false).Sealed)
	keys, err := keyed.SecretKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1, "none is plain")
	assert.True(t, keys[0].Known)

	w.work(keyed, sender)
	w.schedule(20)
	w.deliveries(20, s, minoots.DeliveryDelivered)
	w.assertHidden(token)
	changed, err := keyed.SubscriptionUpdate(t.Context(), "acme", s.ID, func(s *minoots.Subscription) error {
		assert.Equal(t, map[string]string{"X-Own": token}, s.Headers)
		s.Headers["X-More"] = token + "-2"
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"X-More", "X-Own"}, changed.HeaderNames)
	w.receiver.answers(http.StatusServiceUnavailable) // and again, for a retry
	w.schedule(2)
	w.eventually(1, "SELECT count(*) FROM minoots.subscription_deliveries WHERE attempts > 1")
	w.assertHidden(token)
	w.reseal(w.connect(w.URL, two, one), false) // the key is changed while it waits
	w.receiver.answers(http.StatusOK)
	w.deliveries(21, s, minoots.DeliveryDelivered)
	w.assertHidden(token)
	for _, one := range w.receiver.all() {
		assert.Equal(t, token, one.header.Get("X-Own"))
	}
	all := w.receiver.all()
	assert.Equal(t, token+"-2", all[len(all)-1].header.Get("X-More"))
}

// A replica without the key sends nothing, says what it lacks, and can do all that
// needs no value; the deliveries wait for one that has it, or for their end.
func TestSubscriptionHeadersWithoutTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := w.db
	w.db = w.connect(w.URL, seal.NewKey())
	s := w.subscribe("acme", "*")
	w.assertHidden(token)
	got, err := plain.SubscriptionGet(t.Context(), "acme", s.ID)
	require.NoError(t, err)
	assert.Equal(t, []string{"X-Own"}, got.HeaderNames)
	assert.Empty(t, got.Headers)
	_, _, err = plain.SubscriptionHeaders(t.Context(), "acme", s.ID)
	require.ErrorIs(t, err, db.ErrSealed)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
	_, err = plain.SubscriptionUpdate(t.Context(), "acme", s.ID, func(*minoots.Subscription) error { return nil })
	require.ErrorIs(t, err, db.ErrSealed)
	_, _, err = w.db.SubscriptionHeaders(t.Context(), "globex", s.ID)
	assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))

	sender, _ := w.sender("a", plain)
	w.work(plain, sender)
	w.schedule(2)
	w.deliveries(1, s, minoots.DeliveryFailed)
	log, err := plain.DeliveryPage(t.Context(), "acme", s.ID, db.DeliveryFilter{Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "signing", *log[0].ErrorClass)
	assert.Equal(t, 3, log[0].Attempts, "it was tried again")
	assert.Empty(t, w.receiver.all())
	assert.Equal(t, 1, strings.Count(w.said.String(), "does MINOOTS_SECRETS_KEY lack a key"))
	w.assertHidden(token)
	require.NoError(t, plain.SubscriptionDelete(t.Context(), "acme", s.ID))
}
