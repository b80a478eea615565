package fault_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"os"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/fault"
)

// TestPointsAreInTheCode holds the list and the marks in the code together.
func TestPointsAreInTheCode(t *testing.T) {
	t.Parallel()
	mark := regexp.MustCompile(`fault\.Point\("([^"]+)"\)`)
	var found []string
	for _, dir := range []string{"../../db", "../../workers", "../../kernel"} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range mark.FindAllStringSubmatch(string(text), -1) {
				found = append(found, m[1])
			}
		}
	}
	slices.Sort(found)
	require.Equal(t, slices.Sorted(slices.Values(fault.Points)), found)
}

// TestPointKills builds a program with the tag and one without.
func TestPointKills(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds programs")
	}
	source := filepath.Join("testdata", "pass.go")
	for tag, want := range map[string]string{"": "1\n2\n3\n", "faults": "1\n"} {
		program := filepath.Join(t.TempDir(), "pass")
		out, err := exec.Command("go", "build", "-tags", tag, "-o", program, source).CombinedOutput()
		require.NoError(t, err, "%s", out)
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "MINOOTS_FAULT=here:2")
		out, err = cmd.Output()
		require.Equal(t, want, string(out))
		if tag != "" {
			require.ErrorContains(t, err, "killed", strings.TrimSpace(string(out)))
		}
	}
}
