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
	require.Contains(t, s.row.Broken, "what was merely due came 400ms late, 400ms of that by the service")
	require.Contains(t, s.row.Broken, "1 repeats of what was not in flight")
}

// What the machine did to a timer without the service is not the service's, if it
// was at the same moment.
func TestJudgeLeavesOutWhatAControlWasLateBy(t *testing.T) {
	t.Parallel()
	type after struct{ due, late time.Duration } // the timer's instant
	for name, c := range map[string]struct {
		probes []after
		added  time.Duration
	}{
		"just then":              {[]after{{-20 * ms, 1 * ms}, {0, 160 * ms}, {180 * ms, 5 * ms}}, 240 * ms},
		"since before":           {[]after{{-100 * ms, 250 * ms}, {170 * ms, 5 * ms}}, 150 * ms},
		"before that":            {[]after{{-400 * ms, 300 * ms}, {0, 2 * ms}}, 398 * ms},
		"after that":             {[]after{{0, 2 * ms}, {401 * ms, 300 * ms}}, 398 * ms},
		"nothing was the matter": {nil, 400 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.control = &control{}
			for _, p := range c.probes {
				s.control.note(probe{s.due.Add(p.due), p.late})
			}
			s.deaths = []death{{at: s.due, replica: "dead"}}
			s.acknowledge(400 * ms)
			result := s.judged(t)
			require.Equal(t, 400*ms, result.worst)
			require.Equal(t, c.added, result.added)
			s.mustBearDeaths(result)
			require.Equal(t, c.added <= onTime, len(s.row.Broken) == 0)
		})
	}
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
