package minoots_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
)

// An instant cut short would let a timer fire early.
func TestInstantRoundsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62e9, 253e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		i := minoots.InstantOf(at)
		require.False(t, i.Before(at), "never earlier")
		require.Less(t, i.Sub(at), time.Microsecond, "and by less than a microsecond later")
		require.Equal(t, i, minoots.InstantOf(i.Time), "rounding twice changes nothing")
		require.Zero(t, i.Nanosecond()%1000)
	})
}

func TestInstantText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-11-23T17:03:20Z":                "2026-11-23T17:03:20.000000Z",
		"2026-11-23T17:03:20.5Z":              "2026-11-23T17:03:20.500000Z",
		"2026-11-23T17:03:20.123456Z":         "2026-11-23T17:03:20.123456Z",
		"2026-11-23T17:03:20.1234561Z":        "2026-11-23T17:03:20.123457Z", // up
		"2026-12-31T23:59:59.999999999Z":      "2027-01-01T00:00:00.000000Z",
		"2026-11-23T18:03:20+01:00":           "2026-11-23T17:03:20.000000Z",
		"2026-11-23T11:33:20.000001-05:30":    "2026-11-23T17:03:20.000001Z",
		"2024-02-29T00:00:00Z":                "2024-02-29T00:00:00.000000Z",
		"1969-12-31T23:59:59.999999999-00:00": "1970-01-01T00:00:00.000000Z",
	} {
		var i minoots.Instant
		if assert.NoError(t, i.UnmarshalText([]byte(text)), text) {
			assert.Equal(t, want, i.String(), text)
		}
	}
	for _, text := range []string{
		"", "now", "2026-11-23", "2026-11-23T17:03:20", "2026-11-23 17:03:20Z", "2026-11-23T17:03Z", "2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T23:59:60Z", "2026-11-23T17:03:20+25:00",
		"2026-11-23T17:03:20.Z", "12026-11-23T17:03:20Z", "2026-11-23T17:03:20Z\x00", "1790000000",
	} {
		var i minoots.Instant
		err := i.UnmarshalText([]byte(text))
		if assert.ErrorContains(t, err, "want RFC 3339", text) {
			assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
		}
	}
}

func TestInstantJSON(t *testing.T) {
	t.Parallel()
	// Half an hour before the new year in Paris is another year in UTC.
	at := time.Date(2027, 1, 1, 0, 30, 0, 5001, time.FixedZone("Paris", 3600))
	b, err := json.Marshal(struct {
		At   minoots.Instant  `json:"at"`
		None *minoots.Instant `json:"none"`
	}{At: minoots.InstantOf(at)})
	require.NoError(t, err)
	assert.Equal(t, `{"at":"2026-12-31T23:30:00.000006Z","none":null}`, string(b))

	text, err := minoots.InstantOf(at).MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "2026-12-31T23:30:00.000006Z", string(text))

	rapid.Check(t, func(t *rapid.T) {
		want := minoots.InstantOf(time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "microseconds")))
		b, err := json.Marshal(want)
		require.NoError(t, err)
		var got minoots.Instant
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, want, got)
	})

	for _, text := range []string{`1790000000`, `{}`, `""`, `"`, `true`, `"tomorrow"`} {
		var i minoots.Instant
		require.Error(t, i.UnmarshalJSON([]byte(text)), text)
	}
}
