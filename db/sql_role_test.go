package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// minoots_scheduling may call the three functions and do nothing else; others may
// not even do that.
func TestSchedulingRole(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	as := func(role, sql string) string {
		_, err := conn.Exec(t.Context(), "SET ROLE "+role)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), sql)
		code := ""
		if err != nil {
			code = sqlState(err)
		}
		_, err = conn.Exec(t.Context(), "RESET ROLE")
		require.NoError(t, err)
		return code
	}
	const scheduling, stranger = "minoots_scheduling", "pg_signal_backend" // a role of Postgres' own, with no rights here
	calls := `SELECT minoots.cancel('acme', timer, 'changed my mind'), minoots.reschedule('acme', timer, '{"duration": "2h"}')
		FROM minoots.schedule('acme', '` + farSpec + `') timer`
	assert.Empty(t, as(scheduling, calls))
	assert.Equal(t, "42501", as(stranger, calls))
	_, err := conn.Exec(t.Context(), "GRANT USAGE ON SCHEMA minoots TO "+stranger)
	require.NoError(t, err)
	assert.Equal(t, "42501", as(stranger, calls), "the schema alone does not do")
	assert.Equal(t, "42501", as(scheduling, "CREATE TABLE minoots.mine ()"))

	rows, err := conn.Query(t.Context(), `
		SELECT format(command, oid::regclass) FROM pg_class,
			unnest(ARRAY['SELECT FROM %s', 'DELETE FROM %s', 'INSERT INTO %s DEFAULT VALUES']) command
		WHERE relnamespace IN ('minoots'::regnamespace, 'river'::regnamespace)
			AND (relkind IN ('r', 'p') OR relkind = 'v' AND command LIKE 'SELECT%')
		UNION ALL SELECT format('SELECT nextval(%L)', oid::regclass) FROM pg_class
		WHERE relnamespace = 'minoots'::regnamespace AND relkind = 'S'
		UNION ALL
		SELECT format('SELECT * FROM %s(%s)', oid::regproc, (SELECT string_agg(format('NULL::%s', format_type(a, NULL)), ', ') FROM unnest(proargtypes) a))
		FROM pg_proc WHERE pronamespace = 'minoots'::regnamespace AND proname NOT IN ('schedule', 'reschedule', 'cancel')
			AND prorettype <> 'trigger'::regtype -- Postgres lets nobody call those`)
	require.NoError(t, err)
	forbidden, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(forbidden), 80)
	for _, sql := range forbidden {
		assert.Equal(t, "42501", as(scheduling, sql), sql)
	}

	var owner, definer bool
	require.NoError(t, conn.QueryRow(t.Context(), `
		SELECT bool_and(proowner = (SELECT relowner FROM pg_class WHERE oid = 'minoots.timers'::regclass)),
			bool_and(prosecdef = (proname IN ('schedule', 'reschedule', 'cancel')) OR prorettype = 'trigger'::regtype)
		FROM pg_proc WHERE pronamespace = 'minoots'::regnamespace`).Scan(&owner, &definer))
	assert.True(t, owner, "the migrating user owns them")
	assert.True(t, definer, "the three run as their owner, and no other does")
}

// hostile is a session that tries to have its own things run as the owner: in a
// schema that comes first, in pg_temp, and by settings that change what text means.
const hostile = `
	CREATE SCHEMA hostile;
	GRANT ALL ON SCHEMA hostile TO minoots_scheduling;
	SET ROLE minoots_scheduling;
	CREATE FUNCTION hostile.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $$;
	CREATE FUNCTION hostile.equal(a text, b text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.trap() = 'x' $$;
	CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = text, RIGHTARG = text);
	CREATE FUNCTION hostile.arrow(a jsonb, b text) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(hostile.trap()) $$;
	CREATE OPERATOR hostile.-> (FUNCTION = hostile.arrow, LEFTARG = jsonb, RIGHTARG = text);
	CREATE FUNCTION hostile.length(text) RETURNS integer LANGUAGE sql AS $$ SELECT hostile.trap()::integer $$;
	CREATE FUNCTION hostile.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT hostile.trap() $$;
	CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.trap()::timestamptz $$;
	CREATE FUNCTION hostile.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ SELECT hostile.trap() $$;
	CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.trap()::timestamptz $$;
	CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (false);
	CREATE FUNCTION pg_temp.length(text) RETURNS integer LANGUAGE sql AS $$ SELECT hostile.trap()::integer $$;
	CREATE TEMP TABLE tenants (id text);
	CREATE TEMP TABLE timers (id uuid);
	CREATE TEMP TABLE pg_class (oid oid);
	SET search_path = hostile, pg_temp, minoots, pg_catalog;
	SET standard_conforming_strings = off;
	SET escape_string_warning = off;
	SET DateStyle = 'SQL, DMY';
	SET IntervalStyle = 'sql_standard';
	SET TimeZone = 'Asia/Kolkata';
	SET array_nulls = off;
	SET extra_float_digits = -15;
	SET bytea_output = 'escape';
	SET transform_null_equals = on;
	SET quote_all_identifiers = on;
	SET plan_cache_mode = force_custom_plan;
`

func TestHostileCaller(t *testing.T) {
	t.Parallel()
	_, d, conn := setupSQL(t)
	_, err := conn.Exec(t.Context(), hostile)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT hostile.trap() OPERATOR(hostile.=) 'x'::pg_catalog.text")
	require.ErrorContains(t, err, "hijacked", "the trap works")
	const zoned = "an instant with a zone"

	for i, s := range samples(t) {
		if i%3 != 0 && s.Name != zoned {
			continue // the others would find no more
		}
		id, bad, err := (&judge{conn: conn}).asSQL(t.Context(), s.Spec)
		require.NoError(t, err, s.Name)
		assert.Equal(t, sortedLines(s.Problems), pathsOf(bad), s.Name)
		if s.Name == zoned {
			assert.Equal(t, "2089-12-31T18:30:00.000000Z", get(t, d, id).FireAt.String())
		}
	}
	var done bool
	var id minoots.ID
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT minoots.reschedule('acme', timer, '{"fireAt": "2090-01-01T00:00:00+05:30"}'), timer
		FROM minoots.schedule('acme', '`+soonSpec+`') timer`).Scan(&done, &id))
	assert.True(t, done)
	assert.Equal(t, "2089-12-31T18:30:00.000000Z", get(t, d, id).FireAt.String())
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.cancel('acme', $1, 'x')", id).Scan(&done))
	assert.True(t, done)
}
