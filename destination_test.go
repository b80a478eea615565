package minoots_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestParseDestination(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://example.com":      "https://example.com",
		"HTTPS://Example.COM:443/": "https://example.com",
		"http://example.com:80":    "http://example.com",
		"https://example.com:80":   "https://example.com:80",
		"http://[::1]:8080":        "http://[::1]:8080",
	} {
		got, err := minoots.ParseDestination(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, want, minoots.CanonicalDestination(got), "once is enough")
	}
	for _, text := range []string{
		"", "example.com", "https://", "https://u:p@example.com", "https://example.com/hook", "https://example.com?x",
		"https://example.com#x", "https://" + strings.Repeat("a", 300), "https://\xff", "https://a\x00b",
	} {
		_, err := minoots.ParseDestination(text)
		assert.Equal(t, minoots.CodeInvalid, minoots.ErrorCode(err), text)
	}
}
