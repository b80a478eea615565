package workers_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers"
)

const (
	waitingHeld = `SELECT count(*) FROM river.river_job WHERE state = 'available' AND queue LIKE 'held-%'`
	breakers    = `SELECT count(*) FROM minoots.destination_report WHERE state <> 'closed'`
)

// A dead destination gets few attempts, whoever plans its deliveries and whoever
// runs them, and all of them when it is back.
func TestBreakerLetsADeadDestinationBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers, replicas = 1200, 2
	r := newReceiver(true)
	var all []*running
	for i := range replicas {
		all = append(all, w.startDesk(workers.Config{Actions: r, Replica: fmt.Sprint("r", i), Breaker: quickly}))
	}
	// It opens at one replica.
	w.fireBy(w.named(all[0].Planner, "dead"), many(10, untiring())...)
	w.eventually(1, breakers)
	// The other learns of it, and its own deliveries wait from the start.
	require.Eventually(t, func() bool {
		w.fireBy(w.named(all[1].Planner, "dead"), untiring())
		return all[1].placed(t, "held") > 0
	}, soon, 100*time.Millisecond)
	for range 3 {
		w.fireBy(w.named(all[0].Planner, "dead"), many(timers/6, untiring())...)
		w.fireBy(w.named(all[1].Planner, "dead"), many(timers/6, untiring())...)
	}
	// What River fetches waits as well: a replica without workers knows of no breaker.
	w.fireBy(w.named(w.queues, "dead"), many(100, untiring())...)
	w.eventually(0, `SELECT count(*) FROM river.river_job WHERE state IN ('available', 'running') AND queue NOT LIKE 'held-%' AND scheduled_at <= now()`)
	fired := w.count("SELECT count(*) FROM minoots.firings")
	require.Greater(t, fired, timers)
	var report minoots.Destination
	require.Eventually(t, func() bool {
		page, err := w.api.DestinationPage(t.Context(), tenant, "", 10)
		require.NoError(t, err)
		require.Len(t, page, 1)
		report = page[0]
		return report.Waiting >= int64(fired-20)
	}, soon, tick)
	assert.Equal(t, "dead", report.Destination)
	assert.Equal(t, "refused: it said no", *report.Reason)
	assert.NotNil(t, report.NextProbeAt)

	// It stays so for some probes, and spends no more than those.
	opens := w.count("SELECT opens FROM minoots.destinations")
	require.Eventually(t, func() bool { return w.count("SELECT opens FROM minoots.destinations") >= opens+3 }, soon, tick)
	opens = w.count("SELECT opens FROM minoots.destinations")
	attempts := w.count("SELECT count(*) FROM minoots.attempts")
	assert.LessOrEqual(t, attempts, 10+opens+5, "the first ones and a probe for each opening")
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'failed'"))

	r.set(false)
	w.eventuallyOver(fired)
	w.eventually(0, "SELECT count(*) FROM minoots.destinations")
	w.eventually(0, "SELECT count(*) FROM river.river_job")
	for _, k := range all {
		k.stop()
	}
	w.requireConsistent()
	deliveries, ids := r.received()
	assert.Equal(t, fired, ids)
	assert.Equal(t, fired, deliveries, "each once, under its webhook-id")
	failures := w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'retrying'")
	assert.Equal(t, fired, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'succeeded'"))
	assert.Less(t, failures, attempts+20)
}

// One tenant's trouble is not another's.
func TestBreakerIsATenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.api.TenantCreate(t.Context(), "globex", "")
	require.NoError(t, err)
	a := &actor{do: func(_ context.Context, d minoots.Delivery, _ int) minoots.Outcome {
		if d.TenantID == tenant {
			return failed("timeout", true)
		}
		return succeeded()
	}}
	k := w.startDesk(workers.Config{Actions: a, Breaker: workers.Breaker{WaitLeast: time.Minute}})
	w.fireBy(w.named(k.Planner, "shared"), many(20, untiring())...)
	w.eventually(1, breakers)
	w.fireBy(w.named(k.Planner, "shared"), many(20, untiring())...)
	timers := w.timersOf(many(50, untiring())...)
	for i := range timers {
		timers[i].TenantID = "globex"
	}
	_, err = w.api.TimerCreate(t.Context(), timers)
	require.NoError(t, err)
	fired, err := w.api.TimerClaim(t.Context(), db.ClaimRequest{Limit: 50}, w.named(k.Planner, "shared"))
	require.NoError(t, err)
	require.Len(t, fired, 50)
	w.eventually(50, "SELECT count(*) FROM minoots.timer_states WHERE status = 'settled' AND tenant_id = 'globex'")
	assert.Zero(t, w.count("SELECT count(*) FROM minoots.destinations WHERE tenant_id = 'globex'"))
	w.eventually(40, `SELECT count(*) FROM river.river_job WHERE queue LIKE 'held-%' OR state = 'retryable' OR scheduled_at > now()`)
}

// What the destination answers to the request itself is no reason to leave it alone.
func TestBreakerMindsTheDestinationOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		out   minoots.Outcome
		opens bool
	}{
		"refused":     {failed("refused", true), true},
		"500":         {minoots.Outcome{Retryable: true, HTTPStatus: 503, ErrorClass: "http_status"}, true},
		"429":         {minoots.Outcome{Retryable: true, HTTPStatus: 429, ErrorClass: "http_status"}, true},
		"404":         {minoots.Outcome{HTTPStatus: 404, ErrorClass: "http_status"}, false},
		"redirect":    {minoots.Outcome{HTTPStatus: 302, ErrorClass: "redirect"}, false},
		"no secret":   {failed("signing", true), false},
		"denied":      {failed("address_denied", false), false},
		"cancelled":   {failed("cancelled", true), false},
		"our own bug": {failed("panic", true), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome { return c.out }}
			k := w.startDesk(workers.Config{Actions: a, Breaker: workers.Breaker{WaitLeast: time.Minute}})
			w.fireBy(w.named(k.Planner, "host"), many(40, untiring())...)
			if c.opens {
				w.eventually(1, breakers)
				return
			}
			a.eventuallyMade(t, 40)
			k.stop() // all it had to say is in Postgres then
			assert.Zero(t, w.count(breakers))
		})
	}
}

