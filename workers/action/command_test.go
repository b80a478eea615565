//go:build unix

package action

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const patient = 30 * time.Second

// commandGood prints more than is kept, and leaves a file with the webhook-id for
// its name.
func commandGood(t *testing.T, _ *world) (string, func() []string) {
	dir := t.TempDir()
	return sh(`: > "`+dir+`/$TIMER_WEBHOOK_ID"; i=0; while [ $i -lt 2000 ]; do printf "long s3cret "; i=$((i+1)); done`, ""), func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
}

// sh gives the parameters of a command that a shell runs.
func sh(script, more string) string {
	quoted, _ := json.Marshal(script)
	return fmt.Sprintf(`{"program": "/bin/sh", "args": ["-c", %s]%s}`, quoted, more)
}

func testCommand() *Command { return NewCommand(Config{Commands: []string{"/bin/sh"}}) }

func runScript(t *testing.T, script, more string) minoots.Outcome {
	t.Helper()
	return testCommand().Execute(t.Context(), testDelivery(minoots.KindCommand, sh(script, more)), 2)
}

func TestCommandEnvironmentIsClean(t *testing.T) {
	t.Parallel()
	out := runScript(t, "/usr/bin/env; pwd; ls -A", "")
	require.True(t, out.Success, out.Error)
	var names []string
	var rest []string
	for line := range strings.Lines(string(out.Response)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case !found:
			rest = append(rest, name)
		case strings.HasPrefix(name, "TIMER_"):
			names = append(names, name+"="+value)
		default: // what the shell itself sets
			assert.Contains(t, []string{"PWD", "OLDPWD", "SHLVL", "_"}, name, "nothing of ours is passed on")
		}
	}
	assert.Contains(t, names, "TIMER_ID=01890a5d-ac96-774b-bcce-b302099a8057")
	assert.Contains(t, names, "TIMER_TENANT_ID=acme")
	assert.Contains(t, names, "TIMER_NAME=resume-research")
	assert.Contains(t, names, "TIMER_OCCURRENCE=1")
	assert.Contains(t, names, "TIMER_DUE_AT=2026-11-23T09:00:00.000000Z")
	assert.Contains(t, names, "TIMER_ACTION_ID=wake")
	assert.Contains(t, names, "TIMER_ATTEMPT=2")
	assert.Contains(t, names, "TIMER_WEBHOOK_ID=01890a5d-ac96-774b-bcce-b302099a8057_1_wake")
	assert.Contains(t, names, `TIMER_METADATA={"step": 3}`)
	assert.Contains(t, names, `TIMER_LABELS={"session":"s-17"}`)
	require.Len(t, rest, 1, "the directory is empty: %q", rest)
	assert.NoDirExists(t, rest[0], "and gone afterwards")
}

func TestCommandArgumentsAreNoShell(t *testing.T) {
	t.Parallel()
	out := testCommand().Execute(t.Context(), testDelivery(minoots.KindCommand,
		`{"program": "/bin/sh", "args": ["-c", "printf '%s|' \"$@\"; cat", "x", "$(id)", "; exit 1", "a b", "*"], "stdin": "from\nstdin"}`), 1)
	require.True(t, out.Success, out.Error)
	assert.Equal(t, "$(id)|; exit 1|a b|*|from\nstdin", string(out.Response))
}

func TestCommandExits(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"echo out; echo err >&2; exit 3": "the program ended with exit code 3",
		"kill -SEGV $$":                  "the program was ended by a signal: signal: segmentation fault",
	} {
		out := runScript(t, script, "")
		assert.Equal(t, ClassExitCode, out.ErrorClass)
		assert.True(t, strings.HasPrefix(out.Error, want), out.Error)
		assert.True(t, out.Retryable)
		assert.Zero(t, out.HTTPStatus)
		if strings.HasPrefix(script, "echo") {
			assert.Equal(t, "out\nerr\n", string(out.Response))
		}
	}
}

// Unread input, much output and both at once hold nobody up.
func TestCommandPipes(t *testing.T) {
	t.Parallel()
	stdin := `, "stdin": "` + strings.Repeat("x", maxStdin) + `"`
	assert.True(t, runScript(t, "exit 0", stdin).Success)
	out := runScript(t, "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exit 4", stdin)
	assert.Equal(t, "the program ended with exit code 4", out.Error, "it was not cut off by a full pipe")
	assert.Len(t, out.Response, minoots.MaxResponseCapture)
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// A grandchild that ignores every signal that can be ignored is gone when its time
// is over, and so is one that was left behind by a program that ended well.
func TestCommandLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{"timeout": "wait", "left behind": "exit 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			began := time.Now()
			out := runScript(t, `(trap "" TERM INT HUP; echo $$ > /dev/null; sh -c 'trap "" TERM INT HUP; echo $PPID > `+file+`.new; mv `+file+`.new `+file+`; while :; do sleep 1; done') & while [ ! -e `+file+` ]; do sleep 0.05; done; `+last,
				`, "timeoutMs": 5000`)
			if last == "wait" {
				assert.Equal(t, ClassTimeout, out.ErrorClass)
			} else {
				assert.True(t, out.Success, out.Error)
				assert.Less(t, time.Since(began), 5*time.Second, "not held up by who has its output open")
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			assert.Eventually(t, func() bool { return !alive(pid) }, patient, 10*time.Millisecond)
		})
	}
}

func TestCommandOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	c := NewCommand(Config{Commands: []string{"/bin/true", "/nonexistent/program"}})
	bad := c.Check(json.RawMessage(`{"program": "/bin/sh"}`), nil)
	require.Len(t, bad, 1)
	assert.Equal(t, "parameters.program", bad[0].Path)
	assert.NotContains(t, bad[0].Message, "/bin/true", "which programs there are is not told")
	for parameters, class := range map[string]string{
		`{"program": "/bin/sh"}`:              ClassCommandDenied,
		`{"program": "/bin/../bin/true"}`:     ClassCommandDenied,
		`{"program": "/nonexistent/program"}`: ClassExec,
	} {
		out := c.Execute(t.Context(), testDelivery(minoots.KindCommand, parameters), 1)
		requireWellFormed(t, out)
		assert.Equal(t, class, out.ErrorClass, parameters)
		assert.NotContains(t, out.Error, "nonexistent")
	}
}
