package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/tzdb"
)

// Where clocks change, the whole way from the create to the firing keeps to the
// policy: what the claim fires, when the timer is due then, and how often it has
// been. Havana's clocks change at midnight, Paris' at two and three.
func TestRecurringTimersWhereClocksChange(t *testing.T) {
	t.Parallel()
	const (
		paris, havana = "Europe/Paris", "America/Havana"
		shift, skip   = minoots.GapShift, minoots.GapSkip
		first         = minoots.OverlapFirst
		last, both    = minoots.OverlapLast, minoots.OverlapBoth
	)
	for name, c := range map[string]struct {
		cron, zone string
		dst        minoots.DSTPolicy
		from       string // a day; two more follow
		want       []string
	}{
		"Paris, gap, shift": {"30 2 * * *", paris, minoots.DSTPolicy{Gap: shift}, "2030-03-30",
			[]string{"2030-03-30T01:30:00Z", "2030-03-31T01:30:00Z", "2030-04-01T00:30:00Z"}}, // 02:30 CET, 03:30 CEST, 02:30 CEST
		"Paris, gap, skip": {"30 2 * * *", paris, minoots.DSTPolicy{Gap: skip}, "2030-03-30",
			[]string{"2030-03-30T01:30:00Z", "2030-04-01T00:30:00Z"}},
		"Paris, overlap, first": {"30 2 * * *", paris, minoots.DSTPolicy{Overlap: first}, "2030-10-26",
			[]string{"2030-10-26T00:30:00Z", "2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"}},
		"Paris, overlap, last": {"30 2 * * *", paris, minoots.DSTPolicy{Overlap: last}, "2030-10-26",
			[]string{"2030-10-26T00:30:00Z", "2030-10-27T01:30:00Z", "2030-10-28T01:30:00Z"}},
		"Paris, overlap, both": {"30 2 * * *", paris, minoots.DSTPolicy{Overlap: both}, "2030-10-26",
			[]string{"2030-10-26T00:30:00Z", "2030-10-27T00:30:00Z", "2030-10-27T01:30:00Z", "2030-10-28T01:30:00Z"}},
		"Paris, no policy": {"30 2 * * *", paris, minoots.DSTPolicy{}, "2030-10-26",
			[]string{"2030-10-26T00:30:00Z", "2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"}},
		"Havana, gap at midnight, shift": {"0 0 * * *", havana, minoots.DSTPolicy{Gap: shift}, "2030-03-09",
			[]string{"2030-03-09T05:00:00Z", "2030-03-10T05:00:00Z", "2030-03-11T04:00:00Z"}}, // 00:00 CST, 01:00 CDT, 00:00 CDT
		"Havana, gap at midnight, skip": {"0 0 * * *", havana, minoots.DSTPolicy{Gap: skip}, "2030-03-09",
			[]string{"2030-03-09T05:00:00Z", "2030-03-11T04:00:00Z"}},
		"Havana, overlap at midnight, first": {"0 0 * * *", havana, minoots.DSTPolicy{Overlap: first}, "2030-11-02",
			[]string{"2030-11-02T04:00:00Z", "2030-11-03T04:00:00Z", "2030-11-04T05:00:00Z"}},
		"Havana, overlap at midnight, last": {"0 0 * * *", havana, minoots.DSTPolicy{Overlap: last}, "2030-11-02",
			[]string{"2030-11-02T04:00:00Z", "2030-11-03T05:00:00Z", "2030-11-04T05:00:00Z"}},
		"Havana, overlap at midnight, both": {"0 0 * * *", havana, minoots.DSTPolicy{Overlap: both}, "2030-11-02",
			[]string{"2030-11-02T04:00:00Z", "2030-11-03T04:00:00Z", "2030-11-03T05:00:00Z", "2030-11-04T05:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, d := setup(t)
			day, err := time.Parse(time.DateOnly, c.from)
			require.NoError(t, err)
			zone, err := tzdb.Load(c.zone)
			require.NoError(t, err)
			day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone) // local
			from := minoots.InstantOf(day)
			n := crontab(c.cron, c.zone)
			n.Spec.Recurrence.StartAt, n.Spec.Recurrence.DST = &from, &c.dst
			create(t, d, n)
			var got []string
			for now := day.Add(-time.Hour); now.Before(day.AddDate(0, 0, 3)); now = now.Add(15 * time.Minute) {
				for _, f := range claim(t, d, db.ClaimRequest{Limit: 1, Now: now}) {
					assert.True(t, f.DueAt.Equal(now), "due at %s, fired at %s", f.DueAt, now)
					got = append(got, f.DueAt.UTC().Format(time.RFC3339))
				}
			}
			assert.Equal(t, c.want, got)
			all := firings(t, database, n.ID)
			require.Len(t, all, len(c.want), "what does not exist is not missed: no firing tells of it")
			for i, f := range all {
				assert.Equal(t, i+1, f.Occurrence)
				assert.Equal(t, "settled", f.Status)
			}
			audited(t, d)
		})
	}
}
