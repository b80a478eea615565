package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestCreateWarnsOfAHerd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const at = "2027-03-01T09:00:00"
	batch := func(n int, spec string) (timers []minoots.Timer) {
		t.Helper()
		var made struct{ Timers []minoots.Timer }
		b.call("POST", "/v1/timers/batch", `{"timers":[`+strings.Repeat(spec+",", n-1)+spec+`]}`).is(http.StatusCreated).into(&made)
		return made.Timers
	}
	spec := fmt.Sprintf(`{"fireAt":"%s.5Z"}`, at)
	assert.Nil(t, batch(60, spec)[59].Herd, "not many yet")
	herd := batch(60, spec)[0].Herd
	require.NotNil(t, herd)
	assert.Equal(t, 120, herd.Count)
	assert.Equal(t, at+".000000Z", herd.At.String())
	assert.Contains(t, herd.Hint, "jitterMs")

	var one minoots.Timer
	b.call("POST", "/v1/timers", spec).is(http.StatusCreated).into(&one)
	require.NotNil(t, one.Herd)
	assert.Equal(t, 121, one.Herd.Count)
	var read minoots.Timer
	b.call("GET", "/v1/timers/"+one.ID.String(), "").into(&read)
	assert.Nil(t, read.Herd, "it is of the create")

	assert.Nil(t, batch(1, fmt.Sprintf(`{"fireAt":"%sZ","jitterMs":60000}`, at))[0].Herd, "has a jitter")
	assert.Nil(t, batch(1, `{"fireAt":"2027-03-01T09:00:01Z"}`)[0].Herd, "another second")
	var other minoots.Timer
	b.call("POST", "/v1/timers", spec, "X-Api-Key", b.other).is(http.StatusCreated).into(&other)
	assert.Nil(t, other.Herd, "another tenant")

	// Those that have been called off do not count, when counted again.
	_, err := b.pool.Exec(t.Context(), "UPDATE minoots.timer_states SET status = 'cancelled', due_at = NULL WHERE tenant_id = 'acme'")
	require.NoError(t, err)
	assert.Equal(t, 130, batch(130, spec)[0].Herd.Count)
}
