package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExpressionsThatMeanTheSame(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"0 0 * * *", "@daily", "@midnight", "@DAILY", "0 0 0 * * *", "  0\t0 * *  * "},
		{"0 0 1 1 *", "@yearly", "@annually", "0 0 1 JAN *", "0 0 1 jan *"},
		{"0 0 1 * *", "@monthly"},
		{"0 0 * * 0", "@weekly", "0 0 * * 7", "0 0 * * SUN", "0 0 * * 0,7", "0 0 * * 7-7", "0 0 * * 0-0"},
		{"0 * * * *", "@hourly", "0 0-23 * * *", "0 */1 * * *"},
		{"0 9 * * 1-5", "0 9 * * MON-FRI", "0 9 * * mon-5", "00 09 * * 1,2,3,4,5"},
		{"0 9 * * 0,5,6", "0 9 * * 5-7", "0 9 * * FRI-SUN", "0 9 * * FRI-0"},
		{"0 9 * * 0,2,4,6", "0 9 * * 0/2", "0 9 * * 0-6/2"},
		{"5,20,35,50 * * * *", "5/15 * * * *", "5-59/15 * * * *"},
		{"0,20,40 * * * *", "*/20 * * * *", "0-59/20 * * * *", "40,0-20/20 * * * *"},
		{"0 0 L * *", "0 0 l * *"},
		{"0 0 * * 5L", "0 0 * * FRIL", "0 0 * * fril"},
		{"0 0 * * 0#1", "0 0 * * 7#1", "0 0 * * SUN#1"},
		{"0 0 1 1-7 *", "0 0 1 JAN-JUL *"},
	} {
		want, bad := Parse(same[0])
		require.Empty(t, bad, same[0])
		for _, text := range same[1:] {
			got, bad := Parse(text)
			require.Empty(t, bad, text)
			assert.Equal(t, want, got, "%s is %s", text, same[0])
		}
	}
}

func TestExpressionsNext(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"30 9 * * *":         {"2027-01-01 09:30:00", "2027-01-02 09:30:00"},
		"*/15 30 9 * * *":    {"2027-01-01 09:30:00", "2027-01-01 09:30:15", "2027-01-01 09:30:30", "2027-01-01 09:30:45", "2027-01-02 09:30:00"},
		"59 59 23 31 12 *":   {"2027-12-31 23:59:59", "2028-12-31 23:59:59"},
		"0 0 31 * *":         {"2027-01-31 00:00:00", "2027-03-31 00:00:00", "2027-05-31 00:00:00"},
		"0 0 L * *":          {"2027-01-31 00:00:00", "2027-02-28 00:00:00", "2027-03-31 00:00:00", "2027-04-30 00:00:00"},
		"0 0 15,L 2 *":       {"2027-02-15 00:00:00", "2027-02-28 00:00:00", "2028-02-15 00:00:00", "2028-02-29 00:00:00"},
		"0 0 29 2 *":         {"2028-02-29 00:00:00", "2032-02-29 00:00:00"},
		"0 0 * * 5L":         {"2027-01-29 00:00:00", "2027-02-26 00:00:00"},
		"0 0 * * MON#1":      {"2027-01-04 00:00:00", "2027-02-01 00:00:00"},
		"0 0 * * FRI#5":      {"2027-01-29 00:00:00", "2027-04-30 00:00:00"},
		"0 0 * 2 FRI#5":      {"2036-02-29 00:00:00", "2064-02-29 00:00:00", "2092-02-29 00:00:00", "2104-02-29 00:00:00"},
		"0 0 * * MON#1,FRIL": {"2027-01-04 00:00:00", "2027-01-29 00:00:00", "2027-02-01 00:00:00"},
		// 1 January 2027 is a Friday.
		"0 0 13 * 5":   {"2027-01-01 00:00:00", "2027-01-08 00:00:00", "2027-01-13 00:00:00", "2027-01-15 00:00:00"}, // either: Vixie
		"0 0 */7 * 5":  {"2027-01-01 00:00:00", "2027-01-08 00:00:00", "2027-01-15 00:00:00"},                        // a star: both
		"0 0 13 * */5": {"2027-06-13 00:00:00", "2027-08-13 00:00:00"},                                               // Sunday or Friday, and the 13th
		"0 0 L * MON":  {"2027-01-04 00:00:00", "2027-01-11 00:00:00", "2027-01-18 00:00:00", "2027-01-25 00:00:00", "2027-01-31 00:00:00"},
	} {
		e, bad := Parse(text)
		require.Empty(t, bad, text)
		from := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for i, w := range want {
			at, ok := e.next(from)
			require.True(t, ok, text)
			assert.Equal(t, w, time.Unix(at, 0).UTC().Format(time.DateTime), "%s, number %d", text, i+1)
			again, _ := e.next(at)
			assert.Equal(t, at, again, "a match is its own next")
			from = at + 1
		}
	}
}

