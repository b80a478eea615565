package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/internal/startstop"
	"github.com/minoots/minoots/internal/testdb"
)

// takesLeave is how long a connection may take to say goodbye at the end of what
// it was for.
const takesLeave = 1500 * time.Millisecond

// harass breaks a proxy in some rounds, and mends it in the others.
func harass(p *faultproxy.Proxy) func(round int) {
	return func(round int) {
		p.Set(faultproxy.Pass)
		startstop.AnyMoment(20 * time.Millisecond)
		switch round % 8 {
		case 3:
			p.Cut()
		case 6:
			p.Down()
		case 7:
			if round < 8 { // each takes as long as it may
				p.Set(faultproxy.Stall)
			}
		}
	}
}

func TestSessionStartsAndStops(t *testing.T) {
	database, d := setup(t)
	p := faultproxy.New(t, database.URL)
	l := startstop.Loop{Rounds: 48, Longest: 40 * time.Millisecond, Within: takesLeave, Meanwhile: harass(p)}
	l.Run = func(ctx context.Context) error {
		s := &db.Session{
			URL: p.URL(), Name: "restless", Log: slog.New(slog.DiscardHandler),
			OnDue: func([]time.Time, bool) {}, OnChange: func(int) {},
		}
		return s.Run(ctx)
	}
	l.After = func() { p.Set(faultproxy.Pass); p.Cut() }
	l.Stress(t)
	require.Eventually(t, func() bool { return count(t, database, "SELECT count(*)"+seatsTaken) == 0 }, 15*time.Second, 5*time.Millisecond)
	k := listen(t, database.URL, "last")
	k.sits(0)
	at := d.Clock().Now().Truncate(time.Microsecond)
	announce(t, d, at)
	assert.True(t, at.Equal(next(t, k.hints).instants[0]))
}

func TestNotifierStartsAndStops(t *testing.T) {
	database := testdb.New(t)
	p := faultproxy.New(t, database.URL)
	d := connect(t, p.URL())
	var last atomic.Pointer[db.Notifier]
	l := startstop.Loop{Rounds: 48, Longest: 30 * time.Millisecond, Within: takesLeave}
	l.Run = func(ctx context.Context) error {
		n := db.NewNotifier(d, slog.New(slog.DiscardHandler))
		last.Store(n)
		n.Hint(d.Clock().Now())
		return n.Run(ctx)
	}
	breaks := harass(p)
	l.Meanwhile = func(round int) {
		breaks(round)
		for range 100 {
			if n := last.Load(); n != nil {
				n.Hint(d.Clock().Now().Add(time.Duration(rand.Int64N(int64(2 * time.Second)))))
			}
		}
	}
	l.After = func() { p.Set(faultproxy.Pass); p.Cut(); d.Close() }
	l.Stress(t)
}

func TestPresenceStartsAndStops(t *testing.T) {
	for mode := range map[string]bool{"lock": true, "lease": true} {
		t.Run(mode, func(t *testing.T) {
			database, direct := setup(t)
			p := faultproxy.New(t, database.URL)
			d := connect(t, p.URL())
			url := ""
			if mode == "lock" {
				url = p.URL()
			}
			lives := 0
			l := startstop.Loop{Rounds: 32, Longest: 40 * time.Millisecond, Within: 2 * takesLeave, Meanwhile: harass(p)}
			l.Run = func(ctx context.Context) error {
				lives++
				presence := d.NewPresence(fmt.Sprintf("restless-%d", lives), url, slog.New(slog.DiscardHandler))
				if err := presence.Register(ctx); err != nil {
					return nil //nolint:nilerr // stopped before, or Postgres is away
				}
				err := presence.Keep(ctx)
				presence.Leave(context.WithoutCancel(ctx), err == nil)
				if presence.Alive() {
					return errors.New("alive after it has left")
				}
				return nil
			}
			l.After = func() { p.Set(faultproxy.Pass); p.Cut(); d.Close() }
			l.Stress(t)

			last := attend(t, direct, url)
			require.Eventually(t, func() bool {
				_, _, err := direct.ReplicaLost(t.Context(), 0)
				require.NoError(t, err)
				return count(t, database, "SELECT count(*) FROM minoots.replicas WHERE lost_at IS NULL") == 1
			}, 20*time.Second, 20*time.Millisecond, "those that could not take leave are found lost")
			assert.True(t, last.Alive())
		})
	}
}
