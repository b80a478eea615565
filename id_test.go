package minoots_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestNewIDIsAUUIDOfVersion7(t *testing.T) {
	t.Parallel()
	seen := map[minoots.ID]bool{}
	for range 10_000 {
		before := time.Now().UnixMilli()
		id := minoots.NewID()
		after := time.Now().UnixMilli()
		require.EqualValues(t, 7, id[6]>>4, "version")
		require.EqualValues(t, 0b10, id[8]>>6, "variant")
		ms := int64(binary.BigEndian.Uint64(id[:8]) >> 16)
		require.True(t, before <= ms && ms <= after, "carries its time")
		require.False(t, seen[id])
		seen[id] = true
	}
}

// Ids that were made one after the other stand so in an index, and as text.
func TestNewIDSortsByTime(t *testing.T) {
	t.Parallel()
	var last minoots.ID
	for range 1_000 {
		// Past the resolution of the id, which is a 4,096th of a millisecond.
		for began := time.Now(); time.Since(began) < 2*time.Microsecond; {
		}
		id := minoots.NewID()
		require.Negative(t, bytes.Compare(last[:], id[:]))
		require.Negative(t, strings.Compare(last.String(), id.String()))
		last = id
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	const text = "01890a5d-ac96-774b-bcce-b302099a8057"
	id, err := minoots.ParseID(text)
	require.NoError(t, err)
	assert.Equal(t, text, id.String())
	upper, err := minoots.ParseID(strings.ToUpper(text))
	require.NoError(t, err)
	assert.Equal(t, id, upper)
	assert.False(t, id.IsZero())
	assert.True(t, minoots.ID{}.IsZero())

	b, err := json.Marshal(id)
	require.NoError(t, err)
	assert.Equal(t, `"`+text+`"`, string(b))
	var back minoots.ID
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, id, back)
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "x", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5d-ac96-774b-bcce-b302099a80577", "01890a5dac96774bbcceb302099a8057",
		"{01890a5d-ac96-774b-bcce-b302099a8057}", "01890a5d-ac96-774b-bcce-b302099a805g", "01890a5d_ac96_774b_bcce_b302099a8057",
		"01890a5d-ac96-774b-bcce-b302099a80\x0057", " 1890a5d-ac96-774b-bcce-b302099a8057", "0189-0a5dac96-774b-bcce-b302099a8057",
	} {
		id, err := minoots.ParseID(text)
		if assert.ErrorContains(t, err, "want a UUID such as 00000000-0000-7000-8000-000000000000", "%q", text) {
			assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
			assert.True(t, id.IsZero())
		}
		assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(id.UnmarshalText([]byte(text))), "%q", text)
	}
}

func FuzzParseID(f *testing.F) {
	for _, text := range []string{"", "01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057", "--------", strings.Repeat("-", 36)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := minoots.ParseID(text)
		if err != nil {
			require.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err))
			return
		}
		require.Equal(t, strings.ToLower(text), id.String())
	})
}
