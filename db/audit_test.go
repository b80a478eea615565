package db_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
)

func audit(t testing.TB, d *db.DB, req db.AuditRequest) db.Audit {
	t.Helper()
	if req.Grace == 0 {
		req.Grace = -time.Second // not even what was written just now is left alone
	}
	a, err := d.AuditRun(t.Context(), req)
	require.NoError(t, err)
	return a
}

// findings lists the checks that found something, with what.
func findings(a db.Audit) map[string][]string {
	all := map[string][]string{}
	for _, c := range a.Checks {
		if c.Found > 0 {
			all[c.Name] = c.Examples
		}
	}
	return all
}

func TestAuditOfAHealthyWorld(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	empty := audit(t, d, db.AuditRequest{})
	assert.True(t, empty.OK)
	lived(t, database, d)
	a := audit(t, d, db.AuditRequest{})
	assert.Empty(t, findings(a))
	assert.True(t, a.OK)
	for i, c := range a.Checks {
		assert.Zero(t, empty.Checks[i].Looked, c.Name)
		assert.NotZero(t, c.Looked, "%s looked at nothing", c.Name)
	}
	require.NotEmpty(t, a.Sizes)
	sizes := map[string]db.TableSize{}
	for _, s := range a.Sizes {
		sizes[s.Table] = s
		assert.NotContains(t, s.Table, "_20", "partitions are one table")
	}
	assert.NotZero(t, sizes["minoots.timers"].TableBytes)
	assert.NotZero(t, sizes["minoots.firings"].IndexBytes)
	assert.Greater(t, sizes["minoots.events"].Partitions, 4)
	assert.Contains(t, sizes, "river.river_job")
}

func TestAuditFindsEachCorruption(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	ids := map[string]string{}
	rows, err := database.Pool.Query(t.Context(), "SELECT name, id::text FROM minoots.timers")
	require.NoError(t, err)
	var name, id string
	_, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error { ids[name] = id; return nil })
	require.NoError(t, err)
	found := map[string]bool{}
	for _, c := range corruptions {
		found[c.check] = true
		t.Run(c.check, func(t *testing.T) {
			sql := regexp.MustCompile(`@\w+`).ReplaceAllStringFunc(c.sql, func(name string) string { return "'" + ids[name[1:]] + "'" })
			tx, err := database.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { assert.NoError(t, tx.Rollback(context.Background())) }()
			_, err = tx.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
			require.NoError(t, err)
			a, err := db.AuditIn(t.Context(), tx, db.AuditRequest{Examples: 2, Grace: -time.Second})
			require.NoError(t, err)
			assert.False(t, a.OK)
			for check, examples := range findings(a) {
				assert.Equal(t, c.check, check, "%s: %v", sql, examples)
				assert.NotEmpty(t, examples)
			}
			assert.Contains(t, findings(a), c.check, sql)
		})
	}
	for _, c := range audit(t, d, db.AuditRequest{}).Checks {
		assert.True(t, found[c.Name], "%s has no corruption", c.Name)
	}
}

// The examples are few, and the count is of all.
func TestAuditCountsMoreThanItNames(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	_, err := database.Pool.Exec(t.Context(), "DELETE FROM minoots.events WHERE type = 'timer.scheduled'")
	require.NoError(t, err)
	a := audit(t, d, db.AuditRequest{Examples: 3})
	assert.Len(t, findings(a)["event_missing"], 3)
	for _, c := range a.Checks {
		if c.Name == "event_missing" {
			assert.EqualValues(t, 20, c.Found)
		}
	}
	assert.Empty(t, findings(audit(t, d, db.AuditRequest{Since: d.Clock().Now().Add(time.Hour)})), "it is before the time asked for")
	a = audit(t, d, db.AuditRequest{Since: d.Clock().Now().Add(-time.Hour)})
	assert.Len(t, findings(a)["event_missing"], 5)
	assert.NotNil(t, a.Since)
}

// Work under way is nobody's fault until the grace is over.
func TestAuditLeavesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	lived(t, database, d)
	_, err := database.Pool.Exec(t.Context(), "DELETE FROM river.river_job")
	require.NoError(t, err)
	assert.Empty(t, findings(audit(t, d, db.AuditRequest{Grace: time.Minute})))
	assert.Contains(t, findings(audit(t, d, db.AuditRequest{})), "firing_without_job")
}
