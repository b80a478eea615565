package db_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// A type that a statement writes and that the domain does not list would be in no
// schema, and topics such as timer.* would leave it out.
func TestEventTypesThatStatementsWriteAreListed(t *testing.T) {
	t.Parallel()
	written := regexp.MustCompile(`'((?:timer|action|firing)\.[a-z_]+)'`)
	files, err := filepath.Glob("query/*.sql")
	require.NoError(t, err)
	migrations, err := filepath.Glob("../migrations/*.sql")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, file := range append(files, migrations...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range written.FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
			assert.Contains(t, minoots.EventTypes, minoots.EventType(match[1]), file)
		}
	}
	assert.Contains(t, found, string(minoots.EventTimerScheduled), "the expression finds what is written")
}
