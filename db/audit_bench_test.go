package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// many is as many timers as asked for, each fired and settled with one attempt
// within the last days, 90 % of them, and the others waiting.
const many = `
WITH t AS (
    SELECT i, minoots.first_id(at) AS base, at FROM (
        SELECT i, now() - interval '3 days' + i * interval '2 days' / $1 AS at FROM generate_series(1, $1::integer) AS i
    ) AS x
),
given AS MATERIALIZED (
    SELECT (left(base::text, 24) || lpad(to_hex(i), 12, '0'))::uuid AS id, at, i % 10 > 0 AS over FROM t
),
definitions AS (
    INSERT INTO minoots.timers (id, created_at, tenant_id, name, bundle)
    SELECT id, at, 'acme', 'a name', '{"concurrency":1,"actions":[{"id":"a","kind":"webhook","parameters":{"url":"https://example.com/hook"}}]}' FROM given
),
states AS (
    INSERT INTO minoots.timer_states (id, tenant_id, fire_at, due_at, updated_at, fired_at, settled_at, occurrence, status, actions)
    SELECT id, 'acme', at, CASE WHEN NOT over THEN now() + interval '1 day' END, at, CASE WHEN over THEN at END,
        CASE WHEN over THEN at END, over::integer, CASE WHEN over THEN 'settled' ELSE 'scheduled' END, 1 FROM given
),
firings AS (
    INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started, ended, tenant_id, status)
    SELECT id, at, at, at, 1, 1, 2, 1, 'acme', 'settled' FROM given WHERE over
),
attempts AS (
    INSERT INTO minoots.attempts (timer_id, started_at, finished_at, occurrence, attempt, tenant_id, action_id, kind, status, replica)
    SELECT id, at, at, 1, 1, 'acme', 'a', 'webhook', 'succeeded', 'replica' FROM given WHERE over
)
INSERT INTO minoots.events (occurred_at, timer_id, occurrence, tenant_id, type, data)
SELECT at, id, 0, 'acme', 'timer.scheduled', NULL FROM given
UNION ALL
SELECT at, id, 1, 'acme', type, CASE type WHEN 'action.succeeded' THEN json_build_object('actionId', 'a', 'attempt', 1, 'final', true) END
FROM given, unnest(ARRAY['timer.fired', 'action.succeeded', 'timer.settled']) AS type WHERE over`

// BenchmarkAudit audits 100,000 timers: docs/operations.md has the figure.
func BenchmarkAudit(b *testing.B) {
	database := testdb.New(b)
	d := testdb.Connect(b, db.Config{URL: database.URL, Name: "bench"})
	_, err := database.Pool.Exec(b.Context(), many, 100_000)
	require.NoError(b, err)
	_, err = database.Pool.Exec(b.Context(), "VACUUM ANALYZE")
	require.NoError(b, err)
	b.ResetTimer()
	for b.Loop() {
		audit, err := d.AuditRun(b.Context(), db.AuditRequest{Timeout: 10 * time.Minute})
		require.NoError(b, err)
		took := ""
		for _, c := range audit.Checks {
			require.Zero(b, c.Found, "%s %v", c.Name, c.Examples)
			took += fmt.Sprintf("%-28s %8d looked at, %6d ms\n", c.Name, c.Looked, c.TookMs)
		}
		b.Log("\n" + took)
	}
}

// BenchmarkTimerForget walks over 100,000 old timers, 90 % of them to remove, and
// then over those that are left.
func BenchmarkTimerForget(b *testing.B) {
	database := testdb.New(b)
	d := testdb.Connect(b, db.Config{URL: database.URL, Name: "bench"})
	_, err := database.Pool.Exec(b.Context(), many, 100_000)
	require.NoError(b, err)
	for _, sql := range []string{
		"UPDATE minoots.timer_states SET settled_at = settled_at - interval '60 days', id = ('01900000' || substr(id::text, 9))::uuid",
		"UPDATE minoots.timers SET id = ('01900000' || substr(id::text, 9))::uuid",
		"VACUUM ANALYZE",
	} {
		_, err = database.Pool.Exec(b.Context(), sql)
		require.NoError(b, err)
	}
	for _, what := range []string{"remove", "walk"} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				for after := (minoots.ID{}); ; {
					last, _, err := d.TimerForget(b.Context(), month, after)
					require.NoError(b, err)
					if last.IsZero() {
						break
					}
					after = last
				}
			}
		})
	}
}
