package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestPatchTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.create(`{"name":"a","duration":"1h","labels":{"x":"1","y":"2"},"metadata":{"p":1.50,"q":{"r":"<>","s":2}},"jitterMs":0,
		"actionBundle":{"actions":[{"id":"one","kind":"webhook","parameters":{"url":"https://x.example"}}]}}`)
	b.hints.take()
	path := "/v1/timers/" + made.ID.String()
	patch := func(body string, headers ...string) (timer minoots.Timer) {
		t.Helper()
		a := b.call("PATCH", path, body, headers...).is(http.StatusOK)
		a.into(&timer)
		assert.Equal(t, fmt.Sprintf(`"%d"`, timer.Version), a.Header.Get("ETag"))
		return timer
	}

	got := patch(`{"name":"b","labels":{"x":null,"z":"3"},"metadata":{"q":{"s":null,"t":[null]}}}`, "If-Match", `"1"`)
	assert.Equal(t, "b", got.Name)
	assert.Equal(t, map[string]string{"y": "2", "z": "3"}, got.Labels)
	assert.JSONEq(t, `{"p":1.50,"q":{"r":"<>","t":[null]}}`, string(got.Metadata))
	assert.Equal(t, made.ActionBundle, got.ActionBundle)
	assert.Equal(t, made.FireAt, got.FireAt)
	assert.EqualValues(t, 2, got.Version)
	assert.Empty(t, b.hints.take(), "its time is as it was")

	assert.Equal(t, got, patch(`{}`, "Content-Type", "application/merge-patch+json"), "an empty patch changes nothing")
	got = patch(`{"labels":null,"metadata":null,"actionBundle":null,"name":null,"fireAt":null}`, "If-Match", `"7", "2"`)
	assert.Empty(t, got.Labels)
	assert.Empty(t, got.Metadata)
	assert.Nil(t, got.ActionBundle)
	assert.Equal(t, made.Duration, got.Duration, "a fireAt that it does not have is taken away")

	at := minoots.InstantOf(time.Now().Add(5 * time.Hour).Truncate(time.Second))
	got = patch(`{"fireAt":"`+at.String()+`"}`, "If-Match", "*")
	assert.Equal(t, at, got.FireAt)
	assert.Nil(t, got.Duration)
	hints := b.hints.take()
	require.Len(t, hints, 1)
	assert.True(t, hints[0].Equal(at.Time))
	got = patch(`{"duration":"2s","fireAt":null}`)
	assert.Equal(t, "2s", got.Duration.String())
	assert.WithinDuration(t, time.Now().Add(2*time.Second), got.FireAt.Time, 10*time.Second, "from now")
	require.Len(t, b.hints.take(), 1)

	b.call("PATCH", path, `{"fireAt":null,"duration":null}`).is(http.StatusUnprocessableEntity)
	got = patch(`{"fireAt":"2020-01-01T00:00:00Z","misfire":{"policy":"fire_once"}}`)
	assert.True(t, b.hints.take()[0].Equal(got.FireAt.Time), "kernels are told of an instant that has passed")
}

// A time that has passed meanwhile does not keep the rest from being changed.
func TestPatchOfAnOverdueTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.create(`{"fireAt":"2020-01-01T00:00:00Z","misfire":{"policy":"fire_once"}}`)
	var got minoots.Timer
	b.call("PATCH", "/v1/timers/"+made.ID.String(), `{"misfire":null,"name":"b"}`).is(http.StatusOK).into(&got)
	assert.Equal(t, made.FireAt, got.FireAt)
	assert.Nil(t, got.Duration)
	b.call("PATCH", "/v1/timers/"+made.ID.String(), `{"duration":null}`).is(http.StatusOK)
	b.call("PATCH", "/v1/timers/"+made.ID.String(), `{"fireAt":null}`).is(http.StatusUnprocessableEntity)
}

// Of patches on one version one wins; without a condition, all get through.
func TestPatchesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/timers/" + b.create(`{"duration":"1h"}`).ID.String()
	at := func(headers ...string) map[int]int {
		var mu sync.Mutex
		var all sync.WaitGroup
		statuses := map[int]int{}
		for i := range 8 {
			all.Go(func() {
				a := b.call("PATCH", path, fmt.Sprintf(`{"labels":{"k%d":"v"}}`, i), headers...)
				mu.Lock()
				defer mu.Unlock()
				statuses[a.StatusCode]++
			})
		}
		all.Wait()
		return statuses
	}
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: 7}, at("If-Match", `"1"`))
	assert.Equal(t, map[int]int{http.StatusOK: 8}, at())
	var got minoots.Timer
	b.call("GET", path, "").into(&got)
	assert.Len(t, got.Labels, 8)
	assert.EqualValues(t, 10, got.Version)
}
