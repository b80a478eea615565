package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// drain claims until nothing is due, and gives the instants of what fired.
func drain(t *testing.T, d *db.DB, now time.Time) (dues []time.Time) {
	t.Helper()
	for {
		var report db.ClaimReport
		for _, f := range claim(t, d, db.ClaimRequest{Limit: 10, Now: now, Report: &report}) {
			dues = append(dues, f.DueAt.UTC())
		}
		if report.Taken == 0 {
			return dues
		}
	}
}

func TestMisfireAfterAnOutage(t *testing.T) {
	t.Parallel()
	const hours = 6
	for name, c := range map[string]struct {
		misfire *minoots.Misfire
		fires   []int // hours after the first
		reason  string
	}{
		"default":                {nil, []int{hours}, "fired once for 7 missed"},
		"fire_once":              {&minoots.Misfire{Policy: minoots.MisfireFireOnce}, []int{hours}, "fired once for 7 missed"},
		"within the grace":       {&minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 7 * 3_600_000}, []int{0, 1, 2, 3, 4, 5, 6}, ""},
		"skip":                   {&minoots.Misfire{Policy: minoots.MisfireSkip}, nil, "with the policy skip"},
		"skip, not the last two": {&minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 2 * 3_600_000}, []int{5, 6}, "grace of 2h0m0s"},
		"fire_all":               {&minoots.Misfire{Policy: minoots.MisfireFireAll}, []int{0, 1, 2, 3, 4, 5, 6}, ""},
		"fire_all, but not late": {&minoots.Misfire{Policy: minoots.MisfireFireAll, MaxLatenessMs: 3 * 3_600_000}, []int{4, 5, 6}, "too late: found"},
		"once, and too late":     {&minoots.Misfire{Policy: minoots.MisfireFireOnce, MaxLatenessMs: 60_000}, nil, "maxLatenessMs is 60000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			n := every(time.Hour, 0)
			n.Spec.Misfire = c.misfire
			created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
			require.NoError(t, err)
			first := created[0].Timer.FireAt.Time
			now := first.Add(hours*time.Hour + 10*time.Minute)
			var want []time.Time
			for _, h := range c.fires {
				want = append(want, first.Add(time.Duration(h)*time.Hour))
			}
			var got []time.Time
			for range 2 * hours { // catching up takes time
				got = append(got, drain(t, d, now)...)
				now = now.Add(time.Second)
			}
			assert.Equal(t, want, got)
			all := firings(t, database, n.ID)
			assert.Len(t, all, hours+1, "each occurrence has a firing")
			for i, f := range all {
				assert.Equal(t, i+1, f.Occurrence)
				assert.True(t, first.Add(time.Duration(i)*time.Hour).Equal(f.Due))
				if f.Status == "skipped" {
					assert.Contains(t, f.Reason, c.reason)
				} else {
					assert.Equal(t, "settled", f.Status)
				}
			}
			assert.Equal(t, hours+1-len(want), count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'firing.skipped'"))
			timer := get(t, d, n.ID)
			assert.Equal(t, minoots.StatusScheduled, timer.Status)
			assert.True(t, first.Add((hours+1)*time.Hour).Equal(timer.FireAt.Time), "the first after now")
			audited(t, d)
		})
	}
}

// Months of missed seconds cost little, and are told of in few rows.
func TestMisfireOfVeryMany(t *testing.T) {
	t.Parallel()
	for policy, fires := range map[minoots.MisfirePolicy]int{minoots.MisfireFireOnce: 1, minoots.MisfireFireAll: 1, minoots.MisfireSkip: 1} {
		for _, kind := range []string{"cron", "every"} {
			t.Run(string(policy)+" "+kind, func(t *testing.T) {
				t.Parallel()
				database, d := setup(t)
				n := every(time.Second, 0)
				if kind == "cron" {
					n = crontab("* * * * * *", "")
				}
				n.Spec.Misfire = &minoots.Misfire{Policy: policy, GraceMs: 5000}
				created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
				require.NoError(t, err)
				now := created[0].Timer.FireAt.Add(90 * 24 * time.Hour)
				fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: now})
				require.Len(t, fired, fires)
				behind := map[minoots.MisfirePolicy]time.Duration{minoots.MisfireFireAll: 999 * time.Second, minoots.MisfireSkip: 5 * time.Second}[policy]
				assert.WithinDuration(t, now.Add(-behind), fired[0].DueAt, 2*time.Second)
				number := int(fired[0].DueAt.Sub(created[0].Timer.FireAt.Time)/time.Second) + 1
				all := firings(t, database, n.ID)
				require.Len(t, all, 102, "100, one for the others, and the one that fired")
				assert.Equal(t, number-1, all[100].Occurrence)
				assert.Contains(t, all[100].Reason, fmt.Sprintf("stands for %d occurrences from this to", number-101))
				assert.Equal(t, number, fired[0].Occurrence, "as the series counts")
				assert.Equal(t, number, get(t, d, n.ID).Occurrence)
				audited(t, d)
			})
		}
	}
}

