package chaos

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// setup is a world in which the past is made up: no replica ever ran.
type setup struct {
	*world
	due time.Time
}

func newSetup(t *testing.T) setup {
	d := testdb.New(t)
	now := time.Now()
	w := &world{
		h: &harness{cfg: Config{Progress: io.Discard}}, row: &Row{},
		db:       &database{name: d.Name, url: d.URL, pool: d.Pool},
		receiver: &receiver{deliveries: map[string]*delivery{}},
		load:     &load{perSecond: 0, end: now, failures: map[string]int{}},
	}
	return setup{w, now.Add(-time.Minute)}
}

// acknowledge makes up a timer, with one action, that arrived so late, each time.
func (s setup) acknowledge(late ...time.Duration) string {
	id := minoots.NewID().String()
	s.load.acked = append(s.load.acked, timer{id, s.due, []string{"wake"}, 1})
	for _, l := range late {
		s.receiver.arrived(id+"_1_wake", s.due, s.due.Add(l))
	}
	return id
}

func (s setup) judged(t *testing.T) *tally {
	t.Helper()
	result, err := s.judge(t.Context())
	require.NoError(t, err)
	return result
}

const ms = time.Millisecond

func TestJudgeFindsNothingWrong(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.acknowledge(3 * ms)
	s.acknowledge(7 * ms)
	result := s.judged(t)
	require.Empty(t, s.row.Broken)
	require.Equal(t, 2, s.row.Acknowledged)
	require.Equal(t, 2, s.row.Delivered)
	require.InDelta(t, 7, s.row.LatestMs, 1e-9)
	require.Equal(t, 7*ms, result.worst)
	require.Zero(t, s.row.RecoverMs)
}

func TestJudgeFindsWhatIsLostAndWhere(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.acknowledge(3 * ms)
	s.acknowledge() // and not in the database either
	stuck := s.acknowledge()
	s.deaths = []death{{at: s.due, replica: "dead", inFlight: map[string]bool{stuck + "_1": true}}}
	_, err := s.db.pool.Exec(t.Context(), `INSERT INTO minoots.timer_states (id, fire_at, updated_at, actions, tenant_id, status, fired_at, occurrence)
		VALUES ($1, $2, now(), 1, $3, 'fired', $2, 1)`, stuck, s.due, tenant)
	require.NoError(t, err)
	_, err = s.db.pool.Exec(t.Context(), `INSERT INTO river.river_job (kind, args, state, max_attempts, attempt, attempted_at, attempted_by)
		VALUES ('action', $1, 'running', 5, 1, now(), '{alive,dead}')`, fmt.Sprintf(`{"timer": {"id": %q}, "occurrence": 1}`, stuck))
	require.NoError(t, err)
	require.Equal(t, map[string]bool{stuck + "_1": true}, s.underWay(t.Context(), "dead"))
	require.Empty(t, s.underWay(t.Context(), "alive"))

	s.judged(t)
	require.Equal(t, 2, s.row.Lost)
	require.Equal(t, 1, s.row.Delivered)
	require.Equal(t, map[string]int{onDead: 1, "not in the database": 1}, s.row.Missing)
	require.Contains(t, s.row.Broken, "2 lost (1 in flight on a killed replica, 1 not in the database)")
}

// Of a timer that comes back each firing counts, from its own instant.
func TestJudgeFindsALostOccurrence(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	for _, lost := range []bool{false, true} {
		id := minoots.NewID().String()
		s.load.acked = append(s.load.acked, timer{id, s.due, []string{"wake"}, recurringTimes})
		for n := 1; n <= recurringTimes; n++ {
			if lost && n == 2 {
				continue
			}
			webhook := fmt.Sprintf("%s_%d_wake", id, n)
			require.Equal(t, n, occurrenceOf(webhook))
			require.Equal(t, fmt.Sprintf("%s_%d", id, n), firingOf(webhook))
			due := s.due.Add(time.Duration(n-1) * recurringGap)
			s.receiver.arrived(webhook, due, due.Add(4*ms))
		}
	}
	result := s.judged(t)
	require.Equal(t, 1, s.row.Lost)
	require.Equal(t, 1, s.row.Delivered)
	require.Zero(t, s.row.Early)
	require.Equal(t, 4*ms, result.worst)
}

