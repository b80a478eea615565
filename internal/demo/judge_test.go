package demo

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/minoots/minoots"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var due = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// story is a run of the demo as the judge sees it.
type story struct {
	expected []expectation
	arrivals []arrival
	after    map[minoots.ID]readBack
}

// good is a run in which all is as it must be: 10 timers with a webhook, one
// bundle of two, one that is tried three times, one without actions, one
// cancelled.
func good() *story {
	s := &story{after: map[minoots.ID]readBack{}}
	for i := range 10 {
		s.add("burst", 1, 0, time.Duration(i+1)*time.Millisecond)
	}
	s.add("bundle", 2, 0, 5*time.Millisecond)
	s.add("retry", 1, 2, 2*time.Millisecond)
	s.add("wait-only", 0, 0, 0)
	cancelled := s.add("cancelled", 0, 0, 0)
	s.expected[len(s.expected)-1].cancel = true
	s.after[cancelled] = readBack{timer: minoots.Timer{ID: cancelled, Status: minoots.StatusCancelled}}
	return s
}

func (s *story) add(shape string, actions, fails int, late time.Duration) minoots.ID {
	t := minoots.Timer{ID: minoots.NewID(), FireAt: minoots.Instant{Time: due}}
	s.expected = append(s.expected, expectation{shape: shape, timer: t, actions: actions, fails: fails})
	var attempts []minoots.Attempt
	for action := range actions {
		for try := range fails + 1 {
			accepted := try == fails
			s.arrivals = append(s.arrivals, arrival{
				webhookID: fmt.Sprintf("%s_1_a%d", t.ID, action), timer: t.ID, attempt: try + 1,
				at: due.Add(late + time.Duration(try+action)*time.Second), dueAt: due, accepted: accepted,
			})
			status := minoots.AttemptRetrying
			if accepted {
				status = minoots.AttemptSucceeded
			}
			attempts = append(attempts, minoots.Attempt{Attempt: try + 1, Status: status})
		}
	}
	t.Status = minoots.StatusSettled
	t.LastFiring = &minoots.Firing{Occurrence: 1, Status: minoots.FiringSettled, LatenessMs: 1.5}
	s.after[t.ID] = readBack{timer: t, attempts: attempts}
	return t.ID
}

// change edits what REST tells of a timer.
func (s *story) change(i int, edit func(*readBack)) {
	id := s.expected[i].timer.ID
	b := s.after[id]
	if b.timer.LastFiring != nil {
		firing := *b.timer.LastFiring
		b.timer.LastFiring = &firing
	}
	edit(&b)
	s.after[id] = b
}

func (s *story) judge() Report { return judge(s.expected, s.arrivals, s.after) }

func TestGoodRun(t *testing.T) {
	t.Parallel()
	r := good().judge()
	require.True(t, r.OK, r.Faults)
	require.Equal(t, "demo: 14 timers, 13 delivered, lost 0, early 0, bad signatures 0, repeated 0, p50 5.0 ms, p99 10.0 ms", r.Summary())
	require.Len(t, r.Shapes, 5)
	require.Equal(t, 3, r.Shapes[2].Attempts)
	var out bytes.Buffer
	require.NoError(t, r.Print(&out))
	require.Contains(t, out.String(), "retry")
}

