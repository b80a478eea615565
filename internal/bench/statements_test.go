package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The names are found by words that stand in the files of db/query, so that a
// changed statement shows here and not as a 0 in the table.
func TestStatementNamesKnowTheQueries(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		timerCreate, timerClaim, timerNext, "outcome_record", "timer_upcoming", "timer_backlog", dueNotify, "job_notify",
		"job_insert", "lane_page", "replica_lost", "seat_take", "key_find", timerPick, "waiting_renew",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "db", "query", name+".sql"))
		require.NoError(t, err)
		require.Equal(t, name, statementName(string(text)))
	}
	require.Equal(t, "SELECT $1 FROM t", statementName("-- What it is.\nSELECT $1 -- why\n  FROM t"))
	long := statementName("SELECT aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccc, dddddddddddddddddddd")
	require.Len(t, []rune(long), 70)
}

func TestStatementsSince(t *testing.T) {
	t.Parallel()
	before := statementCounts{"a": {"a", 10, 10, 5, 1000}, "idle": {"idle", 7, 7, 7, 7}}
	after := statementCounts{"a": {"a", 30, 50, 6, 3000}, "idle": {"idle", 7, 7, 7, 7}, "new": {"new", 10, 0, 2, 9000}}
	list := after.since(before, 10)
	require.Equal(t, []Statement{{"new", 1, 0, 0.2, 900}, {"a", 2, 4, 0.1, 200}}, list, "the dearest first, the idle left out")
	require.InDelta(t, 3, calls(list, "a", "new", "idle"), 1e-9)
}
