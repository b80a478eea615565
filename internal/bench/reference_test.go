package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestRefTextIsTheSpecAsJSON(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1:4321/far/"
	due := time.Date(2027, 1, 2, 3, 4, 5, 678_901, time.FixedZone("", 3600))
	for _, i := range []int{0, 7, 1234} {
		want, err := json.Marshal(refSpec(i, due, url))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(refText(nil, i, due, url)))
	}
}

func TestRefBatch(t *testing.T) {
	t.Parallel()
	var batch struct{ Timers []minoots.TimerSpec }
	require.NoError(t, json.Unmarshal(refBatch(998, 3, "http://x/"), &batch))
	require.Len(t, batch.Timers, 3)
	assert.Equal(t, refSpec(1000, farDue(1000), "http://x/").Labels, batch.Timers[2].Labels)
}
