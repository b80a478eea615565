package db_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
)

// setupSQL is setup with a tenant and a connection.
func setupSQL(t *testing.T) (*testdb.DB, *db.DB, *pgx.Conn) {
	t.Helper()
	database, d := setup(t)
	_, err := database.Pool.Exec(t.Context(), "INSERT INTO minoots.tenants (id) VALUES ($1), ('globex')", tenant)
	require.NoError(t, err)
	return database, d, direct(t, database.URL)
}

const (
	farSpec  = `{"duration": "1h", "actionBundle": {"actions": [{"id": "wake", "kind": "webhook", "parameters": {"url": "https://example.com/hook"}}]}}`
	soonSpec = `{"duration": "5s"}`
	pastSpec = `{"fireAt": "2020-01-01T00:00:00Z", "misfire": {"policy": "fire_once"}}`
)

// heard gives what a listener heard until now. Notifications come in the order of
// commits, so all that was committed before the mark has come when the mark has.
func heard(t *testing.T, listener, other *pgx.Conn) (payloads []string) {
	t.Helper()
	mark := minoots.NewID().String()
	_, err := other.Exec(t.Context(), "SELECT pg_notify('minoots_due', $1)", mark)
	require.NoError(t, err)
	for {
		n, err := listener.WaitForNotification(t.Context())
		require.NoError(t, err)
		if n.Payload == mark {
			return payloads
		}
		payloads = append(payloads, n.Payload)
	}
}

func TestScheduleIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	database, d, conn := setupSQL(t)
	listener, other := direct(t, database.URL), direct(t, database.URL)
	_, err := listener.Exec(t.Context(), "LISTEN minoots_due")
	require.NoError(t, err)
	exec := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	rows := func() int {
		return count(t, database, "SELECT (SELECT count(*) FROM minoots.timers) + (SELECT count(*) FROM minoots.timer_states) + (SELECT count(*) FROM minoots.events)")
	}
	exec("CREATE TABLE orders (id int PRIMARY KEY, timer uuid)")

	exec("BEGIN; INSERT INTO orders VALUES (1, minoots.schedule('acme', '" + soonSpec + "')); SELECT minoots.cancel('acme', minoots.schedule('acme', '" + soonSpec + "'))")
	assert.Empty(t, heard(t, listener, other))
	exec("ROLLBACK")
	assert.Empty(t, heard(t, listener, other))
	assert.Zero(t, rows(), "nothing is there")

	exec("BEGIN; INSERT INTO orders VALUES (2, minoots.schedule('acme', '" + soonSpec + "')), (3, minoots.schedule('acme', '" + farSpec + "'))")
	assert.Empty(t, heard(t, listener, other))
	assert.Zero(t, rows(), "nobody else sees it")
	exec("COMMIT")
	assert.Equal(t, 6, rows())
	var id minoots.ID
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT timer FROM orders WHERE id = 2").Scan(&id))
	timer := get(t, d, id)
	assert.Equal(t, 5*time.Second, timer.FireAt.Sub(timer.CreatedAt.Time))
	assert.Equal(t, []string{strconv.FormatInt(timer.FireAt.UnixMicro(), 10)}, heard(t, listener, other), "of the near one, once")

	// As far as the kernels look ahead, and no farther.
	exec(fmt.Sprintf(`SELECT minoots.schedule('acme', '{"duration": %d}')`, (db.LookAhead - 2*time.Second).Milliseconds()))
	assert.Len(t, heard(t, listener, other), 1)
	exec(fmt.Sprintf(`SELECT minoots.schedule('acme', '{"duration": %d}')`, (db.LookAhead + 2*time.Second).Milliseconds()))
	assert.Empty(t, heard(t, listener, other))
	exec("SELECT minoots.schedule('acme', '" + pastSpec + "')")
	assert.Len(t, heard(t, listener, other), 1)
	fired := claim(t, d, db.ClaimRequest{Limit: 10})
	require.Len(t, fired, 1, "what is due fires")

	// What fires has all that its actions need.
	fired = claim(t, d, db.ClaimRequest{Limit: 10, Now: time.Now().Add(2 * time.Hour)})
	require.Len(t, fired, 4)
	last := fired[len(fired)-1]
	assert.Equal(t, minoots.DefaultRetryPolicy, *last.Bundle.RetryPolicy)
	assert.Equal(t, "wake", last.Bundle.Actions[0].ID)
	assert.Equal(t, 1, last.Bundle.Concurrency)
}

// detailOf is the detail of an error, "" if there is none.
func detailOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Detail
	}
	return ""
}

// sqlState is the SQLSTATE of an error, "" if there is none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func TestScheduleForNobody(t *testing.T) {
	t.Parallel()
	database, _, conn := setupSQL(t)
	for _, args := range []string{"'nobody', '" + farSpec + "'", "NULL, '" + farSpec + "'", "'', '" + farSpec + "'"} {
		_, err := conn.Exec(t.Context(), "SELECT minoots.schedule("+args+")")
		assert.Equal(t, "P0002", sqlState(err), args)
	}
	_, err := conn.Exec(t.Context(), "SELECT minoots.schedule('acme', NULL)")
	assert.Equal(t, "22023", sqlState(err), "not a NULL for an id")
	assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.timers"))
}

// A spec with as many mistakes as fit costs no more than a look at it, and the
// error lists a hundred of them.
func TestScheduleNamesTheFirstHundredMistakes(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	exec := func(sql string, args ...any) error { _, err := conn.Exec(t.Context(), sql, args...); return err }
	require.NoError(t, exec("SET statement_timeout = '5s'"))
	for at, part := range map[string]string{
		"":           `{"duration": "1h", ` + numbered(`"f%d": 1`, 20_000) + `}`,
		"parameters": `{"url": "https://example.com/", ` + numbered(`"f%d": 1`, 20_000) + `}`,
		"action":     strings.TrimSuffix(strings.Repeat(`{"id": 5, "x": 1}, `, 100), ", "),
		"labels":     `{"duration": "1h", "labels": {` + numbered(`"f%d": 1`, 20_000) + `}}`,
	} {
		s := sample{At: at, Spec: []byte(part)}
		if at != "labels" {
			s.place()
		}
		err := exec("SELECT minoots.schedule('acme', $1)", string(s.Spec))
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, at)
		require.Equal(t, "22023", refused.Code, at)
		var bad []minoots.FieldError
		require.NoError(t, json.Unmarshal([]byte(refused.Detail), &bad), at)
		assert.Len(t, bad, 100, at)
	}
}

func TestUUID7(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	before := time.Now()
	rows, err := conn.Query(t.Context(), "SELECT minoots.uuid7() FROM generate_series(1, 1000)")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[minoots.ID])
	require.NoError(t, err)
	seen := map[minoots.ID]bool{}
	for i, id := range ids {
		assert.False(t, seen[id])
		seen[id] = true
		assert.EqualValues(t, 0x70, id[6]&0xf0, "version 7")
		assert.EqualValues(t, 0x80, id[8]&0xc0, "the variant of RFC 9562")
		assert.True(t, i == 0 || bytes.Compare(ids[i-1][:8], id[:8]) <= 0, "in the order of time")
	}
	assert.WithinDuration(t, before, time.UnixMilli(int64(binary.BigEndian.Uint64(ids[0][:8])>>16)), time.Minute)
}
