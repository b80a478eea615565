package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/db"
)

// never is longer than any test: what happens all the same is not due to a poll.
const never = time.Hour

// told has the bundle's API hear which timers are over, as a replica without a
// kernel does, and look by itself only so often.
func (b *bundle) told(fallback time.Duration) *bundle {
	b.t.Helper()
	b.api.WaitFallback(fallback)
	s := &db.Session{URL: b.pool.Config().ConnString(), Name: "told", Log: slog.New(slog.DiscardHandler), Ear: b.api.Ear()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		assert.NoError(b.t, <-ended)
	})
	require.Eventually(b.t, func() bool { return b.metric("minoots_wait_listening") == 1 }, time.Minute, 5*time.Millisecond)
	return b
}

// beside is another replica's API on the same database.
func (b *bundle) beside() *bundle {
	b.t.Helper()
	other := *b
	other.registry = prometheus.NewRegistry()
	var err error
	other.db, err = db.Connect(b.t.Context(), db.Config{URL: b.pool.Config().ConnString(), Name: "beside"})
	require.NoError(b.t, err)
	b.t.Cleanup(other.db.Close)
	other.api, err = api.New(api.Config{DB: other.db, Registerer: other.registry, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b.t, err)
	other.handler = other.api.Handler()
	return &other
}

// waiter waits for a timer, and gives how it ended. It returns when all that wait
// has been looked at, so that nothing but word of its end can answer.
func (b *bundle) waiter(id minoots.ID) <-chan minoots.Timer {
	b.t.Helper()
	before := b.metric("minoots_waiters")
	looks := b.metric("minoots_wait_looks_total")
	over := make(chan minoots.Timer, 1)
	go func() {
		var timer minoots.Timer
		if a := b.call("GET", "/v1/timers/"+id.String()+"/wait?timeout=4m", ""); assert.Equal(b.t, http.StatusOK, a.StatusCode) {
			a.into(&timer)
		}
		over <- timer
	}()
	b.waiting(int(before) + 1)
	require.Eventually(b.t, func() bool { return b.metric("minoots_wait_looks_total") > looks }, time.Minute, time.Millisecond)
	return over
}

// Who waits on one replica hears what is ended by another, or by SQL, without
// looking on the off-chance, and with one look.
func TestWaitIsTold(t *testing.T) {
	t.Parallel()
	a := setup(t).told(never)
	b := a.beside()
	for name, end := range map[string]func(id string){
		"cancel":    func(id string) { b.call("POST", "/v1/timers/"+id+"/cancel", "").is(http.StatusOK) },
		"of many":   func(string) { b.call("POST", "/v1/timers/cancel", `{"all": true}`).is(http.StatusOK) },
		"committed": func(id string) { a.cancelFromSQL(id, true) },
		"rolled back, then committed": func(id string) {
			a.cancelFromSQL(id, false)
			assert.Equal(t, 1.0, a.metric("minoots_waiters"))
			a.cancelFromSQL(id, true)
		},
	} {
		id := a.create(`{"duration": "1h"}`).ID
		over := a.waiter(id)
		looks := a.metric("minoots_wait_looks_total")
		end(id.String())
		assert.Equal(t, minoots.StatusCancelled, (<-over).Status, name)
		assert.Equal(t, looks+1, a.metric("minoots_wait_looks_total"), name)
	}
}

func (b *bundle) cancelFromSQL(id string, commit bool) {
	b.t.Helper()
	tx, err := b.pool.Begin(b.t.Context())
	require.NoError(b.t, err)
	_, err = tx.Exec(b.t.Context(), "SELECT minoots.cancel('acme', $1)", id)
	require.NoError(b.t, err)
	if commit {
		require.NoError(b.t, tx.Commit(b.t.Context()))
	} else {
		require.NoError(b.t, tx.Rollback(b.t.Context()))
	}
}

// Whoever comes to wait while the timer is ended is answered too.
func TestWaitRacesWithTheEnd(t *testing.T) {
	t.Parallel()
	a := setup(t).told(never)
	b := a.beside()
	first := a.create(`{"duration": "2h"}`).ID // so that acme is told from now on
	over := a.waiter(first)
	const timers = 300
	ids := make([]string, timers)
	for i := range ids {
		ids[i] = a.create(`{"duration": "1h"}`).ID.String()
	}
	var g sync.WaitGroup
	for _, id := range ids {
		g.Go(func() { a.call("GET", "/v1/timers/"+id+"/wait?timeout=4m", "").is(http.StatusOK) })
		g.Go(func() { b.call("POST", "/v1/timers/"+id+"/cancel", "").is(http.StatusOK) })
	}
	g.Wait()
	b.call("POST", "/v1/timers/"+first.String()+"/cancel", "").is(http.StatusOK)
	<-over
}

// A transaction that ended the timer before anybody waited, and commits after, tells
// nobody; nor does one whose word is lost. They are found all the same.
func TestWaitFindsWhatItIsNotTold(t *testing.T) {
	t.Parallel()
	a := setup(t).told(100 * time.Millisecond)
	id := a.create(`{"duration": "1h"}`).ID
	tx, err := a.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT minoots.cancel('acme', $1)", id)
	require.NoError(t, err)
	over := a.waiter(id)
	require.NoError(t, tx.Commit(t.Context()))
	assert.Equal(t, minoots.StatusCancelled, (<-over).Status)

	_, err = a.pool.Exec(t.Context(), "ALTER TABLE minoots.timer_states DISABLE TRIGGER timer_states_over")
	require.NoError(t, err)
	id = a.create(`{"duration": "1h"}`).ID
	over = a.waiter(id)
	a.call("POST", "/v1/timers/"+id.String()+"/cancel", "").is(http.StatusOK)
	assert.Equal(t, minoots.StatusCancelled, (<-over).Status)
}

// What ended while the connection was lost is found when it is back, if not before.
func TestWaitOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	a := setup(t).told(never)
	for range 3 {
		id := a.create(`{"duration": "1h"}`).ID
		over := a.waiter(id)
		require.Eventually(t, func() bool {
			var ended int
			require.NoError(t, a.pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'minoots-listen-told' AND datname = current_database()`).Scan(&ended))
			return ended == 1
		}, time.Minute, 5*time.Millisecond)
		a.call("POST", "/v1/timers/"+id.String()+"/cancel", "").is(http.StatusOK)
		assert.Equal(t, minoots.StatusCancelled, (<-over).Status)
		require.Eventually(t, func() bool { return a.metric("minoots_wait_listening") == 1 }, time.Minute, 5*time.Millisecond)
	}
}

// Whoever does not listen has nobody pay for NOTIFY, and one that does only while
// somebody waits.
func TestOnlyListenersWait(t *testing.T) {
	t.Parallel()
	a := setup(t)
	over := a.waiter(a.create(`{"duration": "1h"}`).ID)
	assert.Zero(t, a.count("waiting"))
	a.told(never)
	require.Eventually(t, func() bool { return a.count("waiting") == 1 }, time.Minute, 5*time.Millisecond)
	a.call("POST", "/v1/timers/cancel", `{"all": true}`).is(http.StatusOK)
	<-over
	looks := a.metric("minoots_wait_looks_total")
	a.waiting(0)
	a.call("GET", "/v1/timers/"+a.create(`{"duration": "1h"}`).ID.String(), "").is(http.StatusOK)
	assert.Equal(t, looks, a.metric("minoots_wait_looks_total"))
}
