package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func TestDeadLetterDiscard(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	c := begin(t, database, d, oneTry(actionOf("a")))
	c.fails("a")
	id := c.letters(minoots.DeadLetterDead)[0].ID
	for _, err := range []error{
		d.DeadLetterDiscard(t.Context(), "globex", id), d.DeadLetterDiscard(t.Context(), tenant, minoots.NewID()),
		second(d.DeadLetterGet(t.Context(), "globex", id)), second(d.DeadLetterRedriveOne(t.Context(), "globex", id)),
	} {
		assert.Equal(t, minoots.CodeNotFound, minoots.ErrorCode(err))
	}
	got, err := d.DeadLetterRedrive(t.Context(), "globex", []minoots.ID{id})
	require.NoError(t, err)
	assert.Empty(t, got)

	redrive(t, d, c.f.ID)
	assert.ErrorContains(t, d.DeadLetterDiscard(t.Context(), tenant, id), "is being redriven already")
	assert.ErrorContains(t, second(d.DeadLetterRedriveOne(t.Context(), tenant, id)), "is being redriven already")
	c.fails("a")
	require.NoError(t, d.DeadLetterDiscard(t.Context(), tenant, id))
	require.NoError(t, d.DeadLetterDiscard(t.Context(), tenant, id), "twice")
	assert.ErrorContains(t, second(d.DeadLetterRedriveOne(t.Context(), tenant, id)), "was discarded")
	assert.Len(t, c.letters(minoots.DeadLetterDiscarded), 1)
	assert.Empty(t, c.jobs())
	c.stands(minoots.StatusFailed, 1)
	c.sound()
}

func second(_ minoots.DeadLetter, err error) error { return err }

func TestDeadLetterPage(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	var all []minoots.ID
	var timers []minoots.ID
	for range 5 {
		c := begin(t, database, d, oneTry(actionOf("a")))
		c.fails("a")
		timers = append(timers, c.f.ID)
		all = append(all, c.letters(minoots.DeadLetterDead)[0].ID)
	}
	_, err := database.Pool.Exec(t.Context(), "UPDATE minoots.dead_letters SET error_class = 'timeout', kind = 'command' WHERE id = $1", all[3])
	require.NoError(t, err)
	times := make([]time.Time, len(all))
	for i, id := range all {
		require.NoError(t, database.Pool.QueryRow(t.Context(), "SELECT created_at FROM minoots.dead_letters WHERE id = $1", id).Scan(&times[i]))
	}
	for what, c := range map[string]struct {
		filter db.DeadLetterFilter
		want   []minoots.ID
	}{
		"all, by age":       {db.DeadLetterFilter{}, all},
		"a page":            {db.DeadLetterFilter{Limit: 2, After: all[1]}, all[2:4]},
		"a timer":           {db.DeadLetterFilter{TimerID: timers[2]}, all[2:3]},
		"a kind":            {db.DeadLetterFilter{Kind: minoots.KindCommand}, all[3:4]},
		"a class":           {db.DeadLetterFilter{ErrorClass: "timeout"}, all[3:4]},
		"from an instant":   {db.DeadLetterFilter{CreatedAfter: times[1]}, all[1:]},
		"before an instant": {db.DeadLetterFilter{CreatedBefore: times[1]}, all[:1]},
		"another status":    {db.DeadLetterFilter{Status: minoots.DeadLetterResolved}, nil},
	} {
		if c.filter.Limit == 0 {
			c.filter.Limit = 100
		}
		letters, err := d.DeadLetterPage(t.Context(), tenant, c.filter)
		require.NoError(t, err)
		var got []minoots.ID
		for _, l := range letters {
			got = append(got, l.ID)
		}
		assert.Equal(t, c.want, got, what)
	}
	none, err := d.DeadLetterPage(t.Context(), "globex", db.DeadLetterFilter{Limit: 10})
	require.NoError(t, err)
	assert.Empty(t, none)
}

// Retention leaves those that are on their way again.
func TestDeadLettersAreForgotten(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	old, busy := begin(t, database, d, oneTry(actionOf("a"))), begin(t, database, d, oneTry(actionOf("a")))
	old.fails("a")
	busy.fails("a")
	redrive(t, d, busy.f.ID)
	age(t, database, 60)
	c := begin(t, database, d, oneTry(actionOf("a")))
	c.fails("a")
	_, err := d.HistoryForget(t.Context(), month)
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.dead_letters WHERE status = 'redriven'"))
	assert.Equal(t, 2, count(t, database, "SELECT count(*) FROM minoots.dead_letters"))
	assert.Len(t, c.letters(minoots.DeadLetterDead), 1)
}