// A series ends with its number, however many were missed: what is fired is the last
// of the series, not of the time.
func TestMisfireOfMoreThanThereAre(t *testing.T) {
	t.Parallel()
	most := 20_000
	for policy, want := range map[minoots.MisfirePolicy]int{minoots.MisfireFireOnce: 20_000, minoots.MisfireFireAll: 19_001, minoots.MisfireSkip: 0} {
		for _, kind := range []string{"cron", "every"} {
			t.Run(string(policy)+" "+kind, func(t *testing.T) {
				t.Parallel()
				database, d := setup(t)
				n := every(time.Second, 0)
				if kind == "cron" {
					n = crontab("* * * * * *", "")
				}
				n.Spec.Recurrence.MaxOccurrences, n.Spec.Misfire = &most, &minoots.Misfire{Policy: policy}
				created, err := d.TimerCreate(t.Context(), []db.NewTimer{n})
				require.NoError(t, err)
				first := created[0].Timer.FireAt
				fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: first.Add(90 * 24 * time.Hour)})
				timer, all := get(t, d, n.ID), firings(t, database, n.ID)
				if want == 0 {
					require.Empty(t, fired)
					assert.Equal(t, minoots.StatusSettled, timer.Status)
					assert.Equal(t, most, all[len(all)-1].Occurrence)
					assert.Contains(t, all[len(all)-1].Reason, "stands for 19900 occurrences")
				} else {
					require.Len(t, fired, 1)
					assert.Equal(t, want, fired[0].Occurrence)
					assert.True(t, first.Add(time.Duration(want-1)*time.Second).Equal(fired[0].DueAt))
					assert.Equal(t, want < most, fired[0].Recurring)
				}
				audited(t, d)
			})
		}
	}
}

// Catching up is paced, for a timer and for all.
func TestMisfireCatchesUpAtARate(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	var all []db.NewTimer
	for range 50 {
		n := every(time.Minute, 0)
		n.Spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireAll}
		all = append(all, n)
	}
	created, err := d.TimerCreate(t.Context(), all)
	require.NoError(t, err)
	now := created[0].Timer.FireAt.Add(30 * time.Minute)
	assert.Len(t, drain(t, d, now), 50, "one of each")
	assert.Empty(t, drain(t, d, now.Add(99*time.Millisecond)))
	assert.Len(t, drain(t, d, now.Add(300*time.Millisecond)), 21, "100 a second, after a tenth of a second")
	end := now
	for count(t, database, "SELECT count(*) FROM minoots.timer_states WHERE fire_at <= $1", now) > 0 {
		end = end.Add(time.Second)
		drain(t, d, end)
	}
	assert.GreaterOrEqual(t, end.Sub(now), 12*time.Second, "1,500 firings")
	assert.Equal(t, 50*31, count(t, database, "SELECT count(*) FROM minoots.firings WHERE status = 'settled' AND due_at <= $1", now))
	assert.Zero(t, count(t, database, `SELECT count(*) FROM (SELECT fired_at - lag(fired_at) OVER (PARTITION BY timer_id ORDER BY occurrence) AS gap
		FROM minoots.firings) f WHERE gap < interval '0'`), "oldest first")
	audited(t, d)
}

func TestMisfireOfAOneShot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		misfire *minoots.Misfire
		fires   bool
		reason  string
	}{
		"none given":          {nil, true, ""},
		"fire_once":           {&minoots.Misfire{Policy: minoots.MisfireFireOnce}, true, ""},
		"skip":                {&minoots.Misfire{Policy: minoots.MisfireSkip}, false, "misfire: found 1h0m0s late, with a grace of 1m0s and the policy skip"},
		"skip, with a grace":  {&minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 3_600_001}, true, ""},
		"too late":            {&minoots.Misfire{Policy: minoots.MisfireFireOnce, MaxLatenessMs: 1000}, false, "too late: found 1h0m0s late, and maxLatenessMs is 1000"},
		"not later than that": {&minoots.Misfire{Policy: minoots.MisfireFireAll, MaxLatenessMs: 3_600_000}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			at := d.Clock().Now().Add(time.Hour)
			n := timerAt(at, 1, 1)
			n.Spec.Misfire = c.misfire
			create(t, d, n)
			fired := claim(t, d, db.ClaimRequest{Limit: 1, Now: n.Spec.FireAt.Add(time.Hour)})
			timer, all := get(t, d, n.ID), firings(t, database, n.ID)
			require.Len(t, all, 1)
			assert.Equal(t, 1, timer.Occurrence)
			if c.fires {
				require.Len(t, fired, 1)
				assert.False(t, fired[0].Recurring)
				assert.Equal(t, "running", all[0].Status)
				assert.Equal(t, minoots.StatusFired, timer.Status)
			} else {
				assert.Empty(t, fired)
				assert.Equal(t, "skipped", all[0].Status)
				assert.Equal(t, c.reason, all[0].Reason)
				assert.Equal(t, minoots.StatusCancelled, timer.Status)
				assert.Equal(t, c.reason, *timer.CancelReason)
				assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.events WHERE type = 'firing.skipped' AND data ->> 'reason' = $1", c.reason))
			}
			audited(t, d)
		})
	}
}

// A schedule whose last occurrences were all skipped is over.
func TestMisfireAtTheEndOfASchedule(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	three := 3
	n := every(time.Minute, 1)
	n.Spec.Recurrence.MaxOccurrences, n.Spec.Misfire = &three, &minoots.Misfire{Policy: minoots.MisfireSkip}
	once := every(time.Minute, 1)
	once.Spec.Recurrence.MaxOccurrences = &three
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{n, once})
	require.NoError(t, err)
	fired := claim(t, d, db.ClaimRequest{Limit: 10, Now: created[0].Timer.FireAt.Add(time.Hour)})
	require.Len(t, fired, 1)
	assert.Equal(t, once.ID, fired[0].ID)
	assert.Equal(t, 3, fired[0].Occurrence)
	assert.False(t, fired[0].Recurring, "the last of its kind")
	timer := get(t, d, n.ID)
	assert.Equal(t, minoots.StatusSettled, timer.Status)
	assert.Equal(t, minoots.FiringSkipped, timer.LastFiring.Status)
	assert.Len(t, firings(t, database, n.ID), 3)
	assert.True(t, strings.HasPrefix(firings(t, database, n.ID)[0].Reason, "misfire: "))
	audited(t, d)
}
