package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// newSoakSetup is a soak without replicas, on a database of its own.
func newSoakSetup(t *testing.T) (*soak, *db.DB) {
	d := testdb.New(t)
	s := newSetup(t)
	s.db = &database{name: d.Name, url: d.URL, pool: d.Pool}
	api, err := db.Connect(t.Context(), db.Config{URL: d.URL, Name: "test", MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	return &soak{world: s.world, report: &SoakReport{}, ledger: newLedger(make(chan struct{})), sizes: map[string][]float64{}}, api
}

// Retention of the service itself takes what is over, though all is new, and
// nothing that waits; an audit then misses nothing.
func TestSoakRetention(t *testing.T) {
	t.Parallel()
	s, api := newSoakSetup(t)
	var timers []db.NewTimer
	for range 4 {
		due := minoots.InstantOf(api.Clock().Now().Add(soakAway))
		n := db.NewTimer{ID: minoots.NewID(), TenantID: tenant, IdempotencyKey: minoots.NewID().String(), Fingerprint: []byte("x")}
		n.Spec.FireAt = &due
		timers = append(timers, n)
	}
	made, err := api.TimerCreate(t.Context(), timers)
	require.NoError(t, err)
	for _, m := range made[:2] {
		_, err := api.TimerCancel(t.Context(), tenant, m.Timer.ID, nil, nil)
		require.NoError(t, err)
	}
	removed, err := s.retain(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Zero(t, removed, "it is over for less than a minute")
	require.Eventually(t, func() bool {
		more, err := s.retain(t.Context(), 10*time.Millisecond)
		require.NoError(t, err)
		removed += more
		return removed >= 2
	}, 10*time.Second, 5*time.Millisecond, "they are over for 10 ms soon")
	require.EqualValues(t, 2, removed)
	left, err := one[int](t.Context(), s.db, "SELECT count(*) FROM minoots.idempotency_keys")
	require.NoError(t, err)
	require.Zero(t, left)
	audit, err := s.audit(t.Context())
	require.NoError(t, err)
	require.True(t, audit.OK, "%+v", audit.Checks)
	require.NoError(t, s.size(t.Context()))
	require.Len(t, s.sizes["minoots.timers"], 1)
	require.NoError(t, s.judgeHistory(t.Context()))
	require.Empty(t, s.row.Broken)
}

func TestSoakLedger(t *testing.T) {
	t.Parallel()
	l := newLedger(make(chan struct{}))
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	past, future := time.Now().Add(-time.Second).Truncate(time.Microsecond), time.Now().Add(time.Hour).Truncate(time.Microsecond)
	const gap = 100 * time.Millisecond
	deliverAs := func(id, occurrence, action, behaviour string, due time.Time) int {
		body := fmt.Sprintf(`{"data": {"firing": {"dueAt": %q}}}`, minoots.InstantOf(due))
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+"/soak/"+behaviour+"/0", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("webhook-id", id+"_"+occurrence+"_"+action)
		res, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	deliver := func(id, action, behaviour string) int { return deliverAs(id, "1", action, behaviour, past) }
	one := func(due time.Time) plan { return plan{due: due, times: 1, actions: 1} }
	two := one(past)
	two.actions = 2
	require.Equal(t, 204, deliverAs("early", "1", "0", behaviourGood, future))
	l.acknowledged("early", one(future))
	l.acknowledged("half", two)
	require.Equal(t, 204, deliver("half", "1", behaviourGood))
	require.Equal(t, 204, deliver("half", "1", behaviourGood), "a repeat")
	l.acknowledged("flaky", one(past))
	require.Equal(t, 503, deliver("flaky", "0", behaviourFlaky))
	require.Equal(t, 204, deliver("flaky", "0", behaviourFlaky))
	l.acknowledged("gone", one(past))
	require.Equal(t, 410, deliver("gone", "0", behaviourGone))
	l.acknowledged("cancelled", one(past))
	l.doubt("cancelled")
	l.cancelled("cancelled", true)
	l.acknowledged("undead", one(past))
	l.cancelled("undead", true)
	require.Equal(t, 204, deliver("undead", "0", behaviourGood))
	l.acknowledged("late", one(past))
	l.cancelled("late", false)
	l.acknowledged("distant", one(future))
	require.Equal(t, 204, deliver("nobody's", "0", behaviourGood))
	require.Equal(t, 404, deliver("x", "7", behaviourGood))

	l.acknowledged("doubtful", one(past))
	l.doubt("doubtful")

	series := plan{due: past, gap: gap, times: 3, actions: 1}
	l.acknowledged("series", series)
	for n := range 3 {
		require.Equal(t, 204, deliverAs("series", strconv.Itoa(n+1), "0", behaviourGood, series.at(n+1)))
	}
	l.acknowledged("gap", series) // the second is lost, the third comes as a fourth too
	for _, n := range []int{1, 3, 4} {
		require.Equal(t, 204, deliverAs("gap", strconv.Itoa(n), "0", behaviourGood, series.at(min(n, 3))))
	}
	l.acknowledged("renamed", series) // an occurrence comes again under the next one's name
	for n := range 3 {
		require.Equal(t, 204, deliverAs("renamed", strconv.Itoa(n+1), "0", behaviourGood, series.at(max(n, 1))))
	}
	l.acknowledged("stopped", one(past))
	require.Equal(t, 410, deliver("stopped", "0", behaviourGone))
	require.Equal(t, 204, deliver("stopped", "1", behaviourGood), "it was not to run")
	asked := one(past)
	asked.word = true
	for _, id := range []string{"heard", "unheard"} {
		l.acknowledged(id, asked)
		require.Equal(t, 204, deliver(id, "0", mannerPrompt))
	}
	l.heard("heard")

	want := ledgerSums{
		Acknowledged: 15, Delivered: 7, Cancelled: 2, Doubtful: 1, Early: 1, Undead: 1, Repeated: 1, Retried: 1, Unknown: 1,
		Unasked: 2, Renamed: 2,
	}
	require.Equal(t, want, l.total())
	missing, distant := l.waiting(time.Now())
	require.ElementsMatch(t, []string{"half", "late", "gap", "unheard"}, missing)
	require.Equal(t, []string{"distant"}, distant)
	l.forget(time.Hour)
	require.Len(t, l.promises, 16)
	l.forget(0)
	require.Len(t, l.promises, 6, "what is missing, in doubt, or distant")
	require.Equal(t, want, l.total())
	require.Greater(t, l.lateness(100)[0], 999.0)
}

func TestTrend(t *testing.T) {
	t.Parallel()
	flat := func(values []float64, byMiddle bool) bool {
		trend := trendOf("x", "MB", values, median, byMiddle, 1)
		return trend.Last <= trend.Limit
	}
	line := func(n int, at func(int) float64) (values []float64) {
		for i := range n {
			values = append(values, at(i))
		}
		return values
	}
	require.True(t, flat(line(60, func(int) float64 { return 50 }), false))
	require.True(t, flat(line(60, func(i int) float64 { return 50 + float64(i%7) }), false), "noise")
	require.True(t, flat(line(60, func(i int) float64 { return min(float64(i)*10, 50) }), false), "it warms up")
	require.False(t, flat(line(60, func(i int) float64 { return 50 + float64(i) }), false), "a leak")
	require.True(t, flat(line(60, func(i int) float64 { return min(float64(i)*2, 60) }), true), "a level that is reached late")
	require.False(t, flat(line(60, func(i int) float64 { return 20 + float64(i)*2 }), true))
	require.True(t, flat(nil, false), "nothing does not grow")
}

// Each promise that is broken is found, and one that holds is not.
func TestSoakJudgeFinds(t *testing.T) {
	t.Parallel()
	s, _ := newSoakSetup(t)
	s.cfg = SoakConfig{For: time.Second, Rate: 1}
	s.traffic = &soakLoad{failures: map[string]int{unavailable: 5, refused: 1}}
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	one := func(due time.Time) plan { return plan{due: due, times: 1, actions: 1} }
	came := func(due time.Time) arrival { return arrival{occurrence: 1, due: due, at: time.Now()} }
	s.ledger.acknowledged("there", one(past))
	s.ledger.arrive("there", came(past), false)
	judge := func() []string {
		missing, _ := s.ledger.waiting(time.Now())
		s.report.ledgerSums, s.row.Broken = s.ledger.total(), nil
		s.judgeTimers(missing)
		return s.row.Broken
	}
	require.Empty(t, judge())

	s.ledger.acknowledged("lost", one(past))
	s.ledger.acknowledged("early", one(future))
	s.ledger.arrive("early", came(future), false)
	s.ledger.acknowledged("undead", one(past))
	s.ledger.cancelled("undead", true)
	s.ledger.arrive("undead", came(past), false)
	s.traffic.failures["HTTP 500 internal"] = 3
	require.Equal(t, []string{
		"1 lost: lost", "1 early", "1 deliveries of timers that were cancelled", "3 API requests failed by HTTP 500 internal",
	}, judge())
	require.True(t, s.report.addsUp())
	s.report.Distant = 1
	require.False(t, s.report.addsUp())

	s.row.Broken = nil
	require.NoError(t, s.judgeDistant(t.Context(), []string{minoots.NewID().String()}))
	require.Equal(t, []string{"of 1 timers that are due in a year, 0 are still scheduled"}, s.row.Broken)

	s.row.Broken = nil
	_, err := s.db.pool.Exec(t.Context(), `INSERT INTO minoots.firings (timer_id, due_at, fired_at, occurrence, actions, started, tenant_id, status)
		VALUES ($1, now(), now(), 1, 1, 1, $2, 'running')`,
		minoots.NewID().String(), tenant)
	require.NoError(t, err)
	require.NoError(t, s.judgeAudit(t.Context()))
	require.Contains(t, strings.Join(s.row.Broken, "; "), "audit firing_without_job: 1 found")

	s.row.Broken = nil
	for i := range 60 {
		s.report.Samples = append(s.report.Samples, sample{MemoryMB: 50 + 2*float64(i), Goroutines: 100})
		s.sizes["minoots.timers"] = append(s.sizes["minoots.timers"], 5*float64(i))
	}
	s.judgeGrowth()
	require.Len(t, s.row.Broken, 1, "too short for more")
	s.row.Broken, s.cfg.For = nil, soakTelling
	s.judgeGrowth()
	require.Len(t, s.row.Broken, 2)
	require.Contains(t, s.row.Broken[0], "growth of memory")
	require.Contains(t, s.row.Broken[1], "growth of minoots.timers")
}
