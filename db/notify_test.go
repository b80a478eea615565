package db_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
)

// run runs a notifier until the test ends.
func run(t *testing.T, n *db.Notifier) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
}

func announce(t *testing.T, d *db.DB, instants ...time.Time) {
	t.Helper()
	n := db.NewNotifier(d, slog.New(slog.DiscardHandler))
	for _, at := range instants {
		n.Hint(at)
	}
	run(t, n)
}

// A crowd of hints is a handful of notifications, and none is lost.
func TestNotifierCoalesces(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "crowd")
	k.sits(0)
	n := db.NewNotifier(d, slog.New(slog.DiscardHandler))
	run(t, n)

	const hints, callers = 1000, 4
	base := d.Clock().Now().Truncate(time.Microsecond)
	began := time.Now()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := caller; i < hints; i += callers {
				n.Hint(base.Add(time.Duration(i) * time.Microsecond))
			}
		})
	}
	wg.Wait()
	last := base.Add(-time.Second)
	n.Hint(last)
	missing := map[int64]bool{}
	for i := range hints {
		missing[base.UnixMicro()+int64(i)] = true
	}
	notifications := 0
	for told := false; !told || len(missing) > 0; {
		h := next(t, k.hints)
		notifications++
		for _, at := range h.instants {
			delete(missing, at.UnixMicro())
			told = told || at.Equal(last)
		}
		if h.more {
			clear(missing) // the window is read
		}
	}
	most := int(time.Since(began)/(5*time.Millisecond)) + 2 + hints/450
	t.Logf("%d notifications for %d hints, %d at most", notifications, hints, most)
	assert.LessOrEqual(t, notifications, most)
	assert.Empty(t, missing)

	// The same instant from many timers is told once.
	for range hints {
		n.Hint(last.Add(time.Microsecond))
	}
	n.Hint(last.Add(2 * time.Microsecond))
	told := 0
	for end := false; !end; {
		h := next(t, k.hints)
		told += len(h.instants)
		end = slices.ContainsFunc(h.instants, last.Add(2*time.Microsecond).Equal)
	}
	assert.LessOrEqual(t, told, 20)
}

// All are told, the earliest first, in as few notifications as can carry them;
// past what a transaction carries, that there are more.
func TestNotifierTellsTheEarliest(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "many")
	k.sits(0)
	const payload, most = 450, 20 * 450
	for _, n := range []int{1, payload - 1, payload, payload + 1, most, most + 1} {
		base := d.Clock().Now().Truncate(time.Microsecond)
		all := make([]time.Time, n)
		for i := range all {
			all[(i*7+3)%n] = base.Add(time.Duration(i) * time.Microsecond) // in no order
		}
		announce(t, d, all...)
		told := 0
		for told < min(n, most) {
			h := next(t, k.hints)
			assert.LessOrEqual(t, len(h.instants), payload)
			for _, at := range h.instants {
				require.True(t, base.Add(time.Duration(told)*time.Microsecond).Equal(at), "%d: in order, to the microsecond", n)
				told++
			}
			assert.Equal(t, n > most && told == most, h.more, "%d", n)
		}
	}
}

// What is due in some seconds is told with others, and soon enough; what is due
// at once does not wait for it, and takes it along.
func TestNotifierIsInNoHurryForWhatIsNotDueSoon(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "lazy")
	k.sits(0)
	n := db.NewNotifier(d, slog.New(slog.DiscardHandler))
	run(t, n)
	later := d.Clock().Now().Add(10 * time.Second).Truncate(time.Microsecond)
	const hints = 20
	for i := range hints {
		n.Hint(later.Add(time.Duration(i) * time.Microsecond))
	}
	assert.Len(t, next(t, k.hints).instants, hints, "one notification")

	n.Hint(later)
	n.Hint(d.Clock().Now())
	assert.Len(t, next(t, k.hints).instants, 2, "together")
}

// What is due beyond the look-ahead is not announced: it costs every writer, and
// kernels will read it in time. What is due, or overdue, is.
func TestNotifierLeavesOutFarTimers(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "far")
	k.sits(0)
	now := d.Clock().Now().Truncate(time.Microsecond)
	near := []time.Time{now.Add(-time.Hour), now, now.Add(db.LookAhead - time.Second)}
	announce(t, d, now.Add(db.LookAhead+time.Minute), near[2], near[0], now.AddDate(10, 0, 0), near[1])
	h := next(t, k.hints)
	assert.False(t, h.more)
	require.Len(t, h.instants, len(near))
	for i := range near {
		assert.True(t, near[i].Equal(h.instants[i]))
	}

	far := db.NewNotifier(d, slog.New(slog.DiscardHandler))
	run(t, far)
	far.Hint(now.Add(time.Hour))
	announce(t, d, now)
	assert.Len(t, next(t, k.hints).instants, 1, "the far one was not told before this")
}

// A notifier that cannot notify drops its hints, and goes on when it can.
func TestNotifierSurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	k := listen(t, database.URL, "away")
	k.sits(0)
	n := db.NewNotifier(d, slog.New(slog.DiscardHandler))
	run(t, n)
	_, err := database.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'minoots-test'`)
	require.NoError(t, err)
	at := d.Clock().Now().Truncate(time.Microsecond)
	require.Eventually(t, func() bool {
		n.Hint(at)
		select {
		case h := <-k.hints:
			return len(h.instants) == 1 && at.Equal(h.instants[0])
		case <-time.After(10 * time.Millisecond):
			return false
		}
	}, 10*time.Second, time.Millisecond)
}
