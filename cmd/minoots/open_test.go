package main

import (
	"bytes"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/testdb"
)

// A command that waits long for Postgres says so; what does not answer then ends
// it, and names no password.
func TestReachSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	nobody := config.SecretOf("postgres://me:hush@127.0.0.1:1/timers")
	var errOut bytes.Buffer
	_, err := reach(t.Context(), nobody, openTimeout, nil, &errOut)
	require.Equal(t, minoots.CodeUnavailable, minoots.ErrorCode(err))
	require.ErrorContains(t, err, "no answer from postgres://me@127.0.0.1:1/timers")
	require.Empty(t, errOut.String(), "a few seconds are nothing to speak of")

	_, err = reach(t.Context(), nobody, openTimeout+200*time.Millisecond, nil, &errOut)
	require.ErrorContains(t, err, "no answer from")
	require.Regexp(t, `^no answer from postgres://me@127.0.0.1:1/timers yet: .*refused; waiting 200ms more\n$`, errOut.String())
}

// Postgres that is there and does not let us in is another matter than none.
func TestReachDoesNotWaitForARefusal(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testdb.New(t).URL)
	require.NoError(t, err)
	u.Path = "/nowhere"
	var errOut bytes.Buffer
	_, err = reach(t.Context(), config.SecretOf(u.String()), migrateTimeout, nil, &errOut)
	require.ErrorContains(t, err, "refused by")
	require.ErrorContains(t, err, `database "nowhere" does not exist`)
	require.Empty(t, errOut.String())
}

func TestNoticeRepeatsItselfSeldom(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	n := &notice{to: &out}
	for range 3 {
		n.say("nobody there")
	}
	n.say("busy")
	n.at = n.at.Add(-noticeEvery)
	n.say("busy")
	require.Equal(t, "nobody there\nbusy\nbusy\n", out.String())
}
