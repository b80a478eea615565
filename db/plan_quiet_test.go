package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// A service that was quiet has plans that were made of tables with next to nothing
// in them, and statistics that say so. A storm keeps these plans until autovacuum
// analyses; so they must look up each row by its index, as among millions.
func TestPlansOfAQuietService(t *testing.T) {
	t.Parallel()
	database, _ := setup(t)
	p := &plans{conn: direct(t, database.URL), sql: statements(t)}
	for _, sql := range []string{
		"SET enable_seqscan = off", "VACUUM (ANALYZE)",
		strings.ReplaceAll(burst, "500", "1"),
	} {
		_, err := p.conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for noun, c := range map[string]struct {
		args   []any
		tables []string
	}{
		"timer_claim": {[]any{time.Time{}, 500, nil}, []string{"timers", "timer_states"}},
		"outcome_record": {
			outcomeArgs([]int64{1}, []string{minoots.ID{}.String()}, []time.Time{time.Now()}),
			[]string{"river_job", "firings_", "timer_states", "dead_letters"},
		},
	} {
		for _, mode := range []string{generic, custom} {
			plan := p.explain(t, noun, "", mode, c.args)
			for _, table := range c.tables {
				seen := false
				for _, n := range plan.all() {
					if n.Type == "ModifyTable" || !strings.HasPrefix(n.Relation, table) {
						continue
					}
					seen = true
					assert.NotEmpty(t, n.Cond, "%s %s reads all of %s", noun, mode, n.Relation)
				}
				assert.True(t, seen, "%s %s does not look into %s", noun, mode, table)
			}
			assert.NotContains(t, plan.indexes(), "river_job_prioritized_fetching_index", fmt.Sprint(noun, " ", mode))
		}
	}
}
