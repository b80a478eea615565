package db_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// course is one firing whose jobs are run as workers run them, from their stored
// arguments.
type course struct {
	*testing.T
	database *testdb.DB
	d        *db.DB
	f        db.Fired
}

// actionOf is an action that may escalate.
func actionOf(id string, to ...minoots.Action) minoots.Action {
	a := minoots.Action{ID: id, Kind: minoots.KindWebhook}
	if len(to) > 0 {
		a.Escalation = &minoots.Escalation{AfterAttempts: 2, EscalatesTo: &to[0]}
	}
	return a
}

// begin fires a timer with that bundle.
func begin(t *testing.T, database *testdb.DB, d *db.DB, b minoots.Bundle) *course {
	t.Helper()
	n := timerAt(past(d), 1, 1)
	bundle := b.WithDefaults()
	n.Spec.ActionBundle = &bundle
	create(t, d, n)
	fired, err := d.TimerClaim(t.Context(), db.ClaimRequest{Limit: 1}, then(func(tx db.Tx, fired []db.Fired) error {
		return insertJobs(t.Context(), tx, firstDeliveries(fired))
	}))
	require.NoError(t, err)
	require.Len(t, fired, 1)
	require.Equal(t, n.ID, fired[0].ID)
	return &course{T: t, database: database, d: d, f: fired[0]}
}

// jobs lists the actions that have jobs, in the order in which they were made.
func (c *course) jobs() []string {
	c.Helper()
	var ids []string
	require.NoError(c, c.database.Pool.QueryRow(c.Context(), `SELECT coalesce(array_agg(args #>> '{action,id}' ORDER BY id), '{}')
		FROM river.river_job WHERE (args #>> '{timer,id}')::uuid = $1`, c.f.ID).Scan(&ids))
	return ids
}

// attempt begins an attempt of an action and gives its outcome, final as a worker
// would have it. Nothing is recorded yet.
func (c *course) attempt(action string, ok bool) db.OutcomeRecord {
	c.Helper()
	r := db.OutcomeRecord{Delivery: new(minoots.Delivery), Outcome: failed("no")}
	if ok {
		r.Outcome = succeeded()
	}
	var args []byte
	require.NoError(c, c.database.Pool.QueryRow(c.Context(), `
		UPDATE river.river_job SET state = 'running', attempt = attempt + 1, attempted_at = now(), attempted_by = ARRAY['replica']
		WHERE (args #>> '{timer,id}')::uuid = $1 AND args #>> '{action,id}' = $2
		RETURNING id, attempt, args`, c.f.ID, action).Scan(&r.JobID, &r.Attempt, &args), "%s has a job", action)
	require.NoError(c, json.Unmarshal(args, r.Delivery))
	r.Final = ok || r.Attempt >= r.Delivery.MaxAttempts()
	return r
}

// record records a group and expects it to count.
func (c *course) record(group ...db.OutcomeRecord) {
	c.Helper()
	live, err := c.d.OutcomeRecord(c.Context(), "replica", group, after(insertJobs))
	require.NoError(c, err)
	require.NotContains(c, live, false)
}

// succeeds and fails end an action, after all the attempts that it has.
func (c *course) succeeds(action string) minoots.Delivery {
	c.Helper()
	r := c.attempt(action, true)
	c.record(r)
	return *r.Delivery
}

func (c *course) fails(action string) minoots.Delivery {
	c.Helper()
	for {
		r := c.attempt(action, false)
		c.record(r)
		if r.Final {
			return *r.Delivery
		}
	}
}

// stands expects the firing and its timer to stand there.
func (c *course) stands(want minoots.Status, failed int) {
	c.Helper()
	timer := get(c.T, c.d, c.f.ID)
	assert.Equal(c, want, timer.Status)
	firing := minoots.FiringStatus(want)
	if want == minoots.StatusFired {
		firing = minoots.FiringRunning
	}
	assert.Equal(c, firing, timer.LastFiring.Status)
	assert.Equal(c, failed, timer.LastFiring.Failed)
	assert.Equal(c, want == minoots.StatusFailed, timer.FailureReason != nil)
	if want != minoots.StatusFired { // one that runs knows what has failed so far
		assert.Equal(c, want == minoots.StatusFailed, timer.LastFiring.Reason != nil)
	}
	assert.Equal(c, want != minoots.StatusFired, timer.LastFiring.SettledAt != nil)
}

// letters lists the timer's dead letters in a status.
func (c *course) letters(status minoots.DeadLetterStatus) []minoots.DeadLetter {
	c.Helper()
	letters, err := c.d.DeadLetterPage(c.Context(), tenant, db.DeadLetterFilter{Status: status, TimerID: c.f.ID, Limit: 100})
	require.NoError(c, err)
	return letters
}

// dead lists the actions whose dead letters are dead.
func (c *course) dead() (ids []string) {
	c.Helper()
	for _, l := range c.letters(minoots.DeadLetterDead) {
		ids = append(ids, l.ActionID)
	}
	slices.Sort(ids)
	return ids
}

// sound expects an audit to find nothing.
func (c *course) sound() {
	c.Helper()
	assert.Empty(c, findings(audit(c.T, c.d, db.AuditRequest{})))
}
