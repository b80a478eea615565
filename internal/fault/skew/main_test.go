package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOverlayFitsThisGo fails when a new Go has changed the function.
func TestOverlayFitsThisGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, write(dir))
	text, err := os.ReadFile(filepath.Join(dir, "overlay.json"))
	require.NoError(t, err)
	var overlay struct{ Replace map[string]string }
	require.NoError(t, json.Unmarshal(text, &overlay))
	require.Len(t, overlay.Replace, 1)
	for source, replacement := range overlay.Replace {
		require.FileExists(t, source)
		text, err := os.ReadFile(replacement)
		require.NoError(t, err)
		require.Contains(t, string(text), skewed)
		_, err = parser.ParseFile(token.NewFileSet(), replacement, text, parser.AllErrors)
		require.NoError(t, err)
	}
}
