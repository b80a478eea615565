package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/tzdb"
)

const previewPath = "/v1/recurrences/preview"

func TestPreviewRecurrence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p minoots.RecurrencePreview
	b.call("POST", previewPath, `{"recurrence":{"cron":"30 2 * * *","timeZone":"Europe/Paris","dst":{"gap":"shift"},
		"startAt":null,"endAt":null,"maxOccurrences":null},"count":2,"after":"2027-03-27T12:00:00+01:00"}`).is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 2)
	assert.Equal(t, "2027-03-28T01:30:00.000000Z", p.Items[0].At.String())
	assert.Equal(t, "2027-03-28T03:30:00+02:00", p.Items[0].Local)
	assert.Equal(t, "+02:00 CEST", p.Items[0].Offset+" "+p.Items[0].Abbreviation)
	assert.Equal(t, "02:30 does not exist: shifted to 03:30", p.Items[0].Note)
	assert.Empty(t, p.Items[1].Note)
	assert.Equal(t, "Europe/Paris", p.TimeZone)
	assert.Equal(t, tzdb.Version(), p.TZData)
	assert.Equal(t, &minoots.DSTPolicy{Gap: "shift", Overlap: "first"}, p.Recurrence.DST)
	assert.False(t, p.Ends)

	b.call("POST", previewPath, `{"recurrence":{"every":900000}}`).is(http.StatusOK).into(&p)
	assert.Len(t, p.Items, minoots.DefaultPreview, "by default, from now on")
	assert.True(t, p.Items[0].At.After(b.db.Clock().Now()))
}

func TestBadPreviews(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var cases []badRequest
	for _, c := range []struct{ what, body, field, message string }{
		{"nothing", `{}`, "recurrence", "is missing"},
		{"null", `{"recurrence":null}`, "recurrence", "must not be null"},
		{"neither", `{"recurrence":{}}`, "recurrence", "exactly one of cron"},
		{"both", `{"recurrence":{"cron":"@daily","every":"1h"}}`, "recurrence", "has both"},
		{"bad cron", `{"recurrence":{"cron":"0 9 * * MON-FRY"}}`, "recurrence.cron", `want 0 to 7 or SUN to SAT`},
		{"four fields", `{"recurrence":{"cron":"0 9 * *"}}`, "recurrence.cron", "want 5 fields"},
		{"30 February", `{"recurrence":{"cron":"0 9 30 2 *"}}`, "recurrence.cron", "February has no day 30; want 1 to 29"},
		{"no cron", `{"recurrence":{"cron":9}}`, "recurrence.cron", "must be a string"},
		{"unknown zone", `{"recurrence":{"cron":"@daily","timeZone":"CEST"}}`, "recurrence.timeZone", `IANA name such as "Europe/Paris"`},
		{"zone in lower case", `{"recurrence":{"cron":"@daily","timeZone":"europe/paris"}}`, "recurrence.timeZone", `is written "Europe/Paris"`},
		{"too often", `{"recurrence":{"every":"999ms"}}`, "recurrence.every", "must be from 1s"},
		{"no duration", `{"recurrence":{"every":"often"}}`, "recurrence.every", "is not a duration"},
		{"bad gap", `{"recurrence":{"cron":"@daily","dst":{"gap":"last"}}}`, "recurrence.dst.gap", "shift or skip"},
		{"ends before it starts", `{"recurrence":{"every":"1h","startAt":"2030-01-02T00:00:00Z","endAt":"2030-01-01T00:00:00Z"}}`,
			"recurrence.endAt", "is before startAt"},
		{"ends before the first", `{"recurrence":{"cron":"@yearly","endAt":"2030-02-01T00:00:00Z"},"after":"2030-01-02T00:00:00Z"}`,
			"recurrence.endAt", "before the first occurrence (2031-01-01"},
		{"has ended", `{"recurrence":{"cron":"@daily","endAt":"2020-01-01T00:00:00Z"}}`, "recurrence.endAt", "has passed"},
		{"none at most", `{"recurrence":{"cron":"@daily","maxOccurrences":0}}`, "recurrence.maxOccurrences", "from 1 to"},
		{"count", `{"recurrence":{"cron":"@daily"},"count":101}`, "count", "from 1 to 100"},
		{"after", `{"recurrence":{"cron":"@daily"},"after":"tomorrow"}`, "after", "RFC 3339"},
		{"long ago", `{"recurrence":{"cron":"@daily"},"after":"1066-10-14T09:00:00Z"}`, "after", "100 years"},
		{"unknown field", `{"recurrence":{"corn":"@daily"}}`, "recurrence.corn", "want one of cron, every"},
	} {
		cases = append(cases, badRequest{c.what, "POST", previewPath, c.body, 422, c.field, c.message, nil})
	}
	b.refuse(cases)
}
