package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/rig"
	"github.com/minoots/minoots/internal/seal"
	"github.com/minoots/minoots/internal/testdb"
)

// A subscription's life through the program, beside replicas that log all they do:
// the token in its headers stands nowhere that anybody sees.
func TestSubscriptionsCommands(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	logged, api, _ := keyed(t, database.URL, seal.NewKey())
	key, err := rig.MakeTenant(t.Context(), database.URL, "acme")
	require.NoError(t, err)
	const token = "receivers-own-token"
	var said strings.Builder
	subscriptions := func(want int, args ...string) string {
		t.Helper()
		status, out, errOut := cli(t, "", append([]string{"subscriptions", "--url=" + api, "--api-key=" + key}, args...)...)
		require.Equal(t, want, status, errOut)
		said.WriteString(out + errOut)
		return out + errOut
	}
	var s minoots.Subscription
	read := func(out string) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(out), &s))
	}
	// Nobody listens there: deliveries fail, and are tried once.
	read(subscriptions(0, "create", "http://127.0.0.1:1/e", "--topic=timer.*", "--header=X-Token: "+token, "--json"))
	id := s.ID.String()
	read(subscriptions(0, "update", id, "--to=http://127.0.0.1:1/f", "--name=audit", "--topic=*", "--max-attempts=1",
		"--header=X-More: "+token+"-2", "--timer="+someID, "--json"))
	assert.Equal(t, []string{"X-More", "X-Token"}, s.HeaderNames)
	assert.Equal(t, []string{"*"}, s.Topics)
	assert.Equal(t, "audit", s.Name)
	assert.Equal(t, "http://127.0.0.1:1/f", s.URL)
	assert.Equal(t, 1, s.RetryPolicy.MaxAttempts)
	require.NotNil(t, s.TimerID)
	read(subscriptions(0, "update", id, "--timer=", "--unheader=X-More", "--json"))
	assert.Nil(t, s.TimerID)
	assert.Equal(t, []string{"X-Token"}, s.HeaderNames)
	assert.Contains(t, subscriptions(exitMisuse, "update", id), "nothing to change")
	assert.Contains(t, subscriptions(exitMisuse, "update", id, "--header=none"), "Name: value")
	assert.Contains(t, subscriptions(exitFailed, "update", id, "--max-attempts=-1"), "retryPolicy.maxAttempts")
	subscriptions(exitFailed, "test", id)

	status, _, errOut := cli(t, "", "timers", "create", "--url="+api, "--api-key="+key, "--in=1h")
	require.Zero(t, status, errOut)
	var log []minoots.SubscriptionDelivery
	until := func(what string, so func() bool) {
		t.Helper()
		require.NoError(t, rig.Until(t.Context(), 50*time.Millisecond, time.Minute, what, func() (bool, error) {
			log = nil
			err := json.Unmarshal([]byte(subscriptions(0, "deliveries", id, "--status=failed", "--json")), &log)
			return len(log) == 1 && so(), err
		}))
	}
	until("it has failed", func() bool { return true })
	assert.Contains(t, subscriptions(0, "redeliver", id, log[0].ID.String()), log[0].ID.String()+" waiting")
	until("it has failed again", func() bool { return log[0].Attempts == 2 })
	subscriptions(exitMisuse, "redeliver", id)
	assert.Contains(t, subscriptions(exitFailed, "redeliver", id, someID), "delivery "+someID)
	subscriptions(0, "get", id, "--json")
	subscriptions(0, "list", "--json")

	d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: "test"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	keys, err := d.SecretKeys(t.Context())
	require.NoError(t, err)
	for _, k := range keys {
		assert.NotEmpty(t, k.KeyID, "nothing is plain")
	}
	assert.NotContains(t, said.String(), token)
	assert.NotContains(t, logged.String(), token)
}
