package minoots_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

const day = 24 * time.Hour

var durationForms = []struct {
	text string
	want time.Duration
}{
	{"90s", 90 * time.Second},
	{"1h30m", 90 * time.Minute},
	{"1h30m10s", 90*time.Minute + 10*time.Second},
	{"2d", 2 * day},
	{"1w", 7 * day},
	{"1w2d3h4m5s6ms7us8ns", 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond + 7*time.Microsecond + 8},
	{"250ms", 250 * time.Millisecond},
	{"7us", 7 * time.Microsecond},
	{"7µs", 7 * time.Microsecond},
	{"1.5h", 90 * time.Minute},
	{".5s", 500 * time.Millisecond},
	{"5.s", 5 * time.Second},
	{"30m1h", 90 * time.Minute}, // in any order
	{"0s", 0},
	{"-5m", -5 * time.Minute},
	{"-1h30m", -90 * time.Minute},
	{"0.1s0.2s", 300 * time.Millisecond}, // exact, not in floating point
	{"36525d", minoots.MaxHorizon},

	{"PT1H", time.Hour},
	{"PT90S", 90 * time.Second},
	{"PT1M", time.Minute},
	{"PT1H30M15S", 90*time.Minute + 15*time.Second},
	{"P2W", 14 * day},
	{"P1D", day},
	{"P1DT12H", 36 * time.Hour},
	{"PT0.5S", 500 * time.Millisecond},
	{"PT0,5S", 500 * time.Millisecond},
	{"P0.5D", 12 * time.Hour},
	{"P1W2D", 9 * day},
	{"-PT5M", -5 * time.Minute},
	{"+PT5M", 5 * time.Minute},
	{"PT0S", 0},
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for _, c := range durationForms {
		got, err := minoots.ParseDuration(c.text)
		if assert.NoError(t, err, c.text) {
			assert.Equal(t, c.want, time.Duration(got), c.text)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, why string }{
		{"", "empty"},
		{"-", "empty"},
		{"90", "a number and a unit are needed"},
		{"s", "a number and a unit are needed"},
		{"+5s", "a number and a unit are needed"},
		{"--5s", "a number and a unit are needed"},
		{" 5s", "a number and a unit are needed"},
		{"5 s", `unknown unit " s"`},
		{"5s ", `unknown unit "s "`},
		{"5y", `unknown unit "y"`},
		{"5mo", `unknown unit "mo"`},
		{"5S", `unknown unit "S"`},
		{"1e3s", `unknown unit "e"`},
		{"5s\x00", `unknown unit "s\x00"`},
		{"5\xff", "unknown unit"},
		{"1.2.3s", "bad number"},
		{".s", "bad number"},
		{"1234567890123456789012345678901s", "bad number"},
		{"99999999w", "out of range"},
		{"-9999999999999w", "out of range"},
		{strings.Repeat("1", 64) + "s", "too long"},

		{"P", "nothing after P or T"},
		{"PT", "nothing after P or T"},
		{"P1DT", "nothing after P or T"},
		{"P1Y", "months and years have no fixed length; use fireAt or a recurrence"},
		{"P1M", "months and years have no fixed length; use fireAt or a recurrence"},
		{"P1Y2M3DT4H", "months and years have no fixed length"},
		{"PT1Y", "months and years have no fixed length"},
		{"PT1S1M", "unknown or misplaced designator"}, // these are minutes
		{"PT1M1H", "unknown or misplaced designator"},
		{"PT1H1H", "unknown or misplaced designator"},
		{"P1D1W", "unknown or misplaced designator"},
		{"P1H", "unknown or misplaced designator"},
		{"PT1D", "unknown or misplaced designator"},
		{"PT1HT1M", "a number and a designator are needed"},
		{"PT5", "a number and a designator are needed"},
		{"P1", "a number and a designator are needed"},
		{"PTH", "a number and a designator are needed"},
		{"P-1D", "a number and a designator are needed"},
		{"PP1D", "a number and a designator are needed"},
		{"PT1,5,5S", "bad number"},
		{"PT1.5,5S", "bad number"},
		{"PT.S", "bad number"},
		{"P99999999W", "out of range"},
		{"pt1h", "a number and a unit are needed"},
	} {
		_, err := minoots.ParseDuration(c.text)
		if assert.ErrorContains(t, err, c.why, "%q", c.text) {
			assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err), "%q", c.text)
			assert.ErrorContains(t, err, `want "90s"`, "it says what would be right")
		}
	}
}

func TestDurationString(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "1m30s": 90 * time.Second, "1h": time.Hour, "1h30m": 90 * time.Minute, "1h0m1s": time.Hour + time.Second,
		"10m": 10 * time.Minute, "2d": 2 * day, "2d3h": 2*day + 3*time.Hour, "1d1s": day + time.Second, "250ms": 250 * time.Millisecond,
		"1.5µs": 1500, "8ns": 8, "-2d3h": -2*day - 3*time.Hour, "-10m": -10 * time.Minute, "36525d": minoots.MaxHorizon,
		"-106751d23h47m16.854775808s": math.MinInt64,
	} {
		assert.Equal(t, want, minoots.Duration(d).String())
	}
}

func TestDurationJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		`"1h30m"`: 90 * time.Minute, `"PT1H"`: time.Hour, `"1h"`: time.Hour, `"7\u00b5s"`: 7 * time.Microsecond,
		`1500`: 1500 * time.Millisecond, `0`: 0, `-1`: -time.Millisecond,
	} {
		var d minoots.Duration
		if assert.NoError(t, json.Unmarshal([]byte(text), &d), text) {
			assert.Equal(t, want, time.Duration(d), text)
		}
	}
	for _, text := range []string{
		`1.5`, `1e3`, `true`, `null`, `{}`, `[]`, `""`, `"90"`, `"P1M"`, `99999999999999`, `-99999999999999`, `999999999999999999999999`,
	} {
		var d minoots.Duration
		assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(json.Unmarshal([]byte(text), &d)), text)
	}
	b, err := json.Marshal(minoots.Duration(90 * time.Minute))
	require.NoError(t, err)
	assert.JSONEq(t, `"1h30m"`, string(b))
}

// FuzzParseDuration: no text makes the parser panic, and what it accepts comes
// back from its own String and JSON forms unchanged.
func FuzzParseDuration(f *testing.F) {
	for _, c := range durationForms {
		f.Add(c.text)
	}
	for _, text := range []string{"", "-", "P", "PT", "-P", "+P", "P1Y", "1", "5s\x00", "µ", "0.5us", "-P1W1DT1H1M1.5S", "P,D", "9223372036.854775807s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := minoots.ParseDuration(text)
		if err != nil {
			require.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
			return
		}
		again, err := minoots.ParseDuration(d.String())
		require.NoError(t, err, "%q gave %s", text, d)
		require.Equal(t, d, again, "%q gave %s", text, d)

		b, err := json.Marshal(d)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &again))
		require.Equal(t, d, again)
	})
}
