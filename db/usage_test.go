package db_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// What settled is found among however many that were cancelled: exactly while these
// can be counted, and if they cannot, not as nothing at least.
func TestUsageSeesWhatSettled(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	add := func(status, of string, n int, due string) {
		_, err := database.Pool.Exec(t.Context(), `
			INSERT INTO minoots.timer_states (id, tenant_id, status, fire_at, updated_at, cancelled_at)
			SELECT minoots.uuid7(), $1, $2, now() + $4::interval + i * interval '1 millisecond', now(), CASE WHEN $2 = 'cancelled' THEN now() END
			FROM generate_series(1, $3::integer) AS i`, of, status, n, due)
		require.NoError(t, err)
	}
	usage := func() map[minoots.Status]db.Count {
		u, err := d.UsageGet(t.Context(), tenant)
		require.NoError(t, err)
		return u.Timers
	}
	add("settled", tenant, 3, "-9 days")
	add("fired", tenant, 1, "-9 days")
	add("cancelled", tenant, db.UsageCounted, "3 days") // cancelled before their time
	add("settled", "globex", db.UsageCounted, "-1 day") // another tenant's
	got := usage()
	assert.Equal(t, db.Count{Count: 3}, got[minoots.StatusSettled])
	assert.Equal(t, db.Count{Count: 1}, got[minoots.StatusFired])

	add("cancelled", tenant, db.UsageCounted+50, "-1 day") // whose time has come since
	got = usage()
	assert.Equal(t, db.Count{Count: 3}, got[minoots.StatusSettled])
	assert.Equal(t, db.Count{Count: db.UsageCounted, AtLeast: true}, got[minoots.StatusCancelled])

	add("cancelled", tenant, 3*db.UsageCounted, "-1 day")
	got = usage()
	assert.Equal(t, db.Count{Count: 3, AtLeast: true}, got[minoots.StatusSettled], "the oldest are seen")

	add("settled", tenant, 7, "-1 hour")
	assert.Equal(t, db.Count{Count: 10, AtLeast: true}, usage()[minoots.StatusSettled], "and the latest")
}