// A host that fails every other time is left alone too, and one that is back for a
// moment only does not get everything at once.
func TestBreakerFlapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 300
	var mu sync.Mutex
	n, calls := 0, 0
	steady := false
	a := &actor{do: func(context.Context, minoots.Delivery, int) minoots.Outcome {
		mu.Lock()
		defer mu.Unlock()
		calls++
		if n++; !steady && n%2 == 0 {
			return failed("reset", true)
		}
		return succeeded()
	}}
	k := w.startDesk(workers.Config{Actions: a, Breaker: quickly, Concurrency: 20})
	w.fireBy(w.named(k.Planner, "flaps"), many(timers, untiring())...)
	w.eventually(1, breakers)
	require.Eventually(t, func() bool { return k.transitions(t, "open") >= 2 }, soon, tick, "opened by its share of failures, again")
	mu.Lock()
	steady = true
	mu.Unlock()
	w.eventuallyOver(timers)
	w.eventually(0, "SELECT count(*) FROM minoots.destinations")
	k.stop()
	w.requireConsistent()
	assert.Equal(t, timers, w.count("SELECT count(*) FROM minoots.attempts WHERE status = 'succeeded'"))
	assert.Positive(t, k.transitions(t, "recovering"))
	assert.Positive(t, k.transitions(t, "closed"))
}

// A replica that dies while it tries a destination leaves nothing undone.
func TestBreakerProberIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 30
	r := newReceiver(true)
	k := w.startDesk(workers.Config{Actions: r, Breaker: workers.Breaker{WaitLeast: time.Minute}})
	w.fireBy(w.named(k.Planner, "dead"), many(timers, untiring())...)
	w.eventually(1, breakers)
	k.stop()

	// What a process has done that is killed in the middle of a probe.
	w.exec("INSERT INTO minoots.replicas (replica, mode, lease_until) VALUES ('ghost', 'lease', now() + interval '1 second')")
	w.exec("UPDATE minoots.destinations SET probe_at = now()")
	w.eventually(0, "SELECT count(*) FROM river.river_job WHERE state = 'running'")
	queue := db.HeldQueue(tenant, "dead")
	// What was in River's hands comes to the queue when it is fetched; one waits already.
	w.exec("UPDATE river.river_job SET queue = $1, state = 'available', scheduled_at = now()", queue)
	taken, err := w.api.DestinationTake(t.Context(), "ghost", queue, 5, time.Minute)
	require.NoError(t, err)
	require.Len(t, taken.Jobs, 1)
	again, err := w.api.DestinationTake(t.Context(), "other", queue, 5, time.Minute)
	require.NoError(t, err)
	require.Equal(t, minoots.BreakerHalfOpen, again.State)
	require.Empty(t, again.Jobs, "one probe at a time")

	r.set(false)
	w.reaper()
	k = w.startDesk(workers.Config{Actions: r, Breaker: quickly})
	w.eventuallyOver(timers)
	w.eventually(0, "SELECT count(*) FROM minoots.destinations")
	k.stop()
	deliveries, ids := r.received()
	assert.Equal(t, timers, ids)
	assert.Equal(t, timers, deliveries)
	assert.Equal(t, 1, w.count("SELECT count(*) FROM minoots.attempts WHERE error_class = 'lost'"))
}

// What was planned for a destination that is ordinary by now is let go.
func TestBreakerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &actor{}
	w.fireBy(w.named(w.queues, "host"), many(2500, untiring())...)
	w.exec("UPDATE river.river_job SET queue = $1", db.HeldQueue(tenant, "host"))
	w.start(workers.Config{Actions: a})
	w.eventuallyOver(2500)
	w.eventually(0, "SELECT count(*) FROM river.river_job")
}

// When the answer of a take is lost, what it took is found and made all the same,
// long before River would give it up.
func TestBreakerTakeWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timers = 150
	r := newReceiver(false)
	p := faultproxy.New(t, w.URL)
	k := w.startDesk(workers.Config{Actions: r, DB: w.connect(p.URL(), 4), River: w.connect(w.URL, 6)})
	w.limit(minoots.DestinationLimits{RatePerSecond: ptr(100.0)}, k)
	before, _ := r.received()
	w.fireBy(w.named(w.queues, "limited"), many(timers, untiring())...)
	held := db.HeldQueue(tenant, "limited")
	for range 3 { // in the middle of it, answers are lost: what was sent arrives
		n, _ := r.received()
		require.Eventually(t, func() bool { now, _ := r.received(); return now > n }, soon, tick)
		p.Set(faultproxy.Mute)
		require.Eventually(t, func() bool {
			return w.count("SELECT count(*) FROM river.river_job WHERE state = 'running' AND queue = $1", held) > 0
		}, soon, tick)
		p.Cut()
		p.Set(faultproxy.Pass)
	}
	w.eventuallyOver(before + timers)
	w.eventually(0, "SELECT count(*) FROM river.river_job")
	k.stop()
	w.requireConsistent()
	_, ids := r.received()
	assert.Equal(t, before+timers, ids)
}
