package db_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// docs/sql.md lists the views column by column, and its Go is as users write it.
func TestSQLIsDocumented(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	page, err := os.ReadFile("../docs/sql.md")
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `
		SELECT c.relname, array_agg(a.attname::text ORDER BY a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'minoots'::regnamespace AND c.relkind = 'v' GROUP BY 1`)
	require.NoError(t, err)
	var view string
	var columns []string
	views := 0
	_, err = pgx.ForEachRow(rows, []any{&view, &columns}, func() error {
		views++
		_, section, found := strings.Cut(string(page), "### `minoots."+view+"`\n")
		if !assert.True(t, found, view) {
			return nil
		}
		section, _, _ = strings.Cut(section, "\n#")
		var listed []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				for _, name := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(cells[1], -1) {
					listed = append(listed, name[1])
				}
			}
		}
		assert.Equal(t, sortedLines(columns), sortedLines(listed), view)
		return nil
	})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, views, 5)

	var timer minoots.ID
	at := minoots.InstantOf(time.Now().Add(time.Hour))
	require.NoError(t, pgx.BeginFunc(t.Context(), database.Pool, func(tx pgx.Tx) error {
		spec := minoots.TimerSpec{Name: "release", FireAt: &at, ActionBundle: &minoots.Bundle{Actions: []minoots.Action{{
			ID: "release", Kind: minoots.KindWebhook, Parameters: json.RawMessage(`{"url": "https://example.com/"}`),
		}}}}
		return tx.QueryRow(t.Context(), "SELECT minoots.schedule($1, $2)", tenant, spec).Scan(&timer)
	}))
	assert.Equal(t, at, get(t, d, timer).FireAt)
}
