package cron

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

func preview(t *testing.T, ask string) minoots.RecurrencePreview {
	t.Helper()
	var r minoots.RecurrencePreviewRequest
	require.NoError(t, json.Unmarshal([]byte(ask), &r))
	p, err := Preview(r, instant(t, "2026-11-23T09:00:00Z"))
	require.NoError(t, err)
	return p
}

func TestPreview(t *testing.T) {
	t.Parallel()
	p := preview(t, `{"recurrence":{"cron":"0 9 * * MON-FRI","timeZone":"Europe/Paris"},"count":2}`)
	b, err := json.Marshal(p)
	require.NoError(t, err)
	assert.JSONEq(t, `{"items":[
		{"at":"2026-11-24T08:00:00.000000Z","local":"2026-11-24T09:00:00+01:00","offset":"+01:00","abbreviation":"CET"},
		{"at":"2026-11-25T08:00:00.000000Z","local":"2026-11-25T09:00:00+01:00","offset":"+01:00","abbreviation":"CET"}],
		"ends":false,"timeZone":"Europe/Paris","tzdata":"`+tzdb.Version()+`",
		"recurrence":{"cron":"0 9 * * MON-FRI","timeZone":"Europe/Paris","dst":{"gap":"shift","overlap":"first"}}}`, string(b))
	assert.Len(t, preview(t, `{"recurrence":{"every":"1s"}}`).Items, minoots.DefaultPreview)
}

func TestPreviewEnds(t *testing.T) {
	t.Parallel()
	for ask, want := range map[string]int{
		`{"recurrence":{"every":"15m","maxOccurrences":3}}`:                  3,
		`{"recurrence":{"every":"15m","endAt":"2026-11-23T09:30:00Z"}}`:      2,
		`{"recurrence":{"every":"15m","maxOccurrences":1},"count":1}`:        1,
		`{"recurrence":{"cron":"@daily","endAt":"2026-11-24T00:00:00Z"}}`:    1,
		`{"recurrence":{"every":"36525d"}}`:                                  1,
		`{"recurrence":{"cron":"0 0 1 1 *","endAt":"2031-01-01T00:00:00Z"}}`: 5,
	} {
		p := preview(t, ask)
		assert.Len(t, p.Items, want, ask)
		assert.True(t, p.Ends, ask)
	}
	assert.False(t, preview(t, `{"recurrence":{"every":"15m","maxOccurrences":3},"count":2}`).Ends)
}

func TestPreviewNotes(t *testing.T) {
	t.Parallel()
	const newYork = `"timeZone":"America/New_York"`
	for ask, want := range map[string][]string{
		`{"recurrence":{"cron":"30 2 * * *",` + newYork + `},"after":"2027-03-13T12:00:00Z","count":2}`: {
			"02:30 does not exist: shifted to 03:30", ""},
		`{"recurrence":{"cron":"*/10 30 2 * * *",` + newYork + `},"after":"2027-03-14T07:30:05Z","count":1}`: {
			"02:30:10 does not exist: shifted to 03:30:10"},
		// 02:00 is shifted to 03:00, which is due anyway: one instant, and nothing to note.
		`{"recurrence":{"cron":"0 2,3 * * *",` + newYork + `},"after":"2027-03-13T12:00:00Z","count":2}`: {"", ""},
		`{"recurrence":{"cron":"30 2 * * *",` + newYork + `,"dst":{"gap":"skip"}},"after":"2027-03-12T12:00:00Z","count":3}`: {
			"", "2027-03-14 02:30 does not exist: skipped", ""},
		`{"recurrence":{"cron":"*/20 2 * * *",` + newYork + `,"dst":{"gap":"skip"}},"after":"2027-03-13T12:00:00Z","count":1}`: {
			"2027-03-14 02:00 does not exist: skipped, and 2 more"},
		`{"recurrence":{"cron":"* * 2 * * *",` + newYork + `,"dst":{"gap":"skip"}},"after":"2027-03-13T12:00:00Z","count":1}`: {
			"2027-03-14 02:00 does not exist: skipped, and many more"},
		`{"recurrence":{"cron":"30 1 * * *",` + newYork + `},"after":"2027-11-06T12:00:00Z","count":2}`: {
			"01:30 happens twice: first", ""},
		`{"recurrence":{"cron":"30 1 * * *",` + newYork + `,"dst":{"overlap":"last"}},"after":"2027-11-06T12:00:00Z","count":2}`: {
			"01:30 happens twice: last", ""},
		`{"recurrence":{"cron":"30 1 * * *",` + newYork + `,"dst":{"overlap":"both"}},"after":"2027-11-06T12:00:00Z","count":3}`: {
			"01:30 happens twice: first", "01:30 happens twice: last", ""},
		`{"recurrence":{"cron":"0 9 30 12 *","timeZone":"Pacific/Apia"},"after":"2011-12-01T00:00:00Z","count":1}`: {
			"2011-12-30 09:00 does not exist: shifted to 2011-12-31 09:00"},
		`{"recurrence":{"every":"12h",` + newYork + `},"after":"2027-11-06T12:00:00Z","count":2}`: {"", ""},
	} {
		notes := []string{}
		for _, item := range preview(t, ask).Items {
			notes = append(notes, item.Note)
		}
		assert.Equal(t, want, notes, ask)
	}
}

func TestBadPreviews(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-11-23T09:00:00Z")
	for ask, want := range map[string][]string{
		`{"recurrence":{"cron":"60 * * * *","dst":{"gap":"no"}}}`: {"recurrence.dst.gap", "recurrence.cron"},
		`{"recurrence":{}}`:                                                                      {"recurrence"},
		`{"recurrence":{"every":"1s"},"count":0}`:                                                {"count"},
		`{"recurrence":{"every":"1s"},"count":101}`:                                              {"count"},
		`{"recurrence":{"every":"1s"},"after":"1800-01-01T00:00:00Z"}`:                           {"after"},
		`{"recurrence":{"every":"1s","timeZone":"X"},"count":-1,"after":"9999-01-01T00:00:00Z"}`: {"count", "after", "recurrence.timeZone"},
	} {
		var r minoots.RecurrencePreviewRequest
		require.NoError(t, json.Unmarshal([]byte(ask), &r))
		_, err := Preview(r, now)
		var e *minoots.Error
		require.ErrorAs(t, err, &e, ask)
		assert.Equal(t, minoots.CodeInvalid, e.Code)
		paths := []string{}
		for _, f := range e.Fields {
			paths = append(paths, f.Path)
		}
		assert.Equal(t, want, paths, ask)
	}
}
