package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/seal"
)

func TestSecretsKeys(t *testing.T) {
	t.Parallel()
	one, two := seal.NewKey(), seal.NewKey()
	ring, err := seal.Parse(one)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(one+"\n"+two+"\n"), 0o600))

	c, err := load(t, nil, nil)
	require.NoError(t, err)
	require.Nil(t, c.SecretsKeys)
	for _, env := range []map[string]string{{SecretsKey: one + "," + two}, {SecretsKeyFile: file}} {
		c, err = load(t, env, nil)
		require.NoError(t, err)
		require.Equal(t, ring.KeyID(), c.SecretsKeys.KeyID())
		encoded, err := json.Marshal(c)
		require.NoError(t, err)
		for _, shown := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), string(encoded)} {
			require.NotContains(t, shown, one)
			require.NotContains(t, shown, two)
		}
	}

	_, err = load(t, map[string]string{SecretsKey: one, SecretsKeyFile: file}, nil)
	require.ErrorContains(t, err, "set one of them")
	_, err = load(t, map[string]string{SecretsKeyFile: filepath.Dir(file)}, nil)
	require.ErrorContains(t, err, SecretsKeyFile)
	require.NoError(t, os.WriteFile(file, []byte("hunter2"), 0o600))
	_, err = load(t, map[string]string{SecretsKeyFile: file}, nil)
	require.ErrorContains(t, err, file)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	c, err := load(t, map[string]string{PublicURL: "https://timers.example.com/minoots/"}, nil)
	require.NoError(t, err)
	require.Equal(t, "https://timers.example.com/minoots", c.PublicURL)
	for _, text := range []string{"timers.example.com", "ftp://x", "https://u:p@x", "https://x/?a=b", "https://x/#y", "https:///v1"} {
		_, err := load(t, map[string]string{PublicURL: text}, nil)
		require.ErrorContains(t, err, PublicURL, text)
	}
}
