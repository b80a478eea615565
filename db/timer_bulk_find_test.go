package db_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// A change of many finds the same by an index and by a walk in stretches, whole
// and in parts, and gives each once.
func TestBulkFindsTheSameEitherWay(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	base := d.Clock().Now().Add(time.Hour).Truncate(time.Second)
	a := labelled(t, d, 7, base, `od_d%name\`, "a")
	b := labelled(t, d, 6, base.Add(time.Minute), "oddXname", "b")
	_, err := d.TimerCancel(t.Context(), tenant, a[0], nil, nil)
	require.NoError(t, err)
	_, err = d.TimerPause(t.Context(), tenant, a[1])
	require.NoError(t, err)
	for name, c := range map[string]struct {
		filter db.TimerFilter
		want   []minoots.ID
	}{
		"label":          {db.TimerFilter{Labels: map[string]string{"set": "a"}}, a[1:]},
		"escaped prefix": {db.TimerFilter{NamePrefix: `od_d%name\-`}, a[1:]},
		"prefix, paused": {db.TimerFilter{NamePrefix: "od", Statuses: []minoots.Status{minoots.StatusPaused}}, a[1:2]},
		"prefix, due":    {db.TimerFilter{NamePrefix: "od", DueAfter: base.Add(time.Second)}, b},
		"due":            {db.TimerFilter{DueBefore: base.Add(time.Second)}, a[1:]},
		"status":         {db.TimerFilter{Statuses: []minoots.Status{minoots.StatusScheduled}}, slices.Concat(a[2:], b)},
		"nobody's label": {db.TimerFilter{Labels: map[string]string{"set": "c"}}, nil},
		"all":            {db.TimerFilter{}, slices.Concat(a[1:], b)},
	} {
		for _, few := range []int{100, 1} { // 1: all are too many for an index
			for _, limit := range []int{100, len(c.want), 3, 1} {
				var got []minoots.ID
				req := db.BulkRequest{Filter: c.filter, Limit: max(limit, 1)}
				for calls := 0; ; calls++ {
					require.LessOrEqual(t, calls, 13)
					ids, next, err := db.BulkFindAmong(t.Context(), d, tenant, db.BulkCancel(nil, nil), req, few, 4)
					require.NoError(t, err)
					got = append(got, ids...)
					if next == (minoots.ID{}) {
						break
					}
					assert.Len(t, ids, req.Limit, "%s: not at its end", name)
					req.After = next
				}
				assert.Equal(t, c.want, got, "%s, few %d, limit %d", name, few, limit)
			}
		}
	}
}
