package bench

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadPlan(t *testing.T) {
	t.Parallel()
	p, err := readPlan([]byte(`[{"Planning Time": 1.5, "Execution Time": 2.25, "Plan": {
		"Node Type": "Limit", "Actual Rows": 3, "Actual Loops": 1, "Shared Hit Blocks": 10, "Shared Read Blocks": 2, "Plans": [
			{"Node Type": "Seq Scan", "Relation Name": "timers", "Actual Rows": 0, "Actual Loops": 0},
			{"Node Type": "CTE Scan", "CTE Name": "page", "Actual Rows": 3, "Actual Loops": 1},
			{"Node Type": "Nested Loop", "Actual Rows": 3, "Actual Loops": 1, "Plans": [
				{"Node Type": "Index Scan", "Relation Name": "timers", "Index Name": "timers_pkey", "Actual Rows": 1, "Actual Loops": 3,
					"Shared Hit Blocks": 3},
				{"Node Type": "Bitmap Index Scan", "Index Name": "timers_tenant_labels", "Actual Rows": 3, "Actual Loops": 1,
					"Shared Hit Blocks": 5, "Shared Read Blocks": 2}]}]}}]`))
	require.NoError(t, err)
	require.Equal(t, []Scan{
		{"Bitmap Index Scan", "", "timers_tenant_labels", 3, 1, 7},
		{"Index Scan", "timers", "timers_pkey", 3, 3, 3},
	}, p.Scans, "those that ran, the dearest first")
	require.Equal(t, 3.75, p.Ms)
	require.EqualValues(t, 12, p.Buffers)
	var b strings.Builder
	p.write(&b, "F.label")
	require.Contains(t, b.String(), "F.label by plan: 3 rows, 12 buffers (2 of them read), 3.75 ms")

	_, err = readPlan([]byte(`{}`))
	require.Error(t, err)
}
