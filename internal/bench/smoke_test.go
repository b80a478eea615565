package bench

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// TestSmoke runs a bench as users do, replicas and all, in its smallest form:
// one on a server of its own that must find nothing wrong, and one in which a
// timer is lost, that must.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts servers and replicas")
	}
	program := filepath.Join(t.TempDir(), "minoots")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/minoots").CombinedOutput()
	require.NoError(t, err, "%s", out)

	t.Run("cost", func(t *testing.T) {
		t.Parallel()
		l := setupLab(t, Config{Executable: program})
		require.NoError(t, l.run(t.Context(), stepsNamed(t, "P10")))
		wal := l.report.figure("P10.wal")
		require.NotNil(t, wal)
		require.Greater(t, wal.Value, 1000.0, "bytes of WAL: three rows and a job at least")
		if statements := l.report.figure("P10.statements"); !statements.Missing() {
			list := l.report.Statements["P10"].Statements
			require.Positive(t, calls(list, timerCreate))
			require.Positive(t, calls(list, timerClaim))
			require.Positive(t, calls(list, "outcome_record"))
			require.InDelta(t, statements.Value, calls(list, names(list)...), 1e-9)
		}
		requireNothingLeft(t, l)
	})

	t.Run("lost timer", func(t *testing.T) {
		t.Parallel()
		l := setupLab(t, Config{Executable: program, DatabaseURL: testdb.New(t).URL})
		l.size.quiet = time.Second
		l.sabotage = func(ctx context.Context, d *database) error {
			_, err := d.pool.Exec(ctx, "DELETE FROM minoots.timer_states WHERE id = (SELECT min(id::text)::uuid FROM minoots.timer_states)")
			return err
		}
		err := l.run(t.Context(), stepsNamed(t, "P10"))
		require.ErrorIs(t, err, errLost)
		require.ErrorContains(t, err, "of 50 only 49 were received")
		require.Len(t, l.report.Errors, 1)
		require.Nil(t, l.report.figure("P10.wal"), "no figure of a measurement that failed")
		requireNothingLeft(t, l)
	})
}

// setupLab is a lab with the smallest sizes.
func setupLab(t *testing.T, cfg Config) *lab {
	t.Helper()
	cfg.Short, cfg.Dir, cfg.Progress = true, openDir(t), t.Output()
	l := newLab(cfg)
	l.size.costTimers = 50
	return l
}

// openDir is a directory that Postgres' own user can enter too.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func stepsNamed(t *testing.T, only ...string) []step {
	t.Helper()
	chosen, err := choose(Config{Only: only})
	require.NoError(t, err)
	return chosen
}

func names(list []Statement) []string {
	var all []string
	for _, s := range list {
		all = append(all, s.Name)
	}
	return all
}

// requireNothingLeft holds the bench to leaving neither processes nor files.
func requireNothingLeft(t *testing.T, l *lab) {
	t.Helper()
	require.Empty(t, l.running)
	var left []string
	require.NoError(t, filepath.WalkDir(l.cfg.Dir, func(path string, _ fs.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(path, l.cfg.Dir))
		return err
	}))
	require.Equal(t, []string{""}, left)
}
