package db_test

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/minoots/minoots/db"
)

// resolution is what Postgres cuts off, and some nanoseconds of rounding.
const resolution = time.Microsecond + 100

// ask plays a statement that reads the database's clock: that long under way, the
// clock read after a share of it. It must run in a synctest bubble, in which sleep is how time
// passes.
func ask(c *db.Clock, trip time.Duration, share float64, offset time.Duration) {
	sent := time.Now()
	there := time.Duration(share * float64(trip))
	time.Sleep(there)
	at := time.Now().Round(0).Add(offset).Truncate(time.Microsecond) // as Postgres has it
	time.Sleep(trip - there)
	c.Observe(sent, time.Now(), at)
}

// errorOf is how far the clock is from the database's.
func errorOf(c *db.Clock, offset time.Duration) time.Duration {
	return (c.Now().Sub(time.Now().Round(0)) - offset).Abs()
}

func trips(t *rapid.T) (trip time.Duration, share float64) {
	return time.Duration(rapid.Int64Range(int64(time.Microsecond), int64(200*time.Millisecond)).Draw(t, "trip")),
		rapid.Float64Range(0, 1).Draw(t, "share")
}

// Whatever the observations, the clock is as good as the best of them, whose
// worth fades by 100 µs a second.
func TestClockIsAsGoodAsItsBestObservation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			offset := time.Duration(rapid.Int64Range(-int64(1000*time.Hour), int64(1000*time.Hour)).Draw(t, "offset"))
			c := db.NewClock()
			best := time.Duration(1 << 62)
			for range rapid.IntRange(1, 20).Draw(t, "observations") {
				gap := time.Duration(rapid.Int64Range(0, int64(100*time.Second)).Draw(t, "gap"))
				time.Sleep(gap) // the bubble's
				trip, share := trips(t)
				ask(c, trip, share, offset)
				best = min(best+(gap+trip)/10_000, trip/2)
				require.LessOrEqual(t, errorOf(c, offset), best+resolution)
			}
		})
	})
}

func TestClockPrefersTheNarrowInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := db.NewClock()
		ask(c, time.Millisecond, 0.5, time.Hour) // exact
		assert.Zero(t, errorOf(c, time.Hour))
		ask(c, 100*time.Millisecond, 0, time.Hour) // 50 ms off, and says so
		assert.Zero(t, errorOf(c, time.Hour), "a worse one does not count")
		ask(c, time.Millisecond/2, 1, time.Hour)
		assert.Equal(t, time.Millisecond/4, errorOf(c, time.Hour), "a narrower one does")

		// The narrow one fades: after 1,000 s it is worth 100 ms.
		time.Sleep(1000 * time.Second) // the bubble's
		ask(c, 100*time.Millisecond, 0.4, time.Hour)
		assert.Equal(t, 10*time.Millisecond, errorOf(c, time.Hour))
	})
}

// When the database's clock is set, the first observation after it tells.
func TestClockFollowsAJump(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			c := db.NewClock()
			offset := time.Duration(0)
			for range 3 {
				for range rapid.IntRange(1, 5).Draw(t, "before") {
					trip, share := trips(t)
					ask(c, trip, share, offset)
				}
				jump := time.Duration(rapid.Int64Range(int64(time.Second), int64(1000*time.Hour)).Draw(t, "jump"))
				if rapid.Bool().Draw(t, "back") {
					jump = -jump
				}
				offset += jump
				trip, share := trips(t)
				ask(c, trip, share, offset)
				require.LessOrEqual(t, errorOf(c, offset), trip/2+resolution)
			}
		})
	})
}

// wallJumped is t as it would be had this machine's wall clock been set by so
// many seconds, while its monotonic clock went on.
func wallJumped(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	jumped := at
	*(*uint64)(unsafe.Pointer(&jumped)) += uint64(seconds) << 30 // time.Time.wall: 1 bit, 33 of seconds, 30 of nanoseconds
	require.Equal(t, time.Duration(seconds)*time.Second, jumped.Round(0).Sub(at.Round(0)), "the wall clock has jumped")
	require.Zero(t, jumped.Sub(at), "the monotonic one has not")
	return jumped
}

// Setting this machine's wall clock, even in the midst of a statement, changes
// nothing. (In a synctest bubble there is no monotonic clock, so this takes its
// milliseconds.)
func TestClockDoesNotSeeTheWallClock(t *testing.T) {
	t.Parallel()
	const offset = 90 * time.Minute
	for _, jump := range [][2]int64{{0, 0}, {3600, 3600}, {0, 3600}, {0, -3600}, {-86400, 0}} {
		c := db.NewClock()
		sent := time.Now()
		at := time.Now().Round(0).Add(offset)
		c.Observe(wallJumped(t, sent, jump[0]), wallJumped(t, time.Now(), jump[1]), at)
		assert.Less(t, errorOf(c, offset), time.Minute, "%d", jump)
	}
	c := db.NewClock()
	now := c.Now()
	assert.Equal(t, now, now.Round(0), "what it gives is not tied to this machine's clocks")
	assert.Equal(t, time.UTC, now.Location())
}

func TestClockUntilAndSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := db.NewClock()
		assert.Zero(t, c.Skew(), "until it knows better, this machine's time")
		ask(c, time.Millisecond, 0.5, -time.Hour)
		assert.Equal(t, -time.Hour, c.Skew())
		assert.Equal(t, time.Minute, c.Until(time.Now().Add(-59*time.Minute).Round(0)))
		time.Sleep(time.Minute) // the bubble's
		assert.Equal(t, -time.Hour, c.Skew(), "it runs")
	})
}

// Every kind of answer that carries the database's time sets the clock, and many
// may do so at once.
func TestClockLearnsFromStatements(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	create(t, d, timerAt(time.Now().Add(-time.Minute), 0, 0))
	fresh := func() (*db.DB, *db.Clock) {
		c := db.NewClock()
		c.Observe(time.Now(), time.Now(), time.Now().Add(time.Hour)) // far off, and sure of it
		other, err := db.Connect(t.Context(), db.Config{URL: database.URL, Clock: c, Name: "clock"})
		require.NoError(t, err)
		t.Cleanup(other.Close)
		require.Same(t, c, other.Clock())
		c.Observe(time.Now(), time.Now(), time.Now().Add(time.Hour))
		require.Greater(t, c.Skew(), 59*time.Minute)
		return other, c
	}
	for what, learn := range map[string]func(*db.DB) error{
		"MeasureClock": func(d *db.DB) error { return d.MeasureClock(t.Context()) },
		"TimerNext":    func(d *db.DB) error { _, _, err := d.TimerNext(t.Context(), time.Time{}); return err },
		"TimerClaim":   func(d *db.DB) error { claim(t, d, db.ClaimRequest{Limit: 1}); return nil },
		"TimerCreate": func(d *db.DB) error {
			_, err := d.TimerCreate(t.Context(), []db.NewTimer{timerAt(time.Now().Add(time.Hour), 0, 0)})
			return err
		},
	} {
		d, c := fresh()
		require.NoError(t, learn(d))
		assert.Less(t, c.Skew().Abs(), 30*time.Minute, what)
	}
	var g errgroup.Group
	for range 8 {
		g.Go(func() error { d.Clock().Now(); return d.MeasureClock(t.Context()) })
	}
	require.NoError(t, g.Wait())
}
