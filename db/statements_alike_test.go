package db_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A statement stands whole in its file, so that it can be read, prepared and
// explained by itself. What several of them, or several parts of one, must ask
// alike is therefore written more than once; here it is held together.
func TestStatementsThatMustAskAlike(t *testing.T) {
	t.Parallel()
	all := statements(t)
	filter := regexp.MustCompile(`(?s)\n    WHERE s\.id = ANY.*?\n        \)\)\n`)
	cancel := filter.FindString(all["timer_bulk_cancel"])
	require.Contains(t, cancel, "minoots.is_patched", "the whole of the filter was found")
	for _, noun := range []string{"timer_bulk_pause", "timer_bulk_reschedule"} {
		assert.Equal(t, cancel, filter.FindString(all[noun]), noun)
	}

	walk := regexp.MustCompile(`(?s)\n        AND \(\$2 IS NULL.*?LIMIT \$11\)`)
	walks := walk.FindAllString(all["timer_page"], -1)
	require.Len(t, walks, 5, "one for each index of a status")
	for _, w := range walks {
		assert.Equal(t, walks[0], w)
	}
	require.Contains(t, walks[0], "labels @> $8", "the whole of a walk was found")
}
