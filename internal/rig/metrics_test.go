package rig

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMetric(t *testing.T) {
	t.Parallel()
	const text = `# HELP claims Claim statements.
# TYPE claims counter
claims{result="empty"} 3
claims{result="fired"} 1.5e+02
claims_other 7
fired 12
`
	n, err := parseMetric(strings.NewReader(text), "claims")
	require.NoError(t, err)
	require.InDelta(t, 153, n, 1e-9)
	n, err = parseMetric(strings.NewReader(text), "fired")
	require.NoError(t, err)
	require.InDelta(t, 12, n, 1e-9)
	_, err = parseMetric(strings.NewReader(text), "claim")
	require.Error(t, err, "a part of a name is not the name")
	_, err = parseMetric(strings.NewReader("claims many\n"), "claims")
	require.Error(t, err)
}
