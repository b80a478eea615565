package tzdb

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	names := Names()
	require.Greater(t, len(names), 550)
	for _, name := range names {
		zone, err := Load(name)
		require.NoError(t, err, name)
		assert.Equal(t, name, zone.String())
		again, err := Load(name)
		require.NoError(t, err)
		assert.Same(t, zone, again)
	}
	paris, err := Load("Europe/Paris")
	require.NoError(t, err)
	assert.Equal(t, "02:00 CEST", time.Date(2040, 7, 1, 0, 0, 0, 0, time.UTC).In(paris).Format("15:04 MST"))
	for _, name := range []string{"", "Local", "Factory", "europe/paris", "../zoneinfo/UTC", "Europe", "Europe/", "Europe/Paris\x00"} {
		_, err := Load(name)
		require.ErrorIs(t, err, ErrUnknown, name)
	}
	assert.Equal(t, "Europe/Paris", Similar("europe/PARIS"))
	assert.Empty(t, Similar("Paris"))
}

// The archive is Go's, byte for byte, where the version is the same.
func TestVersion(t *testing.T) {
	t.Parallel()
	require.Regexp(t, regexp.MustCompile(`^20\d\d[a-z]$`), Version())
	from := filepath.Join(runtime.GOROOT(), "lib", "time") //nolint:staticcheck // "" with -trimpath, and then there is nothing to compare
	script, err := os.ReadFile(filepath.Join(from, "update.bash"))
	if err != nil || !bytes.Contains(script, []byte("\nDATA="+Version()+"\n")) {
		t.Skip("this Go has another version")
	}
	theirs, err := os.ReadFile(filepath.Join(from, "zoneinfo.zip"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(theirs, archive))
}
