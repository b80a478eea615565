package db_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
	"github.com/minoots/minoots/internal/tzdb"
)

// The kernels compute when a recurrence is due, and minoots.schedule takes those
// that they can read: its reader of expressions is a second one, held to the first.

// cronInSQL gives what check_cron finds wrong with each text.
func cronInSQL(t require.TestingT, conn *pgx.Conn, texts []string) [][]minoots.FieldError {
	rows, err := conn.Query(context.Background(), `
		SELECT minoots.check_cron('[]', e.expression, 'recurrence.cron')
		FROM unnest($1::text[]) WITH ORDINALITY e (expression, n) ORDER BY e.n`, texts)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]minoots.FieldError])
	require.NoError(t, err)
	require.Len(t, all, len(texts))
	return all
}

// cronInGo gives what cron.Parse finds wrong with a text.
func cronInGo(text string) (bad []minoots.FieldError) {
	_, mistakes := cron.Parse(text)
	for _, m := range mistakes {
		bad = append(bad, minoots.FieldError{Path: "recurrence.cron", Message: m})
	}
	return bad
}

// Every item that can stand in a field, alone, and what is almost one.
func TestCronFieldsAlike(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	values := []string{"", "*", "0", "1", "2", "4", "5", "6", "7", "8", "11", "12", "13", "23", "24", "28", "29", "30", "31", "32", "58", "59", "60", "007",
		"0000000059", "000000005", "JAN", "jul", "DEC", "SUN", "Mon", "FRI", "SAT", "JANUARY", "L", "l", "5L", "7L", "8L", "FRIL", "SAtl", "JULL", "W", "15W", "LW",
		"?", "5#1", "7#5", "FRI#3", "5#0", "5#6", "5#", "#3", "5#33", "5#3L", "5L#3", "8#1", "SUN#1", "-1", "+1", "1.5", "x", "\u0665", "\u017fun", "**"}
	steps := []string{"", "/", "/1", "/2", "/6", "/7", "/11", "/12", "/22", "/23", "/24", "/29", "/30", "/58", "/59", "/60", "/0", "/-1", "/x", "/1/1", "/01"}
	var texts []string
	for field := range 6 {
		at := func(item string) {
			fields := []string{"0", "*", "*", "*", "*", "*"}
			fields[field] = item
			texts = append(texts, strings.Join(fields, " "))
		}
		for _, from := range values {
			for _, step := range steps {
				at(from + step)
			}
			for _, to := range values {
				at(from + "-" + to)
			}
			at(from + "-59/5")
			at("2-" + from + "/3")
		}
	}
	for i, inSQL := range cronInSQL(t, conn, texts) {
		if found := differ(cronInGo(texts[i]), inSQL, false); found != "" {
			t.Errorf("%q: %s", texts[i], found)
		}
	}
}

// Random expressions: whole ones of what a field takes, and texts of their parts.
func TestCronAlikeAtRandom(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	day := []string{"*", "*/2", "*/30", "1", "13", "28", "29", "30", "31", "L", "15,L", "29-31", "30,31"}
	month := []string{"*", "2", "FEB", "4,6", "2,9,11", "JUN-SEP", "*/5", "1", "feb/3"}
	weekday := []string{"*", "*/6", "1", "MON-FRI", "FRI-SUN", "7", "5L", "FRI#5", "1#1,2#2", "SUN#5", "0L,1#4"}
	clock := []string{"0", "*", "*/5", "59", "60", "1-5,7", "9-17/2"}
	whole := rapid.Custom(func(r *rapid.T) string {
		var fields []string
		for i, list := range [][]string{clock, clock, clock, day, month, weekday} {
			if i > 0 || rapid.Bool().Draw(r, "seconds") {
				fields = append(fields, rapid.SampledFrom(list).Draw(r, "field"))
			}
		}
		return strings.Join(fields, rapid.SampledFrom([]string{" ", " ", "  ", "\t", "\u2003"}).Draw(r, "blank"))
	})
	pieces := joined(14, " ", " ", " ", " ", "0", "5", "12", "*", ",", "-", "/", "#", "L", "MON", "mar", "@", "@daily", "@WEEKLY", "@every", "@wee\u212aly",
		"TZ=", "CRON_TZ=UTC", "?", "\u00a0", "\u200b", "\n", "é", "0 0 1 1 *", "* * * * *")
	rapid.Check(t, func(r *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(whole, whole, pieces), 100, 100).Draw(r, "texts")
		for i, inSQL := range cronInSQL(r, conn, texts) {
			if found := differ(cronInGo(texts[i]), inSQL, false); found != "" {
				r.Fatalf("%q: %s", texts[i], found)
			}
		}
	})
}

