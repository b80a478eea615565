package devpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// helperEnv turns this test binary into a second process: one that starts a
// server in the directory named, says "ready URL ATTACHED", and stops it when
// its standard input ends.
const helperEnv = "DEVPG_TEST_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(helperMain(dir))
	}
	goleak.VerifyTestMain(m)
}

func helperMain(dir string) int {
	server, err := Start(context.Background(), Config{Dir: dir, Log: os.Stderr})
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	fmt.Println("ready", server.URL(""), server.Attached())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Stop(); err != nil {
		fmt.Println("failed", err)
		return 1
	}
	return 0
}

// helper is such a process.
type helper struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Scanner
}

func startHelper(t *testing.T, cmd *exec.Cmd, dir string) *helper {
	t.Helper()
	cmd.Env = append(cmd.Environ(), helperEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &helper{cmd: cmd, stdin: stdin, out: bufio.NewScanner(stdout)}
}

func (h *helper) ready(t *testing.T) (url string, attached bool) {
	t.Helper()
	require.True(t, h.out.Scan(), "the helper ended without a word")
	words := strings.Fields(h.out.Text())
	require.Equal(t, "ready", words[0], h.out.Text())
	return words[1], words[2] == "true"
}

func (h *helper) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, h.stdin.Close())
	require.NoError(t, h.cmd.Wait())
}

func self(t *testing.T) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	return exec.CommandContext(t.Context(), program)
}

// asNobody prepares this test binary to be run by an ordinary user, from a copy
// that the user can reach, with a home of its own.
func asNobody(t *testing.T, args ...string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else; the other tests run as an ordinary user already")
	}
	const nobody = 65534
	dir = openDir(t)
	program, err := os.Executable()
	require.NoError(t, err)
	binary, err := os.ReadFile(program)
	require.NoError(t, err)
	copied := filepath.Join(dir, "devpg.test")
	require.NoError(t, os.WriteFile(copied, binary, 0o755))
	require.NoError(t, os.Chown(dir, nobody, nobody))
	cmd = exec.CommandContext(t.Context(), copied, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd, dir
}

// openDir is a temporary directory below parents that everybody may enter,
// unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devpg-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir) // macOS: /var is a link
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := Start(ctx, Config{Dir: dir, Log: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

// ask runs one query that answers one text.
func ask(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
	return answer
}

func waitDone(t *testing.T, server *Server) {
	t.Helper()
	select {
	case <-server.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not end")
	}
}
