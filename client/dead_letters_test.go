package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	c, requests := server(t, ok(`{"id":"`+timerID+`","count":2,"items":[{"occurrence":1}],"nextCursor":"abc"}`))
	id, err := minoots.ParseID(timerID)
	require.NoError(t, err)
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	f := client.DeadLetterFilter{
		Status: minoots.DeadLetterResolved, TimerID: id, Kind: minoots.KindWebhook, ErrorClass: "timeout",
		CreatedAfter: at, CreatedBefore: at.Add(time.Second), PageSize: 2, Cursor: "x",
	}
	page, err := c.ListDeadLetters(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, "abc", page.NextCursor)
	require.Equal(t, 1, page.Items[0].Occurrence)
	letter, err := c.GetDeadLetter(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, id, letter.ID)
	_, err = c.RedriveDeadLetter(t.Context(), id)
	require.NoError(t, err)
	redriven, err := c.RedriveDeadLetters(t.Context(), f, true)
	require.NoError(t, err)
	require.Equal(t, 2, redriven.Count)
	_, err = c.RedriveDeadLetters(t.Context(), client.DeadLetterFilter{}, false)
	require.NoError(t, err)
	require.NoError(t, c.DiscardDeadLetter(t.Context(), id))

	var calls []string
	for _, r := range *requests {
		calls = append(calls, r.method+" "+r.path+" "+r.query.Encode()+" "+r.body)
	}
	const when = "2026-11-23T09%3A00%3A00.000000Z"
	require.Equal(t, []string{
		"GET /v1/dead-letters createdAfter=" + when + "&createdBefore=2026-11-23T09%3A00%3A01.000000Z&cursor=x&errorClass=timeout&kind=webhook&limit=2&status=resolved&timerId=" + timerID + " ",
		"GET /v1/dead-letters/" + timerID + "  ",
		"POST /v1/dead-letters/" + timerID + "/redrive  ",
		`POST /v1/dead-letters/redrive  {"timerId":"` + timerID + `","kind":"webhook","errorClass":"timeout","createdAfter":"2026-11-23T09:00:00.000000Z","createdBefore":"2026-11-23T09:00:01.000000Z","dryRun":true}`,
		`POST /v1/dead-letters/redrive  {"all":true}`,
		"DELETE /v1/dead-letters/" + timerID + "  ",
	}, calls)
}
