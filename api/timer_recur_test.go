package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestCreateRecurringTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var timer, again, read minoots.Timer
	body := `{"recurrence":{"cron":"0 9 * * MON-FRI","timeZone":"Europe/Paris"},"misfire":{"policy":"skip"},"jitterMs":60000}`
	b.call("POST", "/v1/timers", body, "Idempotency-Key", "k").is(http.StatusCreated).into(&timer)
	assert.Equal(t, minoots.StatusScheduled, timer.Status)
	local := timer.FireAt.In(mustZone(t, "Europe/Paris"))
	assert.Equal(t, "09:00:00", local.Format(time.TimeOnly))
	require.NotNil(t, timer.Recurrence)
	assert.Equal(t, &minoots.DSTPolicy{Gap: "shift", Overlap: "first"}, timer.Recurrence.DST, "defaults are written out")
	b.call("POST", "/v1/timers", body, "Idempotency-Key", "k").is(http.StatusOK).into(&again)
	assert.Equal(t, timer.ID, again.ID)
	b.call("GET", "/v1/timers/"+timer.ID.String(), "").is(http.StatusOK).into(&read)
	assert.Equal(t, timer, read)

	var made struct{ Timers []minoots.Timer }
	b.call("POST", "/v1/timers/batch", `{"timers":[{"recurrence":{"every":"15m"}},{"duration":"1h"}]}`).is(http.StatusCreated).into(&made)
	assert.NotNil(t, made.Timers[0].Recurrence)
	assert.Nil(t, made.Timers[1].Recurrence)
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

func TestPatchRecurringTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var timer, next minoots.Timer
	b.call("POST", "/v1/timers", `{"recurrence":{"every":"1h"}}`).is(http.StatusCreated).into(&timer)
	path := "/v1/timers/" + timer.ID.String()
	patch := func(body string) minoots.Timer {
		t.Helper()
		next = minoots.Timer{}
		b.call("PATCH", path, body).is(http.StatusOK).into(&next)
		return next
	}
	got := patch(`{"name":"other"}`)
	assert.Equal(t, timer.FireAt, got.FireAt, "the time stays")
	assert.Equal(t, timer.Recurrence, got.Recurrence)

	got = patch(`{"recurrence":{"every":"2h"}}`)
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), got.FireAt.Time, time.Minute, "from now on")
	assert.Equal(t, minoots.Duration(2*time.Hour), *got.Recurrence.Every)
	assert.Equal(t, "UTC", got.Recurrence.TimeZone, "merged")

	got = patch(`{"recurrence":{"every":null,"cron":"@daily"}}`)
	assert.Equal(t, "@daily", got.Recurrence.Cron)
	assert.Zero(t, got.FireAt.Unix()%86400)
	p := b.call("PATCH", path, `{"jitterMs":86400000}`).is(http.StatusUnprocessableEntity).problem()
	assert.Equal(t, "jitterMs", p.Errors[0].Path)
	assert.Contains(t, p.Errors[0].Message, "must be less than 86400000")
	p = b.call("PATCH", path, `{"recurrence":null}`).is(http.StatusUnprocessableEntity).problem()
	assert.Contains(t, p.Errors[0].Message, "and has 0")

	got = patch(`{"duration":"1h"}`)
	assert.Nil(t, got.Recurrence, "it fires once now")
	got = patch(`{"recurrence":{"every":"1s"},"jitterMs":500}`)
	assert.NotNil(t, got.Recurrence)
	assert.Nil(t, got.Duration)
}

func TestChangeRecurringTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var timer minoots.Timer
	b.call("POST", "/v1/timers", `{"recurrence":{"every":"1h"}}`).is(http.StatusCreated).into(&timer)
	path := "/v1/timers/" + timer.ID.String()
	do := func(verb, body string) (got minoots.Timer) {
		t.Helper()
		b.call("POST", path+"/"+verb, body).is(http.StatusOK).into(&got)
		return got
	}
	assert.Equal(t, minoots.StatusPaused, do("pause", "").Status)
	b.call("POST", path+"/fire", "").is(http.StatusConflict)
	assert.Equal(t, timer.FireAt, do("resume", "").FireAt, "nothing was missed")
	assert.Equal(t, timer.FireAt.Add(10*time.Minute), do("snooze", `{"duration":"10m"}`).FireAt.Time)
	assert.WithinDuration(t, time.Now(), do("fire", "").FireAt.Time, time.Minute)
	assert.Equal(t, minoots.StatusCancelled, do("cancel", "").Status)
}