// Each of these must make the demo fail: a judge that cannot say no is worth
// nothing.
func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	const bundle, retry, waitOnly, cancelled = 10, 11, 12, 13
	for name, test := range map[string]struct {
		spoil func(*story)
		check func(*testing.T, Report)
	}{
		"lost": {
			func(s *story) { s.arrivals = s.arrivals[1:] },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Lost) },
		},
		"all lost": {
			func(s *story) { s.arrivals = nil },
			func(t *testing.T, r Report) { require.Equal(t, 13, r.Lost) },
		},
		"one of a bundle lost": {
			func(s *story) { s.arrivals = append(s.arrivals[:11], s.arrivals[12:]...) },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Lost) },
		},
		"refused and never tried again": {
			func(s *story) { s.arrivals[0].accepted = false },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Lost) },
		},
		"early by a microsecond": {
			func(s *story) { s.arrivals[3].at = due.Add(-time.Microsecond) },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Early) },
		},
		"early in Postgres": {
			func(s *story) { s.change(0, func(b *readBack) { b.timer.LastFiring.LatenessMs = -0.001 }) },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Early) },
		},
		"early against a due instant moved back": {
			func(s *story) {
				s.arrivals[0].dueAt = due.Add(-time.Second)
				s.arrivals[0].at = due.Add(-time.Millisecond)
			},
			func(t *testing.T, r Report) { require.Equal(t, 1, r.Early) },
		},
		"bad signature": {
			func(s *story) { s.arrivals[5].badSign, s.arrivals[5].accepted = true, false },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.BadSignatures); require.Equal(t, 1, r.Lost) },
		},
		"bad signature of a stranger": {
			func(s *story) { s.arrivals = append(s.arrivals, arrival{timer: minoots.NewID(), badSign: true}) },
			func(t *testing.T, r Report) { require.Equal(t, 1, r.BadSignatures) },
		},
		"the cancelled one came": {
			func(s *story) {
				s.arrivals = append(s.arrivals, arrival{webhookID: "x", timer: s.expected[cancelled].timer.ID, at: due, accepted: true})
			},
			func(t *testing.T, r Report) { require.Zero(t, r.Lost) },
		},
		"the cancelled one is settled": {
			func(s *story) { s.change(cancelled, func(b *readBack) { b.timer.Status = minoots.StatusSettled }) }, nil,
		},
		"another webhook-id at the second delivery": {
			func(s *story) {
				again := s.arrivals[0]
				again.webhookID = "other"
				s.arrivals = append(s.arrivals, again)
			}, nil,
		},
		"wrong due instant": {func(s *story) { s.arrivals[0].dueAt = due.Add(time.Millisecond) }, nil},
		"wrong content":     {func(s *story) { s.arrivals[0].fault = "its body is not the contract's" }, nil},
		"REST does not know it": {
			func(s *story) { delete(s.after, s.expected[0].timer.ID) }, nil,
		},
		"still running": {func(s *story) { s.change(0, func(b *readBack) { b.timer.Status = minoots.StatusFired }) }, nil},
		"firing failed": {func(s *story) { s.change(bundle, func(b *readBack) { b.timer.LastFiring.Failed = 1 }) }, nil},
		"fired twice":   {func(s *story) { s.change(0, func(b *readBack) { b.timer.LastFiring.Occurrence = 2 }) }, nil},
		"no firing":     {func(s *story) { s.change(waitOnly, func(b *readBack) { b.timer.LastFiring = nil }) }, nil},
		"attempt missing": {
			func(s *story) { s.change(retry, func(b *readBack) { b.attempts = b.attempts[1:] }) }, nil,
		},
		"no timers": {func(s *story) { *s = story{} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			test.spoil(s)
			r := s.judge()
			require.False(t, r.OK)
			if test.check != nil {
				require.NotEmpty(t, r.Faults)
				test.check(t, r)
			}
		})
	}
}

// Delivery is at least once: a repeat under the same webhook-id is counted and is
// no fault. Nor is a request for a timer of another run.
func TestRepeatsAreNoFault(t *testing.T) {
	t.Parallel()
	s := good()
	again := s.arrivals[0]
	again.at = again.at.Add(time.Second)
	s.arrivals = append(s.arrivals, again, arrival{timer: minoots.NewID(), at: due.Add(-time.Hour)})
	r := s.judge()
	require.True(t, r.OK, r.Faults)
	require.Equal(t, 1, r.Repeated)
}

func TestJitterIsWithinItsWindow(t *testing.T) {
	t.Parallel()
	s := good()
	s.expected[0].timer.JitterMs = 500
	s.arrivals[0].dueAt, s.arrivals[0].at = due.Add(500*time.Millisecond), due.Add(501*time.Millisecond)
	r := s.judge()
	require.True(t, r.OK, r.Faults)
	require.Equal(t, 10.0, r.MaxMs, "lateness counts from the instant within the window")
	s.arrivals[0].at = due.Add(499 * time.Millisecond)
	require.Equal(t, 1, s.judge().Early)
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	require.Zero(t, percentile(nil, 99))
	values := []float64{3, 1, 2}
	require.Equal(t, 2.0, percentile(values, 50))
	require.Equal(t, 3.0, percentile(values, 99))
	require.Equal(t, []float64{3, 1, 2}, values)
}
