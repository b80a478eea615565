package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

// The schema as the migrations leave it. A change of it is seen in review here,
// whole, and not only as the step that made it.
func TestSchema(t *testing.T) {
	t.Parallel()
	compareGolden(t, "schema.golden", dumpSchema(t, testdb.New(t).Pool))
}

// dumped leaves out goose's own tables, and the partitions, which are like their
// parent and come with the calendar.
const dumped = `c.relnamespace = 'minoots'::regnamespace AND c.relname !~ '^schema_(versions|lock)' AND NOT c.relispartition`

// dumpSchema writes the schema in an order that does not depend on how it came
// to be. Definitions of views are left out: servers of different versions print
// them differently, and the migration says them well.
func dumpSchema(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var out strings.Builder
	for _, part := range []struct{ title, sql string }{
		{"tables and their columns", `
			SELECT relname || CASE relkind WHEN 'p' THEN ' partitioned by ' || pg_get_partkeydef(c.oid) ELSE '' END
					|| coalesce(' with ' || array_to_string(reloptions, ', '), ''),
				attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
					|| coalesce(' default ' || pg_get_expr(adbin, adrelid), '') || CASE attidentity WHEN '' THEN '' ELSE ' identity' END
			FROM pg_class c
			JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
			LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum
			WHERE relkind IN ('r', 'p') AND ` + dumped + ` ORDER BY relname, attnum`},
		{"constraints", `
			SELECT relname, conname || ' ' || pg_get_constraintdef(k.oid)
			FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
			WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND ` + dumped + ` ORDER BY relname, conname`},
		{"indexes", `
			SELECT (SELECT relname FROM pg_class WHERE oid = indrelid), pg_get_indexdef(indexrelid)
			FROM pg_index JOIN pg_class c ON c.oid = indexrelid
			WHERE ` + dumped + ` ORDER BY 1, c.relname`},
		{"views and their columns", `
			SELECT relname || ': ' || coalesce(obj_description(c.oid), 'NO COMMENT'),
				attname || ' ' || format_type(atttypid, atttypmod) || coalesce(': ' || col_description(c.oid, attnum), '')
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0
			WHERE relkind = 'v' AND ` + dumped + ` ORDER BY relname, attnum`},
		{"functions", `
			SELECT proname, pg_get_function_arguments(oid) || ' returns ' || pg_get_function_result(oid)
			FROM pg_proc WHERE pronamespace = 'minoots'::regnamespace ORDER BY proname, 2`},
		{"triggers", `
			SELECT relname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
			WHERE NOT tgisinternal AND ` + dumped + ` ORDER BY relname, tgname`},
		{"indexes of river's jobs", `
			SELECT 'river_job', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
			WHERE indrelid = 'river.river_job'::regclass ORDER BY c.relname`},
		{"default partitions", `
			SELECT inhparent::regclass::text, c.relname FROM pg_class c JOIN pg_inherits ON inhrelid = c.oid
			WHERE pg_get_expr(relpartbound, c.oid) = 'DEFAULT' AND relkind = 'r' ORDER BY 2`},
	} {
		fmt.Fprintf(&out, "== %s\n", part.title)
		rows, err := pool.Query(context.Background(), part.sql)
		require.NoError(t, err)
		var name, line, last string
		_, err = pgx.ForEachRow(rows, []any{&name, &line}, func() error {
			if name != last {
				fmt.Fprintln(&out, name)
				last = name
			}
			fmt.Fprintln(&out, "    "+line)
			return nil
		})
		require.NoError(t, err)
	}
	return out.String()
}