// A recurrence as a whole: its bounds, its zone, and every.
func TestRecurrencesAlike(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	j := newJudge(t, conn)
	choose := func(r *rapid.T, into map[string]any, field string, from ...any) {
		if v := rapid.SampledFrom(from).Draw(r, field); v != "absent" {
			into[field] = v
		}
	}
	at := func(in time.Duration) any { return minoots.InstantOf(j.now.Add(in)) }
	const year = 366 * 24 * time.Hour
	rapid.Check(t, func(r *rapid.T) {
		tree := map[string]any{}
		choose(r, tree, "cron", "absent", "absent", "", "0 9 * * MON", "@daily", "0 0 30 2 *", "* * *", strings.Repeat("1,", 130)+"1 * * * *")
		choose(r, tree, "every", "absent", "1s", "15m", "999ms", "0.7000001s", "1.0000001s", "36525d", "36526d", "-1h", json.Number("60000"), nil)
		choose(r, tree, "timeZone", "absent", "absent", "", "UTC", "Europe/Paris", "europe/paris", "CET", "CEST", "+02:00", "EST5EDT", "EST5EDT4", "Local",
			"Factory", "America/Coyhaique", "posix/UTC", "UTC+2", "Etc/GMT-2", nil)
		choose(r, tree, "dst", "absent", "absent", map[string]any{}, map[string]any{"gap": "skip", "overlap": "both"}, map[string]any{"gap": "Skip"},
			map[string]any{"gap": "", "overlap": ""}, map[string]any{"overlap": "second", "gap": nil})
		choose(r, tree, "startAt", "absent", "absent", at(time.Hour), at(-time.Hour), at(-90*year), at(90*year), at(-101*year), at(101*year), nil)
		choose(r, tree, "endAt", "absent", "absent", at(2*time.Hour), at(-2*time.Hour), at(10*time.Minute), at(99*year), at(-101*year), at(101*year), nil)
		choose(r, tree, "maxOccurrences", "absent", "absent", 1, 0, -1, 2147483647, 2147483648)
		raw, err := json.Marshal(tree)
		require.NoError(t, err)
		var recurrence minoots.Recurrence
		if json.Unmarshal(raw, &recurrence) != nil {
			r.Fatalf("%s does not decode", raw)
		}
		inGo := cron.CheckTimer(&minoots.TimerSpec{Recurrence: &recurrence}, j.now)
		var inSQL []minoots.FieldError
		require.NoError(t, conn.QueryRow(context.Background(), "SELECT minoots.check_recurrence('[]', $1)", string(raw)).Scan(&inSQL))
		if recurrence.Cron != "" && len(inSQL) == 0 && recurrence.EndAt != nil {
			return // whether a cron is due before its end is for the kernel to say
		}
		if found := differ(inGo, inSQL, false); found != "" {
			r.Fatalf("%s\n%s", raw, found)
		}
	})
}

// The names of zones are those of the binary, whatever Postgres has.
func TestScheduleKnowsTheZones(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	var names []string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.time_zones()").Scan(&names))
	assert.ElementsMatch(t, tzdb.Names(), names, "a new release of the time zone database needs a migration that replaces minoots.time_zones")
}
