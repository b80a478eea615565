package db_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// planned makes the jobs of what fires, as the kernel beside workers does: they
// are inserted in the round trip that re-arms the timers and commits.
func planned(jobs *db.JobBatch) func(context.Context, db.Tx, []db.Fired) (*db.JobBatch, error) {
	jobs.Replica = "replica"
	return func(_ context.Context, _ db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		for _, delivery := range firstDeliveries(fired) {
			args, err := json.Marshal(delivery)
			if err != nil {
				return nil, err
			}
			jobs.Jobs = append(jobs.Jobs, db.Job{Queue: "webhook", MaxAttempts: 5, Args: args})
		}
		return jobs, nil
	}
}

// series holds recurring timers to the promise: each occurrence up to a number was
// fired once and has its first jobs once, they are as far apart as scheduled, and the
// timer goes on with the next.
func series(t *testing.T, database *testdb.DB, d *db.DB, timers, occurrences int, every time.Duration) {
	t.Helper()
	assert.Equal(t, timers*occurrences, count(t, database, "SELECT count(*) FROM minoots.firings"), "none lost")
	assert.Equal(t, timers*occurrences, count(t, database, "SELECT count(DISTINCT (timer_id, occurrence)) FROM minoots.firings WHERE occurrence BETWEEN 1 AND $1",
		occurrences), "none twice")
	assert.Equal(t, timers*occurrences, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'timer.fired'"), "one event each")
	assert.Zero(t, count(t, database, `SELECT count(*) FROM (SELECT due_at - lag(due_at) OVER (PARTITION BY timer_id ORDER BY occurrence) AS gap
		FROM minoots.firings) f WHERE gap <> $1`, every), "as far apart as scheduled")
	assert.Equal(t, timers, count(t, database, `SELECT count(*) FROM minoots.timer_states s JOIN minoots.firings f ON f.timer_id = s.id AND f.occurrence = s.occurrence
		WHERE s.status = 'scheduled' AND s.occurrence = $1 AND s.due_at = f.due_at + $2`, occurrences, every), "the series goes on")
	started := count(t, database, "SELECT sum(started) FROM minoots.firings")
	assert.Equal(t, started, count(t, database, "SELECT count(*) FROM river.river_job"), "jobs")
	assert.Equal(t, started, count(t, database, "SELECT count(DISTINCT (args #>> '{timer,id}', args ->> 'occurrence', args #>> '{action,id}')) FROM river.river_job"), "each once")
	a, err := d.AuditRun(t.Context(), db.AuditRequest{Grace: -1000 * time.Hour})
	require.NoError(t, err)
	found := findings(a)
	delete(found, "timer_overdue") // time is the test's own
	assert.Empty(t, found)
}

// The connection breaks in the commit of a claim that re-arms timers and inserts
// jobs, all in one round trip: nobody knows how it ended, and all goes on either
// way. Who asks is told the truth.
func TestRecurringClaimDiesInTheCommit(t *testing.T) {
	t.Parallel()
	database, direct := setup(t)
	p := newProxy(t, database)
	d := connect(t, p.URL)
	const timers, rounds = 10, 6
	var all []db.NewTimer
	for i := range timers {
		all = append(all, every(time.Minute, i%3)) // some without actions, some with bundles
	}
	created, err := direct.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	first := created[timers-1].Timer.FireAt.Time
	for round := range rounds {
		now, committed := first.Add(time.Duration(round)*time.Minute), round%2 == 1
		jobs := &db.JobBatch{}
		done := p.cutNext(committed)
		var report db.ClaimReport
		_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: timers, Now: now, Report: &report}, planned(jobs))
		require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err), "%v", err)
		<-done
		assert.Empty(t, report.Next, "what may not be so is not told")
		var was bool
		require.Eventually(t, func() bool {
			was, _, err = direct.JobResolve(t.Context(), jobs.Xid)
			return err == nil
		}, 10*time.Second, 5*time.Millisecond, "the server notices")
		assert.Equal(t, committed, was)
		again := claimAll(t, d, now)
		if committed {
			assert.Zero(t, again, "they have fired")
		} else {
			assert.Equal(t, timers, again, "they are still due")
		}
	}
	series(t, database, direct, timers, rounds, time.Minute)
}

