package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumberKeepsThreeDigits(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0", 12345: "12,345", 1234567.8: "1,234,568", 123.45: "123", 98.76: "98.8", 1.234: "1.23", 1.2: "1.2", 5: "5",
		0.0456: "0.0456", 0.00001: "0", -1234: "-1,234", -0.5: "-0.5", 999.9: "1,000",
	} {
		require.Equal(t, want, number(value), "%v", value)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := newReport(Config{Short: true})
	r.Machine = Machine{OS: "linux", Arch: "amd64", Cores: 2, Load: 0.5}
	r.Postgres["version"] = "17.1"
	r.add("L1", "limit", 9000, "timers/s")
	r.add("P1", "product", 4500, "timers/s")
	r.add("P9", "share", 7, "%")
	r.skip("P8", "herd", noStatements)
	r.addLateness("P5.100.1.empty", "lateness", Lateness{P50: 2.5, P90: 4, P99: 9.25, Max: 12, Min: 0.75, Repeats: 2})
	r.add("P3", "without its limit", 1000, "timers/s")
	r.Statements["P10"] = StatementReport{Per: "timer", Statements: []Statement{{"timer_create", 1, 1, 0.123, 1234.4}}}
	r.note("said once")
	r.note("said once")
	r.Errors = append(r.Errors, "P4: timers were lost")
	r.judge()
	var b strings.Builder
	require.NoError(t, r.WriteTable(&b))
	require.Equal(t, `2 cores, linux/amd64, PostgreSQL 17.1, load 0.50 before the start, SHORT sizes: the goals are for the full ones

    WHAT                                      FIGURE  UNIT                    GOAL                RATIO
L1  limit                                      9,000  timers/s
P1  product                                    4,500  timers/s                ≥ 0.4 × L1 = 3,600    0.5  ok
P9  share                                          7  %                       < 5 %                 1.4  MISSED
P8  herd                     (no pg_stat_statements)                          ≤ 2                        -
P5  lateness, 2 repeated  2.5 / 4 / 9.25 / 12 / 0.75  ms p50/p90/p99/max/min
P3  without its limit                          1,000  timers/s                ≥ 0.5 × L2                 -

P10 by statement, per timer
  CALLS  ROWS     MS  WAL BYTES  STATEMENT
      1     1  0.123      1,234  timer_create
note: said once
FAILED: P4: timers were lost
`, b.String())

	file := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, r.WriteJSON(file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, r.Figures, back.Figures)
	require.False(t, *back.figure("P9").Reached)
}
