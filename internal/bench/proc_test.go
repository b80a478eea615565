package bench

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// statLine is a line of /proc/PID/stat whose fields 14, 15 and 24 are 250, 50
// and 2048.
const statLine = "4711 (a b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 12345 1000000 2048 18446744073709551615 1 1"

func TestParseStat(t *testing.T) {
	t.Parallel()
	u, err := parseStat(statLine, 4096)
	require.NoError(t, err)
	require.Equal(t, usage{cpu: 3 * time.Second, memory: 8 << 20}, u)
	for name, line := range map[string]string{
		"empty": "", "no name": "4711 S 1 2 3", "cut": "4711 (minoots) S 1 2 3",
		"no number": strings.Replace(statLine, " 250 ", " many ", 1),
	} {
		_, err := parseStat(line, 4096)
		require.Error(t, err, name)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	u, err := usageOf(os.Getpid())
	if runtime.GOOS != "linux" {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Greater(t, u.memory, int64(1<<20))
	_, err = usageOf(-1)
	require.Error(t, err)
}
