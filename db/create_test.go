package db_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func keyed(key, fingerprint string) db.NewTimer {
	n := timerAt(time.Now().Add(time.Hour), 0, 0)
	n.IdempotencyKey, n.Fingerprint = key, []byte(fingerprint)
	return n
}

// A caller that gave up waiting sends its request again, to any replica, while
// the first one may still be under way.
func TestCreateWithOneKeyByManyAtOnce(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	const callers = 16
	replicas := []*db.DB{d, connect(t, database.URL), connect(t, database.URL), connect(t, database.URL)}
	created := make([]db.Created, callers)
	var g errgroup.Group
	for i := range callers {
		g.Go(func() error {
			c, err := replicas[i%len(replicas)].TimerCreate(t.Context(), []db.NewTimer{keyed("k", "the body")})
			if err == nil {
				created[i] = c[0]
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
	fresh := 0
	for _, c := range created {
		require.NoError(t, c.Err)
		assert.Equal(t, created[0].Timer, c.Timer, "all get the one timer, whole")
		if !c.Replayed {
			fresh++
		}
	}
	assert.Equal(t, 1, fresh)
	for _, table := range []string{"timers", "timer_states", "idempotency_keys", "events"} {
		assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots."+table), table)
	}

	other, err := d.TimerCreate(t.Context(), []db.NewTimer{keyed("k", "another body")})
	require.NoError(t, err)
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(other[0].Err))
	assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.timers"), "and leaves nothing behind")

	// The same key of another tenant is another key, and so is another key.
	n := keyed("k", "the body")
	n.TenantID = "other"
	more, err := d.TimerCreate(t.Context(), []db.NewTimer{n, keyed("k2", "the body")})
	require.NoError(t, err)
	assert.False(t, more[0].Replayed || more[1].Replayed)
}

func TestCreateBatchWithKeys(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	first := create(t, d, keyed("b", "1"))[0]
	created, err := d.TimerCreate(t.Context(), []db.NewTimer{keyed("a", "1"), keyed("b", "1"), keyed("a", "1"), keyed("b", "2"), timerAt(time.Now(), 0, 0)})
	require.NoError(t, err)
	var replayed []bool
	for _, c := range created {
		replayed = append(replayed, c.Replayed)
	}
	assert.Equal(t, []bool{false, true, true, false, false}, replayed)
	assert.Equal(t, first, created[1].Timer.ID)
	assert.Equal(t, created[0].Timer, created[2].Timer, "the same key twice in a batch")
	assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(created[3].Err))
	assert.Equal(t, 3, count(t, database, "SELECT count(*) FROM minoots.timers"))
}

// Batches with the same keys in opposite order do not deadlock.
func TestCreateBatchesInOppositeOrder(t *testing.T) {
	t.Parallel()
	database, one := setup(t)
	two := connect(t, database.URL)
	for range 20 {
		a, b := minoots.NewID().String(), minoots.NewID().String()
		var g errgroup.Group
		for i, d := range []*db.DB{one, two} {
			batch := []db.NewTimer{keyed(a, "1"), keyed(b, "1")}
			if i == 1 {
				batch[0], batch[1] = batch[1], batch[0]
			}
			g.Go(func() error {
				_, err := d.TimerCreate(t.Context(), batch)
				return err
			})
		}
		require.NoError(t, g.Wait())
	}
	assert.Equal(t, 40, count(t, database, "SELECT count(*) FROM minoots.timers"))
}

// What a create answers, without reading, is what a read gives.
func TestCreateAnswersWhatIsStored(t *testing.T) {
	t.Parallel()
	_, d := setup(t)
	full := timerAt(time.Now().Add(time.Hour), 2, 2)
	full.Spec.Name, full.Spec.RequestedBy = "näme", "agent:planner"
	full.Spec.Labels = map[string]string{"session": "s-17"}
	full.Spec.Metadata = json.RawMessage(`{"any":["JSON",1.50,null]}`)
	full.Spec.AgentBinding = &minoots.AgentBinding{Adapter: "mcp", Target: "x", PayloadTemplate: json.RawMessage(`{}`)}
	full.Spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 1}
	full.Spec.JitterMs = 60_000
	length := timerAt(time.Now(), 0, 0)
	length.Spec.FireAt = nil
	odd := minoots.Duration(90*time.Minute + 1) // not whole microseconds
	length.Spec.Duration = &odd

	created, err := d.TimerCreate(t.Context(), []db.NewTimer{full, length})
	require.NoError(t, err)
	for _, c := range created {
		assert.Equal(t, get(t, d, c.Timer.ID), c.Timer)
	}
	assert.WithinRange(t, created[0].DueAt, full.Spec.FireAt.Time, full.Spec.FireAt.Add(time.Minute))
	assert.Equal(t, full.Spec.FireAt.Time, created[0].Timer.FireAt.Time, "jitter moves the claim, not what callers see")
	c := created[1]
	assert.GreaterOrEqual(t, c.Timer.FireAt.Sub(c.Timer.CreatedAt.Time), time.Duration(odd), "rounded up: never early")
	assert.Less(t, c.Timer.FireAt.Sub(c.Timer.CreatedAt.Time), time.Duration(odd)+time.Microsecond)
}

// One that cannot be stored takes the whole batch with it.
func TestCreateAllOrNothing(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	bad := keyed("k", "1")
	bad.Spec.Name = "a\x00b"
	_, err := d.TimerCreate(t.Context(), []db.NewTimer{timerAt(time.Now(), 0, 0), bad})
	assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
	for _, table := range []string{"timers", "timer_states", "idempotency_keys", "events"} {
		assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots."+table), table)
	}
	create(t, d, keyed("k", "2")) // the key is free
}