// The rarest of days are found from anywhere: 29 February on a certain weekday,
// over the years 1900 and 2100, which are not leap years.
func TestRareDaysAreFound(t *testing.T) {
	t.Parallel()
	for weekday := range 7 {
		e, bad := Parse("0 0 * 2 " + string(rune('0'+weekday)) + "#5")
		require.Empty(t, bad)
		for year := 1890; year < 2140; year++ {
			_, ok := e.next(time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC).Unix())
			assert.True(t, ok, "weekday %d after %d", weekday, year)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	t.Parallel()
	const dialect = "? is of another dialect; write * (and count weekdays from 0, Sunday)"
	for text, want := range map[string][]string{
		"":                                  {"is empty: " + wantFields},
		" \t ":                              {"is empty: " + wantFields},
		"* * * *":                           {"has 4 of its fields: " + wantFields},
		"0 9 * * MON FRI 2027 x":            {"has 8 of its fields: " + wantFields},
		"0 0 9 * * MON 2027":                {"has 7 fields: " + wantFields + "; for certain years use startAt and endAt"},
		"@dayly":                            {`"@dayly" is not known: want one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly`},
		"@daily 5":                          {"@daily stands alone: nothing may follow it"},
		"@reboot":                           {"@reboot is no time: a service that starts can create a timer itself"},
		"@every 15m":                        {`@every is a field of its own: give "every": "15m" instead of cron`},
		"CRON_TZ=UTC 0 9 * * *":             {"must not name the zone; give it in timeZone"},
		"TZ=UTC 0 9 * * *":                  {"must not name the zone; give it in timeZone"},
		"60 9 * * *":                        {"minute: 60 is not from 0 to 59"},
		"60 0 9 * * *":                      {"second: 60 is not from 0 to 59"},
		"0 24 * * *":                        {"hour: 24 is not from 0 to 23"},
		"0 0 0 * *":                         {"day of month: 0 is not from 1 to 31"},
		"0 0 32 * *":                        {"day of month: 32 is not from 1 to 31"},
		"0 0 * 13 *":                        {"month: 13 is not from 1 to 12"},
		"0 0 * * 8":                         {"day of week: 8 is not from 0 to 7"},
		"0 0 * FOO *":                       {`month: "FOO" is not understood; want 1 to 12 or JAN to DEC`},
		"0 0 * * MONDAY":                    {`day of week: "MONDAY" is not understood; want 0 to 7 or SUN to SAT`},
		"-5 * * * *":                        {"minute: a value is missing; want 0 to 59"},
		"+5 * * * *":                        {`minute: "+5" is not understood; want 0 to 59`},
		"5- * * * *":                        {"minute: a value is missing; want 0 to 59"},
		"1-2-3 * * * *":                     {`minute: "2-3" is not understood; want 0 to 59`},
		"5, * * * *":                        {"minute: a value is missing; want 0 to 59"},
		"1.5 * * * *":                       {`minute: "1.5" is not understood; want 0 to 59`},
		"99999999999 * * * *":               {`minute: "99999999999" is not understood; want 0 to 59`},
		"٥ * * * *":                         {`minute: "٥" is not understood; want 0 to 59`},
		"** * * * *":                        {`minute: "**" is not understood; want 0 to 59`},
		"* 22-2 * * *":                      {`hour: "22-2" runs backwards; for both ends write 22-23,0-2`},
		"* * * * FRI-TUE":                   {`day of week: "FRI-TUE" runs backwards; for both ends write 5-6,0-2`},
		"*/0 * * * *":                       {"minute: a step of 0 is not from 1 to 59; for other intervals give every instead of cron"},
		"*/90 * * * *":                      {"minute: a step of 90 is not from 1 to 59; for other intervals give every instead of cron"},
		"0 */24 * * *":                      {"hour: a step of 24 is not from 1 to 23; for other intervals give every instead of cron"},
		"*/ * * * *":                        {`minute: after / want a step from 1 to 59, not ""`},
		"*/x * * * *":                       {`minute: after / want a step from 1 to 59, not "x"`},
		"*/-1 * * * *":                      {`minute: after / want a step from 1 to 59, not "-1"`},
		"0 0 * * L":                         {"day of week: before L want a day, as in 5L or FRIL, the last Friday of the month"},
		"L * * * *":                         {"minute: want L alone for the last day of the month, in the third field, or 5L for the last Friday, in the fifth"},
		"0 0 5L * *":                        {"day of month: want L alone for the last day of the month, in the third field, or 5L for the last Friday, in the fifth"},
		"0 0 L-3 * *":                       {`day of month: "L" is not understood; want 1 to 31, or L for the last`},
		"0 0 * L *":                         {`month: "L" is not understood; want 1 to 12 or JAN to DEC`},
		"0 0 15W * *":                       {"day of month: the nearest weekday, W, is not supported; want 1 to 31, or L for the last"},
		"0 0 LW * *":                        {"day of month: the nearest weekday, W, is not supported; want 1 to 31, or L for the last"},
		"0 0 5#3 * *":                       {"day of month: # is for days of the week only, as in 5#3 or FRI#3, the third Friday"},
		"0 0 * * 5#6":                       {"day of week: after # want 1 to 5, as in 5#1, the first in the month"},
		"0 0 * * 5#":                        {"day of week: after # want 1 to 5, as in 5#1, the first in the month"},
		"0 0 * * 8#1":                       {"day of week: 8 is not from 0 to 7"},
		"0 0 ? * MON":                       {"day of month: " + dialect},
		"60 24 * * *":                       {"minute: 60 is not from 0 to 59", "hour: 24 is not from 0 to 23"},
		"0 0 30 2 *":                        {"never comes: February has no day 30; want 1 to 29, or L for the last day of the month"},
		"0 0 30,31 FEB *":                   {"never comes: February has no day 30; want 1 to 29, or L for the last day of the month"},
		"0 0 31 4,6 *":                      {"never comes: April or June has no day 31; want 1 to 30, or L for the last day of the month"},
		"0 0 31 9 */2":                      {"never comes: September has no day 31; want 1 to 30, or L for the last day of the month"},
		"0 0 */30 * FRI#2":                  {"never comes: no day of these months is both that day of the month and that day of the week"},
		"aaaaaaaaaaaaaaaaaaaaaaaaa * * * *": {`minute: "aaaaaaaaaaaaaaaaaaaa…" is not understood; want 0 to 59`},
	} {
		e, bad := Parse(text)
		assert.Nil(t, e, text)
		assert.Equal(t, want, bad, text)
	}
}

// FuzzExpression holds what Parse and Next promise for any text: no panic, an
// end, and an instant after the one that was given.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{
		"0 9 * * MON-FRI", "*/15 * * * * *", "0 0 L * 5L", "0 0 13 */2 5#3,1", "@hourly", "59 59 23 31 12 7", "0 0 29 2 *", "5/7 3-9/2 * JAN-JUL ?",
	} {
		f.Add(seed, int64(1_800_000_000), uint8(0))
	}
	f.Fuzz(func(t *testing.T, text string, second int64, which uint8) {
		if len(text) > 256 {
			return
		}
		e, bad := Parse(text)
		if (e == nil) != (len(bad) > 0) {
			t.Fatal("an expression or a mistake, not both")
		}
		for _, m := range bad {
			if m == "" || strings.ContainsAny(m, "\n\x00") {
				t.Fatalf("a message that cannot be shown: %q", m)
			}
		}
		if e == nil {
			return
		}
		second %= 200 * 365 * secondsPerDay // either side of 1970
		policy := policies[int(which)%len(policies)]
		z := zoned{e, location(t, oddZones[int(which)/len(policies)%len(oddZones)]), policy.Overlap, policy.Gap == "skip"}
		for range 5 {
			h, ok := z.next(second+1, second+1+100*366*secondsPerDay)
			if !ok {
				return
			}
			if h.at <= second {
				t.Fatalf("%q: %d is not after %d", text, h.at, second)
			}
			second = h.at
		}
	})
}