func TestJudgeFindsEarlyLateAndRepeated(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.acknowledge(-1 * ms)
	s.acknowledge(2*ms, 9*ms) // without a reason
	s.acknowledge(400 * ms)   // merely due
	excused := s.acknowledge(1*ms, 1900*ms)
	s.deaths = []death{{at: s.due.Add(100 * ms), replica: "dead", inFlight: map[string]bool{excused + "_1": true}}}
	s.faults = []time.Time{s.due.Add(100 * ms)}

	result := s.judged(t)
	require.Contains(t, s.row.Broken, "1 early")
	require.Equal(t, 2, s.row.Repeated)
	require.Equal(t, 1, result.unasked)
	require.Equal(t, 2, result.overlaps, "the receiver was still at the first of each two")
	require.Equal(t, 400*ms, result.worst)
	require.Equal(t, 1800*ms, result.slowest)
	require.InDelta(t, 300, s.row.RecoverMs, 1e-9)
	s.mustBearDeaths(result)
	require.Contains(t, s.row.Broken, "what was merely due came 400ms late, 400ms of that not by the machine")
	require.Contains(t, s.row.Broken, "1 repeats of what was not in flight")
}

// Where others have the CPU at that moment, a takeover takes longer by as much.
func TestJudgeLeavesOutHowSlowTheMachineWas(t *testing.T) {
	t.Parallel()
	type after struct{ began, took time.Duration } // the timer's instant
	for name, c := range map[string]struct {
		probes []after
		own    time.Duration
	}{
		"just then":              {[]after{{-500 * ms, 10 * ms}, {0, 20 * ms}, {200 * ms, 20 * ms}}, 200 * ms},
		"since before":           {[]after{{-900 * ms, 10 * ms}, {-30 * ms, 40 * ms}}, 100 * ms},
		"half of the time":       {[]after{{-500 * ms, 10 * ms}, {0, 30 * ms}, {200 * ms, 10 * ms}}, 200 * ms},
		"before that":            {[]after{{-500 * ms, 90 * ms}, {-60 * ms, 10 * ms}, {0, 10 * ms}}, 400 * ms},
		"after that":             {[]after{{-60 * ms, 10 * ms}, {401 * ms, 90 * ms}}, 400 * ms},
		"nothing was the matter": {nil, 400 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.control = &control{}
			for _, p := range c.probes {
				s.control.note(probe{s.due.Add(p.began), p.took})
			}
			s.deaths = []death{{at: s.due, replica: "dead"}}
			s.acknowledge(400 * ms)
			result := s.judged(t)
			require.Equal(t, 400*ms, result.worst)
			require.Equal(t, c.own, result.own)
			s.mustBearDeaths(result)
			require.Equal(t, c.own <= onTime, len(s.row.Broken) == 0)
		})
	}
}

// What came before any fault says nothing of what a fault does.
func TestJudgeLeavesOutWhatCameBeforeTheFirstDeath(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.deaths = []death{{at: s.due.Add(time.Second), frozen: s.due.Add(900 * ms), replica: "dead"}}
	s.acknowledge(800 * ms)
	require.Zero(t, s.judged(t).worst)
	s.acknowledge(1200 * ms)
	require.Equal(t, 1100*ms, s.judged(t).worst, "but for 100 ms in which the replica stood still")
}

func TestJudgeFindsDoubles(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	_, err := s.db.pool.Exec(t.Context(), `INSERT INTO minoots.firings (timer_id, due_at, fired_at, occurrence, actions, started, tenant_id, status)
		SELECT $1, now(), now(), n, 1, 1, $2, 'running' FROM generate_series(1, 2) AS n`, minoots.NewID().String(), tenant)
	require.NoError(t, err)
	s.judged(t)
	require.Equal(t, []string{"1 times two firings of one instant"}, s.row.Broken)
}
