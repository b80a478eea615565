package db_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// raceWithClaim lets a change and a claim race for due timers, each on a replica
// of its own, and gives which timers each of them won. One loses by CodeConflict.
func raceWithClaim(t *testing.T, races int, change func(d *db.DB, id minoots.ID) error) (database *testdb.DB, timers []db.NewTimer, changed, fired map[minoots.ID]bool) {
	t.Helper()
	const lanes = 4
	database, d := setup(t)
	now := d.Clock().Now().Truncate(time.Microsecond)
	timers = make([]db.NewTimer, races)
	for i := range timers {
		timers[i] = timerAt(now.Add(time.Duration(i-races)*time.Second), 1, 1)
	}
	create(t, d, timers...)
	var mu sync.Mutex
	changed, fired = map[minoots.ID]bool{}, map[minoots.ID]bool{}
	var g errgroup.Group
	for lane := range lanes {
		claimer, changer := connect(t, database.URL), connect(t, database.URL)
		g.Go(func() error {
			for i := lane; i < races; i += lanes {
				at, id := timers[i].Spec.FireAt.Time, timers[i].ID
				var race errgroup.Group
				start := make(chan struct{})
				race.Go(func() error {
					<-start
					got, err := claimer.TimerClaim(t.Context(), db.ClaimRequest{LowWater: at, Now: at, Limit: 1}, then(func(db.Tx, []db.Fired) error { return nil }))
					if len(got) > 0 {
						mu.Lock()
						defer mu.Unlock()
						fired[got[0].ID] = true
					}
					return err
				})
				race.Go(func() error {
					<-start
					// Each has a head start of some microseconds in turn.
					for began := time.Now(); time.Since(began) < time.Duration(i/lanes%8)*100*time.Microsecond; {
					}
					err := change(changer, id)
					if minoots.ErrorCode(err) == minoots.CodeConflict {
						return nil
					}
					mu.Lock()
					defer mu.Unlock()
					changed[id] = err == nil
					return err
				})
				close(start)
				if err := race.Wait(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	t.Logf("changed %d, fired %d", len(changed), len(fired))
	assert.NotEmpty(t, changed, "no race was lost")
	assert.NotEmpty(t, fired, "no race was won")
	return database, timers, changed, fired
}

// Pause and fire race: one of them wins, and both know who.
func TestPauseRacesWithClaim(t *testing.T) {
	t.Parallel()
	database, timers, paused, fired := raceWithClaim(t, 300, func(d *db.DB, id minoots.ID) error {
		_, err := d.TimerPause(t.Context(), tenant, id)
		return err
	})
	for i, n := range timers {
		require.NotEqual(t, paused[n.ID], fired[n.ID], "timer %d: exactly one wins", i)
	}
	assert.Equal(t, len(paused), count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE status = 'paused'"))
	assert.Equal(t, len(paused), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.paused'"))
	assert.Equal(t, len(fired), count(t, database, "SELECT count(*) FROM minoots.firings"))
}

// raceSQLWithClaim lets two callers of a function that changes a timer, or refuses
// to because it has fired, and two claims meet over timers that are due. Each timer
// is won once, and has the status of its winner.
func raceSQLWithClaim(t *testing.T, database *testdb.DB, d *db.DB, ids []minoots.ID, sql string, changed minoots.Status) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[minoots.ID][]minoots.Status{}
	win := func(id minoots.ID, status minoots.Status) {
		mu.Lock()
		defer mu.Unlock()
		won[id] = append(won[id], status)
	}
	for half := range 2 {
		wg.Go(func() {
			for i := len(ids) - 1 - half; i >= 0; i -= 2 {
				var done bool
				err := database.Pool.QueryRow(t.Context(), sql, ids[i]).Scan(&done)
				switch code := sqlState(err); {
				case err == nil && done:
					win(ids[i], changed)
				case code != "55000":
					t.Errorf("%s gives %v, %v", sql, done, err)
				}
			}
		})
		wg.Go(func() {
			for {
				fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 2}, then(func(db.Tx, []db.Fired) error { return nil }))
				if err != nil || len(fired) == 0 {
					assert.NoError(t, err)
					return
				}
				for _, f := range fired {
					win(f.ID, minoots.StatusFired)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range claim(t, d, db.ClaimRequest{Limit: 100}) {
		win(f.ID, minoots.StatusFired)
	}
	for _, id := range ids {
		if assert.Len(t, won[id], 1, "exactly one wins") {
			assert.Equal(t, won[id][0], get(t, d, id).Status)
		}
	}
}
