package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDestinationsMisuse(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"limit https://example.com":                   "want --rate, --concurrent or both, or else --none",
		"limit https://example.com --rate 1 --none":   "want --rate, --concurrent or both, or else --none",
		"limit https://example.com --rate -1":         "ratePerSecond must be from 0.001 to 100000",
		"limit https://example.com --concurrent 0":    "maxConcurrent must be from 1 to 10000",
		"limit example.com --rate 1":                  "must have a scheme and a host, as in https://example.com",
		"reset https://example.com/hook":              "it holds for all paths",
		"reset https://u:secret@example.com":          "must be scheme, host and port alone",
		"limit https://example.com extra --rate 1":    "accepts 1 arg",
		"limit https://example.com --concurrent many": "invalid argument",
	} {
		var out, errOut bytes.Buffer
		status := run(t.Context(), append([]string{"destinations"}, strings.Fields(args)...), strings.NewReader(""), &out, &errOut)
		assert.Equal(t, exitMisuse, status, args)
		assert.Contains(t, errOut.String(), says, args)
		assert.NotContains(t, errOut.String(), "secret", args)
		assert.Equal(t, 1, strings.Count(errOut.String(), "\n"), "one line: %s", args)
		assert.Empty(t, out.String(), args)
	}
}
