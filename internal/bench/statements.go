package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Statement is what a statement took, divided by what the report says.
type Statement struct {
	Name     string  `json:"name"`
	Calls    float64 `json:"calls"`
	Rows     float64 `json:"rows"`
	Ms       float64 `json:"ms"` // in the executor, waits included
	WALBytes float64 `json:"walBytes"`
}

// statementCounts are pg_stat_statements' sums for a database, by statement.
type statementCounts map[string]Statement

// statementCounts reads them. They only grow: a step takes the difference.
func (d *database) statementCounts(ctx context.Context) (statementCounts, error) {
	rows, err := d.pool.Query(ctx, `
		SELECT query, calls::float8, rows::float8, total_exec_time, wal_bytes::float8
		FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		return nil, fmt.Errorf("read pg_stat_statements: %w", err)
	}
	counts := statementCounts{}
	var query string
	var s Statement
	_, err = pgx.ForEachRow(rows, []any{&query, &s.Calls, &s.Rows, &s.Ms, &s.WALBytes}, func() error {
		name := statementName(query)
		sum := counts[name]
		counts[name] = Statement{name, sum.Calls + s.Calls, sum.Rows + s.Rows, sum.Ms + s.Ms, sum.WALBytes + s.WALBytes}
		return nil
	})
	return counts, err
}

// since is what was added after an earlier reading, each divided by n, the
// dearest in WAL and then in time first.
func (c statementCounts) since(before statementCounts, n float64) []Statement {
	var list []Statement
	for name, s := range c {
		b := before[name]
		if s.Calls > b.Calls {
			list = append(list, Statement{
				name, (s.Calls - b.Calls) / n, (s.Rows - b.Rows) / n, (s.Ms - b.Ms) / n, (s.WALBytes - b.WALBytes) / n,
			})
		}
	}
	slices.SortFunc(list, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(b.WALBytes, a.WALBytes), cmp.Compare(b.Ms, a.Ms), cmp.Compare(b.Calls, a.Calls))
	})
	return list
}

// calls sums up the calls of some statements.
func calls(list []Statement, names ...string) float64 {
	sum := 0.0
	for _, s := range list {
		if slices.Contains(names, s.Name) {
			sum += s.Calls
		}
	}
	return sum
}

// The statements that steps ask for by name.
const (
	timerCreate = "timer_create"
	timerClaim  = "timer_claim"
	timerNext   = "timer_next"
	dueNotify   = "due_notify"
	timerPick   = "timer_pick"
)

// statementNames knows the statements by words that they alone have. The first
// line with all of them decides; a statement that is not here goes by its text.
var statementNames = []struct {
	name  string
	words []string
}{
	{timerClaim, []string{"minoots.timer_states", "SKIP LOCKED", "INSERT INTO minoots.firings"}},
	{timerCreate, []string{"INSERT INTO minoots.timers "}},
	{"outcome_record", []string{"INSERT INTO minoots.attempts"}},
	{timerNext, []string{"clock_timestamp()", "minoots.timer_states", "LIMIT"}},
	{"timer_upcoming", []string{"SELECT due_at FROM minoots.timer_states WHERE due_at >"}},
	{timerPick, []string{"minoots.timer_states s", "LIMIT $4", "JOIN minoots.timers t"}},
	{"waiting_renew", []string{"INSERT INTO minoots.waiting"}},
	{"timer_backlog", []string{"count(*)", "minoots.timer_states"}},
	{dueNotify, []string{"pg_notify(", "AS payload"}},
	{"job_notify", []string{"pg_notify(", "unnest("}},
	{"job_insert", []string{"INSERT INTO river.river_job (state, attempt, max_attempts"}},
	{"lane_page", []string{"WITH RECURSIVE filled", "river_job"}},
	{"destination_take", []string{"minoots.destinations", "token_at", "FOR UPDATE OF j"}},
	{"replica_lost", []string{"minoots.replicas", "pg_try_advisory_xact_lock"}},
	{"seat_take", []string{"pg_try_advisory_lock"}},
	{"key_find", []string{"minoots.api_keys", "hash"}},
	{"river fetch", []string{"river_job", "SKIP LOCKED", "attempted_by"}},
	{"river insert", []string{"INSERT INTO", "river_job"}},
	{"river insert (COPY)", []string{"copy", "river_job"}},
	{"river complete", []string{"job_input", "river_job"}},
	{"river schedule", []string{"jobs_to_schedule"}},
	{"river clean", []string{"DELETE FROM", "river_job"}},
	{"river leader", []string{"river_leader"}},
	{"river queue", []string{"river_queue"}},
}

// statementName is a short name for a statement.
func statementName(query string) string {
	for _, s := range statementNames {
		if !slices.ContainsFunc(s.words, func(w string) bool { return !strings.Contains(query, w) }) {
			return s.name
		}
	}
	return shorten(query)
}

// shorten drops comments and white space, and what does not fit a line.
func shorten(query string) string {
	var words []string
	for line := range strings.Lines(query) {
		line, _, _ = strings.Cut(line, "--")
		words = append(words, strings.Fields(line)...)
	}
	const most = 70
	text := []rune(strings.Join(words, " "))
	if len(text) > most {
		return string(text[:most-1]) + "…"
	}
	return string(text)
}