// claimAll fires what is due, with its jobs, and gives how many.
func claimAll(t *testing.T, d *db.DB, now time.Time) int {
	t.Helper()
	fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1000, Now: now}, planned(&db.JobBatch{}))
	require.NoError(t, err)
	return len(fired)
}

// So it does where several replicas claim at once, and now this connection breaks
// in the commit, now that, before the server hears of it or after.
func TestRecurringClaimsOfManyReplicasDieInTheCommit(t *testing.T) {
	t.Parallel()
	database, direct := setup(t)
	const timers, rounds, replicas = 60, 12, 3
	var all []db.NewTimer
	for i := range timers {
		all = append(all, every(time.Second, i%3))
	}
	created, err := direct.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	first := created[timers-1].Timer.FireAt.Time
	p := newProxy(t, database)
	pools := make([]*db.DB, replicas)
	for i := range pools {
		pools[i] = connect(t, p.URL)
	}
	broken := 0
	for round := range rounds {
		now := first.Add(time.Duration(round) * time.Second)
		done := p.cutNext(round%2 == 0)
		var unknown atomic.Int32
		var g errgroup.Group
		for _, d := range pools {
			g.Go(func() error {
				end := time.Now().Add(20 * time.Second)
				for time.Now().Before(end) && count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE due_at <= $1", now) > 0 {
					_, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 20, Now: now}, planned(&db.JobBatch{}))
					switch {
					case minoots.ErrorCode(err) == minoots.CodeUnavailable:
						unknown.Add(1)
					case err != nil:
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, g.Wait())
		<-done
		broken += int(unknown.Load())
	}
	assert.Equal(t, rounds, broken, "each was told that nobody knows")
	series(t, database, direct, timers, rounds, time.Second)
}

// What a process is told that is to claim and to be killed, instead of testing.
const (
	envDie   = "MINOOTS_TEST_CLAIM_AND_DIE" // the database
	envDieAt = "MINOOTS_TEST_CLAIM_NOW"     // microseconds since 1970
)

// claimAndDie is that process: it locks timers, judges them, makes their jobs, and
// is gone before it has sent what becomes of them.
func claimAndDie() {
	micros, err := strconv.ParseInt(os.Getenv(envDieAt), 10, 64)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	d, err := db.Connect(ctx, db.Config{URL: os.Getenv(envDie), Name: "dies", MaxConns: 1})
	if err != nil {
		panic(err)
	}
	plan := planned(&db.JobBatch{})
	fired, err := d.TimerClaim(ctx, db.ClaimRequest{Limit: 1000, Now: time.UnixMicro(micros)}, func(ctx context.Context, tx db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		_, _ = plan(ctx, tx, fired)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	})
	panic([]any{"it lives", len(fired), err})
}

// A real process is killed while it holds recurring timers: another fires them,
// the same occurrence, and the series goes on.
func TestRecurringClaimOfAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const timers, rounds = 20, 4
	var all []db.NewTimer
	for i := range timers {
		all = append(all, every(time.Minute, i%3))
	}
	created, err := d.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	first := created[timers-1].Timer.FireAt.Time
	for round := range rounds {
		now := first.Add(time.Duration(round) * time.Minute)
		victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		victim.Env = append(os.Environ(), envDie+"="+database.URL, envDieAt+"="+strconv.FormatInt(now.UnixMicro(), 10))
		out, err := victim.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s", out)
		assert.Equal(t, timers*round, count(t, database, "SELECT count(*) FROM minoots.firings"), "it has left nothing")
		fired := 0
		require.Eventually(t, func() bool {
			fired += claimAll(t, d, now)
			return fired == timers
		}, 20*time.Second, 5*time.Millisecond, "as soon as the server has noticed")
		assert.Zero(t, claimAll(t, d, now))
	}
	series(t, database, d, timers, rounds, time.Minute)
}
